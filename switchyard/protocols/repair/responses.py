"""Repairs between two sides of OpenAI Responses."""

from collections.abc import Iterator
from typing import Any

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.codec import Target
from switchyard.protocols.content import OMITTED_IMAGE, SUMMARY_HEADING, summary_in
from switchyard.protocols.openai import holds_ciphertext
from switchyard.protocols.openai_responses.configuration import UPDATE, is_update, last_settings
from switchyard.protocols.openai_responses.reasoning import is_own_item
from switchyard.protocols.passthrough.peek import ABSENT, Document
from switchyard.protocols.repair.refused import REFUSED
from switchyard.protocols.repair.rows import (
    Body,
    Cap,
    Change,
    Clamp,
    Drop,
    RenameDeveloper,
    ReplaceParts,
    Table,
    begins_with,
    drop,
    field,
    is_among,
    put,
    put_list,
    rewrite,
    text_part,
    with_field,
)
from switchyard.protocols.wire import entries, fields

OPENAI_FIELDS = ("metadata", "user", "safety_identifier", "service_tier", "client_metadata")
ENCRYPTED_REASONING = "reasoning.encrypted_content"
ID_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
}
"""OpenAI refuses an item whose id begins otherwise: another service issued it."""
IDENTIFIED = ("message", "function_call", "custom_tool_call")


def _restore_reasoning(body: Body, target: Target) -> None:
    """Reasoning that came in a carrier goes back to its issuer, and to no other upstream."""
    items = entries(body.get("input"))
    put_list(body, "input", items, [kept for item in items for kept in _restored(item, target)])


def _restored(item: Any, target: Target) -> list[Any]:
    encrypted = field(item, "encrypted_content")
    carried = carrier.unpack(encrypted) if isinstance(encrypted, str) else None
    if carried is None:
        return [item]
    if carried.kind == "summary":
        summary = text_part(f"{SUMMARY_HEADING}\n\n{summary_in(encrypted)}", "input_text")
        return [{"role": "user", "content": [summary]}]
    return [carried.payload] if is_own_item(carried, target.issuer) else []


def _address_agents(body: Body, target: Target) -> None:
    """Messages between agents become the user's, except for those that the service itself can read."""
    rewrite(body, "input", lambda item: _from_user(item) if _is_foreign_message(item, target) else item)


def _is_foreign_message(item: Any, target: Target) -> bool:
    parts = entries(field(item, "content"))
    if field(item, "type") != "agent_message" or any(map(holds_ciphertext, parts)):
        return False
    return not target.capabilities.compaction or any(field(part, "encrypted_content") for part in parts)


def _from_user(item: Any) -> Any:
    words = [(part, field(part, "encrypted_content")) for part in entries(item["content"])]
    parts = [part if text is None else text_part(text, "input_text") for part, text in words]
    return {"type": "message", "role": "user", "content": parts}


def _raise_settings(body: Body, _target: Target) -> None:
    """The settings that the conversation makes last become those of the request."""
    items = entries(body.get("input"))
    changed = last_settings(body, items)
    put_list(body, "input", items, [item for item in items if not is_update(item)])
    for name, value in changed.items():
        body[name] = value


def _without_foreign_id(item: Any) -> Any:
    has_one = isinstance(item, dict) and _is_foreign_id(item.get("type", "message"), item.get("id"))
    return with_field(item, "id", None) if has_one else item


def _is_foreign_id(type_: object, id: object) -> bool:
    prefix = ID_PREFIXES.get(str(type_))
    return prefix is not None and isinstance(id, str) and not id.startswith(prefix)


def _answer_at_once(body: Body, _target: Target) -> None:
    """Switchyard does not fetch stored answers: one that is written in the background would be lost."""
    if body.get("background") and not body.get("stream"):
        drop(body, ("background",))


def _drop_reasoning(body: Body, target: Target) -> None:
    _raise_settings(body, target)
    drop(body, ("reasoning",))
    include = entries(body.get("include"))
    if ENCRYPTED_REASONING in include:
        body["include"] = [wanted for wanted in include if wanted != ENCRYPTED_REASONING]


def _drop_hosted_search(body: Body, _target: Target) -> None:
    tools = entries(body.get("tools"))
    kept = [tool for tool in tools if not str(field(tool, "type")).startswith("web_search")]
    if len(kept) == len(tools):
        return
    put(body, "tools", kept)
    if not kept:
        drop(body, ("tool_choice", "parallel_tool_calls"))


def _turn_thinking_on(body: Body) -> None:
    wanted = {"effort": "high", "summary": "auto", **fields(body.get("reasoning"))}
    if wanted != body.get("reasoning"):
        body["reasoning"] = wanted


def _strip_thinking(body: Body, only: frozenset[str] | None) -> None:
    items = entries(body.get("input"))
    kept = [
        item
        for item in items
        if field(item, "type") != "reasoning" or not is_among(item.get("encrypted_content"), only)
    ]
    if len(kept) < len(items):
        # by its id an item is known to have followed its reasoning, and refused without it
        body["input"] = [_without_id(item) for item in kept]


def _without_id(item: Any) -> Any:
    is_identified = isinstance(item, dict) and str(item.get("type", "message")) in IDENTIFIED
    return with_field(item, "id", None) if is_identified else item


class _Item(msgspec.Struct, gc=False):
    type: Any = "message"
    id: Any = None
    role: Any = None
    encrypted_content: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT


decode_items = msgspec.json.Decoder(list[_Item] | str).decode
CARRIED = f'"{carrier.PREFIX}'.encode()
SIGNS = ("carrier", "agent", "developer", "image", "foreign id", "update")
CARRIER, AGENT, DEVELOPER, IMAGE, FOREIGN_ID, SETTINGS = SIGNS


def _signs_in(document: Document) -> Iterator[str]:
    return find_signs(document, decode_items(document.raw("input") or b"[]"))


def find_signs(_document: Document, items: list[_Item] | str) -> Iterator[str]:
    for item in entries(items):
        if item.encrypted_content is not ABSENT and begins_with(item.encrypted_content, CARRIED):
            yield CARRIER
        if item.type == "agent_message":
            yield AGENT
        if item.type == UPDATE:
            yield SETTINGS
        if item.role == "developer":
            yield DEVELOPER
        if item.id is not None and _is_foreign_id(item.type, item.id):
            yield FOREIGN_ID
        for raw in (item.content, item.output):
            if raw is not ABSENT and begins_with(raw, b"[") and b'"input_image"' in bytes(raw):
                yield IMAGE


RESPONSES = Table(
    (
        Change(by=_restore_reasoning, sign=CARRIER),
        Change(by=_address_agents, sign=AGENT),
        RenameDeveloper(history="input", sign=DEVELOPER),
        ReplaceParts(
            history="input",
            type="input_image",
            places=("content", "output"),
            by=lambda _: text_part(OMITTED_IMAGE, "input_text"),
            looks_at=("images",),
            sign=IMAGE,
        ),
        Change(by=_answer_at_once),
        Change(by=_raise_settings, looks_at=("effort_in_messages", "efforts"), sign=SETTINGS),
        Cap(members=("max_output_tokens",)),
        Change(by=_drop_reasoning, looks_at=("reasoning_effort",), value="none"),
        Clamp(member="reasoning", inside="effort"),
        Change(by=_drop_hosted_search, looks_at=("hosted_web_search",)),
        Drop(members=OPENAI_FIELDS, looks_at=("openai_extras",)),
        Drop(members=("prompt_cache_key",), looks_at=("prompt_cache_key",)),
        *REFUSED,
        Change(by=lambda body, _: rewrite(body, "input", _without_foreign_id), sign=FOREIGN_ID),
    ),
    _signs_in,
    _turn_thinking_on,
    _strip_thinking,
)

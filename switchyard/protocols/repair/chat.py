"""Repairs between two sides of OpenAI Chat Completions."""

from collections.abc import Iterator
from typing import Any

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.codec import Target
from switchyard.protocols.content import JSON_SCHEMA_SENTENCE, OMITTED_IMAGE
from switchyard.protocols.history import as_reminder
from switchyard.protocols.openai_chat.encode_request import LOST_REASONING
from switchyard.protocols.openai_chat.foreign import own_messages, own_tool
from switchyard.protocols.passthrough.peek import ABSENT, Document
from switchyard.protocols.repair.refused import REFUSED
from switchyard.protocols.repair.rows import (
    Body,
    Cap,
    Change,
    Clamp,
    Drop,
    Rename,
    RenameDeveloper,
    ReplaceParts,
    Table,
    as_parts,
    begins_with,
    drop,
    field,
    joined_content,
    merged,
    objects,
    put,
    put_list,
    rewrite,
    text_part,
    with_parts,
)
from switchyard.protocols.wire import entries, fields

PROTOCOL_MAX_STOPS = 4
FLAT_TOOLS = (b'"custom"', b'"input_schema"', b'"function","name"', b'"function", "name"')
"""How tools are declared in other protocols."""
FOREIGN_PARTS = (b'"tool_use', b'"tool_result"', b'"image"')
SYSTEM_ROLES = ("system", "developer")
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")


# --- fields ---------------------------------------------------------------------


def _ask_for_usage(body: Body, target: Target) -> None:
    """To a body without options that was to be streamed anyway they are added without reading it."""
    can, options = target.capabilities, body.get("stream_options")
    if not can.include_usage or body.get("stream") is not True:
        return
    if can.stream_only or isinstance(options, dict):
        if field(options, "include_usage") is not True:
            body["stream_options"] = {**fields(options), "include_usage": True}
    else:
        drop(body, ("stream_options",))


def _fit_stops(body: Body, target: Target) -> None:
    """More stops than the protocol allows are left to the upstream's own judgement."""
    stop, limit = body.get("stop"), target.capabilities.max_stops
    if not target.capabilities.stop:
        drop(body, ("stop",))
    elif limit < PROTOCOL_MAX_STOPS and isinstance(stop, list) and len(stop) > limit:
        body["stop"] = stop[:limit]


def _turn_thinking_off(body: Body, target: Target) -> None:
    if body.get("reasoning_effort") == "none" and "none" not in target.capabilities.efforts:
        del body["reasoning_effort"]
        body["thinking"] = {"type": "disabled"}


def _describe_schema(body: Body, target: Target) -> None:
    """Where the form of the answer cannot be forced, it is asked for in words."""
    wanted = body.get("response_format")
    if field(wanted, "type") != "json_schema" or not isinstance(body.get("messages"), list):
        return
    put(body, "response_format", {"type": "json_object"} if target.capabilities.json_object else None)
    schema = msgspec.json.encode(field(field(wanted, "json_schema"), "schema")).decode()
    sentence = JSON_SCHEMA_SENTENCE.format(schema=schema)
    body["messages"] = [{"role": "system", "content": sentence}, *body["messages"]]


# --- messages -------------------------------------------------------------------


def _fold_system(body: Body, _target: Target) -> None:
    """One system message, the first; later ones become reminders of the user, behind the results of tools."""
    messages = entries(body.get("messages"))
    if not any(map(_is_system, messages[1:])):
        return
    folded: list[Any] = []
    held: list[Any] = []
    for message in messages:
        if _is_system(message) and not all(map(_is_system, folded)):
            held.append({**message, "role": "user", "content": as_reminder(_text_of(message.get("content")))})
            continue
        if held and field(message, "role") != "tool":
            # nothing may stand between calls and their results
            folded, held = [*folded, *held], []
        folded.append(message)
    body["messages"] = _joined([*folded, *held])


def _joined(messages: list[Any]) -> list[Any]:
    """Neighbouring messages of the system, or of the user, as one."""

    def belong(first: Any, second: Any) -> bool:
        are_of_system = _is_system(first) and _is_system(second)
        return are_of_system or field(first, "role") == field(second, "role") == "user"

    return merged(messages, belong, joined_content)


def _text_of(content: object) -> str:
    parts = (part.get("text") for part in objects(as_parts(content)))
    return "\n\n".join(text for text in parts if isinstance(text, str))


def _is_system(message: object) -> bool:
    return field(message, "role") in SYSTEM_ROLES


def _drop_foreign_reasoning(body: Body, target: Target) -> None:
    """Reasoning in a carrier that another upstream issued."""

    def own(message: Any) -> Any:
        details = field(message, "reasoning_details")
        if not isinstance(details, list):
            return message
        kept = [detail for detail in details if not _is_foreign(detail, target.issuer)]
        return with_parts(message, "reasoning_details", kept)

    rewrite(body, "messages", own)


def _is_foreign(detail: object, issuer: str) -> bool:
    if not isinstance(detail, dict):
        return False
    packed = (carrier.unpack(value) for value in detail.values() if isinstance(value, str))
    return any(found is not None and found.issuer != issuer for found in packed)


def _fill_reasoning(body: Body, _target: Target) -> None:
    """Some models refuse a tool call in the history whose reasoning is missing."""

    def filled(message: Any) -> Any:
        if field(message, "role") != "assistant" or not message.get("tool_calls"):
            return message
        if message.get("reasoning_content"):
            return message
        return {**message, "reasoning_content": message.get("reasoning") or LOST_REASONING}

    rewrite(body, "messages", filled)


# --- signs ----------------------------------------------------------------------


class _Message(msgspec.Struct, gc=False):
    role: Any = None
    content: msgspec.Raw = ABSENT
    tool_calls: msgspec.Raw = ABSENT
    reasoning_content: msgspec.Raw = ABSENT
    reasoning_details: msgspec.Raw = ABSENT


_messages_of = msgspec.json.Decoder(list[_Message]).decode
NO_CALLS = (b"", b"null", b"[]")
SIGNS = ("image", "carrier", "late system", "developer", "no reasoning", "foreign part", "flat tool")
IMAGE, CARRIER, LATE_SYSTEM, DEVELOPER, NO_REASONING, FOREIGN_PART, FLAT_TOOL = SIGNS


def _signs_in(document: Document) -> Iterator[str]:
    if document.mentions_within("tools", *FLAT_TOOLS):
        yield FLAT_TOOL
    for position, message in enumerate(_messages_of(document.raw("messages") or b"[]")):
        if message.role == "assistant":
            if bytes(message.tool_calls) not in NO_CALLS and not _has_reasoning(message):
                yield NO_REASONING
        elif message.role == "developer":
            yield DEVELOPER
        if position and message.role in SYSTEM_ROLES:
            yield LATE_SYSTEM
        if carrier.PREFIX.encode() in bytes(message.reasoning_details):
            yield CARRIER
        if begins_with(message.content, b"["):
            yield from _signs_of(bytes(message.content))


def _signs_of(parts: bytes) -> Iterator[str]:
    if b'"image_url"' in parts:
        yield IMAGE
    if any(word in parts for word in FOREIGN_PARTS):
        yield FOREIGN_PART


def _has_reasoning(message: _Message) -> bool:
    return begins_with(message.reasoning_content, b'"') and bytes(message.reasoning_content) != b'""'


# --- thinking -------------------------------------------------------------------


def _turn_thinking_on(body: Body) -> None:
    if "reasoning_effort" not in body:
        body["reasoning_effort"] = "high"


def _strip_thinking(body: Body, only: frozenset[str] | None) -> None:
    """Nothing here is signed one by one."""

    def bare(message: Any) -> Any:
        if not isinstance(message, dict) or not any(name in message for name in REASONING_FIELDS):
            return message
        return {name: value for name, value in message.items() if name not in REASONING_FIELDS}

    if only is None:
        rewrite(body, "messages", bare)


def _own_messages(body: Body, _target: Target) -> None:
    old = entries(body.get("messages"))
    put_list(body, "messages", old, [own for message in old for own in own_messages(message)])


CHAT = Table(
    (
        Change(by=_own_messages, sign=FOREIGN_PART),
        Change(by=lambda body, _: rewrite(body, "tools", own_tool), sign=FLAT_TOOL),
        Cap(members=("max_tokens", "max_completion_tokens")),
        Rename(old="max_tokens", new="max_completion_tokens", looks_at=("max_tokens_field",)),
        Rename(old="max_completion_tokens", new="max_tokens", looks_at=("max_tokens_field",)),
        Change(by=_fit_stops, looks_at=("stop", "max_stops")),
        Change(by=_turn_thinking_off, looks_at=("thinking_switch",)),
        Clamp(member="reasoning_effort"),
        Change(by=_describe_schema, looks_at=("json_schema",)),
        Change(by=_fold_system, looks_at=("mid_system",), sign=LATE_SYSTEM),
        Drop(members=("stream_options",), looks_at=("include_usage",)),
        Drop(members=("reasoning_effort",), looks_at=("reasoning_effort",), value="none"),
        Change(by=_fill_reasoning, looks_at=("reasoning_history",), value="required", sign=NO_REASONING),
        RenameDeveloper(history="messages", sign=DEVELOPER),
        ReplaceParts(
            history="messages",
            type="image_url",
            by=lambda _: text_part(OMITTED_IMAGE),
            looks_at=("images",),
            sign=IMAGE,
        ),
        Change(by=_drop_foreign_reasoning, sign=CARRIER),
        *REFUSED,
        Change(by=_ask_for_usage),
    ),
    _signs_in,
    _turn_thinking_on,
    _strip_thinking,
)

"""Repair a request from a Responses client to a Responses upstream, only where it would be refused."""

from typing import Any

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.content import OMITTED_IMAGE, SUMMARY_HEADING, summary_in
from switchyard.protocols.effort import clamped
from switchyard.protocols.limits import limit_answer
from switchyard.protocols.openai_responses.calls import Item
from switchyard.protocols.openai_responses.decode_request import request_of
from switchyard.protocols.openai_responses.encode_request import encode_request
from switchyard.protocols.openai_responses.reasoning import is_own_item
from switchyard.protocols.wire import entries, fields, text

LOWERED_FIELDS = ("instructions", "input", "tools", "tool_choice", "parallel_tool_calls")
NEWER_ITEMS = frozenset(
    {
        "custom_tool_call",
        "custom_tool_call_output",
        "tool_search_call",
        "tool_search_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "additional_tools",
        "compaction",
        "compaction_trigger",
    }
)
OPENAI_FIELDS = ("metadata", "user", "safety_identifier", "service_tier", "client_metadata")


def repair_request(body: dict[str, Any], target: Target) -> bool:
    """Raises BadRequest when the meaning of the request would be lost."""
    capabilities = target.capabilities
    repairs = (
        _restore_reasoning(body, target),
        not capabilities.responses_items and _lower(body, target),
        not capabilities.developer_role and _rename_developer(body),
        not capabilities.images and _replace_images(body),
        limit_answer(body, ("max_output_tokens",), capabilities),
        _limit_reasoning(body, capabilities),
        _drop_hosted_search(body, capabilities),
        _drop_fields(body, capabilities),
    )
    return any(repairs)


def _restore_reasoning(body: Item, target: Target) -> bool:
    """Reasoning that came in a carrier goes back to its issuer, and to nobody else."""
    items = body.get("input")
    if not isinstance(items, list):
        return False
    restored = [kept for item in items for kept in _restored(item, target)]
    changed = len(restored) != len(items) or any(
        new is not old for new, old in zip(restored, items, strict=True)
    )
    if changed:
        body["input"] = restored
    return changed


def _restored(item: Any, target: Target) -> list[Any]:
    encrypted = text(fields(item).get("encrypted_content"))
    carried = carrier.unpack(encrypted) if encrypted else None
    if carried is None:
        return [item]
    if carried.kind == "summary":
        summary = f"{SUMMARY_HEADING}\n\n{summary_in(encrypted)}"
        return [{"role": "user", "content": [{"type": "input_text", "text": summary}]}]
    return [carried.payload] if is_own_item(carried, target.issuer) else []


def _lower(body: Item, target: Target) -> bool:
    """Tools and items of the newer types as functions and their calls."""
    is_plain = all(fields(tool).get("type", "function") == "function" for tool in entries(body.get("tools")))
    items = [fields(item) for item in entries(body.get("input"))]
    if is_plain and not any(str(item.get("type")) in NEWER_ITEMS or item.get("namespace") for item in items):
        return False
    lowered = msgspec.json.decode(encode_request(request_of(body), target).body)
    for field in LOWERED_FIELDS:
        body.pop(field, None)
        if field in lowered:
            body[field] = lowered[field]
    return True


def _rename_developer(body: Item) -> bool:
    renamed = False
    for item in map(fields, entries(body.get("input"))):
        if item.get("role") == "developer":
            item["role"] = "system"
            renamed = True
    return renamed


def _replace_images(body: Item) -> bool:
    replaced = False
    for item in map(fields, entries(body.get("input"))):
        for place in ("content", "output"):
            parts = entries(item.get(place))
            reported = [_without_image(part) for part in parts]
            if reported != parts:
                item[place] = reported
                replaced = True
    return replaced


def _without_image(part: Any) -> Any:
    is_image = fields(part).get("type") == "input_image"
    return {"type": "input_text", "text": OMITTED_IMAGE} if is_image else part


def _limit_reasoning(body: Item, capabilities: Capabilities) -> bool:
    reasoning = fields(body.get("reasoning"))
    if capabilities.reasoning_effort == "none":
        include = entries(body.get("include"))
        kept = [wanted for wanted in include if wanted != "reasoning.encrypted_content"]
        if not reasoning and len(kept) == len(include):
            return False
        body.pop("reasoning", None)
        body["include"] = kept
        return True
    effort = reasoning.get("effort")
    if effort is None or effort in capabilities.efforts or effort not in Capabilities().efforts:
        return False
    nearest = clamped(effort, capabilities.efforts)
    body["reasoning"] = {**reasoning, "effort": nearest}
    return True


def _drop_hosted_search(body: Item, capabilities: Capabilities) -> bool:
    tools = entries(body.get("tools"))
    kept = [tool for tool in tools if not text(fields(tool).get("type")).startswith("web_search")]
    if capabilities.hosted_web_search or len(kept) == len(tools):
        return False
    body["tools"] = kept
    if not kept:
        for field in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(field, None)
    return True


def _drop_fields(body: Item, capabilities: Capabilities) -> bool:
    dropped = list(capabilities.dropped_fields)
    if not capabilities.openai_extras:
        dropped += OPENAI_FIELDS
    if not capabilities.prompt_cache_key:
        dropped.append("prompt_cache_key")
    if not capabilities.parallel_tool_calls:
        dropped.append("parallel_tool_calls")
    if not capabilities.sampling:
        dropped += ("temperature", "top_p")
    known = [field for field in dropped if field in body]
    for field in known:
        del body[field]
    return bool(known)

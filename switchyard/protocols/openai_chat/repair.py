"""Change a Chat request for a Chat upstream, only where that upstream asks for it."""

from typing import Any

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.openai_chat.write_messages import LOST_REASONING

PROTOCOL_MAX_STOPS = 4
OTHER_LIMIT_FIELD = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


def repair_request(body: dict[str, Any], target: Target) -> bool:
    """True if anything was changed. By default only usage is asked for."""
    capabilities = target.capabilities
    changes = [
        _ask_for_usage(body, capabilities),
        _rename_limit(body, capabilities),
        _fit_stops(body, capabilities),
        _drop_fields(body, capabilities),
    ]
    for message in body.get("messages") or ():
        if isinstance(message, dict):
            changes += (
                _rename_developer(message, capabilities),
                _drop_foreign_reasoning(message, target),
                _fill_reasoning(message, capabilities),
            )
    return any(changes)


def _ask_for_usage(body: dict[str, Any], capabilities: Capabilities) -> bool:
    if body.get("stream") is not True or not capabilities.include_usage:
        return False
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    if options.get("include_usage") is True:
        return False
    body["stream_options"] = {**options, "include_usage": True}
    return True


def _rename_limit(body: dict[str, Any], capabilities: Capabilities) -> bool:
    """To the other name where this one is refused; to `max_tokens` only then, as reasoning models refuse that."""
    wanted = capabilities.max_tokens_field
    other = OTHER_LIMIT_FIELD[wanted]
    refused = wanted == "max_completion_tokens" or other in capabilities.dropped_fields
    if not refused or body.get(other) is None:
        return False
    limit = body.pop(other)
    body.setdefault(wanted, limit)
    return True


def _fit_stops(body: dict[str, Any], capabilities: Capabilities) -> bool:
    """More stops than the protocol allows are left to the upstream's own judgement."""
    stop = body.get("stop")
    if stop is None:
        return False
    if not capabilities.stop:
        del body["stop"]
        return True
    limit = capabilities.max_stops
    if limit >= PROTOCOL_MAX_STOPS or not isinstance(stop, list) or len(stop) <= limit:
        return False
    body["stop"] = stop[:limit]
    return True


def _drop_fields(body: dict[str, Any], capabilities: Capabilities) -> bool:
    dropped = [name for name in capabilities.dropped_fields if name in body]
    for name in dropped:
        del body[name]
    return bool(dropped)


def _rename_developer(message: dict[str, Any], capabilities: Capabilities) -> bool:
    if message.get("role") != "developer" or capabilities.developer_role:
        return False
    message["role"] = "system"
    return True


def _drop_foreign_reasoning(message: dict[str, Any], target: Target) -> bool:
    """Reasoning in a carrier that another upstream issued."""
    details = message.get("reasoning_details")
    if not isinstance(details, list):
        return False
    own = [detail for detail in details if not _is_foreign(detail, target.issuer)]
    if len(own) == len(details):
        return False
    message["reasoning_details"] = own
    return True


def _is_foreign(detail: object, issuer: str) -> bool:
    if not isinstance(detail, dict):
        return False
    packed = (carrier.unpack(value) for value in detail.values() if isinstance(value, str))
    return any(found is not None and found.issuer != issuer for found in packed)


def _fill_reasoning(message: dict[str, Any], capabilities: Capabilities) -> bool:
    """Some models refuse a tool call in the history whose reasoning is not told."""
    if capabilities.reasoning_history != "required" or message.get("role") != "assistant":
        return False
    if not message.get("tool_calls") or message.get("reasoning_content"):
        return False
    message["reasoning_content"] = message.get("reasoning") or LOST_REASONING
    return True

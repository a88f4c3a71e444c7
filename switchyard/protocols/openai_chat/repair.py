"""Change a Chat request for a Chat upstream, only where that upstream asks for it."""

from typing import Any

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.content import JSON_SCHEMA_SENTENCE, OMITTED_IMAGE
from switchyard.protocols.effort import clamped
from switchyard.protocols.history import as_reminder
from switchyard.protocols.limits import limit_answer
from switchyard.protocols.openai_chat.encode_request import LOST_REASONING

PROTOCOL_MAX_STOPS = 4
OTHER_LIMIT_FIELD = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


def repair_request(body: dict[str, Any], target: Target) -> bool:
    """True if anything was changed."""
    capabilities = target.capabilities
    changes = [
        _ask_for_usage(body, capabilities),
        limit_answer(body, tuple(OTHER_LIMIT_FIELD), capabilities),
        _rename_limit(body, capabilities),
        _fit_stops(body, capabilities),
        _fit_effort(body, capabilities),
        _describe_schema(body, capabilities),
        _fold_system(body, capabilities),
        _drop_fields(body, capabilities),
    ]
    for message in _messages(body):
        if isinstance(message, dict):
            changes += (
                _rename_developer(message, capabilities),
                _replace_images(message, capabilities),
                _drop_foreign_reasoning(message, target),
                _fill_reasoning(message, capabilities),
            )
    return any(changes)


def _messages(body: dict[str, Any]) -> list[Any]:
    """None where they are no list: the upstream will say what is wrong with them."""
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


def _fold_system(body: dict[str, Any], capabilities: Capabilities) -> bool:
    """One system message, at the head; later ones become reminders of the user, behind the results of tools."""
    messages = _messages(body)
    if capabilities.mid_system or not any(_is_system(message) for message in messages[1:]):
        return False
    folded: list[Any] = []
    held: list[Any] = []
    for message in messages:
        if _is_system(message) and not all(map(_is_system, folded)):
            held.append({**message, "role": "user", "content": as_reminder(_text_of(message.get("content")))})
            continue
        if held and _role(message) != "tool":
            # nothing may stand between calls and their results
            folded, held = [*folded, *held], []
        folded.append(message)
    body["messages"] = _joined([*folded, *held])
    return True


def _joined(messages: list[Any]) -> list[Any]:
    """Neighbouring messages of the system, or of the user, as one."""
    joined: list[Any] = []
    for message in messages:
        last = joined[-1] if joined else {}
        both_system = _is_system(last) and _is_system(message)
        if both_system or _role(last) == _role(message) == "user":
            joined[-1] = {**joined[-1], "content": _joined_content(last, message)}
        else:
            joined.append(message)
    return joined


def _joined_content(first: dict[str, Any], second: dict[str, Any]) -> str | list[Any]:
    contents = first.get("content"), second.get("content")
    if any(isinstance(content, list) for content in contents):
        return [part for content in contents for part in _as_parts(content)]
    return "\n\n".join(content for content in contents if isinstance(content, str))


def _as_parts(content: object) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if isinstance(content, str) and content else []


def _text_of(content: object) -> str:
    parts = (part.get("text") for part in _as_parts(content) if isinstance(part, dict))
    return "\n\n".join(text for text in parts if isinstance(text, str))


def _is_system(message: object) -> bool:
    return _role(message) in ("system", "developer")


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None


def _ask_for_usage(body: dict[str, Any], capabilities: Capabilities) -> bool:
    """Among options that are told already; to a body without any they are added without reading it."""
    if body.get("stream") is not True or not capabilities.include_usage or "stream_options" not in body:
        return False
    options = body["stream_options"]
    if not isinstance(options, dict):
        del body["stream_options"]
        return True
    if options.get("include_usage") is True:
        return False
    body["stream_options"] = {**options, "include_usage": True}
    return True


def _rename_limit(body: dict[str, Any], capabilities: Capabilities) -> bool:
    wanted = capabilities.max_tokens_field
    other = OTHER_LIMIT_FIELD.get(wanted)
    if other is None or body.get(other) is None:
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


def _fit_effort(body: dict[str, Any], capabilities: Capabilities) -> bool:
    effort = body.get("reasoning_effort")
    if effort is None or effort in capabilities.efforts or effort not in Capabilities().efforts:
        return False
    if effort == "none" and capabilities.thinking_switch:
        del body["reasoning_effort"]
        body["thinking"] = {"type": "disabled"}
    else:
        body["reasoning_effort"] = clamped(effort, capabilities.efforts)
    return True


def _drop_fields(body: dict[str, Any], capabilities: Capabilities) -> bool:
    refused = [*capabilities.dropped_fields]
    if not capabilities.sampling:
        refused += ("temperature", "top_p")
    if not capabilities.parallel_tool_calls:
        refused.append("parallel_tool_calls")
    if not capabilities.include_usage:
        refused.append("stream_options")
    if capabilities.reasoning_effort == "none":
        refused.append("reasoning_effort")
    dropped = [name for name in refused if name in body]
    for name in dropped:
        del body[name]
    return bool(dropped)


def _describe_schema(body: dict[str, Any], capabilities: Capabilities) -> bool:
    """Where the form of the answer cannot be forced, it is asked for in words."""
    wanted = body.get("response_format")
    if capabilities.json_schema or not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return False
    if not isinstance(body.get("messages"), list):
        return False
    del body["response_format"]
    reported = wanted.get("json_schema")
    schema = msgspec.json.encode(reported.get("schema") if isinstance(reported, dict) else None).decode()
    sentence = JSON_SCHEMA_SENTENCE.format(schema=schema)
    body["messages"] = [{"role": "system", "content": sentence}, *body["messages"]]
    return True


def _replace_images(message: dict[str, Any], capabilities: Capabilities) -> bool:
    content = message.get("content")
    if capabilities.images or not isinstance(content, list):
        return False
    reported = [_without_image(part) for part in content]
    changed = reported != content
    message["content"] = reported
    return changed


def _without_image(part: object) -> object:
    is_image = isinstance(part, dict) and part.get("type") == "image_url"
    return {"type": "text", "text": OMITTED_IMAGE} if is_image else part


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

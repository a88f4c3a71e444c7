"""Read requests for people: each part of a conversation with what it says, in the order of the body.

Nothing is checked or repaired. What has no known form is shown as JSON.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from switchyard.protocols.anthropic_messages.fields import FIELDS as MESSAGES_FIELDS
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.openai_chat.fields import FIELDS as CHAT_FIELDS
from switchyard.protocols.openai_responses.fields import FIELDS as RESPONSES_FIELDS
from switchyard.protocols.wire import Json, decode_object, entries, fields, joined, json_text, parsed, text

PartKind = Literal["text", "thinking", "image", "file", "call", "result", "tool", "other"]
IDENTITY = frozenset({"type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "status", "index"})
"""members that place a part, and that every protocol writes in its own way"""
TEXTS = ("text", "input_text", "output_text")
MEDIA = {"image": "image", "image_url": "image", "input_image": "image"}
FILES = ("document", "file", "input_file", "input_audio")
CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
RESULT_ENDING = "_output"
CONVERSATION: Mapping[ProtocolName, frozenset[str]] = {
    "messages": frozenset({"system", "messages", "tools"}),
    "chat": frozenset({"messages", "tools"}),
    "responses": frozenset({"instructions", "input", "tools"}),
}
FIELDS = {"messages": MESSAGES_FIELDS, "chat": CHAT_FIELDS, "responses": RESPONSES_FIELDS}


class Part(msgspec.Struct, frozen=True):
    """One part of a conversation, or one tool. `members`: what it has besides its text and its name."""

    role: str
    kind: PartKind
    text: str
    name: str = ""
    members: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ReadableRequest(msgspec.Struct, frozen=True):
    """`fields` are the members of the body that belong neither to the conversation nor to the tools."""

    fields: Mapping[str, Any]
    tools: tuple[Part, ...]
    parts: tuple[Part, ...]


def readable_request(protocol: ProtocolName, body: bytes) -> ReadableRequest | None:
    """None for a body that is no JSON object."""
    given = decode_object(body)
    if given is None:
        return None
    other = {name: value for name, value in given.items() if name not in CONVERSATION[protocol]}
    tools = tuple(_tool(fields(tool)) for tool in entries(given.get("tools")))
    return ReadableRequest(other, tools, tuple(PARTS[protocol](given)))


def neutral_parts(protocol: ProtocolName, member: str) -> frozenset[str]:
    """What a member of a request stands for in every protocol."""
    return frozenset(
        field.name for field in FIELDS[protocol] if field.name and field.wire.partition(".")[0] == member
    )


def shown_json(value: object) -> str:
    """The JSON for people, indented."""
    return msgspec.json.format(json_text(value), indent=2)


def _tool(given: Json) -> Part:
    inner = fields(given.get("function")) or given
    kind = text(given.get("type"))
    members = {**_rest(given, "function"), **_rest(inner)} if inner is not given else _rest(given)
    for name in ("name", "description"):
        members.pop(name, None)
    if (schema := members.pop("input_schema", None)) is not None:
        members["parameters"] = schema
    return Part("", "tool", text(inner.get("description")), text(inner.get("name")) or kind, members)


def _rest(given: Json, *known: str) -> Json:
    left_out = IDENTITY.union(known)
    return {name: value for name, value in given.items() if name not in left_out and value is not None}


def _messages_parts(body: Json) -> Iterable[Part]:
    yield from (_block("system", one) for one in _blocks(body.get("system")))
    yield from _message_parts(body)


def _message_parts(body: Json) -> Iterable[Part]:
    for message in entries(body.get("messages")):
        yield from _message(fields(message))


def _message(given: Json) -> Iterable[Part]:
    """A message of Messages or Chat, or an item of Responses that is one."""
    role = _role(given)
    if role == "tool":
        yield Part("tool", "result", _content_text(given.get("content")), "", _rest(given, "content"))
        return
    reasoning = text(given.get("reasoning_content")) or text(given.get("reasoning"))
    parts = [Part(role, "thinking", reasoning)] if reasoning else []
    parts += [_block(role, one) for one in _blocks(given.get("content"))]
    parts += [_call(fields(one)) for one in entries(given.get("tool_calls"))]
    if refusal := text(given.get("refusal")):
        parts.append(Part(role, "text", refusal))
    known = ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")
    if members := _rest(given, *known):
        first = parts[0] if parts else Part(role, "text", "")
        parts[:1] = [replace(first, members={**first.members, **members})]
    yield from parts or [Part(role, "text", "")]


def _role(given: Json) -> str:
    role = text(given.get("role"))
    return {"developer": "system", "function": "tool"}.get(role, role)


def _blocks(content: object) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [fields(one) or {"type": "text", "text": json_text(one)} for one in entries(content)]


def _block(role: str, given: Json) -> Part:
    kind = text(given.get("type"))
    if kind in TEXTS:
        return Part(role, "text", text(given.get("text")), "", _rest(given, "text"))
    if kind == "refusal":
        return Part(role, "text", text(given.get("refusal")), "", _rest(given, "refusal"))
    if kind in ("thinking", "redacted_thinking"):
        return Part(role, "thinking", text(given.get("thinking")), "", _rest(given, "thinking"))
    if kind in MEDIA or kind in FILES:
        shown, members = _media(given)
        return Part(role, "image" if kind in MEDIA else "file", shown, "", members)
    if kind in CALLS:
        shown, name = shown_json(given.get("input")), text(given.get("name"))
        return Part("assistant", "call", shown, name, _rest(given, "input", "name"))
    if kind == "tool_result":
        return Part("tool", "result", _content_text(given.get("content")), "", _rest(given, "content"))
    return Part(role, "other", shown_json(given), kind)


def _media(given: Json) -> tuple[str, Json]:
    """An image or a file in a few words, and its other members."""
    source = fields(given.get("source")) or fields(given.get("image_url")) or fields(given.get("file"))
    source = source or fields(given.get("input_audio")) or given
    plain = text(given.get("image_url"))
    url = plain or text(source.get("url")) or text(source.get("image_url")) or text(source.get("file_data"))
    media_type, encoded = text(source.get("media_type")), text(source.get("data"))
    if url.startswith("data:"):
        head, _, encoded = url.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0]
        url = ""
    known = ("source", "image_url", "file", "input_audio", "file_data", "media_type", "data", "url")
    if url or not encoded:
        return url or shown_json(source), _rest(given, *known)
    return f"{media_type} ({len(encoded)} characters of data)".strip(), _rest(given, *known)


def _content_text(content: object) -> str:
    if isinstance(content, str):
        return content
    return joined([_block("", one).text for one in _blocks(content)])


def _call(given: Json) -> Part:
    """A call of Chat, or an item of Responses that is one."""
    inner = fields(given.get("function")) or fields(given.get("custom")) or given
    arguments = inner.get("arguments", inner.get("input", inner.get("action")))
    value = parsed(arguments) if isinstance(arguments, str) else arguments
    is_words = isinstance(arguments, str) and not isinstance(value, dict | list)
    shown = text(arguments) if is_words else shown_json(value)
    name = text(inner.get("name")) or text(given.get("type"))
    known = ("function", "custom", "arguments", "input", "action", "name")
    return Part("assistant", "call", shown, name, _rest(given, *known))


def _responses_parts(body: Json) -> Iterable[Part]:
    if instructions := text(body.get("instructions")):
        yield Part("system", "text", instructions)
    given = body.get("input")
    if isinstance(given, str):
        yield Part("user", "text", given)
    for item in entries(given):
        yield from _item(fields(item))


def _item(given: Json) -> Iterable[Part]:
    kind = text(given.get("type"))
    if kind == "message" or (not kind and "role" in given):
        yield from _message(given)
    elif kind == "reasoning":
        said = [*entries(given.get("summary")), *entries(given.get("content"))]
        shown = joined([text(fields(one).get("text")) for one in said])
        yield Part("assistant", "thinking", shown, "", _rest(given, "summary", "content"))
    elif kind.endswith("_call"):
        yield _call(given)
    elif kind.endswith(RESULT_ENDING):
        yield Part("tool", "result", _content_text(given.get("output")), "", _rest(given, "output", "name"))
    else:
        yield Part("", "other", shown_json(given), kind)


PARTS: Mapping[ProtocolName, Callable[[Json], Iterable[Part]]] = {
    "messages": _messages_parts,
    "chat": _message_parts,
    "responses": _responses_parts,
}

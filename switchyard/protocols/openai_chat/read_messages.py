"""Read the messages of a Chat request."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.media import parse_data_url, sniffed_media_type

Wire = Mapping[str, Any]

AUDIO = "audio cannot be carried to another protocol: send its transcript as text"
FILE_ID = "files by id cannot be carried to another upstream: send the content inline as `file_data`"


@dataclass(slots=True)
class ReadMessages:
    """What the messages say. `system` is what the leading system and developer messages say, one by one."""

    system: tuple[str, ...] = ()
    messages: tuple[neutral.Message, ...] = ()
    losses: list[neutral.Loss] = field(default_factory=list)


def read_messages(wire: object) -> ReadMessages:
    """Raises BadRequest, naming the message."""
    if not isinstance(wire, list) or not wire:
        raise BadRequest("messages: expected a list with at least one message", "messages")
    return _Reader().read(wire)


class _Reader:
    def __init__(self) -> None:
        self._kinds: dict[str, neutral.ToolKind] = {}
        self._legacy_calls: dict[str, str] = {}
        self._legacy_count = 0
        self._names_message = False

    def read(self, wire: list[Any]) -> ReadMessages:
        system: list[str] = []
        messages: list[neutral.Message] = []
        for number, message in enumerate(wire):
            path = f"messages[{number}]"
            if not isinstance(message, dict):
                raise BadRequest(f"{path}: expected an object", path)
            read = self._message(message, path)
            if read.role == "system" and not messages:
                system.append(
                    "\n\n".join(block.text for block in read.content if isinstance(block, neutral.Text))
                )
            else:
                messages.append(read)
        losses = (
            [neutral.Loss("messages.name", "only Chat names the speakers")] if self._names_message else []
        )
        return ReadMessages(tuple(system), tuple(messages), losses)

    def _message(self, wire: Wire, path: str) -> neutral.Message:
        match wire.get("role"):
            case "system" | "developer":
                self._note_name(wire)
                return neutral.Message("system", _parts(wire.get("content"), path))
            case "user":
                self._note_name(wire)
                return neutral.Message("user", _parts(wire.get("content"), path))
            case "assistant":
                return neutral.Message("assistant", self._assistant(wire, path))
            case "tool":
                return neutral.Message("user", (self._result(wire, path),))
            case "function":
                return neutral.Message("user", (self._legacy_result(wire, path),))
            case role:
                raise BadRequest(
                    f"{path}.role: {role!r} is none of system, developer, user, assistant, tool, function",
                    f"{path}.role",
                )

    def _note_name(self, wire: Wire) -> None:
        self._names_message = self._names_message or bool(wire.get("name"))

    def _assistant(self, wire: Wire, path: str) -> tuple[neutral.Block, ...]:
        if wire.get("audio"):
            raise BadRequest(f"{path}.audio: {AUDIO}", f"{path}.audio")
        blocks: list[neutral.Block] = []
        if reasoning := _reasoning(wire):
            blocks.append(neutral.Thinking(reasoning))
        blocks += _parts(wire.get("content"), path)
        if refusal := wire.get("refusal"):
            blocks.append(neutral.Refusal(str(refusal)))
        calls = wire.get("tool_calls")
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            blocks.append(self._call(call, f"{path}.tool_calls[{number}]"))
        if isinstance(wire.get("function_call"), dict):
            blocks.append(self._legacy_call(wire["function_call"], path))
        return tuple(blocks)

    def _call(self, wire: object, path: str) -> neutral.ToolCall:
        if not isinstance(wire, dict):
            raise BadRequest(f"{path}: expected an object", path)
        id = _required(wire, "id", path)
        if isinstance(wire.get("custom"), dict):
            custom = wire["custom"]
            self._kinds[id] = "custom"
            return neutral.ToolCall(
                id, _required(custom, "name", f"{path}.custom"), _argument_text(custom.get("input")), "custom"
            )
        function = wire.get("function")
        if not isinstance(function, dict):
            raise BadRequest(f"{path}.function: expected an object", f"{path}.function")
        arguments = _argument_text(function.get("arguments"))
        return neutral.ToolCall(id, _required(function, "name", f"{path}.function"), arguments or "{}")

    def _legacy_call(self, wire: Wire, path: str) -> neutral.ToolCall:
        name = _required(wire, "name", f"{path}.function_call")
        self._legacy_count += 1
        id = self._legacy_calls[name] = f"call_{self._legacy_count}"
        return neutral.ToolCall(id, name, _argument_text(wire.get("arguments")) or "{}")

    def _result(self, wire: Wire, path: str) -> neutral.ToolResult:
        id = _required(wire, "tool_call_id", path)
        return neutral.ToolResult(id, _result_parts(wire, path), kind=self._kinds.get(id, "function"))

    def _legacy_result(self, wire: Wire, path: str) -> neutral.ToolResult:
        name = _required(wire, "name", path)
        return neutral.ToolResult(self._legacy_calls.get(name, name), _result_parts(wire, path))


def _result_parts(wire: Wire, path: str) -> tuple[neutral.Text | neutral.Image | neutral.Document, ...]:
    return tuple(
        part
        for part in _parts(wire.get("content"), path)
        if isinstance(part, neutral.Text | neutral.Image | neutral.Document)
    )


def _parts(content: object, path: str) -> tuple[neutral.Block, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (neutral.Text(content),) if content else ()
    if not isinstance(content, list):
        raise BadRequest(f"{path}.content: expected a text or a list of parts", f"{path}.content")
    return tuple(_part(part, f"{path}.content[{number}]") for number, part in enumerate(content))


def _part(wire: object, path: str) -> neutral.Block:
    if isinstance(wire, str):
        return neutral.Text(wire)
    if not isinstance(wire, dict):
        raise BadRequest(f"{path}: expected an object", path)
    match wire.get("type"):
        case "text" | "input_text" | "output_text":
            return neutral.Text(str(wire.get("text") or ""))
        case "refusal":
            return neutral.Refusal(str(wire.get("refusal") or ""))
        case "thinking":
            return neutral.Thinking(_reasoning(wire))
        case "image_url":
            return _image(wire.get("image_url"), path)
        case "file":
            return _file(wire.get("file"), path)
        case "input_audio":
            raise BadRequest(f"{path}: {AUDIO}", path)
        case kind:
            raise BadRequest(f"{path}.type: parts of type {kind!r} are not supported", f"{path}.type")


def _image(wire: object, path: str) -> neutral.Image:
    source = wire if isinstance(wire, dict) else {"url": wire}
    url, detail = source.get("url"), source.get("detail")
    if not isinstance(url, str) or not url:
        raise BadRequest(f"{path}.image_url.url: expected a URL", f"{path}.image_url.url")
    detail = detail if isinstance(detail, str) else ""
    if url[:7].lower() == "http://" or url[:8].lower() == "https://":
        return neutral.Image(url=url, detail=detail)
    inline = parse_data_url(url)
    if inline is None:
        raise BadRequest(f"{path}.image_url.url: expected an http(s) or data URL", f"{path}.image_url.url")
    media_type, data = inline
    return neutral.Image(sniffed_media_type(data, media_type), data, detail=detail)


def _file(wire: object, path: str) -> neutral.Document:
    source = wire if isinstance(wire, dict) else {}
    data, name = source.get("file_data"), source.get("filename")
    if not isinstance(data, str) or not data:
        raise BadRequest(f"{path}.file: {FILE_ID}", f"{path}.file")
    title = name if isinstance(name, str) else ""
    media_type, encoded = parse_data_url(data) or ("application/octet-stream", data)
    media_type = sniffed_media_type(encoded, media_type)
    if media_type.startswith("text/"):
        return neutral.Document("text/plain", _decoded_text(encoded, path), title=title)
    return neutral.Document(media_type, encoded, title=title)


def _decoded_text(encoded: str, path: str) -> str:
    try:
        return base64.b64decode(encoded).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise BadRequest(f"{path}.file.file_data: not base64", f"{path}.file.file_data") from None


def _reasoning(wire: Wire) -> str:
    """The reasoning text of an earlier turn, under whichever name the client kept it."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(wire.get(name), str) and wire[name]:
            return str(wire[name])
    return ""


def _argument_text(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def _required(wire: Wire, name: str, path: str) -> str:
    value = wire.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{path}.{name}: expected a text", f"{path}.{name}")
    return value

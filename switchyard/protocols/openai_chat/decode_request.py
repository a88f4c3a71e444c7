"""Decode the Chat requests of clients.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Callable, Mapping

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.content import Part, document_in, image_at
from switchyard.protocols.fields import decode_fields, lost_fields
from switchyard.protocols.history import text_of
from switchyard.protocols.openai_chat.fields import FIELDS
from switchyard.protocols.tools.choice import decode_openai_choice
from switchyard.protocols.wire import (
    Json,
    bad_field,
    decode_body,
    entries,
    fields,
    json_text,
    required_text,
    text,
)

AUDIO = "audio cannot be carried to another protocol: send its transcript as text"
FILE_ID = "files by id cannot be carried to another upstream: send the content inline as `file_data`"
NAMES = neutral.Loss("messages.name", "only Chat names the speakers")
REASONING_NAMES = ("reasoning_content", "reasoning", "thinking")


def decode_request(body: bytes) -> neutral.Request:
    """Raises BadRequest."""
    given = decode_body(body)
    model = required_text(given, "model")
    conversation = _Conversation()
    conversation.decode(given.get("messages"))
    function = given.get("function_call")
    choice = given.get("tool_choice") or (
        {"type": "function", "function": function} if isinstance(function, dict) else function
    )
    return neutral.Request(
        model,
        tuple(conversation.messages),
        tuple(conversation.system),
        tool_choice=decode_openai_choice(choice),
        losses=(*([NAMES] if conversation.names_speakers else ()), *lost_fields(FIELDS, given)),
        **decode_fields(FIELDS, given),
    )


class _Conversation:
    """What the messages add up to; `system` is what the leading ones say, one by one."""

    def __init__(self) -> None:
        self.system: list[str] = []
        self.messages: list[neutral.Message] = []
        self.names_speakers = False
        self._kinds: dict[str, neutral.ToolKind] = {}
        self._legacy_calls: dict[str, str] = {}
        self._legacy_count = 0

    def decode(self, messages: object) -> None:
        """Raises BadRequest, naming the message."""
        if not isinstance(messages, list) or not messages:
            raise bad_field("messages", "Input should be a list with at least one message")
        for number, message in enumerate(messages):
            path = f"messages[{number}]"
            if not isinstance(message, dict):
                raise bad_field(path, "Input should be an object")
            decoded = self._message(message, path)
            if decoded.role == "system" and not self.messages:
                self.system.append(text_of(decoded.content))
            else:
                self.messages.append(decoded)

    def _message(self, message: Json, path: str) -> neutral.Message:
        match message.get("role"):
            case "system" | "developer" | "user" as role:
                self.names_speakers = self.names_speakers or bool(message.get("name"))
                content = _content(message.get("content"), path)
                return neutral.Message("user" if role == "user" else "system", content)
            case "assistant":
                return neutral.Message("assistant", tuple(self._assistant(message, path)))
            case "tool":
                id = required_text(message, "tool_call_id", path)
                return _result(id, message, path, self._kinds.get(id, "function"))
            case "function":
                name = required_text(message, "name", path)
                return _result(self._legacy_calls.get(name, name), message, path)
            case role:
                known = "system, developer, user, assistant, tool, function"
                raise bad_field(f"{path}.role", f"{role!r} is none of {known}")

    def _assistant(self, message: Json, path: str) -> list[neutral.Block]:
        if message.get("audio"):
            raise bad_field(f"{path}.audio", AUDIO)
        blocks: list[neutral.Block] = []
        if reasoning := _reasoning(message):
            blocks.append(neutral.Thinking(reasoning))
        blocks += _content(message.get("content"), path)
        if refusal := message.get("refusal"):
            blocks.append(neutral.Refusal(str(refusal)))
        for number, call in enumerate(entries(message.get("tool_calls"))):
            blocks.append(self._call(call, f"{path}.tool_calls[{number}]"))
        if isinstance(message.get("function_call"), dict):
            blocks.append(self._legacy_call(message["function_call"], f"{path}.function_call"))
        return blocks

    def _call(self, call: object, path: str) -> neutral.ToolCall:
        given = fields(call)
        id = required_text(given, "id", path)
        if custom := fields(given.get("custom")):
            self._kinds[id] = "custom"
            name = required_text(custom, "name", f"{path}.custom")
            return neutral.ToolCall(id, name, _argument_text(custom.get("input")), "custom")
        function = given.get("function")
        if not isinstance(function, dict):
            raise bad_field(f"{path}.function", "Input should be an object")
        name = required_text(function, "name", f"{path}.function")
        return neutral.ToolCall(id, name, _argument_text(function.get("arguments")) or "{}")

    def _legacy_call(self, call: Json, path: str) -> neutral.ToolCall:
        name = required_text(call, "name", path)
        self._legacy_count += 1
        id = self._legacy_calls[name] = f"call_{self._legacy_count}"
        return neutral.ToolCall(id, name, _argument_text(call.get("arguments")) or "{}")


def _result(id: str, message: Json, path: str, kind: neutral.ToolKind = "function") -> neutral.Message:
    parts = tuple(part for part in _content(message.get("content"), path) if isinstance(part, Part))
    return neutral.Message("user", (neutral.ToolResult(id, parts, kind=kind),))


def _reasoning(given: Json) -> str:
    """The reasoning text of an earlier turn, under whichever name the client kept it."""
    return next((given[name] for name in REASONING_NAMES if text(given.get(name))), "")


def _argument_text(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)


# --- parts ----------------------------------------------------------------------


def _content(content: object, path: str) -> tuple[neutral.Block, ...]:
    if content is None:
        return ()
    path = f"{path}.content"
    if isinstance(content, str):
        return (neutral.Text(content),) if content else ()
    if not isinstance(content, list):
        raise bad_field(path, "Input should be a text or a list of parts")
    return tuple(_part(part, f"{path}[{number}]") for number, part in enumerate(content))


def _part(part: object, path: str) -> neutral.Block:
    if isinstance(part, str):
        return neutral.Text(part)
    if not isinstance(part, dict):
        raise bad_field(path, "Input should be an object")
    decode = PARTS.get(str(part.get("type")))
    if decode is None:
        raise bad_field(f"{path}.type", f"parts of type {part.get('type')!r} are not supported")
    return decode(part, path)


def _text(part: Json, _: str) -> neutral.Block:
    return neutral.Text(str(part.get("text") or ""))


def _refusal(part: Json, _: str) -> neutral.Block:
    return neutral.Refusal(str(part.get("refusal") or ""))


def _thinking(part: Json, _: str) -> neutral.Block:
    return neutral.Thinking(_reasoning(part))


def _image(part: Json, path: str) -> neutral.Block:
    source = part.get("image_url")
    given = source if isinstance(source, dict) else {"url": source}
    url = required_text(given, "url", f"{path}.image_url")
    return image_at(url, f"{path}.image_url.url", text(given.get("detail")))


def _file(part: Json, path: str) -> neutral.Block:
    given = fields(part.get("file"))
    data = text(given.get("file_data"))
    if not data:
        raise bad_field(f"{path}.file", FILE_ID)
    return document_in(data, f"{path}.file.file_data", title=text(given.get("filename")))


def _audio(_: Json, path: str) -> neutral.Block:
    raise BadRequest(f"{path}: {AUDIO}", path)


PARTS: Mapping[str, Callable[[Json, str], neutral.Block]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "file": _file,
    "input_audio": _audio,
}

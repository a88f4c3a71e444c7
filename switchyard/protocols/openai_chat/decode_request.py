"""Decode the Chat requests of clients.

https://platform.openai.com/docs/api-reference/chat/create
"""

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.content import Part
from switchyard.protocols.fields import decode_fields, lost_fields
from switchyard.protocols.history import text_of
from switchyard.protocols.known_history import KnownHistory, decode_known
from switchyard.protocols.message_memory import History, KnownItem
from switchyard.protocols.openai import AUDIO, decode_choice, decode_content, reasoning_in
from switchyard.protocols.openai_chat.calls import argument_text, is_custom_call
from switchyard.protocols.openai_chat.fields import FIELDS
from switchyard.protocols.openai_chat.foreign import own_messages
from switchyard.protocols.wire import Json, bad_field, entries, fields, required_text

NAMES = neutral.Loss("messages.name", "only Chat names the speakers")


def decode_request(body: bytes, history: History | None = None) -> neutral.Request:
    """Raises BadRequest."""
    given, known_history = decode_known(body, "chat", "messages", history)
    model = required_text(given, "model")
    conversation = _Conversation(known_history)
    conversation.decode(given.get("messages"))
    function = given.get("function_call")
    choice = given.get("tool_choice") or (
        {"type": "function", "function": function} if isinstance(function, dict) else function
    )
    return neutral.Request(
        model,
        tuple(conversation.messages),
        tuple(conversation.system),
        tool_choice=decode_choice(choice),
        losses=(*([NAMES] if conversation.names_speakers else ()), *lost_fields(FIELDS, given)),
        **decode_fields(FIELDS, given),
    )


class _Conversation:
    """What the messages add up to; `system` has the texts of the leading system messages."""

    def __init__(self, known_history: KnownHistory | None) -> None:
        self._known_history = known_history
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
            if isinstance(message, KnownItem):
                self._add(self._of_its_kind(message.value))
                continue
            path = f"messages[{number}]"
            if not isinstance(message, dict):
                raise bad_field(path, "Input should be an object")
            is_plain = not isinstance(message.get("content"), list)
            for own in (message,) if is_plain else own_messages(message):
                decoded = self._message(own, path)
                self._add(decoded)
                if self._known_history is not None and own is message and _stands_alone(message, decoded):
                    self._known_history.keep(number, decoded.role, decoded, decoded.content)
        if self._known_history is not None:
            self._known_history.close()

    def _of_its_kind(self, message: neutral.Message) -> neutral.Message:
        """A known result of a call, which may be one of another kind this time."""
        match message.content:
            case (neutral.ToolResult() as result,) if result.call_id in self._kinds:
                return _result_of(result, self._kinds[result.call_id])
        return message

    def _add(self, decoded: neutral.Message) -> None:
        if decoded.role == "system" and not self.messages:
            self.system.append(text_of(decoded.content))
        else:
            self.messages.append(decoded)

    def _message(self, message: Json, path: str) -> neutral.Message:
        match message.get("role"):
            case "system" | "developer" | "user" as role:
                self.names_speakers = self.names_speakers or bool(message.get("name"))
                content = decode_content(message.get("content"), f"{path}.content")
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
        if reasoning := reasoning_in(message):
            blocks.append(neutral.Thinking(reasoning))
        blocks += decode_content(message.get("content"), f"{path}.content")
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
        if is_custom_call(given):
            custom = fields(given.get("custom"))
            self._kinds[id] = "custom"
            name = required_text(custom, "name", f"{path}.custom")
            return neutral.ToolCall(id, name, argument_text(custom.get("input")), "custom")
        function = given.get("function")
        if not isinstance(function, dict):
            raise bad_field(f"{path}.function", "Input should be an object")
        name = required_text(function, "name", f"{path}.function")
        return neutral.ToolCall(id, name, argument_text(function.get("arguments")) or "{}")

    def _legacy_call(self, call: Json, path: str) -> neutral.ToolCall:
        name = required_text(call, "name", path)
        self._legacy_count += 1
        id = self._legacy_calls[name] = f"call_{self._legacy_count}"
        return neutral.ToolCall(id, name, argument_text(call.get("arguments")) or "{}")


def _stands_alone(given: Json, decoded: neutral.Message) -> bool:
    """True for a message that means the same wherever it stands."""
    if given.keys() & {"name", "function_call"} or given.get("role") == "function":
        return False
    kinds = [
        block.kind for block in decoded.content if isinstance(block, (neutral.ToolCall, neutral.ToolResult))
    ]
    return all(kind == "function" for kind in kinds)


def _result(id: str, message: Json, path: str, kind: neutral.ToolKind = "function") -> neutral.Message:
    parts = tuple(
        part for part in decode_content(message.get("content"), f"{path}.content") if isinstance(part, Part)
    )
    return _result_of(neutral.ToolResult(id, parts), kind)


def _result_of(result: neutral.ToolResult, kind: neutral.ToolKind) -> neutral.Message:
    return neutral.Message("user", (result if result.kind == kind else replace(result, kind=kind),))

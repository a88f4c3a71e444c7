"""Decode the messages that agents send most, without an object for each part in between.

https://platform.claude.com/docs/en/api/messages
"""

from typing import Any, ClassVar

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.signatures import decode_thinking
from switchyard.protocols.wire import UNREADABLE, json_text


class _Text(msgspec.Struct, tag="text", forbid_unknown_fields=True, gc=False):
    text: str


class _Thinking(msgspec.Struct, tag="thinking", forbid_unknown_fields=True, gc=False):
    thinking: str
    signature: str


class _Call(msgspec.Struct, tag="tool_use", forbid_unknown_fields=True, gc=False):
    id: str
    name: str
    input: dict[str, Any]


class _Result(msgspec.Struct, tag="tool_result", forbid_unknown_fields=True, gc=False):
    tool_use_id: str
    content: str | list[_Text]
    is_error: bool = False


class _Message(msgspec.Struct, tag_field="role", forbid_unknown_fields=True, gc=False):
    role: ClassVar[neutral.Role]


class _OfUser(_Message, tag="user"):
    role = "user"
    content: str | list[_Text | _Result]


class _OfAssistant(_Message, tag="assistant"):
    role = "assistant"
    content: str | list[_Text | _Thinking | _Call]


_decode = msgspec.json.Decoder(_OfUser | _OfAssistant).decode


def usual_message(raw: bytes) -> neutral.Message | None:
    """The message of texts, thinking, calls and results alone; None for any other, and for what is no JSON."""
    try:
        given = _decode(raw)
    except UNREADABLE:
        return None
    content = given.content
    if isinstance(content, str):
        return neutral.Message(given.role, _shown([content]))
    blocks: list[neutral.Block] = []
    for part in content:
        kind = type(part)
        if kind is _Text:
            blocks += _shown([part.text])
        elif kind is _Call:
            blocks.append(neutral.ToolCall(part.id, part.name, json_text(part.input)))
        elif kind is _Thinking:
            blocks.append(decode_thinking(part.thinking, part.signature))
        else:
            shown = part.content
            texts = [shown] if isinstance(shown, str) else [one.text for one in shown]
            blocks.append(neutral.ToolResult(part.tool_use_id, _shown(texts), part.is_error))
    return neutral.Message(given.role, tuple(blocks))


def _shown(texts: list[str]) -> tuple[neutral.Text, ...]:
    return tuple([neutral.Text(text) for text in texts if text and not text.isspace()])

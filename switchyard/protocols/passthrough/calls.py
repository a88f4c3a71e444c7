"""Read the tool calls of answers that pass through: piece by piece from a stream, or from a whole reply.

Calls that the upstream runs itself are none: no client runs them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from re import Pattern

from switchyard.protocols import neutral
from switchyard.protocols.arguments import EndlessBlank
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.openai_chat import wire as chat
from switchyard.protocols.openai_chat.calls import Call, Calls, fragments_of
from switchyard.protocols.openai_responses.calls import CALL_KINDS, decode_call
from switchyard.protocols.sse import Record
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.tools.gate import Begun, CallNews, Ended, Grown
from switchyard.protocols.wire import UNREADABLE, Json, decode_object, entries, fields, json_text, text

CONCERNS: Mapping[ProtocolName, Pattern[bytes]] = {
    "messages": re.compile(rb'"(?:tool_use|input_json_delta|content_block_stop|message_delta|message_stop)"'),
    "chat": re.compile(rb'_calls?"|h_reason"\s*:\s*"|\[(?:DONE|done)\]'),
    "responses": re.compile(rb'_call"|"response\.(?:completed|incomplete|done|failed)"'),
}
CALL_SIGNS: Mapping[ProtocolName, bytes] = {
    "messages": b'"tool_use"',
    "chat": b'"name"',
    "responses": b'_call"',
}
"""What stands where a call begins, and in no delta of an honest upstream."""
REPLY_SIGNS: Mapping[ProtocolName, bytes] = {"messages": b"tool_use", "chat": b"_call", "responses": b"_call"}
"""What stands in a whole reply that has a call."""
ESCAPED = re.compile(rb"\\u00(?:[4-7]|2[eE])")
"""A letter, `_` or a dot: names have nothing else. Servers spell `<` and `é` so, too."""
ENDS = ("response.completed", "response.incomplete", "response.done", "response.failed")
ADDED, DONE = "response.output_item.added", "response.output_item.done"


class CallReader:
    """Follows the calls of one stream."""

    def __init__(self, protocol: ProtocolName) -> None:
        self._concerns = CONCERNS[protocol]
        self._protocol = protocol
        self._open: dict[str, str] = {}
        """the name of each call that has begun"""
        self._ended: set[tuple[str, str, str]] = set()
        self._calls: dict[str, Calls] = {}
        """by choice"""

    def news(self, record: Record) -> tuple[CallNews, ...]:
        if not self._concerns.search(record.data) and not hides_letters(record.data):
            return ()
        match self._protocol:
            case "messages":
                return tuple(self._of_messages(record))
            case "chat":
                return tuple(self._of_chat(record))
        return tuple(self._of_responses(record))

    def _begin(self, key: str, call: neutral.ToolCall) -> Iterator[CallNews]:
        if self._open.get(key) != call.name:
            self._open[key] = call.name
            yield Begun(key, call)

    def _end_all(self) -> Iterator[CallNews]:
        for key in tuple(self._open):
            del self._open[key]
            yield Ended(key)

    def _of_messages(self, record: Record) -> Iterator[CallNews]:
        event = decode_object(record.data) or {}
        kind, key = text(event.get("type")) or record.event, str(event.get("index"))
        block, delta = fields(event.get("content_block")), fields(event.get("delta"))
        if kind == "content_block_start" and block.get("type") == "tool_use":
            yield from self._begin(key, _tool_use(block))
        elif kind == "content_block_delta" and key in self._open:
            yield Grown(key, text(delta.get("partial_json")))
        elif kind == "content_block_stop" and self._open.pop(key, None) is not None:
            yield Ended(key)
        elif kind in ("message_delta", "message_stop"):
            yield from self._end_all()

    def _of_chat(self, record: Record) -> Iterator[CallNews]:
        try:
            choices = chat.read_chunk(without_halves(record.data)).choices or []
        except UNREADABLE:
            yield from self._end_all()
            return
        for choice in choices:
            yield from self._of_choice(choice)
        if any(choice.finish_reason for choice in choices):
            yield from self._end_all()

    def _of_choice(self, choice: chat.Choice) -> Iterator[CallNews]:
        delta = choice.delta or choice.message
        calls = self._calls.setdefault(str(choice.index), Calls())
        for fragment in fragments_of(delta) if delta is not None else ():
            call = calls.of(fragment)
            key = f"{choice.index}.{id(call)}"  # its place would have to be searched for
            if call.name:
                yield from self._begin(key, _chat_call(call))
            with suppress(EndlessBlank):
                call.arguments.take(fragment.arguments)
            yield Grown(key, fragment.arguments)

    def _of_responses(self, record: Record) -> Iterator[CallNews]:
        event = decode_object(record.data) or {}
        kind, item = text(event.get("type")) or record.event, fields(event.get("item"))
        if kind in (ADDED, DONE):
            yield from self._of_item(item, is_whole=kind == DONE)
        elif kind in ENDS:
            for one in entries(fields(event.get("response")).get("output")):
                yield from self._of_item(fields(one), is_whole=True)
            yield from self._end_all()

    def _of_item(self, item: Json, *, is_whole: bool) -> Iterator[CallNews]:
        """The last event repeats all items: what it repeats unchanged is no news."""
        if text(item.get("type")) not in CALL_KINDS:
            return
        call = decode_call(item)
        key, known = call.id, (call.id, f"{call.namespace}.{call.name}", call.arguments)
        if known in self._ended:
            return
        yield from self._begin(key, call)
        if is_whole:
            self._ended.add(known)
            self._open.pop(key, None)
            yield Ended(key, call.arguments)


def hides_letters(data: bytes) -> bool:
    """True if JSON spells a letter as a number: no sign of a call is found where an upstream hides it so.

    One byte is looked for first: it is found fifty times as fast as more of them, and most answers have none.
    """
    at = data.find(b"\\")
    return at >= 0 and ESCAPED.search(data, at) is not None


def calls_in_reply(protocol: ProtocolName, body: bytes) -> tuple[neutral.ToolCall, ...]:
    """The calls of a whole reply."""
    if REPLY_SIGNS[protocol] not in body and not hides_letters(body):
        return ()
    reply = decode_object(body) or {}
    match protocol:
        case "messages":
            blocks = map(fields, entries(reply.get("content")))
            return tuple(_tool_use(block) for block in blocks if block.get("type") == "tool_use")
        case "responses":
            items = map(fields, entries(reply.get("output")))
            return tuple(decode_call(item) for item in items if text(item.get("type")) in CALL_KINDS)
    return tuple(_calls_of_choices(body))


def _calls_of_choices(body: bytes) -> Iterator[neutral.ToolCall]:
    try:
        choices = chat.read_chunk(without_halves(body)).choices or []
    except UNREADABLE:
        return
    for choice in choices:
        for fragment in fragments_of(choice.message) if choice.message is not None else ():
            kind: neutral.ToolKind = "custom" if fragment.is_custom else "function"
            yield neutral.ToolCall(fragment.id, fragment.name, fragment.arguments, kind)


def _tool_use(block: Json) -> neutral.ToolCall:
    given = block.get("input")
    return neutral.ToolCall(text(block.get("id")), text(block.get("name")), json_text(given) if given else "")


def _chat_call(call: Call) -> neutral.ToolCall:
    return neutral.ToolCall(call.id, call.name, "", "custom" if call.arguments.is_raw else "function")

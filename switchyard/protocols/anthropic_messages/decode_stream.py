"""Decode the answer of a Messages upstream, streamed or whole.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.encode_request import text_block
from switchyard.protocols.anthropic_messages.signatures import REDACTED
from switchyard.protocols.anthropic_messages.wire import (
    WireDelta,
    WireEvent,
    error_of,
    read_event,
    sources_of,
)
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.sse import Record
from switchyard.protocols.stop_reasons import is_broken
from switchyard.protocols.tools.calls import restore_call
from switchyard.protocols.usage import usage_of_anthropic
from switchyard.protocols.walk import BROKEN_OFF, SECOND_ANSWER, CallDraft, Draft, Walk, Words
from switchyard.protocols.wire import Json, decode_object, entries, fields, parsed_object, text

EMPTY_TEXT = {"type": "text", "text": ""}
NO_MESSAGE = broken_answer("the upstream's reply is not a message")
TEXT, THINKING, ARGUMENTS = "text_delta", "thinking_delta", "input_json_delta"
BLOCKS: Mapping[str, Words] = {TEXT: neutral.Text(""), THINKING: neutral.Thinking("")}
"""The block that a delta belongs to."""


def decode_response(body: bytes, sent: SentRequest) -> list[neutral.Event]:
    """A whole reply as the events that its stream would have been."""
    decoder = StreamDecoder(sent)
    message = decode_object(body) or {}
    content = message.get("content")
    error = decode_embedded_error(message)
    if error is not None or not isinstance(content, list | str):
        return decoder.fail(error or NO_MESSAGE)
    blocks = [text_block(content)] if isinstance(content, str) else content
    return [decoded for event in _as_stream(message, blocks) for decoded in decoder.take(event)]


def _as_stream(message: Json, content: list[Any]) -> Iterator[WireEvent]:
    yield WireEvent("message_start", message={**message, "content": [], "stop_reason": None})
    yield from _whole_blocks(content)
    end = WireDelta(
        stop_reason=text(message.get("stop_reason")),
        stop_sequence=text(message.get("stop_sequence")),
        stop_details=fields(message.get("stop_details")),
    )
    yield WireEvent("message_delta", delta=end)
    yield WireEvent("message_stop")


def _whole_blocks(content: list[Any]) -> Iterator[WireEvent]:
    for index, block in enumerate(content):
        if isinstance(block, dict):
            yield WireEvent("content_block_start", index, content_block=block)
            for citation in block.get("citations") or ():
                delta = WireDelta("citations_delta", citation=fields(citation))
                yield WireEvent("content_block_delta", index, delta=delta)
            yield WireEvent("content_block_stop", index)


class StreamDecoder:
    """Fixes what imitators get wrong: blocks not closed or overlapping, starts missing or repeated, several ends,
    content inside the start of a block. Without `message_stop` the answer is whole only if its stop reason came.
    """

    def __init__(self, sent: SentRequest) -> None:
        self._tools = sent.tools
        self._issuer = sent.target.issuer
        self._walk = Walk()
        self._words: dict[str, dict[int, Draft]] = {TEXT: {}, THINKING: {}}
        self._calls: dict[int, CallDraft] = {}
        self._unknown: set[int] = set()
        self._id: object = None
        self._search_of: dict[int, str] = {}
        self._queries: dict[str, str] = {}
        self._usage: neutral.Usage | None = None
        self._stop: StopReason | None = None
        self._stop_sequence: str | None = None
        self._explanation = ""
        self._has_called = self._is_ending = False

    def decode(self, record: Record) -> list[neutral.Event]:
        event = read_event(record)
        return self.take(event) if event is not None else []

    def take(self, event: WireEvent) -> list[neutral.Event]:
        if self._walk.is_over:
            return []
        delta = event.delta
        if delta is not None and (words := self._words.get(delta.type)) is not None:
            # nearly all events are these
            draft, piece = words.get(event.index), delta.text or delta.thinking
            if draft is not None and draft is self._walk.live and piece:
                return [neutral.Delta(piece)]
        elif delta is not None and delta.type == ARGUMENTS and delta.partial_json:
            self._take_arguments(event.index, delta.partial_json)
            return self._walk.taken()
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)
        elif event.error:
            self._walk.fail(error_of(event))
        elif event.delta or event.content_block:
            self._walk.lose_unknown(event.type)
        return self._walk.taken()

    def run_texts(self, record: Record, text: str) -> tuple[list[str], ...] | None:
        event = read_event(record)
        delta = None if event is None else event.delta
        if event is None or delta is None or self._walk.open_words() is None:
            return None
        draft = self._words.get(delta.type, {}).get(event.index)
        is_text = (delta.text or delta.thinking) == text
        return () if is_text and draft is not None and draft is self._walk.live else None

    def close(self) -> list[neutral.Event]:
        if not self._walk.is_over:
            if self._stop is not None:
                self._finish()
            else:
                self._walk.break_off()
        return self._walk.taken()

    def fail(self, error: neutral.WireError) -> list[neutral.Event]:
        self._walk.fail(error)
        return self._walk.taken()

    @property
    def is_complete(self) -> bool:
        return self._stop is not None and self._usage is not None

    def _on_start(self, event: WireEvent) -> None:
        message = event.message or {}
        if self._walk.has_content and message.get("id") != self._id:
            # two answers in a row are never one
            if self._stop is None:
                self._walk.fail(SECOND_ANSWER)
            else:
                self._finish()
            return
        self._id = message.get("id")
        self._note_usage(message.get("usage"))
        self._walk.start(message.get("id"), message.get("model"), self._usage)
        if not self._walk.has_content:
            self._take_content(message)

    def _take_content(self, message: Json) -> None:
        """What the first event holds already, as after a pause, with the reason if nothing follows."""
        blocks = [block for block in entries(message.get("content")) if block != EMPTY_TEXT]
        for event in _whole_blocks(blocks):
            _HANDLERS[event.type](self, event)
        if blocks and (reported := text(message.get("stop_reason"))):
            self._stop = self._walk.known_reason(reported)

    def _on_message_delta(self, event: WireEvent) -> None:
        self._is_ending = True
        self._note_usage(event.usage)
        delta = event.delta
        if delta is not None and delta.stop_reason:
            if is_broken(delta.stop_reason):
                self._walk.fail(BROKEN_OFF)
                return
            self._stop = self._walk.known_reason(delta.stop_reason)
            self._stop_sequence = delta.stop_sequence
            self._explanation = text(fields(delta.stop_details).get("explanation"))

    def _note_usage(self, raw: object) -> None:
        if isinstance(raw, dict):
            usage = usage_of_anthropic(raw)
            self._usage = usage if self._usage is None else self._usage.merged(usage)

    def _finish(self) -> None:
        reason = self._stop
        if reason is None:
            # an end with a null reason is how vLLM reports that a filter stopped the answer
            is_filtered = self._is_ending and not self._has_called
            reason = StopReason.REFUSAL if is_filtered else StopReason.END_TURN
        explanation = self._explanation if reason is StopReason.REFUSAL else ""
        self._walk.finish(reason, self._usage, self._stop_sequence, explanation)

    def _on_block_start(self, event: WireEvent) -> None:
        block = event.content_block or {}
        kind = text(block.get("type"))
        start = _STARTS.get(kind)
        self._unknown.discard(event.index)
        if start is not None:
            start(self, event.index, block)
        elif kind:
            self._unknown.add(event.index)
            self._walk.lose_unknown(kind)

    def _start_thinking(self, index: int, block: Json) -> None:
        thinking = self._opened(index, THINKING)
        self._walk.add(thinking, text(block.get("thinking")))
        if signature := text(block.get("signature")):
            self._walk.sign(thinking, neutral.Signature(signature, self._issuer))

    def _start_redacted(self, index: int, block: Json) -> None:
        redacted = self._opened(index, THINKING)
        redacted.block = neutral.Thinking("", redacted=True)
        self._walk.sign(redacted, neutral.Signature(REDACTED + text(block.get("data")), self._issuer))

    def _opened(self, index: int, kind: str) -> Draft:
        self._make_way(index)
        draft = self._words[kind][index] = Draft(BLOCKS[kind])
        return draft

    def _start_tool(self, index: int, block: Json) -> None:
        id, name = text(block.get("id")), text(block.get("name"))
        if not name:
            self._make_way(index)
            self._calls.pop(index, None)
            self._walk.skip_nameless_call()
            return
        known = self._calls.get(index)
        if known is not None and isinstance(known.block, neutral.ToolCall) and known.block.id == id:
            return
        self._make_way(index)
        self._has_called = True
        call = CallDraft(restore_call(id or new_id("toolu_"), name, self._tools), self._tools.get(name))
        self._calls[index] = call
        self._walk.place(call)
        if given := block.get("input"):
            self._walk.add_arguments(call, msgspec.json.encode(given).decode())

    def _make_way(self, index: int) -> None:
        """A call whose object is closed, or whose index is used again, is over."""
        live = self._walk.live
        if isinstance(live, CallDraft):
            live.gives_way = live.gives_way or live is self._calls.get(index) or live.arguments.is_valid()

    def _start_search(self, index: int, block: Json) -> None:
        if block.get("name") == "web_search":
            given = block.get("input")
            self._search_of[index] = id = text(block.get("id"))
            self._queries[id] = msgspec.json.encode(given).decode() if given else ""
        else:
            self._unknown.add(index)
            self._walk.lose_unknown(text(block.get("name")))

    def _start_search_result(self, index: int, block: Json) -> None:
        id = text(block.get("tool_use_id"))
        query = text(parsed_object(self._queries.pop(id, "").encode("utf-8", "replace")).get("query"))
        self._make_way(index)
        self._walk.add_whole(neutral.WebSearch(id, query, sources_of(block.get("content"))))

    def _on_block_delta(self, event: WireEvent) -> None:
        delta = event.delta
        if delta is None or event.index in self._unknown:
            return
        kind = delta.type or _kind_of(delta)
        piece = delta.text or delta.thinking or delta.partial_json
        if not piece:
            self._take_other(event.index, delta)
        elif (words := self._words.get(kind)) is not None:
            self._walk.add(words.get(event.index) or self._opened(event.index, kind), piece)
        elif kind == "input_json_delta":
            self._take_arguments(event.index, piece)
        else:
            self._walk.lose_unknown(kind)

    def _take_arguments(self, index: int, piece: str) -> None:
        call = self._calls.get(index)
        if call is not None:
            self._walk.add_arguments(call, piece)
        elif index in self._search_of:
            self._queries[self._search_of[index]] += piece

    def _take_other(self, index: int, delta: WireDelta) -> None:
        if delta.type == "signature_delta" and delta.signature:
            thinking = self._words[THINKING].get(index)
            if thinking is not None:
                self._walk.sign(thinking, neutral.Signature(delta.signature, self._issuer))
        elif delta.type == "citations_delta" and delta.citation:
            url, title, cited = (text(delta.citation.get(name)) for name in ("url", "title", "cited_text"))
            cited_text = self._words[TEXT].get(index)
            if url and cited_text is not None:
                self._walk.cite(cited_text, neutral.Citation(url, title, cited))
            else:
                self._walk.lose_citation()

    def _on_block_stop(self, event: WireEvent) -> None:
        index = event.index
        self._search_of.pop(index, None)
        self._unknown.discard(index)
        for drafts in self._words.values():
            if (draft := drafts.pop(index, None)) is not None:
                self._walk.finish_draft(draft)
        call = self._calls.pop(index, None)
        if call is None:
            return
        # a call without arguments or closing brace is judged by what follows, at the end by the stop reason
        call.gives_way = True
        call.is_done = call.arguments.is_valid()
        self._walk.advance()


def _kind_of(delta: WireDelta) -> str:
    """Of a delta without a type."""
    return TEXT if delta.text else THINKING if delta.thinking else "input_json_delta"


_HANDLERS: Mapping[str, Callable[[StreamDecoder, WireEvent], None]] = {
    "message_start": StreamDecoder._on_start,
    "content_block_start": StreamDecoder._on_block_start,
    "content_block_delta": StreamDecoder._on_block_delta,
    "content_block_stop": StreamDecoder._on_block_stop,
    "message_delta": StreamDecoder._on_message_delta,
    "message_stop": lambda self, _: self._finish(),
    "error": lambda self, event: self._walk.fail(error_of(event)),
}
_STARTS: Mapping[str, Callable[[StreamDecoder, int, Json], None]] = {
    "text": lambda self, index, block: self._walk.add(self._opened(index, TEXT), text(block.get("text"))),
    "thinking": StreamDecoder._start_thinking,
    "redacted_thinking": StreamDecoder._start_redacted,
    "tool_use": StreamDecoder._start_tool,
    "server_tool_use": StreamDecoder._start_search,
    "web_search_tool_result": StreamDecoder._start_search_result,
}

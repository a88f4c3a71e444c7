"""Read the events of the Responses protocol as a neutral stream.

https://platform.openai.com/docs/api-reference/responses-streaming

Imitators leave events out: items are never announced, texts and arguments come only when done, whole replies
only at the end. So every event may open an item, and whatever tells a whole text tells the part of it that is
still untold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import read_embedded_error
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import StopReason, WireError
from switchyard.protocols.openai_responses.calls import CALL_KINDS, FIXED_NAMES, Item, read_call
from switchyard.protocols.openai_responses.reasoning import reasoning_parts, reply_signature
from switchyard.protocols.sse import Record
from switchyard.protocols.tools.calls import raised_arguments, raised_call
from switchyard.protocols.usage import usage_of_openai
from switchyard.protocols.wire import entries, fields, text

TEXT_DELTA = "response.output_text.delta"
STREAM_ENDED = "the upstream's stream ended before the response was completed"
NAMELESS = "the upstream called a tool without naming it"
UNFINISHED: Mapping[str, str] = {
    "cancelled": "the upstream cancelled the response",
    "queued": "the upstream only queued the request",
    "in_progress": "the upstream answered before it had finished",
}
"""What the status of a final response must not be."""

Strand = Literal["text", "refusal", "thinking", "call"]
Start = neutral.Text | neutral.Refusal | neutral.Thinking | neutral.ToolCall


class Event(msgspec.Struct):
    """What is read of an event."""

    type: str = ""
    delta: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: Item | None = None
    part: Item | None = None
    annotation: Item | None = None
    response: Item | None = None


_decode_event = msgspec.json.Decoder(Event).decode


@dataclass(slots=True, eq=False)
class _Block:
    """One block in the making: an item's texts, its refusal, its reasoning, or a call."""

    start: Start
    raised_from: neutral.Tool | None = None
    """The custom tool that went as a function: its input can only be unwrapped once it is complete."""
    reported: dict[int, list[str]] = field(default_factory=dict)
    """What was told so far, part by part."""
    last_part: int = 0
    source: str = ""
    """Reasoning is told as a summary, or itself, or both: the first one counts."""
    citations: int = 0
    pending: list[neutral.Event] = field(default_factory=list)
    """What waits until the blocks before have ended."""
    signature: neutral.Signature | None = None
    is_done: bool = False
    is_complete: bool = True

    @property
    def yields(self) -> bool:
        """A text ends when something else begins; a call ends when it is done, whatever else begins."""
        return self.is_done or not isinstance(self.start, neutral.ToolCall)

    def whole(self) -> str:
        return "".join(piece for pieces in self.reported.values() for piece in pieces)


class StreamDecoder:
    """Sorts interleaved items into a walk: the earliest block that is not done is told live, others wait."""

    def __init__(self, sent: SentRequest) -> None:
        self._sent = sent
        self._is_started = False
        self._is_over = False
        self._types: dict[int, str] = {}
        self._index_of_id: dict[str, int] = {}
        self._index_of_call: dict[str, int] = {}
        self._blocks: dict[tuple[int | None, Strand], _Block] = {}
        self._reported_whole: set[int] = set()
        self._queue: list[_Block | list[neutral.Event]] = []
        self._live: _Block | None = None
        self._out: list[neutral.Event] = []
        self._has_called = False
        self._has_nameless_call = False
        self._has_refused = False

    def decode(self, record: Record) -> list[neutral.Event]:
        if self._is_over:
            return []
        try:
            event = _decode_event(record.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._unreadable(record)
        if event.type == TEXT_DELTA and event.delta:
            block = self._blocks.get((event.output_index, "text"))
            if block is not None and block is self._live:
                block.reported.setdefault(event.content_index or 0, []).append(event.delta)
                return [neutral.Delta(event.delta)]
        event.type = event.type or record.event
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            return self._taken(lambda: handler(self, event))
        if event.type.startswith("response."):
            return []
        return self._perhaps_failed(record, is_error=event.type == "error")

    def close(self) -> list[neutral.Event]:
        if self._is_over:
            return []
        return self._taken(lambda: self._fail(_server_error(STREAM_ENDED)))

    @property
    def is_complete(self) -> bool:
        """Reason, usage and end come in one event."""
        return self._is_over

    def decode_whole(self, response: Item) -> list[neutral.Event]:
        """A reply that did not come as a stream."""
        if "output" not in response:
            error = read_embedded_error(response) or _server_error("the upstream's reply is no response")
            return self._taken(lambda: self._fail(error))
        return self._taken(lambda: self._read_whole(response))

    def _read_whole(self, response: Item) -> None:
        self._reported_created(response)
        self._finish(response, text(response.get("status")) or "completed")

    # --- records --------------------------------------------------------------

    def _unreadable(self, record: Record) -> list[neutral.Event]:
        """`[DONE]`, a damaged record, or one whose fields are of unexpected types."""
        return self._perhaps_failed(record, is_error=record.event == "error")

    def _perhaps_failed(self, record: Record, *, is_error: bool) -> list[neutral.Event]:
        try:
            body = msgspec.json.decode(record.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body = None
        error = read_embedded_error(body) if isinstance(body, dict) else None
        if error is None and is_error:
            reported = record.data.decode("utf-8", "replace")[:500]
            error = _server_error(reported or "the upstream told an error")
        if error is None:
            return []
        failure = error
        return self._taken(lambda: self._fail(failure))

    def _taken(self, step: Callable[[], None]) -> list[neutral.Event]:
        if not self._is_started:
            self._is_started = True
            self._out.append(neutral.Started())
        step()
        out, self._out = self._out, []
        return out

    # --- events ---------------------------------------------------------------

    def _on_created(self, event: Event) -> None:
        self._reported_created(event.response or {})

    def _reported_created(self, response: Item) -> None:
        if self._out:
            self._out[0] = neutral.Started(text(response.get("id")), text(response.get("model")))

    def _on_added(self, event: Event) -> None:
        item = event.item or {}
        index = self._index(event, item)
        if text(item.get("type")) in CALL_KINDS and text(item.get("name")):
            self._called(index, item)
        self._advance()

    def _on_item_done(self, event: Event) -> None:
        item = event.item or {}
        self._item_done(self._index(event, item), item)
        self._advance()

    def _on_text(self, event: Event) -> None:
        self._emit(self._texts(self._index(event), "text"), event.content_index or 0, event.delta or "")

    def _on_text_done(self, event: Event) -> None:
        self._complete(self._texts(self._index(event), "text"), event.content_index or 0, event.text or "")

    def _on_refusal(self, event: Event) -> None:
        self._emit(self._texts(self._index(event), "refusal"), event.content_index or 0, event.delta or "")

    def _on_refusal_done(self, event: Event) -> None:
        block = self._texts(self._index(event), "refusal")
        self._complete(block, event.content_index or 0, event.refusal or "")

    def _on_part_done(self, event: Event) -> None:
        self._part_done(self._index(event), event.content_index or 0, event.part or {})
        self._advance()

    def _on_annotation(self, event: Event) -> None:
        block = self._texts(self._index(event), "text")
        block.citations += 1
        self._cite(block, event.annotation or {})

    def _on_summary(self, event: Event) -> None:
        self._think(event, "summary", event.summary_index or 0)

    def _on_reasoning(self, event: Event) -> None:
        self._think(event, "content", event.content_index or 0)

    def _on_arguments(self, event: Event) -> None:
        block = self._call_of(event)
        if block is not None:
            self._emit(block, 0, event.delta or "")

    def _on_arguments_done(self, event: Event) -> None:
        block = self._call_of(event)
        if block is not None:
            self._complete(block, 0, event.arguments or event.input or "")

    def _on_end(self, event: Event) -> None:
        response = event.response or {}
        self._finish(response, text(response.get("status")) or event.type.removeprefix("response."))

    def _on_failed(self, event: Event) -> None:
        body = {"type": "response.failed", "response": event.response or {}}
        self._fail(read_embedded_error(body) or _server_error("the response failed"))

    # --- items ----------------------------------------------------------------

    def _index(self, event: Event, item: Item | None = None) -> int:
        """Which item is meant: ids are unreliable, some servers change them between events."""
        id = text(item.get("id")) if item else event.item_id or ""
        index = event.output_index
        if index is None:
            fallback = len(self._types) if item else max(self._types, default=0)
            index = self._index_of_id.get(id, fallback)
        if id:
            self._index_of_id.setdefault(id, index)
        if item:
            self._types.setdefault(index, text(item.get("type")))
        return index

    def _item_done(self, index: int, item: Item) -> None:
        type = text(item.get("type"))
        self._types.setdefault(index, type)
        if type == "message":
            self._message_done(index, item)
        elif type == "reasoning":
            self._reasoning_done(index, item)
        elif type in CALL_KINDS:
            self._call_done(index, item)
        elif type in _WHOLE_BLOCKS and index not in self._reported_whole:
            self._reported_whole.add(index)
            block = _WHOLE_BLOCKS[type](item)
            self._queue.append([neutral.BlockStarted(block), neutral.BlockEnded()])

    def _message_done(self, index: int, item: Item) -> None:
        for position, part in enumerate(map(fields, entries(item.get("content")))):
            self._part_done(index, position, part)
        for strand in ("text", "refusal"):
            if (block := self._blocks.get((index, strand))) is not None:
                block.is_done = True

    def _part_done(self, index: int, position: int, part: Item) -> None:
        match part.get("type"):
            case "output_text" | "text" if part.get("text"):
                block = self._texts(index, "text")
                self._complete(block, position, text(part.get("text")))
                for annotation in entries(part.get("annotations"))[block.citations :]:
                    block.citations += 1
                    self._cite(block, fields(annotation))
            case "refusal" if part.get("refusal"):
                self._complete(self._texts(index, "refusal"), position, text(part.get("refusal")))

    def _reasoning_done(self, index: int, item: Item) -> None:
        block = self._blocks.get((index, "thinking"))
        parts = reasoning_parts(item, block.source if block else "")
        signature = reply_signature(item, self._sent.target.issuer)
        if block is None:
            if not parts and signature is None:
                return
            block = self._thinking(index, redacted=not parts, signature=None if parts else signature)
        for position, reported in enumerate(parts):
            self._complete(block, position, reported)
        if not block.is_done:
            block.signature = signature
            block.is_done = True

    def _called(self, index: int, item: Item) -> _Block:
        block = self._blocks.get((index, "call"))
        if block is None:
            block = self._new_call(item)
            assert isinstance(block.start, neutral.ToolCall)
            self._index_of_call[text(item.get("call_id"))] = index
            self._blocks[index, "call"] = block
            self._queue.append(block)
            self._has_called = True
        return block

    def _new_call(self, item: Item) -> _Block:
        call = replace(read_call(item), arguments="")
        tool = None if call.namespace else self._sent.tools.get(call.name)
        if tool is not None:
            call = raised_call(call.id, call.name, self._sent.tools)
        if not call.id:
            call = replace(call, id=new_id("call_"))
        was_lowered = tool is not None and tool.kind == "custom" and item["type"] == "function_call"
        return _Block(call, raised_from=tool if was_lowered else None)

    def _call_done(self, index: int, item: Item) -> None:
        if (index, "call") not in self._blocks and not _is_named(item):
            self._has_nameless_call = True
            return
        block = self._called(index, item)
        if block.is_done:
            return
        block.is_complete = item.get("status") != "incomplete"
        if block.is_complete or item.get("arguments") or item.get("input"):
            self._complete(block, 0, read_call(item).arguments)
        block.is_done = True

    def _call_of(self, event: Event) -> _Block | None:
        """Some servers tell arguments under another id than their call: then the last one is meant."""
        index = self._index(event)
        block = self._blocks.get((index, "call"))
        if block is not None or index in self._types:
            return block
        calls = (block for (_, strand), block in reversed(self._blocks.items()) if strand == "call")
        return next((call for call in calls if not call.is_done), None)

    # --- blocks ---------------------------------------------------------------

    def _texts(self, index: int, strand: Literal["text", "refusal"]) -> _Block:
        self._types.setdefault(index, "message")
        block = self._blocks.get((index, strand))
        if block is None:
            block = _Block(neutral.Text("") if strand == "text" else neutral.Refusal(""))
            self._blocks[index, strand] = block
        return block

    def _thinking(
        self, index: int, *, redacted: bool = False, signature: neutral.Signature | None = None
    ) -> _Block:
        self._types.setdefault(index, "reasoning")
        block = self._blocks.get((index, "thinking"))
        if block is None:
            block = _Block(neutral.Thinking("", signature, redacted))
            self._blocks[index, "thinking"] = block
            if redacted:
                self._queue.append(block)
        return block

    def _think(self, event: Event, source: str, part: int) -> None:
        block = self._thinking(self._index(event))
        block.source = block.source or source
        if block.source != source:
            return
        if event.delta is not None:
            self._emit(block, part, event.delta)
        else:
            self._complete(block, part, event.text or "")

    def _complete(self, block: _Block, part: int, whole: str) -> None:
        """Tell what has not been told of this part."""
        reported = "".join(block.reported.get(part, ()))
        if len(whole) > len(reported) and whole.startswith(reported):
            self._emit(block, part, whole[len(reported) :])

    def _emit(self, block: _Block, part: int, words: str) -> None:
        if not words or block.is_done:
            return
        if isinstance(block.start, neutral.Thinking) and block.reported and part != block.last_part:
            separated = "\n\n" + words
        else:
            separated = words
        block.last_part = part
        block.reported.setdefault(part, []).append(words)
        if block.raised_from is None:
            self._place(block, neutral.Delta(separated))

    def _cite(self, block: _Block, annotation: Item) -> None:
        if annotation.get("type") == "url_citation" and not block.is_done:
            citation = neutral.Citation(text(annotation.get("url")), text(annotation.get("title")))
            self._place(block, citation)

    def _place(self, block: _Block, event: neutral.Event) -> None:
        if block is self._live:
            self._out.append(event)
            return
        block.pending.append(event)
        if block not in self._queue:
            self._queue.append(block)
        self._advance()

    def _advance(self) -> None:
        """End the live block where it must make way, begin the next one."""
        while self._live is None or self._live.is_done or (self._queue and self._live.yields):
            self._end_live()
            if not self._queue:
                return
            first = self._queue.pop(0)
            if isinstance(first, list):
                self._out += first
                continue
            self._live = first
            self._has_refused = self._has_refused or isinstance(first.start, neutral.Refusal)
            self._out += [neutral.BlockStarted(first.start), *first.pending]
            first.pending = []

    def _end_live(self) -> None:
        block, self._live = self._live, None
        if block is None:
            return
        if isinstance(block.start, neutral.ToolCall) and block.is_complete:
            self._out += _missing_arguments(block)
        self._out.append(neutral.BlockEnded(block.signature, block.is_complete))

    # --- the end --------------------------------------------------------------

    def _finish(self, response: Item, status: str) -> None:
        if status == "failed" or status in UNFINISHED:
            body = {"type": "response.failed", "response": response}
            reported = read_embedded_error(body) if response.get("error") else None
            self._fail(reported or _server_error(UNFINISHED.get(status, "the response failed")))
            return
        for index, item in self._matched(entries(response.get("output"))):
            self._item_done(index, item)
        if self._has_nameless_call:
            self._fail(_server_error(NAMELESS))
            return
        self._end_all(complete=status == "completed")
        usage = response.get("usage")
        excludes_cache = self._sent.target.capabilities.usage_excludes_cache
        known = usage_of_openai(usage, excludes_cache=excludes_cache) if isinstance(usage, dict) else None
        self._out.append(neutral.Finished(self._stop_reason(response, status), known))
        self._is_over = True

    def _matched(self, output: list[Item]) -> list[tuple[int, Item]]:
        """The items of the final response with the index they were streamed under: the n-th of its type."""
        streamed: dict[str, list[int]] = {}
        for index in sorted(self._types):
            streamed.setdefault(self._types[index], []).append(index)
        matched: list[tuple[int, Item]] = []
        for item in (item for item in output if isinstance(item, dict)):
            known = streamed.get(text(item.get("type")), [])
            free = max((*self._types, *(index for index, _ in matched)), default=-1) + 1
            index = self._index_of_call.get(text(item.get("call_id")) or "-", known[0] if known else free)
            if index in known:
                known.remove(index)
            matched.append((index, item))
        return matched

    def _end_all(self, *, complete: bool) -> None:
        for block in self._blocks.values():
            if not block.is_done:
                block.is_done = True
                block.is_complete = complete or not isinstance(block.start, neutral.ToolCall)
        self._advance()

    def _stop_reason(self, response: Item, status: str) -> StopReason:
        if status == "incomplete":
            details = fields(response.get("incomplete_details"))
            return StopReason.REFUSAL if details.get("reason") == "content_filter" else StopReason.MAX_TOKENS
        if self._has_called:
            return StopReason.TOOL_USE
        if self._has_refused:
            return StopReason.REFUSAL
        return StopReason.END_TURN

    def _fail(self, error: WireError) -> None:
        self._end_all(complete=False)
        self._out.append(neutral.Failed(error))
        self._is_over = True


def _is_named(item: Item) -> bool:
    """True for a call that tells its tool, by name or, for those of the protocol itself, by its type."""
    return bool(text(item.get("name"))) or CALL_KINDS[item["type"]] in FIXED_NAMES


def _missing_arguments(block: _Block) -> list[neutral.Event]:
    """What a finished call still owes: unwrapped input, or the empty object of a call without arguments."""
    whole = block.whole()
    if block.raised_from is not None:
        raised = raised_arguments(whole, block.raised_from)
        return [neutral.Delta(raised)] if raised else []
    assert isinstance(block.start, neutral.ToolCall)
    return [] if whole.strip() or block.start.kind == "custom" else [neutral.Delta("{}")]


def _web_search(item: Item) -> neutral.WebSearch:
    action = fields(item.get("action"))
    queries = entries(action.get("queries")) or [""]
    sources = tuple(
        neutral.Citation(text(source.get("url")), text(source.get("title")))
        for source in map(fields, entries(action.get("sources")))
    )
    query = text(action.get("query")) or text(action.get("url")) or text(queries[0])
    return neutral.WebSearch(text(item.get("id")), query, sources)


def _compaction(item: Item) -> neutral.Compaction:
    return neutral.Compaction(text(item.get("encrypted_content")))


def _server_error(message: str) -> WireError:
    return broken_answer(message)


_WHOLE_BLOCKS: Mapping[str, Callable[[Item], neutral.WebSearch | neutral.Compaction]] = {
    "web_search_call": _web_search,
    "compaction": _compaction,
}

_HANDLERS: Mapping[str, Callable[[StreamDecoder, Event], None]] = {
    "response.created": StreamDecoder._on_created,
    "response.in_progress": StreamDecoder._on_created,
    "response.queued": StreamDecoder._on_created,
    "response.output_item.added": StreamDecoder._on_added,
    "response.output_item.done": StreamDecoder._on_item_done,
    "response.content_part.done": StreamDecoder._on_part_done,
    TEXT_DELTA: StreamDecoder._on_text,
    "response.output_text.done": StreamDecoder._on_text_done,
    "response.output_text.annotation.added": StreamDecoder._on_annotation,
    "response.refusal.delta": StreamDecoder._on_refusal,
    "response.refusal.done": StreamDecoder._on_refusal_done,
    "response.reasoning_summary_text.delta": StreamDecoder._on_summary,
    "response.reasoning_summary_text.done": StreamDecoder._on_summary,
    "response.reasoning_text.delta": StreamDecoder._on_reasoning,
    "response.reasoning_text.done": StreamDecoder._on_reasoning,
    "response.function_call_arguments.delta": StreamDecoder._on_arguments,
    "response.function_call_arguments.done": StreamDecoder._on_arguments_done,
    "response.custom_tool_call_input.delta": StreamDecoder._on_arguments,
    "response.custom_tool_call_input.done": StreamDecoder._on_arguments_done,
    "response.completed": StreamDecoder._on_end,
    "response.incomplete": StreamDecoder._on_end,
    "response.failed": StreamDecoder._on_failed,
}

"""Decode the answer of a Responses upstream, streamed or whole.

https://platform.openai.com/docs/api-reference/responses-streaming
https://platform.openai.com/docs/api-reference/responses/object

Imitators leave events out: items are never announced, texts and arguments come only when done, whole replies
only at the end. So every event may begin an item, and whatever brings a whole text adds the part of it that has not
come yet.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.openai_responses.calls import CALL_KINDS, FIXED, decode_call
from switchyard.protocols.openai_responses.reasoning import reasoning_parts, reply_signature
from switchyard.protocols.sse import Record
from switchyard.protocols.stop_reasons import incomplete_reason
from switchyard.protocols.tools.calls import restore_call
from switchyard.protocols.usage import usage_of_response
from switchyard.protocols.walk import SECOND_ANSWER, UNEXPLAINED, CallDraft, Draft, Walk
from switchyard.protocols.wire import UNREADABLE, Json, entries, fields, parsed, text

TEXT_DELTA = "response.output_text.delta"
SENTINEL = b"[DONE]"
FAILED = broken_answer("the response failed")
NO_OBJECT = broken_answer("the upstream's reply is not a JSON object")
NO_RESPONSE = broken_answer("the upstream's reply is no response")
UNFINISHED = {
    "cancelled": broken_answer("the upstream cancelled the response"),
    "queued": broken_answer("the upstream only queued the request"),
    "in_progress": broken_answer("the upstream answered before it had finished"),
    "failed": FAILED,
}
"""What the status of a final response must not be."""

EMPTY_PARTS = frozenset({"output_text", "text", "refusal", "reasoning_text", "summary_text"})
WordKind = Literal["text", "refusal", "thinking"]
WORDS: Mapping[str, tuple[WordKind, str]] = {
    "response.output_text": ("text", ""),
    "response.refusal": ("refusal", ""),
    "response.reasoning_summary_text": ("thinking", "summary"),
    "response.reasoning_text": ("thinking", "content"),
}
"""The kind of words that an event brings, and the field of the reasoning item that they belong to."""
BLOCKS: Mapping[WordKind, neutral.Text | neutral.Refusal | neutral.Thinking] = {
    "text": neutral.Text(""),
    "refusal": neutral.Refusal(""),
    "thinking": neutral.Thinking(""),
}


class WireEvent(msgspec.Struct):
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
    item: Json | None = None
    part: Json | None = None
    annotation: Json | None = None
    response: Json | None = None


_decode_event = msgspec.json.Decoder(WireEvent).decode


class _Words(Draft):
    """The texts of an item, its refusal or its reasoning: several parts in one block."""

    __slots__ = ("cited", "last_part", "reported", "source")

    def __init__(self, kind: WordKind) -> None:
        super().__init__(BLOCKS[kind])
        self.reported: dict[int, list[str]] = {}
        self.last_part = 0
        self.source: str | None = None
        """reasoning comes as a summary, or itself, or both: the first one counts"""
        self.cited = 0


def decode_response(body: bytes, sent: SentRequest) -> list[neutral.Event]:
    """A whole reply is the last event of its stream."""
    return StreamDecoder(sent).decode_whole(parsed(body))


class StreamDecoder:
    """Finds the item that each event belongs to: by index, by id, or by being the last one."""

    def __init__(self, sent: SentRequest) -> None:
        self._sent = sent
        self._walk = Walk()
        self._id: object = None
        self._types: dict[int, str] = {}
        self._index_of_id: dict[str, int] = {}
        self._index_of_call: dict[str, int] = {}
        self._words: dict[tuple[int | None, WordKind], _Words] = {}
        self._calls: dict[int, CallDraft] = {}
        self._reported_whole: set[int] = set()

    def decode(self, record: Record) -> list[neutral.Event]:
        if self._walk.is_over:
            return []
        try:
            event = _decode_event(record.data)
        except UNREADABLE:
            # the sentinel, a damaged record, or one whose fields are of unexpected types
            self._take_other(record, is_error=record.event == "error")
            return self._walk.taken()
        if event.type == TEXT_DELTA and event.delta:
            words = self._words.get((event.output_index, "text"))
            if words is not None and words is self._walk.live:
                words.reported.setdefault(event.content_index or 0, []).append(event.delta)
                return [neutral.Delta(event.delta)]
        event.type = event.type or record.event
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)
        elif not event.type.startswith("response."):
            self._take_other(record, is_error=event.type == "error")
        return self._walk.taken()

    def run_texts(self, record: Record, text: str) -> tuple[list[str], ...] | None:
        return None  # each event has a number of its own

    def close(self) -> list[neutral.Event]:
        if not self._walk.is_over:
            self._walk.break_off()
        return self._walk.taken()

    @property
    def is_complete(self) -> bool:
        """Reason, usage and end come in one event."""
        return self._walk.is_over

    def decode_whole(self, response: object) -> list[neutral.Event]:
        if not isinstance(response, dict):
            self._walk.fail(NO_OBJECT)
        elif "output" not in response:
            self._walk.fail(decode_embedded_error(response) or NO_RESPONSE)
        else:
            self._walk.start(response.get("id"), response.get("model"))
            self._finish(response, text(response.get("status")) or "completed")
        return self._walk.taken()

    def _take_other(self, record: Record, *, is_error: bool) -> None:
        """A record that is no event of a response: an error, the end of a server that sends no other, or nothing."""
        if record.data.strip() == SENTINEL:
            if self._walk.has_content or not self._walk.is_empty:
                self._walk.finish(StopReason.END_TURN)
            return
        body = parsed(record.data)
        error = decode_embedded_error(body) if isinstance(body, dict) else None
        if error is None and is_error:
            reported = record.data.decode("utf-8", "replace")[:500]
            error = broken_answer(reported) if reported else UNEXPLAINED
        if error is not None:
            self._walk.fail(error)

    def _on_created(self, event: WireEvent) -> None:
        response = event.response or {}
        id = response.get("id")
        if event.type == "response.created":
            if self._walk.has_content and id != self._id:
                self._walk.fail(SECOND_ANSWER)
                return
            self._id = id
        self._walk.start(id, response.get("model"))

    def _on_added(self, event: WireEvent) -> None:
        item = event.item or {}
        index = self._index(event, item)
        if text(item.get("type")) in CALL_KINDS and text(item.get("name")):
            self._called(index, item)

    def _on_words(self, event: WireEvent) -> None:
        name, _, phase = event.type.rpartition(".")
        kind, source = WORDS[name]
        words = self._words_of(self._index(event), kind)
        if words.source is None:
            words.source = source
        if words.source != source:
            return
        part = (event.summary_index if source == "summary" else event.content_index) or 0
        if phase == "delta":
            self._add(words, part, event.delta or "")
        else:
            self._complete(words, part, event.text or event.refusal or "")

    def _on_annotation(self, event: WireEvent) -> None:
        words = self._words_of(self._index(event), "text")
        words.cited += 1
        self._cite(words, event.annotation or {})

    def _on_arguments(self, event: WireEvent) -> None:
        call = self._call_of(event)
        if call is None:
            return
        if event.type.endswith(".delta"):
            self._walk.add_arguments(call, event.delta or "")
        else:
            self._complete_call(call, event.arguments or event.input or "")

    def _on_end(self, event: WireEvent) -> None:
        response = event.response or {}
        self._finish(response, text(response.get("status")) or event.type.removeprefix("response."))

    def _index(self, event: WireEvent, item: Json | None = None) -> int:
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

    def _item_done(self, index: int, item: Json) -> None:
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
            self._walk.add_whole(_WHOLE_BLOCKS[type](item))
        elif type and type not in _WHOLE_BLOCKS:
            self._walk.lose_unknown(type)

    def _message_done(self, index: int, item: Json) -> None:
        for position, part in enumerate(map(fields, entries(item.get("content")))):
            self._part_done(index, position, part)
        for kind in ("text", "refusal"):
            if (words := self._words.get((index, kind))) is not None:
                self._walk.finish_draft(words)

    def _part_done(self, index: int, position: int, part: Json) -> None:
        match part.get("type"):
            case "output_text" | "text" if part.get("text"):
                words = self._words_of(index, "text")
                self._complete(words, position, text(part.get("text")))
                for annotation in entries(part.get("annotations"))[words.cited :]:
                    words.cited += 1
                    self._cite(words, fields(annotation))
            case "refusal" if part.get("refusal"):
                self._complete(self._words_of(index, "refusal"), position, text(part.get("refusal")))
            case str(kind) if kind not in EMPTY_PARTS:
                self._walk.lose_unknown(kind)

    def _reasoning_done(self, index: int, item: Json) -> None:
        words = self._words.get((index, "thinking"))
        parts = reasoning_parts(item, (words.source or "") if words else "")
        signature = reply_signature(item, self._sent.target.issuer)
        if words is None:
            words = self._words_of(index, "thinking")
            if not parts:
                words.block = neutral.Thinking("", signature, redacted=True)
        for position, reported in enumerate(parts):
            self._complete(words, position, reported)
        if signature is not None:
            self._walk.sign(words, signature)
        self._walk.finish_draft(words)

    def _called(self, index: int, item: Json) -> CallDraft:
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = self._new_call(item)
            self._index_of_call[text(item.get("call_id"))] = index
            self._walk.place(call)
        return call

    def _new_call(self, item: Json) -> CallDraft:
        call = replace(decode_call(item), arguments="")
        tool = None if call.namespace else self._sent.tools.get(call.name)
        if tool is not None:
            call = restore_call(call.id, call.name, self._sent.tools)
        if not call.id:
            call = replace(call, id=new_id("call_"))
        is_raw = item["type"] == "custom_tool_call"
        return CallDraft(call, tool, is_raw=is_raw)

    def _call_done(self, index: int, item: Json) -> None:
        is_named = text(item.get("name")) or CALL_KINDS[item["type"]] in FIXED
        if index not in self._calls and not is_named:
            self._walk.skip_nameless_call()
            return
        call = self._called(index, item)
        if call.is_done:
            return
        call.is_cut = item.get("status") == "incomplete"
        if not call.is_cut or item.get("arguments") or item.get("input"):
            self._complete_call(call, decode_call(item).arguments)
        self._walk.finish_draft(call)

    def _complete_call(self, call: CallDraft, whole: str) -> None:
        self._walk.add_arguments(call, call.arguments.rest_of(whole))

    def _call_of(self, event: WireEvent) -> CallDraft | None:
        """Some servers send arguments under another id than their call: then the last one is meant."""
        index = self._index(event)
        call = self._calls.get(index)
        if call is not None or index in self._types:
            return call
        return next((call for call in reversed(self._calls.values()) if not call.is_done), None)

    def _words_of(self, index: int, kind: WordKind) -> _Words:
        self._types.setdefault(index, "reasoning" if kind == "thinking" else "message")
        words = self._words.get((index, kind))
        if words is None:
            words = self._words[index, kind] = _Words(kind)
        return words

    def _complete(self, words: _Words, part: int, whole: str) -> None:
        """Add what has not come yet of this part."""
        reported = "".join(words.reported.get(part, ()))
        if len(whole) > len(reported) and whole.startswith(reported):
            self._add(words, part, whole[len(reported) :])

    def _add(self, words: _Words, part: int, piece: str) -> None:
        if not piece or words.is_done:
            return
        is_apart = bool(words.reported) and part != words.last_part
        words.last_part = part
        words.reported.setdefault(part, []).append(piece)
        separator = "\n\n" if is_apart and isinstance(words.block, neutral.Thinking) else ""
        self._walk.add(words, separator + piece)

    def _cite(self, words: _Words, annotation: Json) -> None:
        if annotation.get("type") == "url_citation":
            citation = neutral.Citation(text(annotation.get("url")), text(annotation.get("title")))
            self._walk.cite(words, citation)
        else:
            self._walk.lose_citation()

    def _fail(self, response: Json, otherwise: neutral.WireError) -> None:
        body = {"type": "response.failed", "response": response}
        self._walk.fail((decode_embedded_error(body) if response.get("error") else None) or otherwise)

    def _finish(self, response: Json, status: str) -> None:
        if status in UNFINISHED:
            self._fail(response, UNFINISHED[status])
            return
        for index, item in self._matched(entries(response.get("output"))):
            self._item_done(index, item)
        excludes_cache = self._sent.target.capabilities.usage_excludes_cache
        usage = usage_of_response(response, excludes_cache=excludes_cache)
        reason = incomplete_reason(response) if status == "incomplete" else StopReason.END_TURN
        self._walk.finish(reason, usage)

    def _matched(self, output: list[Json]) -> list[tuple[int, Json]]:
        """The items of the final response with the index they were streamed under: the n-th of its type."""
        streamed: dict[str, list[int]] = {}
        for index in sorted(self._types):
            streamed.setdefault(self._types[index], []).append(index)
        matched: list[tuple[int, Json]] = []
        for item in (item for item in output if isinstance(item, dict)):
            known = streamed.get(text(item.get("type")), [])
            free = max((*self._types, *(index for index, _ in matched)), default=-1) + 1
            index = self._index_of_call.get(text(item.get("call_id")) or "-", known[0] if known else free)
            if index in known:
                known.remove(index)
            matched.append((index, item))
        return matched


def _web_search(item: Json) -> neutral.WebSearch:
    action = fields(item.get("action"))
    queries = entries(action.get("queries")) or [""]
    sources = tuple(
        neutral.Citation(text(source.get("url")), text(source.get("title")))
        for source in map(fields, entries(action.get("sources")))
    )
    query = text(action.get("query")) or text(action.get("url")) or text(queries[0])
    return neutral.WebSearch(text(item.get("id")), query, sources)


_WHOLE_BLOCKS: Mapping[str, Callable[[Json], neutral.WebSearch | neutral.Compaction]] = {
    "web_search_call": _web_search,
    "compaction": lambda item: neutral.Compaction(text(item.get("encrypted_content"))),
}

_HANDLERS: Mapping[str, Callable[[StreamDecoder, WireEvent], None]] = {
    "response.created": StreamDecoder._on_created,
    "response.in_progress": StreamDecoder._on_created,
    "response.queued": StreamDecoder._on_created,
    "response.output_item.added": StreamDecoder._on_added,
    "response.output_item.done": lambda self, event: self._item_done(
        self._index(event, event.item), event.item or {}
    ),
    "response.content_part.done": lambda self, event: self._part_done(
        self._index(event), event.content_index or 0, event.part or {}
    ),
    "response.output_text.annotation.added": StreamDecoder._on_annotation,
    "response.function_call_arguments.delta": StreamDecoder._on_arguments,
    "response.function_call_arguments.done": StreamDecoder._on_arguments,
    "response.custom_tool_call_input.delta": StreamDecoder._on_arguments,
    "response.custom_tool_call_input.done": StreamDecoder._on_arguments,
    "response.completed": StreamDecoder._on_end,
    "response.done": StreamDecoder._on_end,
    "response.incomplete": StreamDecoder._on_end,
    "response.failed": lambda self, event: self._fail(event.response or {}, FAILED),
    **{f"{name}.{phase}": StreamDecoder._on_words for name in WORDS for phase in ("delta", "done")},
}

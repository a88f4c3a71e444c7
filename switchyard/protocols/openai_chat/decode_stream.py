"""Decode the answer of a Chat upstream, streamed or whole.

https://platform.openai.com/docs/api-reference/chat/streaming
https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import Event, StopReason
from switchyard.protocols.openai_chat import wire
from switchyard.protocols.openai_chat.calls import Call, Calls, fragments_of
from switchyard.protocols.openai_chat.think_tags import ThinkTags
from switchyard.protocols.sse import Record
from switchyard.protocols.stop_reasons import is_broken
from switchyard.protocols.tools.calls import restore_call
from switchyard.protocols.walk import NO_ANSWER, Walk, Words
from switchyard.protocols.wire import (
    UNREADABLE,
    Json,
    fields,
    json_text,
    parsed,
    parsed_object,
    repaired,
    text,
)

TEXT, THINKING, REFUSAL = neutral.Text(""), neutral.Thinking(""), neutral.Refusal("")
KINDS: Mapping[str, Words] = {"text": TEXT, "thinking": THINKING, "refusal": REFUSAL}
RANK = (StopReason.END_TURN, StopReason.STOP_SEQUENCE, StopReason.REFUSAL, StopReason.TOOL_USE)
"""Of several reasons to stop the later one here counts; any other beats them all."""

BAD_GATEWAY = 502
NOT_JSON = broken_answer("the upstream sent records that are not JSON")
NO_CHOICES = broken_answer(wire.NO_CHOICES)
NO_MEDIA = "answers in another protocol are text only"


def decode_response(body: bytes, sent: SentRequest) -> list[Event]:
    """A whole reply is one chunk, and its own end."""
    return StreamDecoder(sent).decode_whole(body)


class StreamDecoder:
    """Holds the reason to stop until the stream ends, because calls, text and usage may still follow it."""

    _stop_reason: StopReason | None = None
    _stop_sequence: str | None = None
    _usage: neutral.Usage | None = None
    _has_damage = _has_choice = _comes_in_messages = False

    def __init__(self, sent: SentRequest) -> None:
        capabilities = sent.target.capabilities
        self._sent = sent
        self._excludes_cache = capabilities.usage_excludes_cache
        self._tags = ThinkTags(capabilities.think_open_prefilled) if capabilities.think_tags else None
        carries = capabilities.reasoning_history != "none"
        # no bound method: a cycle would keep the request until the garbage collector comes
        self._walk = Walk(partial(_signature, sent.target.issuer, carries))
        self._calls = Calls()
        self._texts: list[str] = []
        self._received: dict[str, list[str]] = {"text": self._texts, "thinking": [], "refusal": []}
        self._cited: set[neutral.Citation] = set()
        self._sources: dict[str, neutral.Citation] = {}

    def decode(self, record: Record) -> list[Event]:
        self._take(record)
        return self._walk.taken()

    def run_texts(self, record: Record, text: str) -> tuple[list[str], ...] | None:
        try:
            kind = wire.kind_of_delta(wire.read_chunk(record.data), text)
        except UNREADABLE:
            return None
        draft = self._walk.open_words()
        if kind is None or draft is None or self._tags is not None or record.event == "error":
            return None
        received = self._received[kind]
        if type(draft.block) is not type(KINDS[kind]):
            return None
        return (received,) if draft.spoken is None else (received, draft.spoken)

    def close(self) -> list[Event]:
        """The connection ended: regularly, if the upstream reported why it stopped."""
        if not self._walk.is_over:
            if self._stop_reason is None:
                self._walk.break_off()
            else:
                self._finish(self._stop_reason)
        return self._walk.taken()

    @property
    def is_complete(self) -> bool:
        return self._stop_reason is not None and self._usage is not None

    def decode_whole(self, body: bytes) -> list[Event]:
        self._take(Record(body))
        if not self._walk.is_over:
            if self._has_choice:
                self._finish(self._stop_reason or StopReason.END_TURN)
            else:
                self._walk.fail(NOT_JSON if self._has_damage else NO_CHOICES)
        return self._walk.taken()

    def _take(self, record: Record) -> None:
        if self._walk.is_over:
            return
        try:
            chunk = wire.read_chunk(record.data)
        except UNREADABLE:
            self._take_odd(record)
            return
        if record.event == "error":
            self._walk.fail(decode_error(BAD_GATEWAY, record.data))
        elif (chunk.error or not chunk.choices) and self._fails(parsed_object(record.data)):
            return
        else:
            self._take_chunk(chunk)

    def _take_odd(self, record: Record) -> None:
        """A record that is no chunk: the end, an error, or damage, of which one record is forgiven."""
        data = record.data.strip()
        if data in wire.DONE:
            self._take_done()
        elif record.event == "error":
            self._walk.fail(decode_error(BAD_GATEWAY, data))
        elif isinstance(value := parsed(data), dict):
            self._fails(value)
        elif (fixed := repaired(data)) != data:
            self._take(Record(fixed, record.event))
        elif b"\n" in data:
            for line in data.split(b"\n"):
                self._take(Record(line))
        elif self._has_damage:
            self._walk.fail(NOT_JSON)
        elif data:
            self._has_damage = True

    def _fails(self, body: Json) -> bool:
        """True if the record is an error."""
        error = decode_embedded_error(body)
        if error is not None:
            self._walk.fail(error)
        return error is not None

    def _take_done(self) -> None:
        holds_text = self._tags is not None and self._tags.holds
        if self._stop_reason is None and self._walk.is_empty and not (self._calls.all or holds_text):
            self._walk.fail(NO_ANSWER)
        else:
            self._finish(self._stop_reason or StopReason.END_TURN)

    def _take_chunk(self, chunk: wire.Chunk) -> None:
        if not self._walk.is_started and (chunk.model or chunk.choices):
            self._walk.start(chunk.id, chunk.model, fingerprint=chunk.system_fingerprint)
        choices = chunk.choices
        choice = wire.first_choice(chunk) if choices else None
        if chunk.usage is not None or chunk.timings is not None or chunk.x_groq is not None:
            self._note_usage(chunk, choice)
        elif choice is not None and choice.usage is not None:
            self._note_usage(chunk, choice)
        if choices and (choice is None or len(choices) > 1):
            self._walk.lose("choices", "only the first choice can be carried to another protocol")
        if chunk.citations or chunk.search_results:
            self._sources.update((source.url, source) for source in wire.sources_of(chunk))
        if choice is None:
            return
        self._has_choice = True
        delta = choice.delta
        if delta is not None:
            self._take_content(delta)
            if delta.tool_calls or delta.function_call:
                for fragment in fragments_of(delta):
                    self._take_arguments(self._calls.of(fragment), fragment.arguments)
        if choice.message is not None:
            self._take_message(choice.message)
        elif choice.text and isinstance(choice.text, str):
            self._take_text(choice.text)
        if choice.finish_reason is not None:
            self._take_finish(choice)

    def _note_usage(self, chunk: wire.Chunk, choice: wire.Choice | None) -> None:
        usage = wire.usage_in(chunk, choice, excludes_cache=self._excludes_cache)
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage.merged(usage)

    def _take_content(self, delta: wire.Delta) -> None:
        if reasoning := wire.reasoning_of(delta):
            if self._tags is not None:
                self._take_pieces(self._tags.stand_down())
            self._take_words(reasoning, "thinking")
        content = delta.content
        if content:
            if isinstance(content, str):
                self._take_text(content)
            else:
                for kind, text in wire.parts_of(content):
                    self._take_words(text, kind)
        if delta.refusal:
            self._take_words(str(delta.refusal), "refusal")
        if delta.annotations:
            self._take_annotations(delta.annotations)
        if delta.audio or delta.images:
            self._take_media(delta)

    def _take_media(self, delta: wire.Delta) -> None:
        """Sound and images have no place in another protocol; what is spoken is text all the same."""
        self._take_words(text(fields(delta.audio).get("transcript")), "text")
        self._lose_media(delta)

    def _lose_media(self, delta: wire.Delta) -> None:
        for kind in ("audio", "images"):
            if getattr(delta, kind):
                self._walk.lose(kind, NO_MEDIA)

    def _take_message(self, message: wire.Delta) -> None:
        """A whole message: all of the answer, or at its end once more what the deltas have brought."""
        if any(self._received.values()):
            self._take_rest(message)
        else:
            self._comes_in_messages = True
            self._take_content(message)
        if message.tool_calls or message.function_call:
            for call, fragment in self._calls.listed(fragments_of(message)):
                self._take_arguments(call, call.arguments.rest_of(fragment.arguments))

    def _take_rest(self, message: wire.Delta) -> None:
        parts = [("thinking", wire.reasoning_of(message)), ("refusal", str(message.refusal or ""))]
        parts += wire.parts_of(message.content)
        for kind, pieces in self._received.items():
            whole, received = "".join(text for of, text in parts if of == kind), "".join(pieces)
            if whole.startswith(received):
                self._take_words(whole[len(received) :], kind)
            elif self._comes_in_messages:
                # the piece that others send as a delta
                self._take_words(whole, kind)
        self._take_annotations(message.annotations)
        self._lose_media(message)

    def _take_annotations(self, annotations: object) -> None:
        for citation in wire.citations_in(annotations):
            if not citation.url:
                self._walk.lose_citation()
            elif citation not in self._cited:
                self._cited.add(citation)
                self._walk.cite_last(citation)

    def _take_words(self, text: str, kind: str) -> None:
        if kind == "text":
            self._take_text(text)
        elif kind in KINDS:
            self._received[kind].append(text)
            self._walk.say(KINDS[kind], text)
        else:
            self._walk.lose_unknown(kind)

    def _take_text(self, text: str) -> None:
        self._texts.append(text)
        if self._tags is None:
            self._walk.say(TEXT, text)
        else:
            self._take_pieces(self._tags.take(text))

    def _take_pieces(self, pieces: Iterable[tuple[str, str]]) -> None:
        for kind, words in pieces:
            self._walk.say(KINDS[kind], words)

    def _take_arguments(self, call: Call, piece: str) -> None:
        if call.opaque:
            call.signature = neutral.Signature(json_text(call.opaque), self._sent.target.issuer)
        self._walk.add_arguments(call, piece)
        if call.block is None and call.name and call.arguments.size:
            # the model has come as far as the arguments, so the name is whole
            self._name(call)
            self._walk.advance()
        self._walk.place(call)
        if call.arguments.is_complete and not call.is_done:
            self._walk.finish_draft(call)

    def _name(self, call: Call) -> None:
        call.id = call.id or new_id("call_")
        call.block = restore_call(call.id, call.name, self._sent.tools)
        call.tool = self._sent.tools.get(call.name)
        if call.tool is None and call.arguments.is_raw:
            call.block = replace(call.block, kind="custom")

    def _take_finish(self, choice: wire.Choice) -> None:
        reason = choice.finish_reason
        if not isinstance(reason, str) or not reason:
            return
        if is_broken(reason):
            self._walk.fail(wire.broken_off(choice))
            return
        stop_reason = self._walk.known_reason(reason)
        if stop_reason in (StopReason.END_TURN, StopReason.STOP_SEQUENCE):
            stop_reason = self._regular_stop(stop_reason, choice.stop_reason)
        if self._stop_reason is None or _rank(stop_reason) > _rank(self._stop_reason):
            self._stop_reason = stop_reason

    def _regular_stop(self, reported: StopReason, matched: object) -> StopReason:
        """A stop sequence, if the upstream names one that it was given or can have meant only one."""
        if not isinstance(matched, str) and reported is StopReason.END_TURN:
            return reported
        stops = _stops_sent(self._sent.body)
        if isinstance(matched, str) and matched in stops:
            self._stop_sequence = matched
        elif reported is StopReason.STOP_SEQUENCE and len(stops) == 1:
            self._stop_sequence = stops[0]
        return StopReason.STOP_SEQUENCE if self._stop_sequence is not None else StopReason.END_TURN

    def _finish(self, reason: StopReason) -> None:
        if self._tags is not None:
            self._take_pieces(self._tags.finish())
        for call in self._calls.all:
            if call.block is None and call.name:
                self._name(call)
            elif not call.name:
                self._walk.skip_nameless_call()
        if self._sources:
            cited = {citation.url for citation in self._cited}
            for source in self._sources.values():
                if source.url not in cited:
                    self._walk.cite_last(source)
        self._walk.finish(reason, self._usage, self._stop_sequence)


def _rank(reason: StopReason) -> int:
    return RANK.index(reason) if reason in RANK else len(RANK)


def _stops_sent(body: bytes) -> list[str]:
    stop = parsed_object(body).get("stop")
    return [stop] if isinstance(stop, str) else [s for s in stop or () if isinstance(s, str)]


def _signature(issuer: str, carries: bool, text: str) -> neutral.Signature:
    """Marks the reasoning as ours, and carries it where the upstream wants it back."""
    return neutral.Signature(carrier.pack("text", issuer, {"text": text} if carries else {}), issuer)

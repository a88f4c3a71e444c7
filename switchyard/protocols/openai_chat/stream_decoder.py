"""Sort the chunks of a Chat upstream into the strict walk of neutral events: one block open at a time.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

import re
from typing import Any, Literal

import msgspec

from switchyard.protocols import carrier, neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import read_embedded_error, read_error
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import BlockEnded, BlockStarted, ErrorType, Event, StopReason, WireError
from switchyard.protocols.openai_chat import wire
from switchyard.protocols.openai_chat.arguments import EndlessBlank
from switchyard.protocols.openai_chat.calls import Call, Calls, Fragment, fragments_in, legacy_fragment
from switchyard.protocols.openai_chat.think_tags import ThinkTags
from switchyard.protocols.sse import Record
from switchyard.protocols.tools.calls import raised_arguments, raised_call

Kind = Literal["text", "thinking", "refusal"]
OPENINGS: dict[Kind, neutral.Text | neutral.Thinking | neutral.Refusal] = {
    "text": neutral.Text(""),
    "thinking": neutral.Thinking(""),
    "refusal": neutral.Refusal(""),
}
RANK = (StopReason.END_TURN, StopReason.STOP_SEQUENCE, StopReason.REFUSAL, StopReason.TOOL_USE)
"""Of several reasons to stop the later one here counts; running out of tokens beats them all."""

HALF_CHARACTERS = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
BAD_GATEWAY = 502

NO_ANSWER = "the upstream ended its stream without an answer"
CUT_OFF = "the upstream's stream ended before its answer was complete"
NAMELESS = "the upstream called a tool without naming it"
BLANK = "the upstream sent endless whitespace as the arguments of a tool call"
UNREADABLE = "the upstream sent records that are not JSON"


class StreamDecoder:
    """Records in, events out.

    The first tool call that is ready streams; what comes in the meantime (other calls, text) waits in order.
    The reason to stop is held until the stream ends, because calls, text and usage may still follow it.
    """

    def __init__(self, sent: SentRequest) -> None:
        capabilities = sent.target.capabilities
        self._sent = sent
        self._excludes_cache = capabilities.usage_excludes_cache
        self._keeps_reasoning = capabilities.reasoning_history != "none"
        self._tags = ThinkTags(capabilities.think_open_prefilled) if capabilities.think_tags else None
        self._out: list[Event] = []
        self._started = self._ended = self._has_choice = False
        self._open: Kind | None = None
        self._reasoning: list[str] = []
        self._calls = Calls()
        self._live: Call | None = None
        self._begun = 0
        self._waiting: list[Call | _Speech] = []
        self._refused = False
        self._stop_reason: StopReason | None = None
        self._stop_sequence: str | None = None
        self._usage: neutral.Usage | None = None
        self._has_damage = False

    # --- records --------------------------------------------------------------

    def decode(self, record: Record) -> list[Event]:
        self._take(record)
        return self._taken()

    def close(self) -> list[Event]:
        """The connection ended: regularly, if the upstream told why it stopped."""
        if self._ended:
            return []
        if self._stop_reason is None:
            self._fail(_broken(CUT_OFF if self._begun or self._started else NO_ANSWER))
        else:
            self._finish(self._stop_reason)
        return self._taken()

    @property
    def is_complete(self) -> bool:
        return self._stop_reason is not None and self._usage is not None

    def decode_whole(self, body: bytes) -> list[Event]:
        """A whole JSON reply: the same walk."""
        events = self.decode(Record(body))
        if not self._ended:
            if self._has_choice:
                self._finish(self._stop_reason or StopReason.END_TURN)
            else:
                self._fail(_broken(UNREADABLE if self._has_damage else wire.NO_CHOICES))
            events += self._taken()
        return events

    def _take(self, record: Record) -> None:
        if self._ended:
            return
        try:
            chunk = wire.read_chunk(record.data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._take_odd(record)
            return
        if record.event == "error" or chunk.error or not chunk.choices:
            self._take_choiceless(record, chunk)
        else:
            self._take_chunk(chunk)

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _take_odd(self, record: Record) -> None:
        """A record that is no chunk: the end, an error, or damage, of which one record is forgiven."""
        data = record.data.strip()
        if data in wire.DONE:
            self._take_done()
        elif record.event == "error":
            self._fail(read_error(BAD_GATEWAY, data))
        elif (parsed := _parsed_object(data)) is not None:
            self._fail_if_error(parsed)
        elif (fixed := HALF_CHARACTERS.sub(_or_replacement, _utf8(data))) != data:
            self._take(Record(fixed, record.event))
        elif b"\n" in data:
            for line in data.split(b"\n"):
                self._take(Record(line))
        elif self._has_damage:
            self._fail(_broken(UNREADABLE))
        elif data:
            self._has_damage = True

    def _take_choiceless(self, record: Record, chunk: wire.Chunk) -> None:
        if record.event == "error":
            self._fail(read_error(BAD_GATEWAY, record.data))
        elif not self._fail_if_error(_parsed_object(record.data) or {}):
            self._take_chunk(chunk)

    def _fail_if_error(self, parsed: dict[str, Any]) -> bool:
        error = read_embedded_error(parsed)
        if error is not None:
            self._fail(error)
        return error is not None

    def _take_done(self) -> None:
        if self._stop_reason is None and not self._has_output:
            self._fail(_broken(NO_ANSWER))
        else:
            self._finish(self._stop_reason or StopReason.END_TURN)

    @property
    def _has_output(self) -> bool:
        held = self._tags is not None and self._tags.holds
        return self._open is not None or bool(self._calls.all) or self._begun > 0 or held

    # --- chunks ---------------------------------------------------------------

    def _take_chunk(self, chunk: wire.Chunk) -> None:
        if not self._started:
            self._start(chunk)
        choice = wire.first_choice(chunk)
        if chunk.usage is not None or chunk.timings is not None or chunk.x_groq is not None:
            self._note_usage(chunk, choice)
        if choice is None:
            return
        self._has_choice = True
        if choice.usage is not None:
            self._note_usage(chunk, choice)
        delta = choice.delta or choice.message
        if delta is not None:
            self._take_delta(delta, is_whole=choice.delta is None)
        elif isinstance(choice.text, str):
            self._take_text(choice.text)
        if choice.finish_reason is not None:
            self._take_finish(choice)

    def _start(self, chunk: wire.Chunk) -> None:
        self._started = True
        id, model = chunk.id, chunk.model
        self._out.append(
            neutral.Started(id if isinstance(id, str) else "", model if isinstance(model, str) else "")
        )

    def _note_usage(self, chunk: wire.Chunk, choice: wire.Choice | None) -> None:
        usage = wire.usage_in(chunk, choice, excludes_cache=self._excludes_cache)
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage.merged(usage)

    def _take_delta(self, delta: wire.Delta, *, is_whole: bool) -> None:
        if reasoning := wire.reasoning_of(delta):
            if self._tags is not None:
                self._text_pieces(self._tags.stand_down())
            self._text("thinking", reasoning)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._take_text(content)
            else:
                self._take_parts(content)
        if delta.refusal:
            self._text("refusal", str(delta.refusal))
        if delta.tool_calls:
            for fragment in fragments_in(delta.tool_calls, is_whole):
                self._take_fragment(fragment)
        elif isinstance(delta.function_call, dict):
            self._take_fragment(legacy_fragment(delta.function_call))
        if delta.annotations and self._open == "text":
            self._out += wire.citations_in(delta.annotations)

    def _take_text(self, text: str) -> None:
        if self._tags is None:
            self._text("text", text)
        else:
            self._text_pieces(self._tags.take(text))

    def _take_parts(self, content: object) -> None:
        for kind, text in wire.parts_of(content):
            if kind == "text":
                self._take_text(text)
            else:
                self._text("refusal" if kind == "refusal" else "thinking", text)

    def _take_finish(self, choice: wire.Choice) -> None:
        reason = choice.finish_reason
        if not isinstance(reason, str) or not reason:
            return
        if reason in wire.BROKEN_REASONS:
            self._fail(wire.broken_off(choice))
            return
        stop_reason = wire.STOP_REASONS.get(reason, StopReason.END_TURN)
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

    # --- text -----------------------------------------------------------------

    def _text_pieces(self, spoken: list[tuple[Literal["text", "thinking"], str]]) -> None:
        for kind, text in spoken:
            self._text(kind, text)

    def _text(self, kind: Kind, text: str) -> None:
        if not text:
            return
        if self._live is not None or self._waiting:
            self._queue(kind, text)
        else:
            self._speak(kind, text)

    def _speak(self, kind: Kind, text: str) -> None:
        if self._open != kind:
            self._end_block()
            self._open = kind
            self._out.append(BlockStarted(OPENINGS[kind]))
            self._refused = self._refused or kind == "refusal"
        if kind == "thinking" and self._keeps_reasoning:
            self._reasoning.append(text)
        self._out.append(neutral.Delta(text))

    def _queue(self, kind: Kind, text: str) -> None:
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Speech) and last.kind == kind:
            last.texts.append(text)
        else:
            self._waiting.append(_Speech(kind, [text]))

    def _end_block(self) -> None:
        if self._open is not None:
            self._out.append(BlockEnded(self._signature() if self._open == "thinking" else None))
            self._open = None

    def _signature(self) -> neutral.Signature:
        """Marks the reasoning as ours, and carries it where the upstream wants it back."""
        issuer = self._sent.target.issuer
        payload = {"text": "".join(self._reasoning)} if self._keeps_reasoning else {}
        self._reasoning = []
        return neutral.Signature(carrier.pack("text", issuer, payload), issuer)

    # --- calls ----------------------------------------------------------------

    def _take_fragment(self, fragment: Fragment) -> None:
        call, is_new = self._calls.of(fragment)
        if is_new:
            self._enqueue(call)
        try:
            news = call.take(fragment)
        except EndlessBlank:
            self._fail(_broken(BLANK))
            return
        if call is self._live and not call.ended:
            if news and call.streams:
                self._out.append(neutral.Delta(news))
            if call.arguments.is_complete:
                self._end_call(cut=False)
        self._advance()

    def _enqueue(self, call: Call) -> None:
        """Behind all that waits, except calls of a higher index."""
        later = (
            position
            for position, waiting in enumerate(self._waiting)
            if isinstance(waiting, Call) and (waiting.index or 0) > (call.index or 0)
        )
        self._waiting.insert(next(later, len(self._waiting)), call)

    def _advance(self) -> None:
        """Open what waits, as far as it is ready and nothing before it is unfinished."""
        while self._live is None and self._waiting and not self._ended:
            match self._waiting[0]:
                case _Speech() as speech:
                    del self._waiting[0]
                    self._speak(speech.kind, "".join(speech.texts))
                case call:
                    if not call.is_descriptive or (call.index or 0) > self._begun:
                        return
                    del self._waiting[0]
                    self._begin_call(call)
                    if call.arguments.is_complete:
                        self._end_call(cut=False)

    def _begin_call(self, call: Call) -> None:
        self._end_block()
        self._live = call
        self._begun += 1
        call.id = call.id or new_id("call_")
        self._out.append(BlockStarted(raised_call(call.id, call.name, self._sent.tools)))
        call.streams = call.is_custom or not self._needs_unwrapping(call)
        begun = call.arguments.text if call.arguments.size else "".join(call.input)
        if call.streams and begun:
            self._out.append(neutral.Delta(begun))

    def _needs_unwrapping(self, call: Call) -> bool:
        """Free-form input wrapped as a function's, an object inside a string: to be told whole."""
        tool = self._sent.tools.get(call.name)
        return (tool is not None and tool.kind == "custom") or not call.arguments.is_object

    def _end_call(self, *, cut: bool) -> None:
        """`cut`: the model ran out of tokens, perhaps within these arguments."""
        call, self._live = self._live, None
        if call is None:
            return
        call.ended = True
        cut = cut and (not call.arguments.is_valid() if not call.is_custom else not self._waiting)
        if not call.streams and not (cut and not call.arguments.size):
            text = raised_arguments(call.arguments.text, self._sent.tools.get(call.name))
            self._out += [neutral.Delta(text)] if text else []
        self._out.append(BlockEnded(complete=not cut))

    # --- ends -----------------------------------------------------------------

    def _finish(self, reason: StopReason) -> None:
        if self._tags is not None:
            self._text_pieces(self._tags.finish())
        cut = reason is StopReason.MAX_TOKENS
        if any(not call.name and not call.is_nothing for call in self._calls.all) and not cut:
            self._fail(_broken(NAMELESS))
            return
        self._end_call(cut=cut)
        while self._waiting:
            match self._waiting.pop(0):
                case _Speech() as speech:
                    self._speak(speech.kind, "".join(speech.texts))
                case call:
                    if call.name:
                        self._begin_call(call)
                        self._end_call(cut=cut)
        self._end_block()
        self._ended = True
        self._out.append(neutral.Finished(self._settled(reason), self._usage, self._stop_sequence))

    def _settled(self, reason: StopReason) -> StopReason:
        """The reason, corrected by what was said: many servers tell `stop` after tool calls."""
        if reason in (StopReason.MAX_TOKENS, StopReason.REFUSAL):
            return reason
        if self._begun:
            self._stop_sequence = None
            return StopReason.TOOL_USE
        if self._refused:
            return StopReason.REFUSAL
        return StopReason.END_TURN if reason is StopReason.TOOL_USE else reason

    def _fail(self, error: WireError) -> None:
        if not self._started:
            self._started = True
            self._out.append(neutral.Started())
        if self._live is not None:
            self._live = None
            self._out.append(BlockEnded(complete=False))
        self._end_block()
        self._waiting = []
        self._ended = True
        self._out.append(neutral.Failed(error))


class _Speech(msgspec.Struct, frozen=True):
    """Text that waits for a call to end."""

    kind: Kind
    texts: list[str]


def _rank(reason: StopReason) -> int:
    return RANK.index(reason) if reason in RANK else len(RANK)


def _broken(message: str) -> WireError:
    return WireError(ErrorType.SERVER, message, BAD_GATEWAY)


def _stops_sent(body: bytes) -> list[str]:
    stop = (_parsed_object(body) or {}).get("stop")
    return [stop] if isinstance(stop, str) else [s for s in stop or () if isinstance(s, str)]


def _parsed_object(data: bytes) -> dict[str, Any] | None:
    try:
        parsed = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _utf8(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode()


def _or_replacement(found: re.Match[bytes]) -> bytes:
    """Half of a character that stands in two chunks cannot be read."""
    return found.group(1) or rb"\ufffd"

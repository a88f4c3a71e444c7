"""Convert between two protocols: a request for the upstream, its stream or whole reply for the client.

A request that asked for a stream gets one even if the reply came as JSON, and the other way round.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import Codec, SentRequest, Target
from switchyard.protocols.compaction import CompactionFold
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.estimate import StreamEstimate, estimate_tokens
from switchyard.protocols.filters import JsonInReasoning, StopScanner
from switchyard.protocols.fold import fold
from switchyard.protocols.ids import ReplyIds
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.runs import PROBE, Run, run_of
from switchyard.protocols.search_error import SearchErrorFold
from switchyard.protocols.sse import (
    BLANK_LINE,
    SEVERAL_BYTES,
    Record,
    RecordTooLarge,
    SseDecoder,
    usual_record,
)
from switchyard.protocols.surrogates import SurrogateJoiner, without_halves
from switchyard.protocols.tools.calls import as_declared
from switchyard.protocols.tools.gate import CallGate, CallWatch, EventNews, calls_of
from switchyard.protocols.wire import stated

HALF_CHARACTER = neutral.Loss("content", "half of a character came without the other half")
MAX_MISSES = 8
"""as many times a run is looked for in vain in one block: some upstreams number their records"""
PACKET_BYTES = 64 * 1024
"""of a chunk: where no run is found, what is left of it is looked through after each record"""
MAX_STREAM_BYTES = 256 * 1024 * 1024
"""several times the longest answer of any model: what is converted is also kept until the end"""


def convert_request(
    request: neutral.Request, upstream: Codec, target: Target, memory: MessageMemory | None = None
) -> SentRequest:
    """The request in the upstream's protocol, with an estimate of its tokens. Raises BadRequest."""
    sent = upstream.encode_request(as_declared(request), target, memory)
    return sent if sent.input_estimate else replace(sent, input_estimate=estimate_tokens(request))


class ConvertedReply(msgspec.Struct, frozen=True):
    """`body` is for the client, an error in its envelope if the reply `failed`."""

    body: bytes
    usage: neutral.Usage | None
    failed: neutral.WireError | None = None
    losses: tuple[neutral.Loss, ...] = ()
    signed_calls: tuple[neutral.ToolCall, ...] = ()
    calls: tuple[neutral.ToolCall, ...] = ()
    reported: neutral.Usage | None = None
    """the usage without any estimate"""


def convert_response(
    upstream: Codec, client: Codec, body: bytes, sent: SentRequest, request: neutral.Request
) -> ConvertedReply:
    """A whole reply for the client: JSON, or records if it asked for a stream."""
    conversion = Conversion(sent, request)
    events = conversion.passed(_decoded(upstream, body, sent, conversion.halves))
    if request.stream:
        encoded = b"".join(map(client.stream_encoder(request).encode, events))
    elif isinstance(response := fold(events), neutral.WireError):
        encoded = encode_error(client.protocol, response)[1]
    else:
        encoded = client.encode_response(response, request)
    signed = tuple(conversion.signed_calls)
    return ConvertedReply(
        encoded,
        conversion.usage,
        conversion.failed,
        conversion.losses,
        signed,
        tuple(calls_of(events)) if conversion.has_called else (),
        conversion.reported_usage,
    )


def _decoded(upstream: Codec, body: bytes, sent: SentRequest, halves: SurrogateJoiner) -> list[neutral.Event]:
    """The events of a whole reply, whichever form it came in."""
    if body.lstrip()[:1] in (b"{", b"["):
        whole = without_halves(body)
        halves.has_replaced = whole != body
        return upstream.decode_response(whole, sent)
    decoder, records = upstream.stream_decoder(sent), SseDecoder()
    seen = [one for record in records.feed(body) + records.close() for one in halves.take(record)]
    events = [event for record in seen + halves.close() for event in decoder.decode(record)]
    return events + decoder.close()


class Conversion:
    """What an answer passes between decoder and encoder, and what it reports on its way. Nothing follows the end.

    `started`, `work_begun` (a block is open), `content_begun` (the commit point), `finished` (the regular end),
    `failed` (the upstream's error). `signed_calls`: those with opaque members, as the client returns their ids, but
    not these. `losses`: what of the answer the client's protocol cannot carry; known at its end. `is_withheld`: a call
    must not reach the client, which is why it has `failed`. `is_waiting`: a call waits for a decision.
    """

    started = work_begun = is_withheld = has_called = False
    losses: tuple[neutral.Loss, ...] = ()
    stated = neutral.UNSTATED
    _block: neutral.Block | None = None
    _gate: CallGate[neutral.Event] | None = None
    _news: EventNews

    def __init__(self, sent: SentRequest, request: neutral.Request, watch: CallWatch | None = None) -> None:
        self.halves = SurrogateJoiner()
        if watch is not None:
            self._gate, self._news = CallGate(watch), EventNews()
        self._filters = _filters_for(sent, request)
        self._ids = ReplyIds()
        self._tally = _Tally(sent, request)
        self._omits_thinking = request.reasoning.is_omitted
        self._deltas_pass = True
        """at once: none of them belongs to a call that is read, and nothing waits"""
        self._is_hidden = self.content_begun = self.finished = False
        self.failed: neutral.WireError | None = None
        self.signed_calls: list[neutral.ToolCall] = []

    @property
    def reported_usage(self) -> neutral.Usage | None:
        """The usage without any estimate."""
        return self._tally.reported

    @property
    def usage(self) -> neutral.Usage | None:
        """What the upstream reported, with estimates for the rest."""
        return self._tally.usage if self.started else None

    @property
    def owes_an_end(self) -> bool:
        """True if the client still needs the end of this answer."""
        return not self.finished and (self.failed is None or self.is_withheld)

    @property
    def is_waiting(self) -> bool:
        return self._gate is not None and self._gate.is_waiting

    def passed(self, events: list[neutral.Event]) -> list[neutral.Event]:
        """What of these goes to the client."""
        for filtered in self._filters:
            events = [passed for event in events for passed in filtered(event)]
        if self._deltas_pass and len(events) == 1 and type(events[0]) is neutral.Delta:
            # nearly all events come so
            is_over = self.finished or self.failed is not None
            return events if not is_over and self._counted(events[0]) else []
        if self._gate is not None:
            events = self._let_through(self._gate, events)
        return self._sent(events)

    def _let_through(self, gate: CallGate[neutral.Event], events: list[neutral.Event]) -> list[neutral.Event]:
        passed: list[neutral.Event] = []
        for event in events:
            news = self._news.of(event)
            passed += [event] if gate.is_idle and not news else gate.take(event, news)
        self._deltas_pass = gate.is_idle and not (self._news.is_of_call and gate.reads_arguments)
        return passed

    def refuse(self, error: neutral.WireError) -> None:
        """The call that waited must not pass: the answer has failed, and its end is owed."""
        self.failed, self.is_withheld = error, True

    def _sent(self, events: list[neutral.Event]) -> list[neutral.Event]:
        passed: list[neutral.Event] = []
        for event in events:
            if self.finished or self.failed is not None:
                break
            if not isinstance(event, neutral.Delta):
                passed.append(self._noted(event))
            elif self._counted(event):
                passed.append(event)
        if self._gate is not None and self._gate.error is not None and not self.is_withheld:
            self.refuse(self._gate.error)
        return passed

    def _counted(self, piece: neutral.Delta) -> bool:
        """False for a piece of what the client wants to see nothing of."""
        self._tally.output.add(piece.text)
        self.content_begun = self.content_begun or bool(piece.text)
        return not self._is_hidden

    @property
    def _texts_pass(self) -> bool:
        """True if the texts of the open block need no look at each of them."""
        return self._deltas_pass and not (self._filters or self.finished or self.failed is not None)

    def _noted(self, event: neutral.Event) -> neutral.Event:
        if isinstance(event, neutral.BlockStarted):
            return self._block_noted(event)
        if isinstance(event, neutral.BlockEnded):
            if event.signature is not None:
                self.content_begun = True
                if isinstance(self._block, neutral.ToolCall):
                    self.signed_calls.append(replace(self._block, signature=event.signature))
        elif isinstance(event, neutral.Started):
            self.started = True
            self.stated = stated(event.model, event.fingerprint)
            return replace(event, usage=self._tally.at_start(event.usage))
        elif isinstance(event, neutral.Finished):
            # an answer may be empty
            self.finished = self.content_begun = True
            self.losses = (*event.losses, HALF_CHARACTER) if self.halves.has_replaced else event.losses
            return replace(event, usage=self._tally.at_end(event.usage))
        elif isinstance(event, neutral.Failed):
            self.failed = event.error
        return event

    def _block_noted(self, event: neutral.BlockStarted) -> neutral.BlockStarted:
        self.work_begun = True
        if isinstance(event.block, neutral.ToolCall):
            self.has_called = True
            event = neutral.BlockStarted(self._ids.unique(event.block))
        self._block = block = event.block
        is_thinking = isinstance(block, neutral.Thinking)
        self._is_hidden = is_thinking and self._omits_thinking
        if not (is_thinking or isinstance(block, (neutral.Text, neutral.Refusal))):
            self.content_begun = True
        return event


class StreamConversion(Conversion):
    """Feed it the upstream's bytes, forward what it gives back. `truncated`: the stream just stopped."""

    def __init__(
        self,
        upstream: Codec,
        client: Codec,
        sent: SentRequest,
        request: neutral.Request,
        watch: CallWatch | None = None,
    ) -> None:
        super().__init__(sent, request, watch)
        self._records = SseDecoder()
        self._decoder = upstream.stream_decoder(sent)
        self._encoder = client.stream_encoder(request)
        self._size = 0
        self._run: Run | None = None
        """what the records most recently looked at have in common"""
        self._run_texts: tuple[list[str], ...] = ()
        self._misses = 0
        self._rest = b""
        """the beginning of a record that may be of the run"""
        self.records = 0
        self.truncated = False
        self.signatures: list[str] = []
        """none: what is opaque travels in carriers here, which name their issuer"""

    def usage_with_estimate(self, input_tokens: int) -> neutral.Usage:
        """The usage, with estimates for all that was not reported."""
        return self.usage or neutral.with_estimate(None, input_tokens, 0)

    def feed(self, chunk: bytes) -> bytes:
        """What may go on to the client. Raises RecordTooLarge, also for an answer without end."""
        self._size += len(chunk)
        if self._size > MAX_STREAM_BYTES:
            raise RecordTooLarge
        out: list[bytes] = []
        try:
            if self._run is None and (self._misses >= MAX_MISSES or len(chunk) <= SEVERAL_BYTES):
                self._take_records(chunk, out)
            elif len(chunk) <= PACKET_BYTES:
                self._convert(chunk, out)
            else:
                for start in range(0, len(chunk), PACKET_BYTES):
                    self._convert(chunk[start : start + PACKET_BYTES], out)
        except RecordTooLarge:
            raise RecordTooLarge(given=b"".join(out)) from None
        return b"".join(out)

    def _convert(self, chunk: bytes, out: list[bytes]) -> None:
        if self._rest:
            chunk, self._rest = self._rest + chunk, b""
        while chunk and not (self.finished or self.failed is not None):
            run = self._run
            if run is not None:
                taken = self._take_run(run, chunk, out)
                if taken:
                    chunk = chunk[taken:]
                    continue
                if run.may_begin(chunk) and len(chunk) < SEVERAL_BYTES and BLANK_LINE not in chunk:
                    self._rest = chunk
                    break
            # a run is found in the first of many records
            end = chunk.find(BLANK_LINE, SEVERAL_BYTES) + len(BLANK_LINE)
            if end < len(BLANK_LINE):
                end = len(chunk)
            self._take_records(chunk[:end], out)
            chunk = chunk[end:]

    def _take_run(self, run: Run, chunk: bytes, out: list[bytes]) -> int:
        """How many bytes at the beginning are records of the run, which are converted at once."""
        end = chunk.rfind(run.end) + len(run.end)
        texts = run.texts(chunk[:end]) if end >= len(run.end) and self._texts_pass else None
        if texts is None:
            return 0
        self._misses = 0
        self.records += len(texts.words)
        self._tally.output.extend(texts.words)
        self.content_begun = True
        for kept in self._run_texts:
            kept += texts.words
        if not self._is_hidden:
            out.append(self._encoder.encode_texts(texts))
        return end

    def _take_records(self, chunk: bytes, out: list[bytes]) -> None:
        encode = self._encoder.encode
        self._run = None  # a record may have begun
        is_too_large = False
        try:
            seen: Sequence[Record] = self._records.feed(chunk)
        except RecordTooLarge as error:
            seen, is_too_large = error.records, True
        self.records += len(seen)
        events: list[neutral.Event] = []
        for record in seen:
            events = self._decoder.decode(record) if self.halves.held is None else []
            if events:
                for event in self.passed(events):
                    out.append(encode(event))
            elif self.halves.concerns(record):
                # a decoder takes nothing of such a record
                for whole in self.halves.take(record):
                    out.append(self._encoded(self._decoder.decode(whole)))
            if self.finished or self.failed is not None:
                return
        if is_too_large:
            raise RecordTooLarge
        if len(events) != 1 or type(events[0]) is not neutral.Delta:
            self._misses = self._misses if not events else 0
        elif self._misses < MAX_MISSES:
            self._misses += 1
            self._learn_run(chunk, seen[-1], events[0].text)

    def _learn_run(self, chunk: bytes, last: Record, text: str) -> None:
        """The last record of this chunk may be one of a run."""
        before = chunk.rfind(BLANK_LINE, 0, -len(BLANK_LINE))
        raw = chunk if before < 0 else chunk[before + len(BLANK_LINE) :]
        if usual_record(raw) == last and (run := run_of(raw, text)) is not None:
            probe = run.probe()
            kept = None if probe is None else self._decoder.run_texts(probe, PROBE)
            if kept is not None:
                self._run, self._run_texts = run, kept

    def close(self) -> bytes:
        """The upstream's connection ended: the last record, if it forgot its blank line, and the end owed."""
        rest, self._rest = self._rest, b""
        ended = self._records.feed(rest) + self._records.close()
        last = [whole for record in ended for whole in self.halves.take(record)]
        out = [self._encoded(self._decoder.decode(record)) for record in last + self.halves.close()]
        if self.owes_an_end:
            out.append(self._encoded(self._decoder.close()))
            self.truncated = self.failed is not None
        return b"".join(out)

    def break_forgiven(self) -> bytes:
        """The connection broke: what is still to be sent if the answer was complete; `finished` is then true."""
        owed = self._decoder.close()
        return self._encoded(owed) if owed and isinstance(owed[-1], neutral.Finished) else b""

    @property
    def is_complete(self) -> bool:
        """True if nothing is awaited from the upstream but the end."""
        return self._decoder.is_complete

    def break_off(self, error: neutral.WireError) -> bytes:
        """The record that reports to the client that its stream broke."""
        if not self.owes_an_end:
            return b""
        self.failed, self.is_withheld = error, False
        return self._encoder.encode(neutral.Failed(error))

    def release(self) -> bytes:
        """The call that waited may pass, and what came after it."""
        if self._gate is None:
            return b""
        return b"".join(map(self._encoder.encode, self._sent(self._gate.release())))

    def keep_alive(self) -> bytes:
        """Shows life between two records."""
        return self._encoder.keep_alive()

    def _encoded(self, events: list[neutral.Event]) -> bytes:
        return b"".join(map(self._encoder.encode, self.passed(events)))


def _filters_for(
    sent: SentRequest, request: neutral.Request
) -> list[Callable[[neutral.Event], list[neutral.Event]]]:
    """What an answer passes first, in this order."""
    filters: list[Callable[[neutral.Event], list[neutral.Event]]] = []
    if sent.stops:
        filters.append(StopScanner(sent.stops).feed)
    if request.output_format is not None:
        filters.append(JsonInReasoning().feed)
    if sent.compacts:
        filters.append(CompactionFold().fold)
    if sent.searches_in_vain:
        filters.append(SearchErrorFold(request).fold)
    return filters


class _Tally:
    """The usage of an answer, reported or estimated; a client always gets one."""

    def __init__(self, sent: SentRequest, request: neutral.Request) -> None:
        self._request = request
        self.reported: neutral.Usage | None = None
        self._is_final = False
        self._input_estimate = sent.input_estimate
        self.output = StreamEstimate()

    @property
    def usage(self) -> neutral.Usage:
        known = self.reported
        if self._is_final and known is not None and known.total_input and known.output:
            return known
        return neutral.with_estimate(
            known, self._estimated_input(), self.output.tokens, is_final=self._is_final
        )

    def at_start(self, usage: neutral.Usage | None) -> neutral.Usage:
        """Clients show the size of the context live, but most upstreams report it only at the end."""
        self._note(usage)
        if self.reported is not None and self.reported.total_input:
            return self.reported
        return neutral.Usage(input=self._estimated_input(), estimated=True)

    def at_end(self, usage: neutral.Usage | None) -> neutral.Usage:
        self._note(usage)
        self._is_final = True
        return self.usage

    def _note(self, usage: neutral.Usage | None) -> None:
        if usage is not None:
            self.reported = self.reported.merged(usage) if self.reported is not None else usage

    def _estimated_input(self) -> int:
        if not self._input_estimate:
            self._input_estimate = estimate_tokens(self._request)
        return self._input_estimate

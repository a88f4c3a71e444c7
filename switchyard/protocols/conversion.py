"""Convert between two protocols: a request for the upstream, its stream or whole reply for the client.

A request that asked for a stream gets one even if the reply came as JSON, and the other way round.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import Codec, SentRequest, Target
from switchyard.protocols.compaction import CompactionFold
from switchyard.protocols.estimate import StreamEstimate, estimate_tokens
from switchyard.protocols.fold import fold, unfold
from switchyard.protocols.ids import ReplyIds
from switchyard.protocols.json_in_reasoning import JsonInReasoning
from switchyard.protocols.omitted_thinking import OmittedThinking, without_omitted
from switchyard.protocols.search_error import SearchErrorFold
from switchyard.protocols.sse import RecordTooLarge, SseDecoder
from switchyard.protocols.stops import StopScanner
from switchyard.protocols.surrogates import SurrogateJoiner, without_halves
from switchyard.protocols.tools.calls import as_declared

HALF_CHARACTER = neutral.Loss("content", "half of a character came without the other half")
MAX_STREAM_BYTES = 256 * 1024 * 1024
"""several times the longest answer of any model: what is converted is also kept until the end"""


def convert_request(request: neutral.Request, upstream: Codec, target: Target) -> SentRequest:
    """The request in the upstream's protocol, with an estimate of its tokens. Raises BadRequest."""
    sent = upstream.encode_request(as_declared(request), target)
    return sent if sent.input_estimate else replace(sent, input_estimate=estimate_tokens(request))


class StreamConversion:
    """Feed it the upstream's bytes, forward what it gives back. Nothing follows the end.

    Attributes report what came: `started`, `work_begun` (a block is open), `content_begun` (the commit point),
    `finished` (the regular end), `failed` (the upstream's error; `truncated` if it just stopped). `usage` is what the
    upstream reported, with estimates for the rest.
    """

    def __init__(self, upstream: Codec, client: Codec, sent: SentRequest, request: neutral.Request) -> None:
        self._records = SseDecoder()
        self._halves = SurrogateJoiner()
        self._size = 0
        self.records = 0
        self._decoder = upstream.stream_decoder(sent)
        self._filters = _filters_for(sent, request)
        self._ids = ReplyIds()
        self._encoder = client.stream_encoder(request)
        self._tally = _Tally(sent, request)
        self._omitted = OmittedThinking() if request.reasoning.is_omitted else None
        self.started = False
        self.work_begun = False
        self.content_begun = False
        self.finished = False
        self.failed: neutral.WireError | None = None
        self.truncated = False
        self.signatures: list[str] = []
        """none: what is opaque travels in carriers here, which name their issuer"""
        self.signed_calls: list[neutral.ToolCall] = []
        """calls with opaque members: the client returns their ids, but not these"""
        self._open_call: neutral.ToolCall | None = None
        self.losses: tuple[neutral.Loss, ...] = ()
        """what of the answer the client's protocol cannot carry; known at its end"""

    @property
    def usage(self) -> neutral.Usage | None:
        return self._tally.usage if self.started else None

    def usage_with_estimate(self, input_tokens: int) -> neutral.Usage:
        """The usage, with estimates for all that was not reported."""
        return self.usage or neutral.with_estimate(None, input_tokens, 0)

    @property
    def owes_an_end(self) -> bool:
        """True if the client still needs the end of this stream."""
        return not self._is_over

    def feed(self, chunk: bytes) -> bytes:
        """What may go on to the client. Raises RecordTooLarge, also for an answer without end."""
        self._size += len(chunk)
        if self._size > MAX_STREAM_BYTES:
            raise RecordTooLarge
        out: list[bytes] = []
        seen = self._records.feed(chunk)
        self.records += len(seen)
        halves = self._halves
        for record in seen:
            events = self._decoder.decode(record) if halves.held is None else []
            if events:
                self._encode(events, out)
            elif halves.concerns(record):
                # a decoder takes nothing of such a record
                for whole in halves.take(record):
                    self._encode(self._decoder.decode(whole), out)
            if self.finished or self.failed is not None:
                break
        return b"".join(out)

    def close(self) -> bytes:
        """The upstream's connection ended: the last record, if it forgot its blank line, and the end owed."""
        out: list[bytes] = []
        last = [whole for record in self._records.close() for whole in self._halves.take(record)]
        for record in last + self._halves.close():
            if not self._is_over:
                self._encode(self._decoder.decode(record), out)
        if not self._is_over:
            self._encode(self._decoder.close(), out)
            self.truncated = self.failed is not None
        return b"".join(out)

    def break_forgiven(self) -> bytes:
        """The connection broke: what is still to be sent if the answer was complete; `finished` is then true."""
        out: list[bytes] = []
        owed = self._decoder.close()
        if owed and isinstance(owed[-1], neutral.Finished):
            self._encode(owed, out)
        return b"".join(out)

    @property
    def is_complete(self) -> bool:
        """True if nothing is awaited from the upstream but the end."""
        return self._decoder.is_complete

    def break_off(self, error: neutral.WireError) -> bytes:
        """The record that reports to the client that its stream broke."""
        out: list[bytes] = []
        self._encode([neutral.Failed(error)], out)
        return b"".join(out)

    def keep_alive(self) -> bytes:
        """Shows life between two records."""
        return self._encoder.keep_alive()

    @property
    def _is_over(self) -> bool:
        return self.finished or self.failed is not None

    def _encode(self, events: list[neutral.Event], out: list[bytes]) -> None:
        if self._filters:
            events = _filtered(events, self._filters)
        for event in events:
            if self._is_over:
                return
            if type(event) is neutral.Delta:
                # nearly all events are these
                self._tally.add_text(event.text)
                self.content_begun = self.content_begun or bool(event.text)
            else:
                event = self._tally.filled(self._ids.unique(event))
                self._note(event)
            if self._omitted is None or self._omitted.passes(event):
                out.append(self._encoder.encode(event))

    def _note(self, event: neutral.Event) -> None:
        match event:
            case neutral.BlockStarted(block):
                empty = neutral.Text | neutral.Refusal | neutral.Thinking
                self.work_begun = True
                self.content_begun = self.content_begun or not isinstance(block, empty)
                self._open_call = block if isinstance(block, neutral.ToolCall) else None
            case neutral.BlockEnded(signature) if signature is not None:
                self.content_begun = True
                if self._open_call is not None:
                    self.signed_calls.append(replace(self._open_call, signature=signature))
            case neutral.Started():
                self.started = True
            case neutral.Finished(losses=losses):
                # an answer may be empty
                self.finished = self.content_begun = True
                self.losses = (*losses, *_replaced_halves(self._halves.has_replaced))
            case neutral.Failed(error):
                self.failed = error


class ConvertedReply(msgspec.Struct, frozen=True):
    """`body` is for the client, an error in its envelope if the reply `failed`."""

    body: bytes
    usage: neutral.Usage | None
    failed: neutral.WireError | None = None
    losses: tuple[neutral.Loss, ...] = ()
    signed_calls: tuple[neutral.ToolCall, ...] = ()


def convert_response(
    upstream: Codec, client: Codec, body: bytes, sent: SentRequest, request: neutral.Request
) -> ConvertedReply:
    """A whole reply for the client: JSON, or records if it asked for a stream."""
    tally = _Tally(sent, request)
    walk, has_replaced = _whole_walk(upstream, body, sent, request)
    events = without_omitted([tally.filled(event) for event in walk], request)
    response = fold(events)
    if isinstance(response, neutral.WireError):
        encoded = _streamed(client, events, request) if request.stream else client.encode_error(response)[1]
        return ConvertedReply(encoded, tally.usage, response)
    losses = next((event.losses for event in events if isinstance(event, neutral.Finished)), ())
    losses += _replaced_halves(has_replaced)
    if request.stream:
        encoded = _streamed(client, unfold(response), request)
    else:
        encoded = client.encode_response(response, request)
    calls = [block for block in response.content if isinstance(block, neutral.ToolCall) and block.signature]
    return ConvertedReply(encoded, response.usage, losses=losses, signed_calls=tuple(calls))


def _whole_walk(
    upstream: Codec, body: bytes, sent: SentRequest, request: neutral.Request
) -> tuple[list[neutral.Event], bool]:
    """The events of a whole reply, whichever form it came in; and whether halves of characters were replaced."""
    halves = SurrogateJoiner()
    if body.lstrip()[:1] in (b"{", b"["):
        whole = without_halves(body)
        halves.has_replaced = whole != body
        events = upstream.decode_response(whole, sent)
    else:
        decoder, records = upstream.stream_decoder(sent), SseDecoder()
        seen = [one for record in records.feed(body) + records.close() for one in halves.take(record)]
        events = [event for record in seen + halves.close() for event in decoder.decode(record)]
        events += decoder.close()
    ids = ReplyIds()
    walk = [ids.unique(event) for event in _filtered(events, _filters_for(sent, request))]
    return walk, halves.has_replaced


def _replaced_halves(has_replaced: bool) -> tuple[neutral.Loss, ...]:
    return (HALF_CHARACTER,) if has_replaced else ()


Filter = Callable[[neutral.Event], list[neutral.Event]]


def _filters_for(sent: SentRequest, request: neutral.Request) -> list[Filter]:
    """What an answer passes on its way, in this order."""
    filters: list[Filter] = []
    if sent.stops:
        filters.append(StopScanner(sent.stops).feed)
    if request.output_format is not None:
        filters.append(JsonInReasoning().feed)
    if sent.compacts:
        filters.append(CompactionFold().fold)
    if sent.searches_in_vain:
        filters.append(SearchErrorFold(request).fold)
    return filters


def _filtered(events: list[neutral.Event], filters: list[Filter]) -> list[neutral.Event]:
    for passed_by in filters:
        events = [passed for event in events for passed in passed_by(event)]
    return events


def _streamed(client: Codec, events: list[neutral.Event], request: neutral.Request) -> bytes:
    encoder = client.stream_encoder(request)
    return b"".join(encoder.encode(event) for event in events)


class _Tally:
    """The usage of a reply, reported or estimated; a client always gets one."""

    def __init__(self, sent: SentRequest, request: neutral.Request) -> None:
        self._sent = sent
        self._request = request
        self._reported: neutral.Usage | None = None
        self._is_final = False
        self._output = StreamEstimate()
        self._input_estimate = sent.input_estimate

    @property
    def usage(self) -> neutral.Usage:
        known = self._reported
        if self._is_final and known is not None and known.total_input and known.output:
            return known
        return neutral.with_estimate(
            known, self._estimated_input(), self._output.tokens, is_final=self._is_final
        )

    def add_text(self, text: str) -> None:
        self._output.add(text)

    def filled(self, event: neutral.Event) -> neutral.Event:
        match event:
            case neutral.Delta(text):
                self.add_text(text)
            case neutral.Started():
                self._note(event.usage)
                return replace(event, usage=self._at_start())
            case neutral.Finished():
                self._note(event.usage)
                self._is_final = True
                return replace(event, usage=self.usage)
        return event

    def _note(self, usage: neutral.Usage | None) -> None:
        if usage is not None:
            self._reported = self._reported.merged(usage) if self._reported is not None else usage

    def _at_start(self) -> neutral.Usage:
        """Clients show the size of the context live, but most upstreams report it only at the end."""
        if self._reported is not None and self._reported.total_input:
            return self._reported
        return neutral.Usage(input=self._estimated_input(), estimated=True)

    def _estimated_input(self) -> int:
        if not self._input_estimate:
            self._input_estimate = estimate_tokens(self._request)
        return self._input_estimate

"""Give the client its answer: a stream, one body or the final error; and record the end before the client sees it."""

from msgspec.structs import replace

from switchyard.exchange import Exchange, Failure, Outcome
from switchyard.protocols.client_program import ClientProgram, program_of
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.final_reply import Situation, error_in_stream
from switchyard.protocols.neutral import ErrorType, Usage, WireError, with_estimate
from switchyard.relay.answer_memory import keeps
from switchyard.relay.asking import Answer
from switchyard.relay.attempt import Stream
from switchyard.relay.delivery import Delivered, closing_bytes, deliver_stream
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.end_record import EndRecord
from switchyard.relay.error_return import ErrorReturn, ending_for
from switchyard.relay.final_error import FinalError
from switchyard.relay.headers import Headers, answer_headers, dropped_header, given_back, with_model_name
from switchyard.relay.keep_alive import KeepAlive
from switchyard.relay.open_answer import OpenAnswer
from switchyard.relay.origin import answered_of
from switchyard.relay.prepare import BYTES_PER_TOKEN
from switchyard.relay.redaction import redacted, redacted_bytes, redacted_headers, secrets_of
from switchyard.relay.reports import Reports
from switchyard.relay.stopwatch import Stopwatch
from switchyard.relay.values import ClientRequest, Sink
from switchyard.relay.whole import Whole
from switchyard.routing.health import Charge
from switchyard.routing.verdict import charge_for, judge
from switchyard.settings import Failover
from switchyard.timeouts import timeouts_of

BREAK_COOLDOWN_SECONDS = 60.0
"""an upstream whose stream broke after content is still cooling down when the client repeats its request"""
SHUTTING_DOWN = WireError(ErrorType.SERVER, "Switchyard is shutting down; ask again in a moment.", 503)

STREAM_HEADERS: Headers = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
]
COMMENT = b": keep-alive\n\n"
JSON_HEADERS: Headers = [("content-type", "application/json")]


def keep_alive_record(codec: Codec, headers: dict[str, str]) -> bytes:
    """What may be sent before anything of an answer.

    Codex expects events; the stream helpers of the SDKs accept no event before `response.created`.
    """
    if codec.protocol != "responses":
        return codec.keep_alive
    return codec.keep_alive if program_of("responses", headers) is ClientProgram.CODEX else COMMENT


class Answering:
    """The answer to one request. Call `stop` in every case."""

    def __init__(
        self,
        dependencies: Dependencies,
        request: ClientRequest,
        exchange: Exchange,
        sink: Sink,
        stopwatch: Stopwatch,
        reports: Reports,
    ) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._sink = sink
        self._reports = reports
        self._stopwatch = stopwatch
        self._end_record = EndRecord(exchange, stopwatch, dependencies.record)
        self._answer: Answer | None = None
        self._secrets: tuple[str, ...] = ()
        """those of the answering upstream"""
        self._keep_alive: KeepAlive | None = None
        self._settings = settings = dependencies.settings()
        if request.summary.stream:
            record = keep_alive_record(dependencies.codecs[request.protocol], dict(request.headers))
            seconds = settings.failover.keep_alive_seconds
            self._keep_alive = KeepAlive(sink, seconds, STREAM_HEADERS, lambda: record)

    async def give(self, answer: Answer) -> None:
        """Deliver the answer, to its end; then its connection and its slot are released."""
        self._answer = answer
        self._secrets = secrets_of(answer.candidate.upstream, self._request.headers, answer.outgoing.key)
        dependencies, reply = self._dependencies, answer.held.reply
        opened = OpenAnswer(
            reply, answer.candidate.upstream.account_id, dependencies.slots, dependencies.draining
        )
        try:
            if answer.whole is not None:
                await self._give_whole(answer, answer.whole, opened)
            elif answer.held.stream is not None:
                await self._give_stream(answer, answer.held.stream, opened)
        finally:
            await opened.close()

    async def return_error(self, final: FinalError, situation: Situation | None = None) -> None:
        """No upstream answered: one error in the form that suits the client's program."""
        exchange, error = self._exchange, final.error
        exchange.outcome, exchange.failure, exchange.status = Outcome.FAILED, error, error.status
        self._note_usage()
        await self._stop_keep_alives()
        errors = ErrorReturn(
            self._dependencies, self._request, exchange, self._sink, self._end_record, self._settings
        )
        await errors.give(final, situation)

    async def abandoned(self) -> None:
        """The client has left; if its answer had ended by then, that end is what is recorded."""
        if self._end_record.is_written:
            return
        self._exchange.outcome = Outcome.CANCELLED
        self._note_usage()
        await self._end_record.write()

    async def interrupted(self) -> None:
        """The daemon ends before the answer does: the client gets an error, in a stream as its last record."""
        if self._end_record.is_written:
            await self._sink.cut()
            return
        stream = None if self._answer is None else self._answer.held.stream
        if stream is None or not self._sink.started:
            await self.return_error(FinalError(SHUTTING_DOWN), Situation.SHUTTING_DOWN)
            return
        self._exchange.outcome, self._exchange.failure = Outcome.TRUNCATED, SHUTTING_DOWN
        self._note_usage()
        await self._stop_keep_alives()
        await self._end_record.write()
        await self._sink.end(stream.break_off(SHUTTING_DOWN))

    def stop(self) -> None:
        """No more keep-alives."""
        if self._keep_alive is not None:
            self._keep_alive.abandon()

    async def _stop_keep_alives(self) -> None:
        if self._keep_alive is not None:
            await self._keep_alive.stop()

    # --- streams ---------------------------------------------------------------

    async def _give_stream(self, answer: Answer, stream: Stream, opened: OpenAnswer) -> None:
        keep_alive = self._keep_alive
        assert keep_alive is not None
        keep_alive.switch_to(stream.keep_alive)
        await self._start(STREAM_HEADERS, answer)
        self._end_record.note_content()
        idle_seconds = timeouts_of(answer.candidate.upstream, answer.started.selected.settings).idle
        delivered = await deliver_stream(
            answer.held, stream, keep_alive, idle_seconds, answer.outgoing.watch.settle
        )
        await self._sink.end(await self._settle_stream(answer, stream, delivered, opened))

    async def _settle_stream(
        self, answer: Answer, stream: Stream, delivered: Delivered, opened: OpenAnswer
    ) -> bytes:
        """Record how the stream has ended; what the client still gets."""
        failure, last = delivered.failure, delivered.last
        if failure is not None:
            failure = redacted(failure, self._secrets)
            last = redacted_bytes(last, self._secrets)
            last = closing_bytes(stream, last, self._break_error(answer, failure))
        await self._stop_keep_alives()
        if failure is not None:
            await opened.close()
            self._note_break(answer, failure)
        else:
            opened.drain()
            self._exchange.outcome = Outcome.OK
        self._dependencies.signatures.note(answer.outgoing.prepared.target.issuer, stream.signatures)
        if failure is None:
            self._remember(answer, last)
        self._dependencies.calls.note(stream.signed_calls)
        self._exchange.losses += stream.losses
        self._note_usage()
        await self._end_record.write()
        return last

    def _break_error(self, answer: Answer, failure: Failure) -> WireError:
        """The error that the client gets when its stream breaks."""
        message = f'upstream "{answer.candidate.name}": {failure.message}'
        error = replace(failure.error, message=message)
        return (
            error_in_stream(error, ending_for(self._request, error.type)) if answer.is_last_resort else error
        )

    def _note_break(self, answer: Answer, failure: Failure) -> None:
        """The client repeats its request by itself: by then this upstream must be cooling down."""
        exchange = self._exchange
        exchange.outcome, exchange.failure = Outcome.TRUNCATED, failure.error
        exchange.attempts[-1].failure = failure
        rules = answer.started.selected.settings.failover
        self._reports.charge(answer.started, _break_charge(failure, rules), failure)

    # --- whole bodies ----------------------------------------------------------

    async def _give_whole(self, answer: Answer, whole: Whole, opened: OpenAnswer) -> None:
        """One body, in the form of a stream where the client wants one."""
        opened.drain()
        self._end_record.note_content()
        self._exchange.outcome = Outcome.OK
        if whole.signatures:
            self._dependencies.signatures.note(answer.outgoing.prepared.target.issuer, whole.signatures)
        self._remember(answer, whole.body)
        self._dependencies.calls.note(whole.signed_calls)
        self._exchange.losses += whole.losses
        self._note_usage()
        if self._keep_alive is not None:
            await self._keep_alive.stop()
        await self._end_record.write()
        length = ("content-length", str(len(whole.body)))
        is_stream = self._request.summary.stream
        await self._start(STREAM_HEADERS if is_stream else [*JSON_HEADERS, length], answer)
        await self._sink.end(whole.body)

    # --- both ------------------------------------------------------------------

    async def _start(self, headers: Headers, answer: Answer) -> None:
        if self._sink.started:
            return
        sent = [*headers]
        if given := given_back(answer.held.reply.headers):
            shown = redacted_headers(given, self._secrets)
            sent += with_model_name(shown, answer.candidate.model, self._exchange.requested_model)
        sent += answer_headers(answer.candidate.upstream.name, len(self._exchange.attempts))
        if losses := self._exchange.losses:
            sent.append(dropped_header(losses))
        await self._sink.start(200, sent)

    def _remember(self, answer: Answer, last: bytes) -> None:
        """So that the client may name this answer, or items of it, in its next request."""
        if not keeps(self._request):
            return
        dependencies = self._dependencies
        name, now = answer.candidate.name, dependencies.monotonic()
        dependencies.answers.note(self._request, name, answer.issuer, last, now)

    def _note_usage(self) -> None:
        """What the upstream reported; what it did not report is estimated and marked so."""
        answer, exchange = self._answer, self._exchange
        if answer is None:
            return
        if exchange.first_byte is not None:
            exchange.usage = _usage(answer)
            if self._request.endpoint:
                return
            prefixes, seconds = self._dependencies.prefixes, self._stopwatch.seconds()
            estimate = answer.outgoing.prepared.input_estimate
            held, whole = answer.held, answer.whole
            reported = held.reported_usage if whole is None else whole.reported
            exchange.answered = answered_of(
                exchange, self._request, held, reported, estimate, prefixes, self._secrets, seconds
            )
        elif exchange.outcome is Outcome.CANCELLED:
            exchange.usage = answer.outgoing.usage_so_far


def _usage(answer: Answer) -> Usage | None:
    stream, whole = answer.held.stream, answer.whole
    estimate = answer.outgoing.prepared.input_estimate
    if stream is not None:
        return stream.usage_with_estimate(estimate)
    assert whole is not None
    if not whole.has_output:
        return whole.usage or Usage(input=estimate, estimated=True)
    return with_estimate(whole.usage, estimate, len(whole.body) // BYTES_PER_TOKEN)


def _break_charge(failure: Failure, rules: Failover) -> Charge:
    """As for the same failure before content, but with a cooldown in every case."""
    charge = charge_for(failure)
    is_open = charge.retry_after is None and not charge.full
    return replace(
        charge,
        weight="cooldown",
        at_least=BREAK_COOLDOWN_SECONDS if is_open else 0.0,
        rescues=judge(failure, rules, 0).action == "rescue",
    )

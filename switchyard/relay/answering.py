"""Give the client its answer, whatever it is: a stream, a body or an error; and note the end before it is seen."""

import math
from functools import lru_cache
from urllib.parse import quote

from msgspec.structs import replace

from switchyard.exchange import Exchange, Failure, Outcome
from switchyard.protocols.client_program import ClientProgram, program_of
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.final_reply import (
    ENDINGS,
    JSON,
    Cause,
    Ending,
    Form,
    Reply,
    Situation,
    cause_of,
    error_in_stream,
    reply,
)
from switchyard.protocols.neutral import ErrorType, Usage, WireError, with_estimate
from switchyard.relay.attempt import Stream
from switchyard.relay.delivery import deliver_stream
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError
from switchyard.relay.headers import Headers, given_back
from switchyard.relay.keep_alive import KeepAlive
from switchyard.relay.prepare import BYTES_PER_TOKEN, Prepared
from switchyard.relay.redaction import redacted, redacted_bytes, redacted_text, secrets_of
from switchyard.relay.repeats import remember
from switchyard.relay.search import Found, Search
from switchyard.relay.values import ClientRequest, Sink
from switchyard.relay.whole import Whole
from switchyard.routing.verdict import charge_for
from switchyard.settings import timeouts_of

BREAK_COOLDOWN_SECONDS = 60.0
"""rest of an upstream whose stream broke after content: it must be resting when the client asks again"""
ASKS_ONCE_MORE = 404
"""after this Claude Code repeats its stream as a whole request"""
SHUTTING_DOWN = WireError(ErrorType.SERVER, "Switchyard is shutting down; ask again in a moment.", 503)
MAX_LOSS_CHARS = 1000

STREAM_HEADERS: Headers = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
]
COMMENT = b": keep-alive\n\n"
JSON_HEADERS: Headers = [("content-type", "application/json")]


def keep_alive_record(codec: Codec, headers: dict[str, str]) -> bytes:
    """What may be sent before anything of an answer.

    Codex goes by events alone; the stream helpers of the SDKs take no event before `response.created`.
    """
    is_codex = program_of(codec.protocol, headers) is ClientProgram.CODEX
    return COMMENT if codec.protocol == "responses" and not is_codex else codec.keep_alive


class Answering:
    """The answer to one request."""

    def __init__(
        self,
        dependencies: Dependencies,
        request: ClientRequest,
        exchange: Exchange,
        search: Search,
        sink: Sink,
    ) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._search = search
        self._sink = sink
        self._codec = dependencies.codecs[request.protocol]
        self._settings = dependencies.settings()
        self._stream: Stream | None = None
        self._whole_bytes = 0
        self._settled = False
        self._found: Found | None = None
        """the answer whose connection and slot are to be released here"""
        self._keep_alive: KeepAlive | None = None
        if request.summary.stream:
            seconds = self._settings.failover.keep_alive_seconds
            sign = keep_alive_record(self._codec, dict(request.headers))
            self._keep_alive = KeepAlive(sink, seconds, STREAM_HEADERS, lambda: sign)

    async def give(self, found: Found) -> None:
        """Deliver what was found, to its end."""
        self._found = found
        try:
            if found.whole is not None:
                await self._give_whole(found, found.whole)
            elif found.held.stream is not None:
                await self._give_stream(found, found.held.stream)
                await self._sink.end()
        finally:
            await self._break_off()

    def _hand_over(self, found: Found) -> None:
        """The answer is complete, its body may not be: the upstream's slot is held until it is.

        Call it before the client can see the end: its next request is to find the slot free if the body has ended.
        """
        self._found = None
        release = self._dependencies.waiting.leave_after(found.candidate.name)
        self._dependencies.draining.take_over(found.held.reply, release)

    async def _break_off(self) -> None:
        """Close the connection of an answer that is not complete, and release its slot."""
        found = self._found
        if found is None:
            return
        try:
            await found.held.reply.close()
        finally:
            self._found = None
            self._dependencies.waiting.leave(found.candidate.name)

    async def return_error(self, final: FinalError, situation: Situation | None = None) -> None:
        """Nobody answered: one error in the form that suits the client's program."""
        exchange, error = self._exchange, final.error
        exchange.outcome, exchange.failure, exchange.status = Outcome.FAILED, error, error.status
        await self._quieten()
        cause = situation or cause_of(error, final.recovery_seconds, hold_used_up=final.hold_used_up)
        ending = self._ending(cause)
        if ending.form is Form.CUT:
            await self.settle()
            await self._sink.cut()
        elif self._sink.started:
            self._expect_repeat(final, ending)
            await self.settle()
            shown = error_in_stream(error, ending, final.recovery_seconds)
            await self._sink.end(self._codec.encode_break(shown, b""))
        else:
            await self._reply(final, ending)

    def _ending(self, cause: Cause) -> Ending:
        return ENDINGS[program_of(self._request.protocol, dict(self._request.headers))][cause]

    async def _reply(self, final: FinalError, ending: Ending) -> None:
        """The error as a whole answer."""
        answer = self._whole_error(final, ending)
        if answer.status != 200:
            self._exchange.status = answer.status
        if answer.status == ASKS_ONCE_MORE:
            self._expect_repeat(final, ending)
        await self.settle()
        headers = [("content-type", answer.content_type), *answer.headers]
        if final.upstream:
            headers.append(("x-switchyard-upstream", _header_safe(final.upstream)))
        headers.append(("x-switchyard-attempts", str(len(self._exchange.attempts))))
        await self._sink.start(answer.status, headers)
        await self._sink.end(answer.body)

    def _whole_error(self, final: FinalError, ending: Ending) -> Reply:
        reported = final.reported
        if reported is not None:
            wait = reported.retry_after
            hint = () if wait is None else (("retry-after", str(math.ceil(wait))),)
            return Reply(reported.status, JSON, hint, reported.body)
        recovery = final.recovery_seconds if final.recovery_seconds is not None else final.error.retry_after
        stream = self._request.summary.stream
        return reply(self._codec, final.error, ending, stream=stream, recovery_seconds=recovery)

    def _expect_repeat(self, final: FinalError, ending: Ending) -> None:
        """The client asks once more, without a stream; an error of its own it may correct by then."""
        if (
            ending.stops_retries
            and final.reported is None
            and final.error.type is not ErrorType.INVALID_REQUEST
        ):
            remember(self._dependencies, self._request, final.error, self._settings)

    async def abandoned(self) -> None:
        """The client has left; if its answer had ended by then, that end holds."""
        if not self._settled:
            self._exchange.outcome = Outcome.CANCELLED
            await self.settle()

    async def interrupted(self) -> None:
        """The daemon ends before the answer does: the client is told, in a stream by its last record."""
        if self._settled:
            return
        if not self._sink.started or self._stream is None:
            await self.return_error(FinalError(SHUTTING_DOWN), Situation.SHUTTING_DOWN)
            return
        self._exchange.outcome, self._exchange.failure = Outcome.TRUNCATED, SHUTTING_DOWN
        await self._quieten()
        await self.settle()
        await self._sink.end(self._stream.break_off(SHUTTING_DOWN))

    def stop(self) -> None:
        """No more signs of life; call it in every case."""
        if self._keep_alive is not None:
            self._keep_alive.abandon()

    # --- streams ---------------------------------------------------------------

    async def _give_stream(self, found: Found, stream: Stream) -> None:
        keep_alive = self._keep_alive
        assert keep_alive is not None
        self._stream = stream
        keep_alive.speak_with(stream.keep_alive)
        await self._start(STREAM_HEADERS, found)
        self._note_first_content()

        def hidden(failure: Failure) -> Failure:
            return redacted(failure, self._secrets_shown_to(found))

        def hide(out: bytes) -> bytes:
            return redacted_bytes(out, self._secrets_shown_to(found))

        async def settle(failure: Failure | None) -> None:
            await self._quieten()
            if failure is not None:
                await self._break_off()
                self._note_break(found, hidden(failure))
            else:
                self._hand_over(found)
                self._exchange.outcome = Outcome.OK
            self._dependencies.signatures.note(found.prepared.target.issuer, stream.signatures)
            await self.settle()

        idle_seconds = timeouts_of(found.candidate.upstream, self._settings).idle

        def phrase(failure: Failure) -> WireError:
            reported = hidden(failure)
            error = replace(reported.error, message=f'upstream "{found.candidate.name}": {reported.message}')
            return error_in_stream(error, self._ending(error.type)) if found.last_resort else error

        await deliver_stream(found.held, stream, keep_alive, idle_seconds, settle, phrase, hide)

    def _note_break(self, found: Found, failure: Failure) -> None:
        """The client is told, and asks again by itself: by then this upstream must rest."""
        exchange = self._exchange
        exchange.outcome, exchange.failure = Outcome.TRUNCATED, failure.error
        exchange.attempts[-1].failure = failure
        reported = charge_for(failure)
        wait = (
            BREAK_COOLDOWN_SECONDS
            if reported.retry_after is None and not reported.full
            else reported.retry_after
        )
        self._search.charge(found.candidate, replace(reported, weight="rest", retry_after=wait), failure)

    # --- whole bodies ----------------------------------------------------------

    async def _give_whole(self, found: Found, whole: Whole) -> None:
        """One body; a client that wants a stream gets it as one."""
        self._hand_over(found)
        self._note_first_content()
        self._exchange.outcome = Outcome.OK
        self._dependencies.signatures.note(found.prepared.target.issuer, whole.signatures)
        self._whole_bytes = len(whole.body)
        await self._quieten()
        await self.settle(whole.usage)
        if self._request.summary.stream:
            await self._start(STREAM_HEADERS, found)
        else:
            await self._start([*JSON_HEADERS, ("content-length", str(len(whole.body)))], found)
        await self._sink.end(whole.body)

    # --- both ------------------------------------------------------------------

    async def _start(self, headers: Headers, found: Found) -> None:
        if self._sink.started:
            return
        secrets = self._secrets_shown_to(found)
        own = [
            *((name, redacted_text(value, secrets)) for name, value in given_back(found.held.reply.headers)),
            ("x-switchyard-upstream", _header_safe(found.candidate.name)),
            ("x-switchyard-attempts", str(len(self._exchange.attempts))),
        ]
        if found.prepared.losses:
            lost = ",".join(dict.fromkeys(loss.field for loss in found.prepared.losses))
            own.append(("x-switchyard-dropped", _header_safe(lost)[:MAX_LOSS_CHARS]))
        await self._sink.start(200, headers + own)

    def _secrets_shown_to(self, found: Found) -> tuple[str, ...]:
        return secrets_of(found.candidate.upstream, self._request.headers, self._search.key)

    async def _quieten(self) -> None:
        if self._keep_alive is not None:
            await self._keep_alive.stop()

    def _note_first_content(self) -> None:
        self._exchange.first_byte = self._search.seconds()
        self._exchange.status = 200

    async def settle(self, of_whole: Usage | None = None) -> None:
        """The journal line, once; a stream is asked for its usage."""
        if self._settled:
            return
        self._settled = True
        exchange, prepared = self._exchange, self._search.prepared
        exchange.duration = self._search.seconds()
        if exchange.attempts and exchange.attempts[-1].ended is None:
            exchange.attempts[-1].ended = exchange.duration
        if prepared is not None:
            exchange.losses = prepared.losses
            exchange.usage = self._usage(of_whole, prepared)
        await self._dependencies.record(exchange)

    def _usage(self, of_whole: Usage | None, prepared: Prepared) -> Usage | None:
        """What the upstream reported; what it kept to itself is estimated and marked so."""
        stream, estimate = self._stream, prepared.input_estimate
        if self._exchange.first_byte is None:
            # the client left before any content: the prompt was read all the same if the upstream has said so
            stream = self._search.stream if self._exchange.outcome is Outcome.CANCELLED else None
            if stream is None or stream.usage is None:
                return None
        if stream is not None:
            return stream.usage_with_estimate(estimate)
        return with_estimate(of_whole, estimate, self._whole_bytes // BYTES_PER_TOKEN)


@lru_cache(64)
def _header_safe(text: str) -> str:
    """Header values are plain ASCII: anything else is percent-encoded."""
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")

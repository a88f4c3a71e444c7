"""Walk the route, attempt by attempt, until one upstream has shown content."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.conversion import StreamConversion
from switchyard.protocols.lessons import lesson_of
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.untouched import UntouchedStream
from switchyard.relay.attempt import Held, Stream, attempt
from switchyard.relay.credentials import KeyMissing, resolve_key
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.final_error import FinalError, all_failed, nothing_could_answer
from switchyard.relay.headers import upstream_headers
from switchyard.relay.prepare import Preparation, Prepared, protocol_for, target_for
from switchyard.relay.surroundings import Surroundings
from switchyard.relay.upstream import Call
from switchyard.relay.urls import demo_url, request_url
from switchyard.relay.values import ClientRequest
from switchyard.relay.whole import Whole, whole_answer
from switchyard.routing.health import Charge
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import Ask, Route, choose_route
from switchyard.routing.verdict import Verdict, judge
from switchyard.settings import timeouts_of

OFF_LOOP_BYTES = 512 * 1024
MAX_LESSONS = 4
QUEUE_REASONS = ("concurrency", "rate")

log = logging.getLogger("switchyard.relay")


@dataclass(frozen=True, slots=True)
class Found:
    """The upstream that answers, its place taken: whoever gets this must leave it in the waiting room's care."""

    candidate: Candidate
    held: Held
    prepared: Prepared
    whole: Whole | None
    """the answer, where it came as one body; otherwise `held` holds a stream"""
    last_resort: bool


class Search:
    """The search for one request's answer; notes each attempt on the exchange."""

    def __init__(self, around: Surroundings, request: ClientRequest, exchange: Exchange) -> None:
        self._around = around
        self._request = request
        self._exchange = exchange
        self._settings = around.settings()
        self._state = around.state()
        self._began = time.perf_counter()
        self.preparation = Preparation(request, around.codecs)
        self.prepared: Prepared | None = None
        """what was last sent"""
        self._strips_thinking = False
        self._lessons = 0

    async def find(self) -> Found | FinalError:
        """The first answer with content, or the error to tell the client.

        Within the time budget for finding an upstream; the answer itself may take as long as it takes.
        """
        route, granted = await self._route()
        self._exchange.skipped = route.told
        if not route.candidates:
            return nothing_could_answer(route, self._request.head.model)
        queue, rescues = deque(route.candidates), deque(route.rescues)
        try:
            while queue and self._seconds_left() > 0:
                candidate = queue.popleft()
                place, granted = granted == candidate.name, None if granted == candidate.name else granted
                outcome = await self._try(candidate, route, granted=place)
                if isinstance(outcome, Found):
                    return outcome
                if outcome.action == "return":
                    return self._returned()
                if outcome.action == "rescue":
                    queue.extendleft(reversed(rescues))
                    rescues.clear()
        finally:
            if granted is not None:
                self._around.waiting.leave(granted)
        return self.nobody_answered()

    # --- the route -------------------------------------------------------------

    async def _route(self) -> tuple[Route, str | None]:
        """The route, after waiting for a place if limits are all that stands in the way; the place, if granted."""
        ends = self._around.monotonic() + self._settings.failover.queue_seconds
        while True:
            route = self._choose()
            full = frozenset(skip.upstream for skip in route.skipped if skip.reason == "concurrency")
            opens = [skip.until for skip in route.skipped if skip.reason == "rate" and skip.until is not None]
            now = self._around.monotonic()
            if route.candidates or not (full or opens) or now >= ends:
                return route, None
            seconds = min([ends, *opens]) - now
            granted = await self._around.waiting.wait(full, max(seconds, 0.01))
            if granted is not None:
                return self._with_place(granted), granted

    def _with_place(self, granted: str) -> Route:
        """The route in which the upstream that has just granted a place is not full."""
        self._state.limits.end(granted)
        try:
            return self._choose()
        finally:
            self._state.limits.begin(granted)

    def _choose(self) -> Route:
        head, around = self._request.head, self._around
        now = around.now()
        keep_seconds = self._settings.failover.session_hours * 3600
        seat = around.sessions.seat_of(head.session, now.monotonic, keep_seconds) if head.session else None
        ask = Ask(self._request.protocol, head.model, head.session, self._exchange.id)
        return choose_route(self._settings, self._state, ask, now, seat)

    # --- one candidate ---------------------------------------------------------

    async def _try(self, candidate: Candidate, route: Route, *, granted: bool) -> Found | Verdict:
        """One candidate, with the retries its failures allow."""
        retries = 0
        while True:
            if not route.last_resort and self._rests_by_now(candidate):
                if granted:
                    self._around.waiting.leave(candidate.name)
                return Verdict("switch", Charge("none"), "rests since this request began")
            note = self._note_attempt(candidate)
            outcome = await self._attempt_once(
                candidate, note, granted=granted, last_resort=route.last_resort
            )
            granted = False
            if isinstance(outcome, Found):
                return outcome
            if self._learns(candidate, note, outcome):
                continue
            verdict = self._judge(candidate, note, outcome, retries)
            if verdict.action != "retry":
                return verdict
            retries += 1
            await asyncio.sleep(verdict.wait_seconds)

    def _learns(self, candidate: Candidate, note: Attempt, failure: Failure) -> bool:
        """True if the refusal has taught how to say the request to this upstream: it is asked once more."""
        prepared = self.prepared
        if failure.kind is not FailureKind.STATUS or prepared is None or candidate.upstream.is_demo:
            return False
        lesson = lesson_of(failure.error, prepared.target.capabilities)
        if (
            lesson is None
            or self._lessons >= MAX_LESSONS
            or (lesson.strip_thinking and self._strips_thinking)
        ):
            return False
        self._lessons += 1
        self._strips_thinking = self._strips_thinking or lesson.strip_thinking
        self._around.learned.setdefault(candidate.name, {}).update(lesson.capabilities)
        note.failure, note.ended, note.status = failure, self.seconds(), failure.status
        note.verdict = f"learn: {lesson.why}"
        self._state.health.release(self._exchange.id)
        log.info('upstream "%s" refused (%s), asked again without it', candidate.name, lesson.why)
        return True

    def _rests_by_now(self, candidate: Candidate) -> bool:
        now = self._around.monotonic()
        name, model = candidate.name, candidate.model
        return self._state.health.rest_of(name, model, now, self._exchange.id) is not None

    async def _attempt_once(
        self, candidate: Candidate, note: Attempt, *, granted: bool, last_resort: bool
    ) -> Found | Failure:
        """Takes a place at the upstream; keeps it only with an answer in hand."""
        around, name = self._around, candidate.name
        around.waiting.enter(candidate.upstream, granted=granted)
        self._state.health.begin(name, candidate.model, self._exchange.id)
        try:
            held = await self._attempt(candidate, note)
            whole = await self._whole(held)
        except AttemptFailed as failed:
            around.waiting.leave(name)
            return failed.failure
        except BaseException:
            around.waiting.leave(name)
            note.ended = self.seconds()
            raise
        self._state.health.succeeded(name, candidate.model)
        around.sessions.sit(self._exchange.session, name, around.monotonic())
        note.first_byte, note.status = self.seconds(), held.reply.status
        assert self.prepared is not None
        return Found(candidate, held, self.prepared, whole, last_resort)

    def _note_attempt(self, candidate: Candidate) -> Attempt:
        upstream = candidate.upstream
        protocol = protocol_for(upstream, self._request.protocol)
        query = self._request.query if protocol == self._request.protocol else ""
        url = demo_url(protocol) if upstream.is_demo else request_url(upstream, candidate.model, "", query)
        note = Attempt(candidate.name, candidate.model, protocol, url, candidate.why, self.seconds())
        self._exchange.attempts.append(note)
        return note

    async def _attempt(self, candidate: Candidate, note: Attempt) -> Held:
        """Prepare, send, hold until there is content. Raises AttemptFailed."""
        upstream, request = candidate.upstream, self._request
        prepared = self.prepared = await self._prepare(candidate, note.protocol)
        timeouts = timeouts_of(upstream, self._settings)
        headers = upstream_headers(
            upstream,
            _key_of(candidate),
            request.headers,
            same_protocol=prepared.sent is None,
            stream=request.head.stream,
        )
        call = Call(
            note.url,
            headers,
            prepared.body,
            timeouts.connect,
            upstream.proxy,
            upstream.is_demo,
            upstream.name,
        )
        codec = self._around.codecs[note.protocol]
        stream = self._new_stream(prepared, note.protocol) if request.head.stream else None
        return await attempt(
            self._around.wire,
            call,
            codec,
            stream,
            timeouts,
            seconds_left=self._seconds_left(),
            wall=time.time(),
        )

    async def _whole(self, held: Held) -> Whole | None:
        """The client's answer, where it is one body. Raises AttemptFailed, the connection closed."""
        if held.stream is not None:
            return None
        prepared = self.prepared
        assert prepared is not None
        arguments = (held, self._request, prepared, self.preparation, self._around.codecs)
        try:
            if len(held.head) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(whole_answer, *arguments)
            return whole_answer(*arguments)
        except BaseException:
            await held.reply.close()
            raise

    async def _prepare(self, candidate: Candidate, protocol: ProtocolName) -> Prepared:
        target = target_for(candidate, protocol, self._around.learned.get(candidate.name, {}))
        stripped = (
            None
            if self._strips_thinking
            else self._around.signatures.foreign(self._request.body, target.issuer)
        )
        try:
            if len(self._request.body) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(self.preparation.prepare, candidate, target, stripped)
            return self.preparation.prepare(candidate, target, stripped)
        except BadRequest as refused:
            error = WireError(ErrorType.INVALID_REQUEST, refused.message, 400, param=refused.param)
            raise AttemptFailed(Failure(FailureKind.REFUSED_REQUEST, error)) from None

    def _new_stream(self, prepared: Prepared, protocol: ProtocolName) -> Stream:
        codecs = self._around.codecs
        client = codecs[self._request.protocol]
        if prepared.sent is None or prepared.request is None:
            return UntouchedStream(client, self._request.head.model, prepared.hide_usage)
        return StreamConversion(codecs[protocol], client, prepared.sent, prepared.request)

    def _judge(self, candidate: Candidate, note: Attempt, failure: Failure, retries: int) -> Verdict:
        verdict = judge(failure, self._settings.failover, retries)
        note.failure, note.ended = failure, self.seconds()
        note.status = failure.status if failure.kind is FailureKind.STATUS else None
        note.verdict = f"{verdict.action}: {verdict.why}"
        self.charge(candidate, verdict.charge, failure)
        told = failure.message.replace("\n", " ")[:200]
        log.info('upstream "%s" failed (%s): %s', candidate.name, verdict.action, told)
        return verdict

    def charge(self, candidate: Candidate, charge: Charge, failure: Failure) -> None:
        """Hold the failure against its upstream, or just free its trial."""
        if charge.weight == "none":
            self._state.health.release(self._exchange.id)
            return
        status = f"{failure.status} " if failure.kind is FailureKind.STATUS else ""
        reason = f"{status}{failure.message}"[:200]
        rules, now = self._settings.failover, self._around.monotonic()
        self._state.health.failed(candidate.name, candidate.model, charge, reason, rules, now)

    # --- nobody answered -------------------------------------------------------

    def _returned(self) -> FinalError:
        """The upstream's own error, as its action says; its very words where both sides speak alike."""
        last = self._exchange.attempts[-1]
        failure = last.failure
        assert failure is not None
        speaks_alike = last.protocol == self._request.protocol and failure.kind is FailureKind.STATUS
        # an overflow is encoded anew: clients compact only when they understand its words
        unclear = failure.status < 400 or failure.error.type is ErrorType.CONTEXT_OVERFLOW
        unclear = unclear or not failure.body.lstrip().startswith(b"{")
        return FinalError(
            failure.error, told=failure if speaks_alike and failure.body and not unclear else None
        )

    def nobody_answered(self) -> FinalError:
        """The error that sums up all attempts."""
        if not any(attempt.failure for attempt in self._exchange.attempts):
            seconds = self._settings.failover.total_seconds
            return FinalError(
                WireError(ErrorType.TIMEOUT, f"No upstream answered within {seconds:g} s.", 504)
            )
        waits = [skip.until for skip in self._choose().skipped if skip.until is not None]
        return all_failed(self._exchange.attempts, min(waits, default=None), self._around.now())

    def _seconds_left(self) -> float:
        return self._settings.failover.total_seconds - self.seconds()

    def seconds(self) -> float:
        """Since the search began."""
        return time.perf_counter() - self._began


def _key_of(candidate: Candidate) -> str:
    try:
        return resolve_key(candidate.upstream.key)
    except KeyMissing as missing:
        error = WireError(ErrorType.AUTHENTICATION, str(missing), 401)
        raise AttemptFailed(Failure(FailureKind.STATUS, error)) from None

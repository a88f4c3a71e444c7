"""Walk the route, attempt by attempt, until one upstream answers; the client notices nothing of the others."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind, Outcome
from switchyard.protocols.codec import BadRequest, Codec
from switchyard.protocols.conversion import StreamConversion, convert_response
from switchyard.protocols.ids import new_id
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, Usage, WireError, with_estimate
from switchyard.protocols.splice import splice_model
from switchyard.protocols.untouched import UntouchedStream
from switchyard.relay.attempt import Held, Stream, attempt
from switchyard.relay.credentials import KeyMissing, resolve_key
from switchyard.relay.delivery import deliver_stream, drain
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.final_error import FinalError, all_failed, nothing_could_answer
from switchyard.relay.headers import Headers, given_back, upstream_headers
from switchyard.relay.keep_alive import KeepAlive
from switchyard.relay.prepare import Preparation, Prepared, protocol_for, target_for
from switchyard.relay.upstream import Call, Wire
from switchyard.relay.urls import request_url
from switchyard.relay.values import ClientRequest, Sink
from switchyard.routing.health import Charge
from switchyard.routing.route import Ask, Candidate, Moment, Route, State, choose_route
from switchyard.routing.sessions import Sessions
from switchyard.routing.verdict import Verdict, charge_for, judge
from switchyard.settings import Settings, timeouts_of

BREAK_REST_SECONDS = 60.0
"""rest of an upstream whose stream broke after content: long enough for the client's own new try"""
OFF_LOOP_BYTES = 512 * 1024

STREAM_HEADERS: Headers = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
]
JSON_HEADERS: Headers = [("content-type", "application/json")]

log = logging.getLogger("switchyard.relay")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the relay is given: settings that may change at any time, memories, and where to note the end."""

    settings: Callable[[], Settings]
    state: Callable[[], State]
    sessions: Sessions
    codecs: Mapping[ProtocolName, Codec]
    wire: Wire
    opened: Callable[[Exchange], None]
    record: Callable[[Exchange], Awaitable[None]]
    now: Callable[[], Moment]


class Relay:
    """Answers one client request after another; holds no state of its own but what was learned of upstreams."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._learned: dict[str, dict[str, Any]] = {}

    async def answer(self, request: ClientRequest, sink: Sink) -> None:
        """Answer the request into the sink. Cancel it when the client leaves."""
        walk = _Walk(self._around, self._learned, request, sink)
        await walk.run()


class _Walk:
    """One request on its way along the route."""

    def __init__(
        self, around: Surroundings, learned: dict[str, dict[str, Any]], request: ClientRequest, sink: Sink
    ) -> None:
        self._around = around
        self._learned = learned
        self._request = request
        self._sink = sink
        self._codec = around.codecs[request.protocol]
        self._settings = around.settings()
        self._state = around.state()
        self._preparation = Preparation(request, around.codecs)
        self._began = time.perf_counter()
        self._keep_alive: KeepAlive | None = None
        self._settled = False
        self._stream: Stream | None = None
        self._prepared: Prepared | None = None
        self.exchange = Exchange(
            id=new_id("x_"),
            at=time.time(),
            client_protocol=request.protocol,
            model_asked=request.head.model,
            client=request.client,
            client_agent=next((value for name, value in request.headers if name == "user-agent"), "")[:120],
            session=request.head.session,
            stream=request.head.stream,
            kind=request.kind,
        )

    async def run(self) -> None:
        self._around.opened(self.exchange)
        if self._request.head.stream:
            self._keep_alive = KeepAlive(
                self._sink, self._settings.failover.keep_alive_seconds, STREAM_HEADERS, lambda: self._pulse()
            )
        try:
            async with asyncio.timeout(self._settings.failover.total_seconds) as limit:
                found = await self._find()
                limit.reschedule(None)
            if isinstance(found, FinalError):
                await self._tell(found)
            else:
                await self._deliver(*found)
        except TimeoutError:
            await self._tell(self._all_failed())
        except asyncio.CancelledError:
            self._state.health.release(self.exchange.id)
            self.exchange.outcome = Outcome.CANCELLED
            await self._settle(None)
            raise
        finally:
            if self._keep_alive is not None:
                self._keep_alive.abandon()

    # --- finding an upstream that answers --------------------------------------

    async def _find(self) -> tuple[Candidate, Held] | FinalError:
        route = self._choose()
        self.exchange.skipped = tuple((skip.upstream, skip.text) for skip in route.skipped)
        queue = deque(route.candidates)
        rescues = deque(route.rescues)
        if not queue:
            return nothing_could_answer(route, self._request.head.model)
        while queue:
            candidate = queue.popleft()
            held = await self._try(candidate, route)
            if isinstance(held, Held):
                return candidate, held
            if held.action == "return":
                return self._returned()
            if held.action == "rescue":
                queue.extendleft(reversed(rescues))
                rescues.clear()
        return self._all_failed()

    def _choose(self) -> Route:
        head, around = self._request.head, self._around
        now = around.now()
        keep_seconds = self._settings.failover.session_hours * 3600
        seat = around.sessions.seat_of(head.session, now.monotonic, keep_seconds) if head.session else None
        ask = Ask(self._request.protocol, head.model, head.session, self.exchange.id)
        return choose_route(self._settings, self._state, ask, now, seat)

    async def _try(self, candidate: Candidate, route: Route) -> Held | Verdict:
        """One candidate, with the retries its failures allow."""
        retries = 0
        while True:
            now = self._around.now()
            name, model = candidate.name, candidate.model
            if not route.last_resort and self._state.health.rest_of(
                name, model, now.monotonic, self.exchange.id
            ):
                return Verdict("switch", Charge("none"), "rests since this request began")
            attempt_note = self._note_attempt(candidate)
            self._state.health.begin(name, model, self.exchange.id)
            self._state.limits.begin(candidate.upstream, now.monotonic)
            try:
                held = await self._attempt(candidate, attempt_note)
            except AttemptFailed as failed:
                self._state.limits.end(name)
                verdict = self._judge(candidate, attempt_note, failed.failure, retries)
                if verdict.action != "retry":
                    return verdict
                retries += 1
                await asyncio.sleep(verdict.wait_seconds)
            except BaseException:
                self._state.limits.end(name)
                attempt_note.ended = self._seconds()
                raise
            else:
                self._state.health.succeeded(name, model)
                self._around.sessions.sit(self.exchange.session, name, self._around.now().monotonic)
                attempt_note.first_byte = self._seconds()
                attempt_note.status = held.reply.status
                return held

    def _note_attempt(self, candidate: Candidate) -> Attempt:
        upstream = candidate.upstream
        protocol = protocol_for(upstream, self._request.protocol)
        url = (
            "demo:" if upstream.is_demo else request_url(upstream, candidate.model, "", self._query(protocol))
        )
        note = Attempt(candidate.name, candidate.model, protocol, url, candidate.why, self._seconds())
        self.exchange.attempts.append(note)
        return note

    def _query(self, protocol: ProtocolName) -> str:
        return self._request.query if protocol == self._request.protocol else ""

    async def _attempt(self, candidate: Candidate, note: Attempt) -> Held:
        upstream, request = candidate.upstream, self._request
        prepared = await self._prepare(candidate, note.protocol)
        same = prepared.sent is None
        try:
            key = resolve_key(upstream.key)
        except KeyMissing as missing:
            error = WireError(ErrorType.AUTHENTICATION, str(missing), 401)
            raise AttemptFailed(Failure(FailureKind.STATUS, error)) from None
        timeouts = timeouts_of(upstream, self._settings)
        call = Call(
            url=note.url if not upstream.is_demo else f"http://demo{request_path(note.protocol)}",
            headers=upstream_headers(
                upstream, key, request.headers, same_protocol=same, stream=request.head.stream
            ),
            body=prepared.body,
            connect_seconds=timeouts.connect,
            proxy=upstream.proxy,
            is_demo=upstream.is_demo,
        )
        stream = self._new_stream(prepared, note.protocol) if request.head.stream else None
        self._prepared, self._stream = prepared, stream
        codec = self._around.codecs[note.protocol]
        return await attempt(self._around.wire, call, codec, stream, timeouts, time.time())

    async def _prepare(self, candidate: Candidate, protocol: ProtocolName) -> Prepared:
        target = target_for(candidate, protocol, self._learned.get(candidate.name, {}))
        try:
            if len(self._request.body) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(self._preparation.prepare, candidate, target)
            return self._preparation.prepare(candidate, target)
        except BadRequest as refused:
            error = WireError(ErrorType.INVALID_REQUEST, refused.message, 400, param=refused.param)
            raise AttemptFailed(Failure(FailureKind.REFUSED_REQUEST, error)) from None

    def _new_stream(self, prepared: Prepared, protocol: ProtocolName) -> Stream:
        if prepared.sent is None or prepared.request is None:
            return UntouchedStream(self._codec, self._request.head.model, prepared.hide_usage)
        return StreamConversion(self._around.codecs[protocol], self._codec, prepared.sent, prepared.request)

    def _judge(self, candidate: Candidate, note: Attempt, failure: Failure, retries: int) -> Verdict:
        verdict = judge(failure, self._settings.failover, retries)
        note.failure, note.ended = failure, self._seconds()
        note.status = failure.status if failure.kind is FailureKind.STATUS else None
        note.verdict = f"{verdict.action}: {verdict.why}"
        self._charge(candidate, verdict.charge, failure)
        log.info(
            'upstream "%s" failed (%s): %s',
            candidate.name,
            verdict.action,
            failure.message.replace("\n", " "),
        )
        return verdict

    def _charge(self, candidate: Candidate, charge: Charge, failure: Failure) -> None:
        health = self._state.health
        if charge.weight == "none":
            health.release(self.exchange.id)
            return
        status = f"{failure.status} " if failure.kind is FailureKind.STATUS else ""
        reason = f"{status}{failure.message}"[:200]
        rules, now = self._settings.failover, self._around.now().monotonic
        health.failed(candidate.name, candidate.model, charge, reason, rules, now)

    # --- delivering the answer -------------------------------------------------

    async def _deliver(self, candidate: Candidate, held: Held) -> None:
        try:
            if self._stream is not None and held.stream is not None:
                await self._deliver_stream(candidate, held)
            else:
                await self._deliver_whole(candidate, held)
            await self._sink.end()
            await drain(held)
        finally:
            self._state.limits.end(candidate.name)
            await held.reply.close()

    async def _deliver_stream(self, candidate: Candidate, held: Held) -> None:
        stream, keep_alive = held.stream, self._keep_alive
        assert stream is not None and keep_alive is not None
        keep_alive.speak_with(stream.keep_alive)
        if not self._sink.started:
            await self._sink.start(200, STREAM_HEADERS + self._answer_headers(candidate, held))
        self._first_content()

        async def settle(failure: Failure | None) -> None:
            await keep_alive.stop()
            if failure is not None:
                self._note_break(candidate, failure)
            else:
                self.exchange.outcome = Outcome.OK
            await self._settle(stream.usage)

        idle_seconds = timeouts_of(candidate.upstream, self._settings).idle
        await deliver_stream(held, stream, keep_alive, idle_seconds, settle)

    def _note_break(self, candidate: Candidate, failure: Failure) -> None:
        """The client is told, and asks again by itself: by then this upstream must rest."""
        self.exchange.outcome = Outcome.TRUNCATED
        self.exchange.failure = failure.error
        self.exchange.attempts[-1].failure = failure
        told = charge_for(failure)
        wait = told.retry_after if told.retry_after is not None else BREAK_REST_SECONDS
        self._charge(candidate, replace(told, weight="rest", retry_after=wait), failure)

    async def _deliver_whole(self, candidate: Candidate, held: Held) -> None:
        """One JSON body; for a client that wants a stream it is told as one."""
        note, prepared = self.exchange.attempts[-1], self._prepared
        assert prepared is not None
        upstream_codec = self._around.codecs[note.protocol]
        asked = self._request.head.model
        if prepared.sent is None and not self._request.head.stream and held.head.lstrip()[:1] == b"{":
            glance = upstream_codec.glance_whole(held.head)
            body, usage = splice_model(held.head, asked), glance.usage
        else:
            request = prepared.request or self._preparation.decoded()
            converted = convert_response(upstream_codec, self._codec, held.head, prepared.sent, request)
            body, usage = converted.body, converted.usage
        self._first_content()
        self.exchange.outcome = Outcome.OK
        if self._keep_alive is not None:
            await self._keep_alive.stop()
        await self._settle(usage)
        if not self._sink.started:
            form = STREAM_HEADERS if self._request.head.stream else JSON_HEADERS
            await self._sink.start(200, form + self._answer_headers(candidate, held))
        await self._sink.write(body)

    def _answer_headers(self, candidate: Candidate, held: Held) -> Headers:
        headers = given_back(held.reply.headers)
        headers.append(("x-switchyard-upstream", _header_safe(candidate.name)))
        headers.append(("x-switchyard-attempts", str(len(self.exchange.attempts))))
        losses = self._prepared.losses if self._prepared is not None else ()
        if losses:
            headers.append(
                ("x-switchyard-dropped", _header_safe(",".join(loss.field for loss in losses))[:1000])
            )
        return headers

    # --- telling that nobody answered ------------------------------------------

    def _returned(self) -> FinalError:
        """The upstream's own error, unchanged where client and upstream speak the same protocol."""
        failure = self.exchange.attempts[-1].failure
        assert failure is not None
        return FinalError(failure.error, [])

    def _all_failed(self) -> FinalError:
        if not any(attempt.failure for attempt in self.exchange.attempts):
            seconds = self._settings.failover.total_seconds
            error = WireError(ErrorType.TIMEOUT, f"no upstream answered within {seconds:g} s", 504)
            return FinalError(error, [])
        now = self._around.now()
        route = self._choose()
        waits = [skip.until for skip in route.skipped if skip.until is not None]
        return all_failed(self.exchange.attempts, min(waits, default=None), now)

    async def _tell(self, final: FinalError) -> None:
        exchange = self.exchange
        exchange.outcome, exchange.failure = Outcome.FAILED, final.error
        if self._keep_alive is not None:
            await self._keep_alive.stop()
        if self._sink.started:
            await self._settle(None)
            await self._sink.write(self._codec.encode_break(final.error))
        else:
            status, body = self._codec.encode_error(final.error)
            exchange.status = status
            await self._settle(None)
            attempts = ("x-switchyard-attempts", str(len(exchange.attempts)))
            await self._sink.start(status, [*JSON_HEADERS, *final.headers, attempts])
            await self._sink.write(body)
        await self._sink.end()

    # --- noting the end --------------------------------------------------------

    def _first_content(self) -> None:
        self.exchange.first_byte = self._seconds()
        self.exchange.status = 200

    async def _settle(self, usage: Usage | None) -> None:
        """The journal line, once, before the client sees the end."""
        if self._settled:
            return
        self._settled = True
        exchange, prepared = self.exchange, self._prepared
        exchange.duration = self._seconds()
        if exchange.attempts and exchange.attempts[-1].ended is None:
            exchange.attempts[-1].ended = exchange.duration
        if prepared is not None:
            exchange.losses = prepared.losses
        exchange.usage = self._usage(usage)
        await self._around.record(exchange)

    def _usage(self, usage: Usage | None) -> Usage | None:
        """What the upstream reported; what it kept to itself is estimated and marked so."""
        exchange, prepared, stream = self.exchange, self._prepared, self._stream
        if exchange.first_byte is None or prepared is None:
            return None
        seen = usage if usage is not None else (stream.usage if stream is not None else None)
        events = stream.records if stream is not None else 0
        return with_estimate(seen, prepared.input_estimate, events)

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _pulse(self) -> bytes:
        return self._codec.keep_alive


def request_path(protocol: ProtocolName) -> str:
    return {"messages": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}[
        protocol
    ]


def _header_safe(text: str) -> str:
    """Header values are Latin-1 without control characters: anything else is percent-encoded."""
    from urllib.parse import quote

    return quote(text, safe=" !#$%&'()*+,-./:;<=>?@[]^_`{|}~")


def local_moment() -> Moment:
    """Now, read from the system's clocks."""
    return Moment(datetime.now().astimezone(), time.monotonic())

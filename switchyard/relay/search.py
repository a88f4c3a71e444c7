"""Walk the route, attempt by attempt, until one upstream has shown content."""

import asyncio
import logging
import time

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.conversion import StreamConversion
from switchyard.protocols.names import ModelName, ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.refusals import LearnedLimit, learned_from
from switchyard.relay.attempt import Held, Stream, attempt
from switchyard.relay.credentials import KeyMissing, NoneShown, fetch_key
from switchyard.relay.dependencies import Dependencies, Learned
from switchyard.relay.draining import LINGER_SECONDS
from switchyard.relay.failures import NESTED, AttemptFailed, protocol_failure, refused_failure
from switchyard.relay.final_error import FinalError, all_failed, nothing_could_answer
from switchyard.relay.headers import Headers, upstream_headers
from switchyard.relay.held_search import HeldSearch
from switchyard.relay.hold import Wake
from switchyard.relay.local_keys import without_local_keys
from switchyard.relay.prepare import Preparation, Prepared, protocol_for, target_for
from switchyard.relay.redaction import redacted, secrets_of
from switchyard.relay.upstream import Call
from switchyard.relay.urls import demo_url, request_url
from switchyard.relay.values import ClientRequest
from switchyard.relay.whole import Whole, whole_answer
from switchyard.routing.health import Charge, is_same_account
from switchyard.routing.hold import LONGEST_PAUSE_SECONDS
from switchyard.routing.lineup import Candidate, Skip, rank
from switchyard.routing.route import QUEUE_REASONS, Ask, Route, choose_route
from switchyard.routing.sessions import conversation_of
from switchyard.routing.verdict import NETWORK, Verdict, charge_for, judge
from switchyard.settings import Upstream, timeouts_of

OFF_LOOP_BYTES = 512 * 1024
MAX_LEARNED_LIMITS = 4
MAX_LEARNED = 1000
ROUNDING = 0.001
"""seconds; a timer may ring a little before the moment it was set to"""

log = logging.getLogger("switchyard.relay")


class Found(msgspec.Struct, frozen=True):
    """The upstream that answers, its place taken: whoever gets this must leave it in the waiting room's care."""

    candidate: Candidate
    held: Held
    prepared: Prepared
    whole: Whole | None
    """the answer, where it came as one body; otherwise `held` holds a stream"""
    last_resort: bool


class _Next(msgspec.Struct, frozen=True):
    """Whom to ask next; `granted` if a place at it is counted already."""

    candidate: Candidate
    route: Route
    granted: bool


class Search:
    """The search for one request's answer; notes each attempt on the exchange."""

    def __init__(self, dependencies: Dependencies, request: ClientRequest, exchange: Exchange) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._settings = dependencies.settings()
        self._state = dependencies.state()
        self._conversation = conversation_of(request.summary.session, request.summary.model)
        self._began = dependencies.awake()
        self.preparation = Preparation(request, dependencies.codecs)
        self.key = ""
        """what was last shown"""
        self.prepared: Prepared | None = None
        """what was last sent"""
        self.stream: Stream | None = None
        """what reads its answer, if that was to be a stream"""
        self._strips_thinking = False
        self._learned_for_now: Learned = {}
        self._learned_limits = 0
        self._tried: frozenset[str] = frozenset()
        self._may_be_held = request.kind == "request" and self._settings.failover.hold_seconds > 0
        self._may_resort = not self._may_be_held
        self._held = HeldSearch(dependencies, request, exchange)
        self._probing = ""
        self._waits_for: str | None = None
        """while held: at whom it may wait for a slot as long as it is held; anywhere else it waits for a moment"""
        self._exceeded = 0
        """tokens of the largest window that the prompt did not fit into"""
        self._route = Route((), (), (), ())
        self._is_rescuing = False
        self._ticket: int | None = None
        self._queue_ends = 0.0
        self._attempt_began = 0.0
        self._is_simulated = False
        """a failure was simulated when the attempt began"""

    async def find(self) -> Found | FinalError:
        """The first answer with content, or the final error.

        One pass over the upstreams; then, if a failure passes by itself, the request is held and they are tried again.
        Within the time budget for finding an upstream: the answer itself may take as long as it takes.
        """
        outcome = await self._pass()
        if outcome is None and self._may_be_held:
            outcome = await self._while_held()
        was_held = self._exchange.held or self._held.is_displaced
        if outcome is None and not self._may_resort and not was_held:
            self._may_resort = True
            outcome = await self._pass()
        return outcome or self._nobody_answered()

    async def _pass(self) -> Found | FinalError | None:
        """Each candidate once: the answer, an error to return as it is, or None."""
        while (pick := await self._next()) is not None:
            outcome = await self._try(pick)
            if isinstance(outcome, Found):
                return outcome
            if outcome.action == "return":
                return self._returned()
            self._is_rescuing = self._is_rescuing or outcome.action == "rescue"
        return None

    # --- held ------------------------------------------------------------------

    async def _while_held(self) -> Found | FinalError | None:
        """Try again what may pass, until somebody answers, nothing can be expected any more or the time is used up."""
        held = self._held
        if not held.begin(self._route, self._seconds_left(), self.seconds()):
            return None
        outcome: Found | FinalError | None = None
        try:
            while outcome is None and (wake := await self._next_wake()) is not None:
                self._renew(wake)
                try:
                    outcome = await self._pass()
                finally:
                    held.note_pass(wake, self._route)
        except asyncio.CancelledError:
            if not held.takes_up_giving_up():
                raise
        finally:
            held.end(_outcome_text(outcome))
        return outcome

    async def _next_wake(self) -> Wake | None:
        if self._seconds_left() <= 0:
            return None
        await asyncio.sleep(0)  # whatever this request does next, the others go on
        if self._settings is not self._dependencies.settings():
            return Wake("edited")  # while this request was trying
        return await self._held.wait()

    def _renew(self, wake: Wake) -> None:
        """The next pass: by the settings as they are now, over the target that may be tried and what is new."""
        before, self._settings = self._settings, self._dependencies.settings()
        self._state = self._dependencies.state()
        if self._settings.client_keys != before.client_keys:
            self._request = without_local_keys(self._request, self._settings.client_keys)
            self.preparation = Preparation(self._request, self._dependencies.codecs)
        failing = self._held.failing
        edited = {name for name in failing if self._settings.upstream(name) != before.upstream(name)}
        self._held.note_edited(edited)
        self._tried = failing - edited - {wake.target[0]}
        self._probing = wake.target[0] if wake.reason == "probe" else ""
        self._queue_ends = self._dependencies.monotonic() + self._held.seconds_left
        self._waits_for = wake.target[0]

    # --- the next candidate ----------------------------------------------------

    async def _next(self) -> _Next | None:
        """The next candidate, with a place if one had to be waited for; None when nobody is left.

        The route is chosen anew each time: others may have found an upstream failing, or filled it, in the meantime.
        """
        queue, granted = self._dependencies.waiting, ""
        while self._seconds_left() > 0:
            queue.hand_out()
            route = self._choose(granted)
            in_order = route.rescues + route.candidates if self._is_rescuing else route.candidates
            candidate = next(iter(in_order), None)
            if granted and (candidate is None or candidate.name != granted):
                queue.give_back(granted)
            has_slot = candidate is not None and granted == candidate.name
            if candidate is not None and (has_slot or not self._state.limits.is_full(candidate.upstream)):
                self._tried |= {candidate.name}
                self._may_resort = self._may_resort and not route.last_resort
                return _Next(candidate, route, has_slot)
            wanted, seconds = self._to_wait_for(route)
            if candidate is not None:
                # to go elsewhere would lose the prompt cache for a moment's sake
                wanted, seconds = [candidate.upstream], LINGER_SECONDS
            if not wanted or seconds <= 0 or queue.is_at_limit:
                return None
            self._ticket = queue.draw_ticket() if self._ticket is None else self._ticket
            granted = await queue.wait(self._ticket, wanted, seconds) or ""
        if granted:
            queue.give_back(granted)
        return None

    def _to_wait_for(self, route: Route) -> tuple[list[Upstream], float]:
        """The upstreams that nothing but a limit keeps from answering, and for how many seconds to wait for one."""
        now = self._dependencies.monotonic()
        full = {skip.upstream for skip in route.skipped if skip.reason in QUEUE_REASONS}
        with_rescues = self._is_rescuing or bool(ModelName.read(self._request.summary.model).upstream)
        wanted = [
            one
            for one in self._settings.upstreams
            if one.name in full and (with_rescues or one.role != "rescue")
        ]
        self._queue_ends = self._queue_ends or now + self._settings.failover.queue_seconds
        if self._waits_for is not None and self._waits_for not in full:
            # those that may recover meanwhile are not asked as long as it waits here
            self._queue_ends, self._waits_for = min(self._queue_ends, now + LONGEST_PAUSE_SECONDS), None
        ends = min(self._queue_ends, now + self._seconds_left())
        cooldowns_end = [
            skip.until for skip in route.skipped if skip.reason == "resting" and skip.until is not None
        ]
        return sorted(wanted, key=rank), min([ends, *(until + ROUNDING for until in cooldowns_end)]) - now

    def _choose(self, holds: str = "") -> Route:
        summary, dependencies = self._request.summary, self._dependencies
        now = dependencies.now()
        keep_seconds = self._settings.failover.session_hours * 3600
        affinity = dependencies.sessions.affinity_of(self._conversation, now.monotonic, keep_seconds)
        ask = Ask(
            self._request.protocol,
            summary.model,
            summary.session,
            self._exchange.id,
            holds,
            self._tried,
            self._may_resort,
            self._probing,
            self._exceeded,
            dependencies.waiting.free_soon(),
        )
        self._route = choose_route(self._settings, self._state, ask, now, affinity)
        if not self._tried:
            self._exchange.skipped = self._route.reasons
        return self._route

    # --- one candidate ---------------------------------------------------------

    async def _try(self, pick: _Next) -> Found | Verdict:
        """One candidate, with the retries its failures allow; its place is left unless it answers."""
        queue, upstream = self._dependencies.waiting, pick.candidate.upstream
        if not pick.granted:
            queue.enter(upstream)
        outcome: Found | Verdict | None = None
        try:
            outcome = await self._until_verdict(pick)
        finally:
            if not isinstance(outcome, Found):
                queue.leave(upstream.name)
        return outcome

    async def _until_verdict(self, pick: _Next) -> Found | Verdict:
        candidate, retries = pick.candidate, 0
        while True:
            note = self._note_attempt(candidate)
            outcome = await self._attempt_once(pick, note)
            if isinstance(outcome, Found):
                return outcome
            if not self._learns(candidate, note, outcome):
                verdict = self._judge(candidate, note, outcome, retries)
                if verdict.action != "retry":
                    return verdict
                retries += 1
                await asyncio.sleep(verdict.wait_seconds)
            if not self._may_ask_again(pick):
                note.verdict = f"switch: may not be asked again ({note.verdict})"
                self.charge(candidate, charge_for(outcome), outcome)
                return Verdict("switch", Charge("none"), "may not be asked again")

    def _may_ask_again(self, pick: _Next) -> bool:
        """True if nothing has come between; the new request counts against the rate limit as any."""
        candidate, limits, now = pick.candidate, self._state.limits, self._dependencies.monotonic()
        cooldown = self._state.health.cooldown_of(candidate.name, candidate.model, now, self._exchange.id)
        if cooldown is not None and not pick.route.last_resort:
            return False
        if self._seconds_left() <= 0 or limits.free_at(candidate.upstream, now) > now:
            return False
        limits.count_start(candidate.upstream, now)
        return True

    def _learns(self, candidate: Candidate, note: Attempt, failure: Failure) -> bool:
        """True if the refusal has taught how to say the request to this upstream: it is asked once more."""
        prepared = self.prepared
        if failure.kind is not FailureKind.STATUS or prepared is None or candidate.upstream.is_demo:
            return False
        learned = learned_from(failure.error, prepared.target.capabilities, prepared.input_estimate)
        if (
            learned is None
            or self._learned_limits >= MAX_LEARNED_LIMITS
            or (learned.strip_thinking and self._strips_thinking)
            or self._is_settled(candidate, learned)
        ):
            return False
        self._learned_limits += 1
        self._strips_thinking = self._strips_thinking or learned.strip_thinking
        self._remember(candidate, learned)
        note.failure, note.ended, note.status = failure, self.seconds(), failure.status
        note.verdict = f"learn: {learned.why}"
        self._state.health.release(self._exchange.id)
        log.info('upstream "%s" refused (%s), asked again accordingly', candidate.name, learned.why)
        return True

    def _is_settled(self, candidate: Candidate, learned: LearnedLimit) -> bool:
        """The file says otherwise, and the file is stronger."""
        shortened = candidate.upstream.capabilities
        return (
            bool(learned.capabilities)
            and not learned.for_now
            and learned.capabilities.keys() <= shortened.keys()
        )

    def _remember(self, candidate: Candidate, learned: LearnedLimit) -> None:
        memory = self._learned_for_now if learned.for_now else self._dependencies.learned
        key = candidate.name, candidate.model
        if key not in memory and len(memory) >= MAX_LEARNED:
            del memory[next(iter(memory))]
        memory.setdefault(key, {}).update(learned.capabilities)

    async def _attempt_once(self, pick: _Next, note: Attempt) -> Found | Failure:
        """Ask once; the upstream's health learns of a success here, of a failure from its verdict."""
        dependencies, candidate = self._dependencies, pick.candidate
        name = candidate.name
        self._attempt_began = dependencies.monotonic()
        self._is_simulated = dependencies.wire.seconds_left(name) is not None
        self._state.health.begin(name, candidate.model, self._exchange.id)
        self._held.begin_attempt(candidate)
        try:
            held = await self._attempt(candidate, note)
            whole = await self._whole(held)
        except AttemptFailed as failed:
            self._held.attempt_failed(candidate, failed.failure)
            return redacted(failed.failure, secrets_of(candidate.upstream, self._request.headers, self.key))
        except BaseException:
            self._held.attempt_ended(candidate)
            note.ended = self.seconds()
            raise
        self._held.attempt_succeeded(candidate)
        if self._is_known_still(candidate.upstream):
            self._state.health.succeeded(name, candidate.model, self._attempt_began)
        self._state.health.release(self._exchange.id)
        dependencies.sessions.remember(
            self._conversation, name, dependencies.monotonic(), stays=pick.route.stays
        )
        note.first_byte, note.status = self.seconds(), held.reply.status
        assert self.prepared is not None
        return Found(candidate, held, self.prepared, whole, pick.route.last_resort)

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
        self.key = await _key_of(candidate, request.headers)
        headers = upstream_headers(
            upstream,
            self.key,
            request.headers,
            same_protocol=prepared.sent is None,
            stream=request.summary.stream,
            refused_betas=prepared.target.capabilities.refused_betas,
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
        codec = self._dependencies.codecs[note.protocol]
        stream = self.stream = self._new_stream(prepared, note.protocol) if request.summary.stream else None
        return await attempt(
            self._dependencies.wire,
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
        arguments = (held, self._request, prepared, self.preparation, self._dependencies.codecs)
        try:
            if len(held.start) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(whole_answer, *arguments)
            return whole_answer(*arguments)
        except BaseException as error:
            await held.reply.close()
            if isinstance(error, RecursionError):
                raise AttemptFailed(protocol_failure(NESTED)) from None
            raise

    async def _prepare(self, candidate: Candidate, protocol: ProtocolName) -> Prepared:
        key = candidate.name, candidate.model
        learned = self._dependencies.learned.get(key, {})
        target = target_for(candidate, protocol, learned, self._learned_for_now.get(key, {}))
        stripped = (
            None
            if self._strips_thinking
            else self._dependencies.signatures.foreign(self._request.body, target.issuer)
        )
        try:
            if len(self._request.body) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(self.preparation.prepare, candidate, target, stripped)
            return self.preparation.prepare(candidate, target, stripped)
        except BadRequest as refused:
            raise AttemptFailed(refused_failure(refused)) from None
        except RecursionError:
            error = WireError(ErrorType.INVALID_REQUEST, "the request's JSON is nested too deeply", 400)
            raise AttemptFailed(Failure(FailureKind.REFUSED_REQUEST, error)) from None

    def _new_stream(self, prepared: Prepared, protocol: ProtocolName) -> Stream:
        codecs = self._dependencies.codecs
        client = codecs[self._request.protocol]
        if prepared.sent is None or prepared.request is None:
            return PassthroughStream(client, self._request.summary.model, prepared.hide_usage)
        return StreamConversion(codecs[protocol], client, prepared.sent, prepared.request)

    def _judge(self, candidate: Candidate, note: Attempt, failure: Failure, retries: int) -> Verdict:
        verdict = judge(failure, self._settings.failover, retries)
        if verdict.needs_larger_window:
            window = failure.error.limit or candidate.upstream.context_window
            self._exceeded = max(self._exceeded, window)
        note.failure, note.ended = failure, self.seconds()
        note.status = failure.status if failure.kind is FailureKind.STATUS else None
        note.verdict = f"{verdict.action}: {verdict.why}"
        self.charge(candidate, verdict.charge, failure)
        shortened = failure.message.replace("\n", " ")[:200]
        log.info('upstream "%s" failed (%s): %s', candidate.name, verdict.action, shortened)
        return verdict

    def charge(self, candidate: Candidate, charge: Charge, failure: Failure) -> None:
        """Hold the failure of the last attempt against its upstream, and free its trial."""
        health, rules, now = self._state.health, self._settings.failover, self._dependencies.monotonic()
        if failure.kind in NETWORK:  # the only failures that are ever simulated
            left = self._dependencies.wire.seconds_left(candidate.name)
            has_ended = self._is_simulated and left is None
            charge = Charge("none") if has_ended else replace(charge, simulated_seconds=left)
        if self._is_known_still(candidate.upstream):
            health.failed(
                candidate.name, candidate.model, charge, failure.summary, rules, now, self._attempt_began
            )
        health.release(self._exchange.id)

    def _is_known_still(self, upstream: Upstream) -> bool:
        """False once its entry is gone or names another account: a key that was corrected pays for no old one."""
        settings = self._dependencies.settings()
        if settings is self._settings:
            return True
        entry = settings.upstream(upstream.name)
        return entry is not None and is_same_account(entry, upstream)

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
        shortened = failure if speaks_alike and failure.body and not unclear else None
        return FinalError(failure.error, shortened, last.upstream)

    def _nobody_answered(self) -> FinalError:
        """The error that sums up all attempts, or says why there was none."""
        attempts = self._exchange.attempts
        if self._exchange.held:
            # what was waited for is left out of a pass in which it is not this request's turn
            self._tried, self._probing = frozenset(one.upstream for one in attempts), ""
            self._choose()
        if not attempts:
            final = nothing_could_answer(self._route, self._request.summary.model, self._dependencies.now())
            return replace(final, hold_used_up=self._held.is_used_up)
        route, unasked = self._route, self._unasked()
        self._exchange.skipped = route.reasons + tuple((skip.upstream, skip.text) for skip in unasked)
        final = all_failed(attempts, route.skipped + unasked, self._dependencies.now())
        return replace(final, hold_used_up=self._held.is_used_up)

    def _unasked(self) -> tuple[Skip, ...]:
        """The candidates whose turn never came because the time budget was used up."""
        if self._seconds_left() > 0:
            return ()
        route, budget = self._route, self._route.search_seconds
        in_order = route.rescues + route.candidates if self._is_rescuing else route.candidates
        text = f"not asked: the time budget of {budget:g} s (failover.total_seconds) was used up"
        return tuple(Skip(one.name, "time", text) for one in in_order if one.name not in self._tried)

    def _seconds_left(self) -> float:
        """Of the time budget; without an end as long as no route was chosen."""
        return self._route.search_seconds - self.seconds()

    def seconds(self) -> float:
        """Since the search began."""
        return self._dependencies.awake() - self._began


def _outcome_text(outcome: Found | FinalError | None) -> str:
    if outcome is None:
        return ""
    if isinstance(outcome, Found):
        return f'"{outcome.candidate.name}" answers'
    return f'its client gets the error of "{outcome.upstream}"'


async def _key_of(candidate: Candidate, client_headers: Headers) -> str:
    try:
        return await fetch_key(candidate.upstream, client_headers)
    except KeyMissing as missing:
        error = WireError(ErrorType.AUTHENTICATION, str(missing), 401)
        # a client that shows no key must not close the entry to those that do
        kind = FailureKind.REFUSED_REQUEST if isinstance(missing, NoneShown) else FailureKind.STATUS
        raise AttemptFailed(Failure(kind, error)) from None

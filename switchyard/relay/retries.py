"""Try one candidate, with the retries that its failures and learned limits allow."""

import asyncio
import logging

import msgspec

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind
from switchyard.relay.asking import Answer, Asking, Refusal
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.reports import Reports, Started
from switchyard.relay.selection import Selected
from switchyard.relay.stopwatch import Stopwatch
from switchyard.routing.health import Charge
from switchyard.routing.verdict import Verdict, charge_for, judge

log = logging.getLogger("switchyard.relay")


class Retries(msgspec.Struct):
    """Notes each attempt on the exchange."""

    _dependencies: Dependencies
    _exchange: Exchange
    _stopwatch: Stopwatch
    _reports: Reports
    _asking: Asking

    async def attempt(self, selected: Selected) -> Answer | Verdict:
        """The answer, which keeps the slot; or what comes next, with the slot released."""
        queue, upstream = self._dependencies.slots, selected.candidate.upstream
        if not selected.has_slot:
            queue.enter(upstream)
        outcome: Answer | Refusal | None = None
        retries = 0
        try:
            while True:
                note = self._asking.new_attempt(selected.candidate, self._stopwatch.seconds())
                self._exchange.attempts.append(note)
                started = self._reports.begin(selected)
                outcome = await self._attempt_once(started, note)
                if isinstance(outcome, Answer):
                    return outcome
                if not await self._learns(started, note, outcome):
                    verdict = self._judge(started, note, outcome.failure, retries)
                    if verdict.action != "retry":
                        return verdict
                    retries += 1
                    await asyncio.sleep(verdict.wait_seconds)
                if not self._may_ask_again(selected):
                    note.verdict = f"switch: may not be asked again ({note.verdict})"
                    self._reports.charge(started, charge_for(outcome.failure), outcome.failure)
                    return Verdict("switch", Charge("none"), "may not be asked again")
        finally:
            if not isinstance(outcome, Answer):
                queue.leave(upstream.account_id)

    async def _attempt_once(self, started: Started, note: Attempt) -> Answer | Refusal:
        outcome: Answer | Refusal | None = None
        try:
            seconds_left = started.selected.route.search_seconds - note.started
            outcome = await self._asking.ask(started, note, seconds_left)
        finally:
            if outcome is None:
                self._reports.left(started)
                note.ended = self._stopwatch.seconds()
        if isinstance(outcome, Refusal):
            self._reports.failed(started, outcome.failure)
            return outcome
        self._reports.succeeded(started)
        self._asking.learning.succeeded(started.selected.candidate)
        reply = outcome.held.reply
        note.first_byte, note.status = self._stopwatch.seconds(), reply.status
        note.server = reply.header("server")
        if outcome.held.protocol != note.protocol:
            note.answer_protocol = outcome.held.protocol
        return outcome

    # --- after a failure -------------------------------------------------------------

    async def _learns(self, started: Started, note: Attempt, refusal: Refusal) -> bool:
        """True if the refusal names a limit: the upstream is asked once more, within it."""
        candidate, failure = started.selected.candidate, refusal.failure
        if refusal.outgoing is None:
            return False
        why = await self._asking.learn(candidate, note, failure, refusal.outgoing.prepared)
        if not why:
            return False
        note.failure, note.ended, note.status = failure, self._stopwatch.seconds(), failure.status
        note.verdict = f"learn: {why}"
        self._reports.release()
        log.info('upstream "%s" refused the request (%s), asked again accordingly', candidate.name, why)
        return True

    def _judge(self, started: Started, note: Attempt, failure: Failure, retries: int) -> Verdict:
        verdict = judge(failure, started.selected.settings.failover, retries)
        note.failure, note.ended = failure, self._stopwatch.seconds()
        note.status = failure.status if failure.kind is FailureKind.STATUS else None
        note.verdict = f"{verdict.action}: {verdict.why}"
        self._reports.charge(started, verdict.charge, failure)
        shortened = failure.message.replace("\n", " ")[:200]
        log.info('upstream "%s" failed (%s): %s', started.selected.candidate.name, verdict.action, shortened)
        return verdict

    def _may_ask_again(self, selected: Selected) -> bool:
        """True if nothing prevents it; the new request counts against the rate limit as any other."""
        candidate, now = selected.candidate, self._dependencies.monotonic()
        state, exchange = self._dependencies.state(), self._exchange.id
        cooldown = state.health.cooldown_of(candidate.name, candidate.model, now, exchange)
        if cooldown is not None and not selected.route.last_resort:
            return False
        seconds_left = selected.route.search_seconds - self._stopwatch.seconds()
        if seconds_left <= 0 or state.limits.free_at(candidate.upstream, now) > now:
            return False
        state.limits.count_start(candidate.upstream, now)
        return True

"""Hold one request while its upstreams are failing: wait, try again, until one answers or nothing can be expected."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Exchange
from switchyard.protocols.turn import turn_of
from switchyard.relay.asking import Answer
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError
from switchyard.relay.hold import Wake
from switchyard.relay.selection import Selection
from switchyard.relay.values import ClientRequest
from switchyard.routing.hold import Target, client_seconds
from switchyard.routing.recoveries import Recoveries
from switchyard.routing.waits import ROUNDING, Period, Waited, Waits
from switchyard.settings import Settings

log = logging.getLogger("switchyard.relay")

Outcome = Answer | FinalError | None
"""of one pass over the upstreams; None if none has answered"""
OnePass = Callable[[], Awaitable[Outcome]]


class HoldEnd(msgspec.Struct, frozen=True):
    """What came of the hold."""

    outcome: Outcome = None
    was_due: bool = False
    """the request was held, or would have been if not so many others were"""
    is_used_up: bool = False
    """only the end of its time keeps the request from waiting for a recovery"""


NOT_HELD = HoldEnd()


async def hold_until_answered(
    dependencies: Dependencies,
    request: ClientRequest,
    exchange: Exchange,
    selection: Selection,
    recoveries: Recoveries,
    one_pass: OnePass,
    seconds_so_far: float,
) -> HoldEnd:
    """Hold the request, if its failures pass by themselves. `seconds_so_far` are those since it was received."""
    now = dependencies.awake()
    waits = Waits(exchange.attempts, recoveries)
    waits.note_cooling(selection.route, now, dependencies.monotonic())
    period = Period(now - seconds_so_far, now, selection.seconds_left())
    if not waits.expected(period, now, dependencies.answered):
        return NOT_HELD
    turn = turn_of(request.protocol, request.summary, dict(request.headers), request.body)
    limited = partial(_within_limits, dependencies, request, turn)
    period = limited(period)
    if not waits.expected(period, now, dependencies.answered):
        return HoldEnd(is_used_up=True)
    if not dependencies.hold.enter(exchange, len(request.body), period.seconds):
        log.warning("request %s is not held: too many requests or bytes are held already", exchange.id)
        return HoldEnd(was_due=True)
    holding = Holding(dependencies, exchange, selection, waits, recoveries, period, limited)
    outcome = await holding.run(one_pass, turn)
    return HoldEnd(outcome, was_due=True, is_used_up=holding.is_used_up)


def _within_limits(dependencies: Dependencies, request: ClientRequest, turn: str, period: Period) -> Period:
    """The period, cut to what is left of the hold time of this turn and to how long the client waits."""
    hold_seconds = dependencies.settings().failover.hold_seconds
    of_turn = dependencies.budgets.seconds_left(turn, hold_seconds, period.received_at)
    of_client = client_seconds(dict(request.headers), stream=request.summary.stream)
    of_client -= period.began - period.received_at
    return replace(period, seconds=min(of_turn, of_client, period.seconds))


class Holding:
    """Drives one held request: the only place that waits in the hold and starts further passes."""

    def __init__(
        self,
        dependencies: Dependencies,
        exchange: Exchange,
        selection: Selection,
        waits: Waits,
        recoveries: Recoveries,
        period: Period,
        limited: Callable[[Period], Period],
    ) -> None:
        self._dependencies = dependencies
        self._exchange = exchange
        self._selection = selection
        self._waits = waits
        self._recoveries = recoveries
        self._period = period
        self._limited = limited
        self.is_used_up = False

    async def run(self, one_pass: OnePass, turn: str) -> Outcome:
        """The outcome of the first pass that has one. The request has entered the hold; it leaves it here."""
        exchange, tries_before = self._exchange, len(self._exchange.attempts)
        exchange.is_held = True
        outcome: Outcome = None
        try:
            self._log_begin()
            while outcome is None and (wake := await self._next_wake()) is not None:
                outcome = await self._try_again(wake, one_pass)
        except asyncio.CancelledError:
            if not self._ends_cancellation():
                raise
        finally:
            text = self._why_none() if outcome is None else _outcome_text(outcome)
            self._leave(turn)
            tries = len(exchange.attempts) - tries_before
            log.info("request %s was held for %.1f s, tries: %d; %s", exchange.id, exchange.held, tries, text)
        return outcome

    # --- waiting ---------------------------------------------------------------------

    async def _next_wake(self) -> Wake | None:
        """The next reason to try again; None when nothing can be expected any more or the time is used up."""
        if self._selection.seconds_left() <= 0:
            return None
        await asyncio.sleep(0)  # whatever this request does next, others run first
        if self._selection.settings is not self._dependencies.settings():
            return Wake("edited")  # during the last pass
        while (left := self._seconds_left()) > ROUNDING:
            waits = self._expected(self._period)
            if not waits:
                break
            if pause := self._recoveries.take_pause(left):
                await self._pause(pause, waits)
            elif (wake := await self._wait(waits, left)) is not None:
                return wake
        self.is_used_up = bool(self._expected(replace(self._period, seconds=math.inf)))
        return None

    async def _wait(self, waits: list[Waited], left: float) -> Wake | None:
        """None when a target need not be waited for any longer."""
        hold, now = self._dependencies.hold, self._dependencies.awake()
        expires = min(waited.until for waited in waits) - now
        unexpected = self._waits.unexpected(self._period, now)
        wake = await hold.wait(self._exchange, waits, min(left, expires), unexpected)
        if wake.reason == "released":
            self._recoveries.note_recovered([wake.target])
        return None if wake.reason == "time" else wake

    async def _pause(self, seconds: float, waits: list[Waited]) -> None:
        recovered = await self._dependencies.hold.pause(self._exchange, seconds)
        self._recoveries.note_recovered(recovered & {waited.target for waited in waits})

    def _expected(self, period: Period) -> list[Waited]:
        return self._waits.expected(period, self._dependencies.awake(), self._dependencies.answered)

    def _seconds_left(self) -> float:
        return self._period.left(self._dependencies.awake())

    # --- trying ----------------------------------------------------------------------

    async def _try_again(self, wake: Wake, one_pass: OnePass) -> Outcome:
        """One pass over the target that may be tried and what is new in the settings."""
        tries_before = len(self._exchange.attempts)
        self._begin_pass(wake)
        try:
            return await one_pass()
        finally:
            self._note_pass(wake, tries_before)

    def _begin_pass(self, wake: Wake) -> None:
        settings, upstream = self._dependencies.settings(), wake.target[0]
        edited = _edited(self._waits.failing, self._selection.settings, settings)
        self._waits.note_edited(edited, self._dependencies.awake() - self._period.began)
        self._selection.begin_pass(
            settings,
            tried=self._waits.failing - edited - {upstream},
            probing=upstream if wake.reason == "probe" else "",
            waits_for=upstream,
            seconds=self._seconds_left(),
        )

    def _note_pass(self, wake: Wake, tries_before: int) -> None:
        """What was not tried although it was its turn is not tried again at once."""
        dependencies, route = self._dependencies, self._selection.route
        dependencies.hold.end(self._exchange.id, wake.target)  # a grant that was not used
        self._waits.note_cooling(route, dependencies.awake(), dependencies.monotonic())
        if wake.reason == "edited":
            self._waits.note_settings()
            self._follow_limits()
        elif wake.reason == "probe" and not self._has_tried(wake.target, tries_before):
            if self._waits.note_unused(wake.target, route):
                self._recoveries.note_no_slot()

    def _follow_limits(self) -> None:
        """By the settings as they are now the request may be held for a longer or a shorter time."""
        dependencies, began = self._dependencies, self._period.began
        search_seconds = dependencies.awake() - began + self._selection.seconds_left()
        self._period = self._limited(replace(self._period, seconds=search_seconds))
        dependencies.hold.set_end(self._exchange, began + self._period.seconds)

    def _has_tried(self, target: Target, tries_before: int) -> bool:
        return any((one.account, one.model) == target for one in self._exchange.attempts[tries_before:])

    # --- beginning and end -----------------------------------------------------------

    def _log_begin(self) -> None:
        ends = self._dependencies.now().wall + timedelta(seconds=self._period.seconds)
        waits = self._expected(self._period)
        reasons = "; ".join(f'"{waited.target[0]}": {waited.reason}' for waited in waits)
        log.info(
            "request %s is held until %s at the latest: %s", self._exchange.id, f"{ends:%H:%M:%S}", reasons
        )

    def _leave(self, turn: str) -> None:
        dependencies, exchange = self._dependencies, self._exchange
        exchange.is_held = False
        exchange.held += dependencies.hold.leave(exchange)
        dependencies.budgets.spend(turn, exchange.held, self._period.received_at, dependencies.awake())

    def _ends_cancellation(self) -> bool:
        """True if the user has given the request up: its client gets the final error."""
        task = asyncio.current_task()
        if task is None or not self._dependencies.hold.was_given_up(self._exchange):
            return False
        task.uncancel()
        return True

    def _why_none(self) -> str:
        task = asyncio.current_task()
        if self._dependencies.hold.was_given_up(self._exchange):
            return "given up by the user"
        if task is not None and task.cancelling():
            return "its connection ended"
        return "its time limit has passed" if self.is_used_up else "there is nothing left to wait for"


def _edited(failing: frozenset[str], before: Settings, now: Settings) -> frozenset[str]:
    """Those of the failing upstreams whose entries have changed."""
    return frozenset(name for name in failing if now.account(name) != before.account(name))


def _outcome_text(outcome: Answer | FinalError) -> str:
    if isinstance(outcome, Answer):
        return f'"{outcome.candidate.name}" answers'
    return f'its client gets the error of "{outcome.upstream}"'

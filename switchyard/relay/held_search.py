"""What one request waits for while it is held: which targets may still answer, and until when."""

import asyncio
import logging
import math
from collections.abc import Iterable
from datetime import timedelta

from switchyard.exchange import Exchange, Failure
from switchyard.protocols.turn import turn_of
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.hold import Waited, Wake
from switchyard.relay.values import ClientRequest
from switchyard.routing.hold import (
    FIRST_PAUSE_SECONDS,
    Edited,
    Outlook,
    Target,
    client_seconds,
    outlook,
    pause_seconds,
    prospect_of,
    seconds_to_probe,
)
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import QUEUE_REASONS, Route

ROUNDING = 0.01
"""seconds; a timer may ring a little before the moment it was set to"""

log = logging.getLogger("switchyard.relay")


class HeldSearch:
    """Reports each attempt to the hold; `begin`, then `wait` again and again, then `end`."""

    def __init__(self, dependencies: Dependencies, request: ClientRequest, exchange: Exchange) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._hold = dependencies.hold
        self._turn = ""
        self._came_at = 0.0
        self._began = 0.0
        self._seconds = 0.0
        self._attempts_before = 0
        self._attempt_began = 0.0
        self._cooling: dict[Target, Waited] = {}
        """targets that were cooling down when their turn came, and have not been asked since"""
        self._is_probe = False
        self._released: set[Target] = set()
        """targets at which another request has succeeded while this one was held for them"""
        self.is_used_up = False
        """nothing but the end of its time keeps this request from waiting for a recovery"""
        self.is_displaced = False
        """it would be held if not so many others were"""
        self._repeats: dict[Target, int] = {}
        """how often this request has failed all the same, though it was the only one to try"""
        self._attempts_at_wake = 0
        self._edited: dict[str, Edited] = {}
        """the upstreams whose entries were edited meanwhile"""
        self._dropped: set[Target] = set()
        """targets that were this request's to try, and are none for it by the settings as they are now"""
        self._pause = 0.0
        """seconds before it waits for its next try: its last one failed where others succeed, or there was no slot"""
        self._failed_again: dict[Target, int] = {}
        """how often this request has failed where another had succeeded meanwhile"""

    # --- attempts, held or not -----------------------------------------------------

    def begin_attempt(self, candidate: Candidate) -> None:
        self._attempt_began = self._dependencies.awake()
        self._is_probe = self._hold.begin(self._exchange.id, _target(candidate))

    def attempt_ended(self, candidate: Candidate) -> None:
        self._hold.end(self._exchange.id, _target(candidate))

    def attempt_failed(self, candidate: Candidate, failure: Failure) -> None:
        target, prospect = _target(candidate), prospect_of(failure)
        if target in self._released:
            again = self._failed_again[target] = self._failed_again.get(target, 0) + 1
            self._pause = pause_seconds(again, jitter=0.0)
            if self._is_probe:
                self._repeats[target] = self._repeats.get(target, 0) + 1
        self._released.discard(target)
        if prospect.passes and prospect.after <= self._dependencies.settings().failover.hold_seconds:
            self._hold.failed(self._exchange.id, target, self._attempt_began, prospect.after)
        else:
            self._hold.end(self._exchange.id, target)

    def attempt_succeeded(self, candidate: Candidate) -> None:
        self._dependencies.answered.add(candidate.name)
        self._hold.succeeded(self._exchange.id, _target(candidate))

    # --- held ------------------------------------------------------------------------

    def begin(self, route: Route, seconds_left: float, seconds_so_far: float) -> bool:
        """Hold the request; False where nothing can be expected of that, or its time is used up.

        `seconds_left` are those of the time budget, `seconds_so_far` those since the request came.
        """
        self._note_cooling(route)
        if not self._waits(0.0, seconds_left):
            return False
        headers = dict(self._request.headers)
        now, hold_seconds = self._dependencies.awake(), self._dependencies.settings().failover.hold_seconds
        self._turn = turn_of(self._request.protocol, self._request.summary, headers, self._request.body)
        self._came_at = now - seconds_so_far
        of_turn = self._dependencies.budgets.seconds_left(self._turn, hold_seconds, self._came_at)
        of_client = client_seconds(headers, stream=self._request.summary.stream) - seconds_so_far
        self._began, self._seconds = now, min(of_turn, of_client, seconds_left)
        if not self._waits(0.0, self._seconds):
            self.is_used_up = True
            return False
        if not self._hold.enter(self._exchange, len(self._request.body), self._seconds):
            self.is_displaced = True
            log.warning(
                "request %s is not held: too many requests or bytes are held already", self._exchange.id
            )
            return False
        self._exchange.is_held = True
        self._attempts_before = len(self._exchange.attempts)
        self._log_begin()
        return True

    def _log_begin(self) -> None:
        ends = self._dependencies.now().wall + timedelta(seconds=self._seconds)
        waits = self._waits(0.0, self._seconds)
        reasons = "; ".join(f'"{waited.target[0]}": {waited.reason}' for waited in waits)
        log.info(
            "request %s is held until %s at the latest: %s", self._exchange.id, f"{ends:%H:%M:%S}", reasons
        )

    async def wait(self) -> Wake | None:
        """The next reason to try again; None when nothing can be expected any more or the time is used up."""
        while self.seconds_left > ROUNDING:
            held, left = self._held_seconds, self.seconds_left
            view = self._outlook(held, left)
            waits = self._waits(held, left)
            if not waits:
                self.is_used_up = bool(self._waits(held, math.inf))
                return None
            if self._pause:
                pause, self._pause = min(self._pause, left), 0.0
                recovered = await self._hold.pause(self._exchange, pause)
                self._released |= recovered & {waited.target for waited in waits}
                continue
            expires = min((hope.until for hope in view.hopes), default=left + held) - held
            wake = await self._hold.wait(self._exchange, waits, min(left, expires))
            if wake.reason == "released":
                self._released.add(wake.target)
            if wake.reason != "time":
                self._attempts_at_wake = len(self._exchange.attempts)
                return wake
        self.is_used_up = bool(self._waits(self._held_seconds, math.inf))
        return None

    def note_edited(self, upstreams: Iterable[str]) -> None:
        """The entries of these upstreams have changed."""
        edited = Edited(len(self._exchange.attempts), self._held_seconds)
        self._edited |= dict.fromkeys(upstreams, edited)

    def note_pass(self, wake: Wake, route: Route) -> None:
        """A pass over the upstreams is over: what is not tried again, and what was cooling down meanwhile."""
        self._hold.end(self._exchange.id, wake.target)  # a grant that was not used
        self._note_cooling(route)
        if wake.reason == "edited":
            self._dropped.clear()
        tried = {(one.upstream, one.model) for one in self._exchange.attempts[self._attempts_at_wake :]}
        if wake.reason == "probe" and wake.target not in tried:
            self._note_unused(wake.target, route)

    def _note_unused(self, target: Target, route: Route) -> None:
        """It was this request's turn and it did not try: it must not be granted the same again at once."""
        candidates = {_target(one) for one in route.candidates + route.rescues}
        full = {skip.upstream for skip in route.skipped if skip.reason in QUEUE_REASONS}
        if target in candidates or target[0] in full:
            self._pause = FIRST_PAUSE_SECONDS
        else:
            self._dropped.add(target)

    def takes_up_giving_up(self) -> bool:
        """True if the user has given the request up: then the cancellation ends here."""
        task = asyncio.current_task()
        if task is None or not self._hold.was_given_up(self._exchange):
            return False
        task.uncancel()
        return True

    def end(self, outcome: str) -> None:
        """The request goes on or ends; `outcome` is "" if nobody answered it."""
        exchange, outcome = self._exchange, outcome or self._why_nobody()
        exchange.is_held = False
        exchange.held += self._hold.leave(exchange)
        now = self._dependencies.awake()
        self._dependencies.budgets.spend(self._turn, exchange.held, self._came_at, now)
        tries = len(exchange.attempts) - self._attempts_before
        log.info("request %s was held for %.1f s, tries: %d; %s", exchange.id, exchange.held, tries, outcome)

    def _why_nobody(self) -> str:
        task = asyncio.current_task()
        if self._hold.was_given_up(self._exchange):
            return "given up by the user"
        if task is not None and task.cancelling():
            return "its connection ended"
        return "its time is used up" if self.is_used_up else "there is nothing left to wait for"

    @property
    def failing(self) -> frozenset[str]:
        """The upstreams that have failed for this request, or were cooling down."""
        asked = {attempt.upstream for attempt in self._exchange.attempts if attempt.failure is not None}
        return frozenset(asked | {upstream for upstream, _ in self._cooling})

    @property
    def seconds_left(self) -> float:
        return self._seconds - self._held_seconds

    @property
    def _held_seconds(self) -> float:
        return self._dependencies.awake() - self._began

    def _waits(self, held: float, left: float) -> list[Waited]:
        hopes = [
            Waited(hope.target, hope.reason, until=self._began + hope.until)
            for hope in self._outlook(held, left).hopes
        ]
        now = self._dependencies.awake()
        cooling = [waited for waited in self._cooling.values() if waited.not_before - now <= left]
        return [waited for waited in hopes + cooling if waited.target not in self._dropped]

    def _outlook(self, held: float, left: float) -> Outlook:
        return outlook(
            self._exchange.attempts,
            self._repeats,
            self._dependencies.answered,
            held + ROUNDING,
            left,
            self._began - self._came_at,
            self._edited,
        )

    def _note_cooling(self, route: Route) -> None:
        now, asked = (
            self._dependencies.awake(),
            {(one.upstream, one.model) for one in self._exchange.attempts},
        )
        for cooling in route.cooling:
            target, cooldown = _target(cooling.candidate), cooling.cooldown
            seconds = seconds_to_probe(cooldown, self._dependencies.monotonic())
            if seconds is not None:
                self._cooling.setdefault(target, Waited(target, cooldown.reason, now + seconds))
        self._cooling = {target: waited for target, waited in self._cooling.items() if target not in asked}


def _target(candidate: Candidate) -> Target:
    return candidate.name, candidate.model

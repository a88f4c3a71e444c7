"""Decide what one held request still waits for: which targets, and until when."""

import math
from collections.abc import Iterable, Sequence, Set

import msgspec

from switchyard.exchange import Attempt
from switchyard.routing.hold import NEVER, Edited, Target, outlook, seconds_to_probe
from switchyard.routing.lineup import Candidate
from switchyard.routing.recoveries import Recoveries
from switchyard.routing.route import Route

ROUNDING = 0.01
"""seconds; a timer may fire a little before its time"""


class Waited(msgspec.Struct, frozen=True):
    """One target that a held request waits for, and why; not tried before `not_before` nor after `until`."""

    target: Target
    reason: str = ""
    not_before: float = 0.0
    until: float = math.inf


class Period(msgspec.Struct, frozen=True):
    """The time for which a request may be held. All moments are those of the hold's clock."""

    received_at: float
    """when the request arrived"""
    began: float
    seconds: float

    def left(self, now: float) -> float:
        return self.began + self.seconds - now


class Waits:
    """What has kept one request's targets from answering so far. Time is given, never read."""

    def __init__(self, attempts: Sequence[Attempt], recoveries: Recoveries) -> None:
        self._attempts = attempts
        """those of the request so far: the list grows"""
        self._recoveries = recoveries
        self._cooling: dict[Target, Waited] = {}
        """targets that were cooling down when their turn came, and have not been tried since"""
        self._edited: dict[str, Edited] = {}
        self._dropped: set[Target] = set()
        """targets that this request was to try and cannot, by the settings as they are now"""

    def expected(self, period: Period, now: float, answered: Set[str]) -> list[Waited]:
        """The targets that may still answer within the period. `answered` as for `outlook`."""
        left = period.left(now)
        hopes = outlook(
            self._attempts,
            self._recoveries.failures_alone,
            answered,
            now - period.began + ROUNDING,
            left,
            period.began - period.received_at,
            self._edited,
        ).hopes
        failing = [Waited(hope.target, hope.reason, until=period.began + hope.until) for hope in hopes]
        known = {waited.target for waited in failing}
        cooling = [
            waited
            for waited in self._cooling.values()
            if waited.not_before - now <= left and waited.target not in known
        ]
        return [waited for waited in failing + cooling if waited.target not in self._dropped]

    def unexpected(self, period: Period, now: float) -> list[Waited]:
        """The targets that cool down for longer than the period: one may recover sooner, or the user tries it."""
        left = period.left(now)
        cooling = [waited for waited in self._cooling.values() if waited.not_before - now > left]
        return [waited for waited in cooling if waited.target not in self._dropped]

    @property
    def failing(self) -> frozenset[str]:
        """The upstreams that have failed for this request, or were cooling down."""
        tried = {attempt.account for attempt in self._attempts if attempt.failure is not None}
        return frozenset(tried | {upstream for upstream, _ in self._cooling})

    def note_cooling(self, route: Route, now: float, monotonic: float) -> None:
        """Add what the route leaves out because it is cooling down."""
        for cooling in route.cooling:
            target = target_of(cooling.candidate)
            seconds = seconds_to_probe(cooling.cooldown, monotonic)
            if seconds is not None:
                self._cooling.setdefault(target, Waited(target, cooling.cooldown.reason, now + seconds))
        tried = {
            (one.account, one.model)
            for number, one in enumerate(self._attempts)
            if number >= self._edited.get(one.account, NEVER).attempts
        }
        self._cooling = {target: waited for target, waited in self._cooling.items() if target not in tried}

    def note_edited(self, upstreams: Iterable[str], held_seconds: float) -> None:
        """The entries of these upstreams were edited: their tries and times count from here."""
        self._edited |= dict.fromkeys(upstreams, Edited(len(self._attempts), held_seconds))

    def note_unused(self, target: Target, route: Route) -> bool:
        """A target was not tried although it was its turn; False if the settings no longer let this request try it."""
        allowed = {target_of(one) for one in route.candidates + route.rescues + route.full}
        if target in allowed:
            return True
        self._dropped.add(target)
        return False

    def note_settings(self) -> None:
        """The settings have changed: what they did not allow they may allow now."""
        self._dropped.clear()


def target_of(candidate: Candidate) -> Target:
    """What is tried again: this model at this upstream."""
    return candidate.name, candidate.model

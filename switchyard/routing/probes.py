"""Who may try a failing upstream next: one probe at a time, the oldest held request first.

Time is given (seconds that only go on), never read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from switchyard.routing.hold import Target, pause_seconds

SILENT_SECONDS = 20.0
"""a probe that has been silent for so long lets a second one go"""
MOST_PROBES = 2
STALE_SECONDS = 60.0
"""a line in which nobody waits is forgotten so long after its next try was due"""


class Grant(msgspec.Struct, frozen=True):
    """This held request may try this target now."""

    exchange: str
    target: Target


class LineState(msgspec.Struct, frozen=True):
    """For display: how many wait, and the moment of the next try."""

    target: Target
    waiting: int
    next_at: float
    probing: bool


@dataclass(slots=True)
class _Line:
    """The held requests of one target, the oldest first."""

    next_at: float
    failures: int = 0
    failed_at: float = 0.0
    waiting: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Attempt:
    began: float
    is_probe: bool = False


class Probes:
    """Every attempt is reported with `begin` and `end`: whatever is under way at a target, no second one probes it."""

    def __init__(self) -> None:
        self._lines: dict[Target, _Line] = {}
        self._attempts: dict[Target, dict[str, _Attempt]] = {}

    # --- attempts ----------------------------------------------------------------

    def begin(self, exchange: str, target: Target, now: float) -> bool:
        """An attempt starts (where the exchange was granted one, it is this): True if no other is under way."""
        attempts = self._attempts.get(target)
        if attempts is None:
            attempts = self._attempts[target] = {}
        if (granted := attempts.get(exchange)) is not None:
            granted.began = now
        else:
            attempts[exchange] = _Attempt(now)
        return len(attempts) == 1

    def end(self, exchange: str, target: Target) -> None:
        """The attempt has shown content, has failed or was given up; also for a grant that was not used."""
        attempts = self._attempts.get(target)
        if attempts is not None and attempts.pop(exchange, None) is not None and not attempts:
            del self._attempts[target]

    def failed(self, target: Target, began: float, now: float, after: float, jitter: float) -> None:
        """An attempt that began at `began` failed in a way that passes; not before `after` seconds is the next one.

        Attempts that ran side by side count as one failure.
        """
        self._forget_stale(now)
        line = self._lines.setdefault(target, _Line(now))
        if began >= line.failed_at:
            line.failures += 1
            line.failed_at = now
        line.next_at = max(line.next_at, now + max(pause_seconds(line.failures, jitter), after))

    def succeeded(self, target: Target) -> tuple[str, ...] | None:
        """The target answers: those who waited for it, in their order; None if it had not been failing."""
        line = self._lines.pop(target, None)
        if line is None:
            return None
        for exchange in line.waiting:
            self.leave(exchange)
        return tuple(line.waiting)

    # --- held requests -------------------------------------------------------------

    def join(self, exchange: str, target: Target, now: float, not_before: float = 0.0) -> None:
        """The exchange waits at the end of the target's line, which is not tried before the moment `not_before`."""
        line = self._lines.setdefault(target, _Line(now))
        line.next_at = max(line.next_at, not_before)
        line.waiting.setdefault(exchange)

    def is_trying(self, exchange: str) -> bool:
        """An attempt of this exchange is under way."""
        return any(exchange in attempts for attempts in self._attempts.values())

    def leave(self, exchange: str) -> None:
        """The exchange waits nowhere any more."""
        for line in self._lines.values():
            line.waiting.pop(exchange, None)

    def grants(self, now: float) -> list[Grant]:
        """Who may try which target now; each is under way from this moment on and waits nowhere else."""
        granted: list[Grant] = []
        for target, line in self._lines.items():
            if line.waiting and self._opens_at(target, line) <= now:
                grant = Grant(next(iter(line.waiting)), target)
                self.leave(grant.exchange)
                self._attempts.setdefault(target, {})[grant.exchange] = _Attempt(now, is_probe=True)
                granted.append(grant)
        return granted

    def next_at(self) -> float:
        """The moment at which time alone opens a line; infinite if none does."""
        opens = [self._opens_at(target, line) for target, line in self._lines.items() if line.waiting]
        return min(opens, default=float("inf"))

    def hasten(self, now: float, upstreams: Iterable[str] | None = None) -> None:
        """The next tries of these upstreams, or of all, are due now."""
        wanted = None if upstreams is None else set(upstreams)
        for (upstream, _), line in self._lines.items():
            if wanted is None or upstream in wanted:
                line.next_at = now

    def next_try_at(self, targets: Iterable[Target]) -> float | None:
        """The moment of the next try of these targets, by anybody; None while one is under way."""
        failing = [target for target in targets if target in self._lines]
        if any(target in self._attempts for target in failing):
            return None
        return min((self._lines[target].next_at for target in failing), default=None)

    def lines(self) -> list[LineState]:
        return [
            LineState(target, len(line.waiting), line.next_at, target in self._attempts)
            for target, line in self._lines.items()
        ]

    def _opens_at(self, target: Target, line: _Line) -> float:
        """When the next probe may go: after the pause, and when nothing that is under way may still bring an answer."""
        attempts = self._attempts.get(target)
        if not attempts:
            return line.next_at
        if sum(one.is_probe for one in attempts.values()) >= MOST_PROBES:
            return float("inf")
        return max(line.next_at, max(one.began for one in attempts.values()) + SILENT_SECONDS)

    def _forget_stale(self, now: float) -> None:
        stale = [
            target
            for target, line in self._lines.items()
            if not line.waiting and target not in self._attempts and now - line.next_at > STALE_SECONDS
        ]
        for target in stale:
            del self._lines[target]

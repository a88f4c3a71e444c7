"""Decide which held request may try a failing upstream: one probe at a time, the oldest request first.

Time is an argument (monotonic seconds).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import msgspec

from switchyard.routing.hold import Target, pause_seconds

SILENT_SECONDS = 20.0
"""after this time without a response, a probe no longer blocks the next one; each further one blocks twice as long"""
STALE_SECONDS = 60.0
"""how long a queue without requests is kept after its next try was due"""


class Grant(msgspec.Struct, frozen=True):
    """This held request may try this target now."""

    exchange: str
    target: Target


class QueueState(msgspec.Struct, frozen=True):
    """For display: how many requests wait, and the time of the next try."""

    target: Target
    waiting: int
    next_at: float
    probing: bool


@dataclass(slots=True)
class _Queue:
    """The held requests of one target, the oldest first."""

    next_at: float
    failures: int = 0
    failed_at: float = 0.0
    waiting: dict[str, None] = field(default_factory=dict)


class _Attempt(msgspec.Struct):
    began: float
    is_probe: bool = False


class Probes:
    """Report every attempt with `begin` and `end`: a target with a running attempt is not probed."""

    def __init__(self) -> None:
        self._queues: dict[Target, _Queue] = {}
        self._attempts: dict[Target, dict[str, _Attempt]] = {}

    # --- attempts ----------------------------------------------------------------

    def begin(self, exchange: str, target: Target, now: float) -> bool:
        """Start an attempt (it may be the granted one of this exchange); True if no other is running."""
        attempts = self._attempts.get(target)
        if attempts is None:
            attempts = self._attempts[target] = {}
        if (granted := attempts.get(exchange)) is not None:
            granted.began = now
        else:
            attempts[exchange] = _Attempt(now)
        return len(attempts) == 1

    def end(self, exchange: str, target: Target) -> None:
        """The attempt has produced content, has failed or was cancelled; also for a grant that was not used."""
        attempts = self._attempts.get(target)
        if attempts is not None and attempts.pop(exchange, None) is not None and not attempts:
            del self._attempts[target]

    def failed(self, target: Target, began: float, now: float, after: float, jitter: float) -> None:
        """A temporary failure of an attempt that began at `began`: the next is allowed after `after` seconds.

        Parallel attempts count as one failure.
        """
        self._forget_stale(now)
        queue = self._queues.setdefault(target, _Queue(now))
        if began >= queue.failed_at:
            queue.failures += 1
            queue.failed_at = now
        queue.next_at = max(queue.next_at, now + max(pause_seconds(queue.failures, jitter), after))

    def succeeded(self, target: Target) -> tuple[str, ...] | None:
        """The target answers: returns the requests that waited for it, in order; None if it had not been failing."""
        queue = self._queues.pop(target, None)
        if queue is None:
            return None
        for exchange in queue.waiting:
            self.leave(exchange)
        return tuple(queue.waiting)

    # --- held requests -------------------------------------------------------------

    def join(self, exchange: str, target: Target, now: float, not_before: float = 0.0) -> None:
        """Add the exchange to the end of the target's queue, which is not tried before `not_before`."""
        queue = self._queues.setdefault(target, _Queue(now))
        queue.next_at = max(queue.next_at, not_before)
        queue.waiting.setdefault(exchange)

    def is_trying(self, exchange: str) -> bool:
        """True while an attempt of this exchange is running."""
        return any(exchange in attempts for attempts in self._attempts.values())

    def leave(self, exchange: str) -> None:
        """Remove the exchange from all queues."""
        for queue in self._queues.values():
            queue.waiting.pop(exchange, None)

    def grants(self, now: float) -> list[Grant]:
        """The requests that may try a target now; each counts as running from now on and leaves the other queues."""
        granted: list[Grant] = []
        for target, queue in self._queues.items():
            if queue.waiting and self._opens_at(target, queue) <= now:
                grant = Grant(next(iter(queue.waiting)), target)
                self.leave(grant.exchange)
                self._attempts.setdefault(target, {})[grant.exchange] = _Attempt(now, is_probe=True)
                granted.append(grant)
        return granted

    def next_at(self) -> float:
        """The time at which the next queue opens by time alone; infinite if none does."""
        opens = [self._opens_at(target, queue) for target, queue in self._queues.items() if queue.waiting]
        return min(opens, default=float("inf"))

    def hasten(self, now: float, upstreams: Iterable[str] | None = None) -> None:
        """Make the next tries of these upstreams, or of all, due now."""
        wanted = None if upstreams is None else set(upstreams)
        for (upstream, _), queue in self._queues.items():
            if wanted is None or upstream in wanted:
                queue.next_at = now

    def keep_only(self, accounts: Collection[str]) -> None:
        """Forget when the others are tried next: they are removed, or belong to another account now."""
        self._queues = {target: queue for target, queue in self._queues.items() if target[0] in accounts}

    def next_try_at(self, targets: Iterable[Target]) -> float | None:
        """The time of the next try of these targets by any request; None while one is running."""
        failing = [target for target in targets if target in self._queues]
        if any(target in self._attempts for target in failing):
            return None
        return min((self._queues[target].next_at for target in failing), default=None)

    def queues(self) -> list[QueueState]:
        return [
            QueueState(target, len(queue.waiting), queue.next_at, target in self._attempts)
            for target, queue in self._queues.items()
        ]

    def _opens_at(self, target: Target, queue: _Queue) -> float:
        """When the next probe may start: after the pause, and when no running attempt may still answer."""
        attempts = self._attempts.get(target)
        if not attempts:
            return queue.next_at
        silent_probes = sum(one.is_probe for one in attempts.values())
        blocked_seconds = SILENT_SECONDS * 2.0 ** max(silent_probes - 1, 0)
        return max(queue.next_at, max(one.began for one in attempts.values()) + blocked_seconds)

    def _forget_stale(self, now: float) -> None:
        stale = [
            target
            for target, queue in self._queues.items()
            if not queue.waiting and target not in self._attempts and now - queue.next_at > STALE_SECONDS
        ]
        for target in stale:
            del self._queues[target]

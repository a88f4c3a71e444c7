"""Wait for a place at a full upstream: fair, bounded, and without a place ever being lost."""

import asyncio
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from switchyard.routing.limits import Limits
from switchyard.settings import Upstream

MAX_WAITING = 1000


@dataclass(slots=True)
class _Waiter:
    ticket: int
    wanted: Sequence[Upstream]
    granted: asyncio.Future[str] = field(default_factory=asyncio.Future)


class WaitingRoom:
    """Hands a place that becomes free to the one who has waited longest for it, never to a newcomer.

    A place is counted from the moment it is taken or granted. Each `enter`, and each place that `wait` has granted,
    must be followed by exactly one `leave` (or `give_back`).
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._waiters: list[_Waiter] = []
        self._tickets = count()
        self._alarm: asyncio.TimerHandle | None = None

    def enter(self, upstream: Upstream) -> None:
        """A request takes a place, without having waited for it."""
        self._limits.begin(upstream.name)
        self._limits.count_start(upstream, self._now())

    def leave(self, upstream: str) -> None:
        """A request has ended: the next one's turn."""
        self._limits.end(upstream)
        self.hand_out()

    def give_back(self, upstream: str) -> None:
        """A place that `wait` has granted is not used after all."""
        self._limits.withdraw_start(upstream)
        self.leave(upstream)

    @property
    def is_crowded(self) -> bool:
        """True if nobody else may wait."""
        return len(self._waiters) >= MAX_WAITING

    def draw_ticket(self) -> int:
        """A place in the line, which holds for as many `wait`s as it takes."""
        return next(self._tickets)

    async def wait(self, ticket: int, wanted: Sequence[Upstream], seconds: float) -> str | None:
        """The upstream at which the caller now has a place, the best first; None when there was none in time."""
        waiter = _Waiter(ticket, wanted)
        insort(self._waiters, waiter, key=lambda one: one.ticket)
        self.hand_out()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiter.granted)
        except TimeoutError:
            return waiter.granted.result() if waiter.granted.done() else None
        except asyncio.CancelledError:
            if waiter.granted.done():
                self.give_back(waiter.granted.result())
            raise
        finally:
            self._waiters.remove(waiter)
            self._set_alarm()

    def hand_out(self) -> None:
        """Give what is free to those who wait for it; call it before somebody new looks for a place."""
        if not self._waiters:
            return
        now = self._now()
        for waiter in self._waiters:
            if waiter.granted.done():
                continue
            free = next((one for one in waiter.wanted if self._limits.has_room(one, now)), None)
            if free is not None:
                self.enter(free)
                waiter.granted.set_result(free.name)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Look again when the next rate limit opens; a place is told of by whoever leaves it."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._now()
        opens = [
            self._limits.free_at(upstream, now)
            for waiter in self._waiters
            if not waiter.granted.done()
            for upstream in waiter.wanted
            if not self._limits.is_full(upstream)
        ]
        if opens:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(min(opens) - now, 0.001), self.hand_out)

    def __len__(self) -> int:
        return len(self._waiters)

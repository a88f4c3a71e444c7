"""Wait for a place at a full upstream: fair, bounded, and without a place ever being lost."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from switchyard.routing.limits import Limits
from switchyard.settings import Upstream

MAX_WAITING = 1000


@dataclass(slots=True)
class _Waiter:
    upstreams: frozenset[str]
    granted: asyncio.Future[str] = field(default_factory=asyncio.Future)


class WaitingRoom:
    """Hands a place that becomes free to the one who has waited longest for it, never to a newcomer."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._waiters: deque[_Waiter] = deque()

    def enter(self, upstream: Upstream, *, granted: bool = False) -> None:
        """An attempt begins; `granted` if `wait` has given it its place already."""
        if not granted:
            self._limits.begin(upstream.name)
        self._limits.count_start(upstream, self._now())

    def leave(self, upstream: str) -> None:
        """An attempt has ended, or a granted place is not used: the next one's turn."""
        for waiter in self._waiters:
            if upstream in waiter.upstreams and not waiter.granted.done():
                waiter.granted.set_result(upstream)
                return
        self._limits.end(upstream)

    async def wait(self, upstreams: frozenset[str], seconds: float) -> str | None:
        """The upstream at which the caller now has a place; None when there was none in time or too many wait."""
        if len(self._waiters) >= MAX_WAITING:
            return None
        waiter = _Waiter(upstreams)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiter.granted)
        except TimeoutError:
            return waiter.granted.result() if waiter.granted.done() else None
        except asyncio.CancelledError:
            if waiter.granted.done():
                self.leave(waiter.granted.result())
            raise
        finally:
            self._waiters.remove(waiter)

    def __len__(self) -> int:
        return len(self._waiters)

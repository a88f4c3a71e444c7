"""Keep one ready connection to each server that will be asked soon, so that a request after a pause need not open one.

A server may close idle connections early: then a new one is opened, not more often than the limits below allow.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from switchyard.http1.errors import Http1Error
from switchyard.http1.request import Origin

LOOK_SECONDS = 5.0
"""how often the connections are looked after"""
ASLEEP_SECONDS = 30.0
"""a look this late comes after a sleep of the machine: connections from before it may be dead"""
GAP_SECONDS = 15.0
LONGEST_GAP_SECONDS = 300.0
OPENED_PER_HOUR = 60
HOUR_SECONDS = 3600.0
MAX_HELD = 32

Clock = Callable[[], float]
Times = tuple[float, float]
"""by the monotonic and by the wall clock"""


class Pool(Protocol):
    """The connections of a transport."""

    def is_ready(self, origin: Origin) -> bool:
        """An idle connection is there that the server will keep for a while."""

    def is_busy(self, origin: Origin) -> bool:
        """An answer is under way, whose connection is free afterwards."""

    def drop_idle(self, origin: Origin) -> None: ...

    async def open_idle(self, origin: Origin, connect_seconds: float) -> None:
        """Raises Http1Error."""


class Opening:
    """Whether a connection may be opened now. Time is an argument."""

    def __init__(self) -> None:
        self._opened: deque[float] = deque(maxlen=OPENED_PER_HOUR)
        self._failures = 0

    def is_allowed(self, now: float) -> bool:
        if not self._opened:
            return True
        gap = min(GAP_SECONDS * 2**self._failures, LONGEST_GAP_SECONDS)
        is_full = len(self._opened) == OPENED_PER_HOUR and now - self._opened[0] < HOUR_SECONDS
        return now - self._opened[-1] >= gap and not is_full

    def counts(self, now: float) -> bool:
        return bool(self._opened) and now - self._opened[-1] < HOUR_SECONDS

    def begin(self, now: float) -> None:
        self._opened.append(now)

    def end(self, *, ok: bool) -> None:
        self._failures = 0 if ok else min(self._failures + 1, 10)


class _Held:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.connect_seconds = 0.0
        self.until: Times = (0.0, 0.0)
        self.task: asyncio.Task[None] | None = None


class ReadyConnections:
    """Nothing happens, and no timer runs, while no server is held."""

    def __init__(self, pool: Pool, monotonic: Clock, wall: Clock) -> None:
        self._pool = pool
        self._clocks = monotonic, wall
        self._held: dict[Origin, _Held] = {}
        self._openings: dict[Origin, Opening] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looked: Times = (0.0, 0.0)
        self.opened_count = 0

    def hold(self, origin: Origin, seconds: float, connect_seconds: float) -> None:
        """From now on for so long, and so long after the end of an answer of this server."""
        if origin not in self._held and len(self._held) >= MAX_HELD:
            self.release(next(iter(self._held)))
        held = self._held.setdefault(origin, _Held())
        held.seconds, held.connect_seconds = seconds, connect_seconds
        held.until = self._in(seconds)
        if self._timer is None:
            self._looked = self._in(0)
            self._start_timer()

    def holds(self, origin: Origin) -> bool:
        return origin in self._held

    def origins(self) -> tuple[Origin, ...]:
        return tuple(self._held)

    def release(self, origin: Origin) -> None:
        held = self._held.pop(origin, None)
        if held is not None and held.task is not None:
            held.task.cancel()

    async def close(self) -> None:
        tasks = [held.task for held in self._held.values() if held.task is not None]
        for origin in self.origins():
            self.release(origin)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if tasks:
            await asyncio.wait(tasks)

    def look(self) -> None:
        """Open what is missing, and drop what is no longer needed."""
        now, has_slept = self._in(0), self._has_slept()
        self._looked = now
        for origin, held in tuple(self._held.items()):
            if self._pool.is_busy(origin) and not has_slept:
                held.until = self._in(held.seconds)
            elif now[0] >= held.until[0] or now[1] >= held.until[1]:
                self.release(origin)
            else:
                if has_slept:
                    self._pool.drop_idle(origin)
                self._complete(origin, held, now[0])

    def _complete(self, origin: Origin, held: _Held, now: float) -> None:
        opening = self._openings.setdefault(origin, Opening())
        if held.task is None and not self._pool.is_ready(origin) and opening.is_allowed(now):
            opening.begin(now)
            self.opened_count += 1
            held.task = asyncio.create_task(self._open(origin, held, opening))

    async def _open(self, origin: Origin, held: _Held, opening: Opening) -> None:
        try:
            await self._pool.open_idle(origin, held.connect_seconds)
            opening.end(ok=True)
        except Http1Error:
            opening.end(ok=False)  # the next request reports it
        finally:
            held.task = None

    def _has_slept(self) -> bool:
        """The monotonic clock may stand still while the machine sleeps."""
        return (
            max(now - before for now, before in zip(self._in(0), self._looked, strict=True)) > ASLEEP_SECONDS
        )

    def _in(self, seconds: float) -> Times:
        monotonic, wall = self._clocks
        return monotonic() + seconds, wall() + seconds

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._at_timer)

    def _at_timer(self) -> None:
        self._timer = None
        self.look()
        if self._held:
            self._start_timer()
        else:
            now = self._in(0)[0]
            self._openings = {origin: one for origin, one in self._openings.items() if one.counts(now)}

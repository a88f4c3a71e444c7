"""Show the client that its stream is alive while the upstream is silent."""

import asyncio
from collections.abc import Callable

from switchyard.relay.headers import Headers
from switchyard.relay.values import Sink


class KeepAlive:
    """Writes `pulse()` after so many seconds without a word to the client; opens the stream if need be.

    Nothing of the answer itself is sent, so failover still works afterwards.
    """

    def __init__(self, sink: Sink, seconds: float, headers: Headers, pulse: Callable[[], bytes]) -> None:
        self._sink = sink
        self._seconds = seconds
        self._headers = headers
        self._pulse = self._next_pulse = pulse
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(seconds, self._check)

    def speak_with(self, pulse: Callable[[], bytes]) -> None:
        """After the next words this says that we are alive: a pulse that is due already must not come before them."""
        self._next_pulse = pulse

    async def write(self, data: bytes) -> None:
        """Write to the client; no pulse comes between."""
        if self._task is not None:
            await self._task
        self._busy = True
        try:
            await self._sink.write(data)
        finally:
            self._busy = False
            self._last = self._loop.time()
            self._pulse = self._next_pulse

    async def stop(self) -> None:
        """No more pulses; waits for one that is on its way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await self._task

    def abandon(self) -> None:
        """The client has left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    def _check(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left <= 0 and not self._busy and self._task is None:
            # made up now: what is said while it is on its way is numbered after it, and waits for it
            self._task = self._loop.create_task(self._beat(self._pulse()))
            left = self._seconds
        self._timer = self._loop.call_later(max(left, 0.01), self._check)

    async def _beat(self, pulse: bytes) -> None:
        try:
            if not self._sink.started:
                await self._sink.start(200, self._headers)
            await self._sink.write(pulse)
            self._last = self._loop.time()
        finally:
            self._task = None

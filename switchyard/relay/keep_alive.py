"""Keep a client's stream alive while the upstream sends nothing."""

import asyncio
from collections.abc import Callable

from switchyard.relay.headers import Headers
from switchyard.relay.values import Sink


class KeepAlive:
    """Writes `record()` after so many seconds without a byte to the client; starts the stream if necessary.

    Nothing of the answer itself is sent, so failover is still possible afterwards.
    """

    def __init__(self, sink: Sink, seconds: float, headers: Headers, record: Callable[[], bytes]) -> None:
        self._sink = sink
        self._seconds = seconds
        self._headers = headers
        self._record = self._next_record = record
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(seconds, self._check)

    def switch_to(self, record: Callable[[], bytes]) -> None:
        """Write these records after the next bytes of the answer, not before: one may be due already."""
        self._next_record = record

    async def write(self, data: bytes) -> None:
        """Write to the client; no keep-alive comes between."""
        if self._task is not None:
            await self._task
        self._busy = True
        try:
            await self._sink.write(data)
        finally:
            self._busy = False
            self._last = self._loop.time()
            self._record = self._next_record

    async def stop(self) -> None:
        """No more keep-alives; waits for one that is being written."""
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
            # made now: records of the answer that are made while it is written have later numbers, and wait for it
            self._task = self._loop.create_task(self._send(self._record()))
            left = self._seconds
        self._timer = self._loop.call_later(max(left, 0.01), self._check)

    async def _send(self, record: bytes) -> None:
        try:
            if not self._sink.started:
                await self._sink.start(200, self._headers)
            await self._sink.write(record)
            self._last = self._loop.time()
        finally:
            self._task = None

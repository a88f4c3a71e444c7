"""A limit on silence that costs almost nothing for each event."""

import asyncio


class SilenceLimit:
    """Raises TimeoutError in the task that entered it when nothing was `touch`ed for so many seconds.

    Cheaper than `asyncio.timeout` for many events: a touch only notes the time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> "SilenceLimit":
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self.touch()
        self._timer = self._loop.call_later(self._seconds, self._check)
        return self

    def touch(self) -> None:
        self._last = self._loop.time()

    def restart(self, seconds: float) -> None:
        """From now on this limit holds."""
        self.touch()
        if seconds < self._seconds:
            self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._check)
        self._seconds = seconds

    def _check(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._expired = True
            self._task.cancel()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

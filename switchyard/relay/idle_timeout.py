"""An idle timeout that costs almost nothing for each event."""

import asyncio
import math
from typing import Self

LAST_CHECKS = 5
"""turns of the event loop before it expires: after a suspension, what arrived meanwhile is read only now"""


class IdleTimeout:
    """Raises TimeoutError in the task that entered it when nothing was `touch`ed for so many seconds.

    Cheaper than `asyncio.timeout` for many events: a touch only notes the time. With `total_seconds` it is raised
    after that time in any case.
    """

    _timer: asyncio.Handle
    _is_paused = False
    _expired = False
    _checks = 0

    def __init__(self, seconds: float, total_seconds: float = math.inf) -> None:
        self._seconds = seconds
        self._total_seconds = total_seconds

    def __enter__(self) -> Self:
        loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        now = self._last = loop.time()
        seconds, total = self._seconds, self._total_seconds
        self._ends = now + total
        self._timer = loop.call_later(seconds if seconds < total else total, self._check)
        return self

    @property
    def is_over(self) -> bool:
        """True if the total time is up."""
        return self._loop.time() >= self._ends

    def lift_total(self) -> None:
        """From now on only the idle time counts."""
        self._ends = math.inf

    def touch(self) -> None:
        self._is_paused = False
        self._last = self._loop.time()

    def pause(self) -> None:
        """Until the next touch the upstream is not idle."""
        self._is_paused = True

    def resume(self) -> None:
        """The pause is over without a touch."""
        self._is_paused = False

    def restart(self, seconds: float) -> None:
        """Restart with this timeout."""
        self.touch()
        if seconds < self._seconds:
            self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._check)
        self._seconds = seconds

    def _check(self) -> None:
        now = self._loop.time()
        left = min((now if self._is_paused else self._last) + self._seconds, self._ends) - now
        if left > 0:
            self._checks = 0
            self._timer = self._loop.call_later(left, self._check)
        elif self._checks < LAST_CHECKS:
            self._checks += 1
            self._timer = self._loop.call_soon(self._check)
        else:
            self._expired = True
            self._task.cancel()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

"""An idle timeout that costs almost nothing for each event."""

import asyncio
import math
from operator import itemgetter
from typing import Self

LAST_TURNS = 5
"""turns of the event loop before it expires: after a suspension, what arrived meanwhile is read only now"""


class IdleTimeout:
    """Raises TimeoutError in the task that entered it when nothing was `touch`ed for so many seconds.

    Cheaper than `asyncio.timeout` for many events: a touch only notes the time. With `total_seconds` it is raised
    after that time in any case.
    """

    _is_paused = False
    _expired = False

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
        alarm = self._alarm = _alarm_of(loop)
        alarm.set(self, now + (seconds if seconds < total else total))
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
            self._alarm.set(self, self._last + seconds)
        self._seconds = seconds

    def check(self) -> None:
        """Expire, unless it was touched since it set the alarm."""
        now = self._loop.time()
        ends = min((now if self._is_paused else self._last) + self._seconds, self._ends)
        if ends > now:
            self._alarm.set(self, ends)
        else:
            self._expired = True
            self._task.cancel()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._alarm.set_by.pop(self, None)
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class _Alarm:
    """The only timer of all idle timeouts of a loop: nearly all of them are over long before it rings."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.set_by: dict[IdleTimeout, float] = {}
        self._rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, timeout: IdleTimeout, at: float) -> None:
        self.set_by[timeout] = at
        if at < self._rings_at:
            if self._timer is not None:
                self._timer.cancel()
            self._rings_at = at
            self._timer = self.loop.call_at(at, self._ring, at)

    def _ring(self, at: float, turns: int = LAST_TURNS) -> None:
        if turns:
            self.loop.call_soon(self._ring, at, turns - 1)
            return
        self._rings_at = math.inf
        for timeout in [one for one, set_to in self.set_by.items() if set_to <= at]:
            del self.set_by[timeout]
            timeout.check()
        if self.set_by:
            self.set(*min(self.set_by.items(), key=itemgetter(1)))


_alarm: _Alarm | None = None
"""that of the loop that used it last: nearly always there is only one"""


def _alarm_of(loop: asyncio.AbstractEventLoop) -> _Alarm:
    global _alarm
    if _alarm is None or _alarm.loop is not loop:
        _alarm = _Alarm(loop)
    return _alarm

"""Convert times of a steady clock to seconds since 1970, with the same result each time they are shown."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from switchyard.routing.lineup import Moment

STEP_SECONDS = 0.5
"""the two clocks have drifted apart by this much: the system's time was set, or the machine has slept"""


class Epochs:
    """Calendar times for a steady clock. Converting a time each time would give small differences."""

    def __init__(self, steady: Callable[[], float], wall: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._wall = wall
        self._offset = wall() - steady()

    def now(self) -> Moment:
        steady = self._steady()
        return Moment(datetime.fromtimestamp(steady + self._current_offset()).astimezone(), steady)

    def of(self, moment: float) -> int:
        return round(moment + self._current_offset())

    def seconds_until(self, moment: float) -> float:
        return max(0.0, moment - self._steady())

    def _current_offset(self) -> float:
        offset = self._wall() - self._steady()
        if abs(offset - self._offset) > STEP_SECONDS:
            self._offset = offset
        return self._offset


def epoch(monotonic: float | None, now: Moment) -> float | None:
    """A monotonic time as seconds since 1970."""
    if monotonic is None:
        return None
    return (now.wall + timedelta(seconds=monotonic - now.monotonic)).timestamp()

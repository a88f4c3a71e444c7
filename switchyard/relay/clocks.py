"""Read the clocks: seconds that count while the machine sleeps, and the local time."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial

from switchyard.routing.lineup import Moment

COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux, then macOS; on Windows every monotonic clock does."""


steady_seconds: Callable[[], float] = (
    time.monotonic if COUNTS_SLEEP is None else partial(time.clock_gettime, COUNTS_SLEEP)
)
"""Seconds that also count while the machine sleeps: a closed lid makes no cooldown longer."""


def local_moment() -> Moment:
    """Now, read from the system's clocks; the calendar's to the second."""
    return Moment(_wall(int(time.time())), steady_seconds())


@lru_cache(1)
def _wall(second: int) -> datetime:
    return datetime.fromtimestamp(second).astimezone()

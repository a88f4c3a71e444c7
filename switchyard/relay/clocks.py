"""Read the clocks: seconds that count while the machine sleeps, and the local time."""

import time
from datetime import datetime
from functools import lru_cache

from switchyard.routing.lineup import Moment

COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux, then macOS; on Windows every monotonic clock does."""


def steady_seconds() -> float:
    """Seconds that also count while the machine sleeps: a closed lid makes no cooldown longer."""
    return time.monotonic() if COUNTS_SLEEP is None else time.clock_gettime(COUNTS_SLEEP)


def local_moment() -> Moment:
    """Now, read from the system's clocks; the calendar's to the second."""
    return Moment(_wall(int(time.time())), steady_seconds())


@lru_cache(1)
def _wall(second: int) -> datetime:
    return datetime.fromtimestamp(second).astimezone()

"""The clocks of a simulated machine: they stand still until the event loop advances them.

`install` replaces the functions of `time` before Switchyard is imported, which binds some of them at import.
"""

import os
import time
from collections.abc import Callable

START = 1_790_000_000.0
"""the wall clock of every run begins here"""


class Clocks:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.awake = 0.0
        """seconds that the machine has run; the clock of timers"""
        self.asleep = 0.0
        self.shift = 0.0
        """by how much the wall clock was set"""
        self.busy = 0.0
        """seconds that the job of a thread has taken so far: they pass for its own clock only"""
        self.is_in_thread = False

    def monotonic(self) -> float:
        return self.awake + self.busy

    def boot_seconds(self) -> float:
        """These count while the machine sleeps."""
        return self.monotonic() + self.asleep

    def wall(self) -> float:
        return START + self.boot_seconds() + self.shift


CLOCKS = Clocks()


def install() -> None:
    replaced: dict[str, Callable[..., float]] = {
        "time": CLOCKS.wall,
        "monotonic": CLOCKS.monotonic,
        "perf_counter": CLOCKS.monotonic,
        "clock_gettime": lambda clock: CLOCKS.boot_seconds(),
    }
    for name, function in replaced.items():
        if hasattr(time, name):
            setattr(time, name, function)
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()

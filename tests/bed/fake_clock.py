"""The real daemon with clocks that tests set: the process starts with another `time.time`."""

import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

# read at each call, as the clock of a machine is; the monotonic clocks go on as they do when a clock is corrected
PATCH = """
import time
real, steady = time.time, time.clock_gettime
def number(path):
    with open(path) as file:
        return float(file.read() or 0)
time.time = lambda: real() + number({offset!r}) + number({slept!r})
time.clock_gettime = lambda clock: steady(clock) + number({slept!r})
"""


class FakeClock:
    """`environment` is for a Daemon; `set` and `sleep` apply at once."""

    def __init__(self, folder: Path, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._offset, self._slept = folder / "offset", folder / "slept"
        self._seconds = 0.0
        site = folder / "site"
        site.mkdir(parents=True)
        for path in (self._offset, self._slept):
            path.touch()
        patch = PATCH.format(offset=str(self._offset), slept=str(self._slept))
        (site / "sitecustomize.py").write_text(patch)
        self.environment = {"PYTHONPATH": str(site), "TZ": zone}

    def set(self, moment: str, fold: int = 0) -> None:
        """A local time such as "2026-03-29 01:59"; `fold=1` is the second of two equal ones."""
        local = datetime.fromisoformat(moment).replace(tzinfo=self._zone, fold=fold)
        _write(self._offset, local.timestamp() - time.time() - self._seconds)

    def sleep(self, seconds: float) -> None:
        """The machine sleeps for so long: the calendar and the clock that counts sleep go on, timers do not."""
        self._seconds += seconds
        _write(self._slept, self._seconds)


def _write(path: Path, number: float) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(str(number))
    temporary.replace(path)

"""The real daemon with a wall clock that tests set: the process starts with another `time.time`."""

import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

# read at each call, as the clock of a machine is; the monotonic clocks go on as they do when a clock is corrected
PATCH = """
import time
real = time.time
def shifted():
    with open({offset!r}) as file:
        return real() + float(file.read() or 0)
time.time = shifted
"""


class FakeClock:
    """`environment` is for a Daemon; `set` applies at once."""

    def __init__(self, folder: Path, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._offset = folder / "offset"
        site = folder / "site"
        site.mkdir(parents=True)
        (site / "sitecustomize.py").write_text(PATCH.format(offset=str(self._offset)))
        self.environment = {"PYTHONPATH": str(site), "TZ": zone}

    def set(self, moment: str, fold: int = 0) -> None:
        """A local time such as "2026-03-29 01:59"; `fold=1` is the second of two equal ones."""
        local = datetime.fromisoformat(moment).replace(tzinfo=self._zone, fold=fold)
        temporary = self._offset.with_suffix(".new")
        temporary.write_text(str(local.timestamp() - time.time()))
        temporary.replace(self._offset)

"""The machine's zone, asked in a process whose zone is known."""

import os
import subprocess
import sys

import pytest

from tests.bed.patience import PATIENCE_SECONDS

ASK = """
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
from switchyard.relay.local_zone import LOCAL

zone = ZoneInfo(sys.argv[1])
moment = datetime(2026, 3, 1, tzinfo=UTC)
for _ in range(365 * 24 * 2):
    moment += timedelta(minutes=30)
    mine, right = moment.astimezone(LOCAL), moment.astimezone(zone)
    assert mine.replace(tzinfo=None) == right.replace(tzinfo=None), (mine, right)
    assert (mine.fold, mine.utcoffset(), mine.tzname()) == (right.fold, right.utcoffset(), right.tzname())
    assert mine.timestamp() == right.timestamp() == moment.timestamp()
    for minutes in (60, 150):
        wall = right.replace(tzinfo=None) + timedelta(minutes=minutes)
        for fold in (0, 1):
            named = wall.replace(fold=fold)
            theirs = named.replace(tzinfo=zone).timestamp()
            assert named.replace(tzinfo=LOCAL).timestamp() == theirs, (named, fold)
print("same")
"""


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "UTC"]
)
def test_it_agrees_with_the_zone_of_the_system_all_year(zone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, zone],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.stdout, done.stderr) == ("same\n", "")

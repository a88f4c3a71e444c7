import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from switchyard.store.local_time import LocalMoment, is_day, local_moment, notice_zone_change

CASES = [
    # Berlin: 2026-03-29 has no 02:30, 2026-10-25 has it twice
    ("Europe/Berlin", "2026-03-29T00:59:59", "2026-03-29", 1, 60),
    ("Europe/Berlin", "2026-03-29T01:00:00", "2026-03-29", 3, 120),
    ("Europe/Berlin", "2026-03-28T22:59:59", "2026-03-28", 23, 60),
    ("Europe/Berlin", "2026-03-28T23:00:00", "2026-03-29", 0, 60),
    ("Europe/Berlin", "2026-03-29T21:59:59", "2026-03-29", 23, 120),
    ("Europe/Berlin", "2026-03-29T22:00:00", "2026-03-30", 0, 120),
    ("Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25", 2, 120),
    ("Europe/Berlin", "2026-10-25T01:30:00", "2026-10-25", 2, 60),
    ("Europe/Berlin", "2026-10-25T22:59:59", "2026-10-25", 23, 60),
    # New York, and zones of half and quarter hours
    ("America/New_York", "2026-11-01T05:30:00", "2026-11-01", 1, -240),
    ("America/New_York", "2026-11-01T06:30:00", "2026-11-01", 1, -300),
    ("America/New_York", "2026-11-01T04:59:59", "2026-11-01", 0, -240),
    # the month begins on the day of the change
    ("America/New_York", "2026-11-01T03:59:59", "2026-10-31", 23, -240),
    ("America/New_York", "2026-11-01T04:00:00", "2026-11-01", 0, -240),
    ("America/New_York", "2026-12-01T04:59:59", "2026-11-30", 23, -300),
    # a midnight that does not exist, and an hour before midnight that occurs twice
    ("America/Santiago", "2026-09-06T03:59:59", "2026-09-05", 23, -240),
    ("America/Santiago", "2026-09-06T04:00:00", "2026-09-06", 1, -180),
    ("Africa/Cairo", "2026-10-29T20:59:59", "2026-10-29", 23, 180),
    ("Africa/Cairo", "2026-10-29T21:00:00", "2026-10-29", 23, 120),
    ("Africa/Cairo", "2026-10-29T22:00:00", "2026-10-30", 0, 120),
    ("Asia/Kolkata", "2026-06-30T18:30:00", "2026-07-01", 0, 330),
    ("Asia/Kathmandu", "2026-06-30T18:14:59", "2026-06-30", 23, 345),
    ("Australia/Lord_Howe", "2026-04-04T14:59:00", "2026-04-05", 1, 660),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00", "2026-04-05", 1, 630),
    ("Pacific/Kiritimati", "2026-12-31T10:00:00", "2027-01-01", 0, 840),
    ("America/Sao_Paulo", "2026-01-01T02:59:59", "2025-12-31", 23, -180),
]


@pytest.mark.parametrize(("zone", "utc", "day", "hour", "offset"), CASES)
def test_days_and_hours_are_those_of_the_place(zone: str, utc: str, day: str, hour: int, offset: int) -> None:
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()
    assert local_moment(at, ZoneInfo(zone)) == LocalMoment(day, hour, offset)


def test_without_a_zone_the_machine_s_own_is_used() -> None:
    at = 1_795_000_000.0
    local = datetime.fromtimestamp(at).astimezone()
    moment = local_moment(at)
    assert (moment.day, moment.hour) == (local.date().isoformat(), local.hour)
    assert moment.month == moment.day[:7]


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    notice_zone_change()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows notices by itself")
def test_a_move_of_the_machine_is_noticed_while_running(travel: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 11, 30, 22, 30, tzinfo=UTC).timestamp()
    seen = []
    for zone in ("Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles"):
        travel.setenv("TZ", zone)
        notice_zone_change()
        seen.append(local_moment(at))
    assert seen == [
        LocalMoment("2026-11-30", 23, 60),
        LocalMoment("2026-12-01", 7, 540),
        LocalMoment("2026-11-30", 14, -480),
    ]


@pytest.mark.parametrize(
    "text", ["", "2026-2-3", "20261121", "2026-W47-6", "2026-02-30", "2026-11-21T00", "x" * 99]
)
def test_days_are_written_in_one_way_only(text: str) -> None:
    assert not is_day(text)
    assert is_day("2026-11-21")

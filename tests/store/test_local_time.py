from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from switchyard.store.local_time import LocalMoment, local_moment

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


def test_without_a_zone_the_machine_s_own_is_meant() -> None:
    at = 1_795_000_000.0
    local = datetime.fromtimestamp(at).astimezone()
    moment = local_moment(at)
    assert (moment.day, moment.hour) == (local.date().isoformat(), local.hour)
    assert moment.month == moment.day[:7]

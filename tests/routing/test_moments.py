"""Parsing times as people write them."""

from datetime import UTC, datetime

import pytest

from switchyard.routing.lineup import Moment
from switchyard.routing.moments import moment_at, seconds_of

SATURDAY = Moment(datetime(2026, 11, 21, 14, 30, tzinfo=UTC), 1000.0)


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("", 21, "14:30"),
        ("  ", 21, "14:30"),
        ("09:00", 21, "09:00"),
        ("sat 15:00", 21, "15:00"),
        ("mon 09:00", 23, "09:00"),
        ("Friday 23:59", 27, "23:59"),
    ],
)
def test_a_moment_lies_in_the_seven_days_from_now(text: str, day: int, clock: str) -> None:
    found = moment_at(text, SATURDAY)
    assert (found.wall.day, found.wall.strftime("%H:%M")) == (day, clock)
    assert found.monotonic - SATURDAY.monotonic == (found.wall - SATURDAY.wall).total_seconds()


@pytest.mark.parametrize("text", ["later", "mon", "noday 09:00", "mon tue 09:00", "25:00"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        moment_at(text, SATURDAY)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "14:31"), (23 * 3600, "13:30"), (86_400, "2026-11-22 14:30"), (7 * 86_400, "2026-11-28 14:30")],
)
def test_a_moment_that_is_a_day_away_is_shown_with_its_date(seconds: float, text: str) -> None:
    assert SATURDAY.clock_at(SATURDAY.monotonic + seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("90min", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("45s", 45),
        ("1D", 86_400),
    ],
)
def test_a_duration_has_units(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "0h", "h", "-2h", "2h later", "30m1h", "1.5h", "9" * 400 + "h"])
def test_a_duration_without_units_or_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds_of(text)

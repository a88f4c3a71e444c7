"""Local times of day and spans of them are read in minutes."""

import pytest

from switchyard.times_of_day import hours_span, minutes_of


@pytest.mark.parametrize(
    ("hours", "span"),
    [("", None), ("08:00-23:30", (480, 1410)), ("22:00 - 6:00", (1320, 360)), ("00:00-24:00", (0, 1440))],
)
def test_hours_are_minutes_since_midnight(hours: str, span: tuple[int, int] | None) -> None:
    assert hours_span(hours) == span


@pytest.mark.parametrize("hours", ["8", "08:00", "08:00-", "24:00-08:00", "08:60-09:00", "x-y"])
def test_unreadable_hours_are_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        hours_span(hours)


def test_a_clock_is_read_in_minutes() -> None:
    assert (minutes_of("00:00"), minutes_of("8:05"), minutes_of(" 23:59 ")) == (0, 485, 1439)

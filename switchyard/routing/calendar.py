"""Decide whether a moment is within days and hours of the settings, in local time."""

from datetime import datetime

from switchyard.settings import WEEKDAYS, Weekday
from switchyard.times_of_day import hours_span


def on_weekday(weekdays: tuple[Weekday, ...], wall: datetime) -> bool:
    return WEEKDAYS[wall.weekday()] in weekdays


def within_hours(hours: str, wall: datetime) -> bool:
    span = hours_span(hours)
    if span is None:
        return True
    start, end = span
    minute = wall.hour * 60 + wall.minute
    if start == end:
        return True
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end

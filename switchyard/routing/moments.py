"""Parse times that a person writes: "09:00", "mon 09:00", "2h"."""

import re
from datetime import timedelta

from switchyard.routing.lineup import Moment
from switchyard.settings import WEEKDAYS
from switchyard.times_of_day import minutes_of

UNITS = (86400, 3600, 60, 1)
DURATION = re.compile(r"(?:(\d{1,4})d)?\s*(?:(\d{1,5})h)?\s*(?:(\d{1,7})m(?:in)?)?\s*(?:(\d{1,8})s)?")


def seconds_of(text: str) -> int:
    """The seconds of a duration such as "90m", "2h" or "1h30m". Raises ValueError."""
    found = DURATION.fullmatch(text.strip().lower())
    seconds = (
        sum(int(count or 0) * unit for count, unit in zip(found.groups(), UNITS, strict=True)) if found else 0
    )
    if not seconds:
        raise ValueError(f'"{text}" is not a duration like 90m, 2h or 1h30m')
    return seconds


def moment_at(text: str, now: Moment) -> Moment:
    """The time that the text means, within the next seven days; "" is now. Raises ValueError."""
    if not text.strip():
        return now
    *day, clock = text.lower().split()
    minutes = minutes_of(clock)
    wall = now.wall.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0)
    if day:
        found = [number for number, name in enumerate(WEEKDAYS) if name == day[0][:3]]
        if not found or len(day) > 1:
            raise ValueError(f'"{text}" is not a time like "mon 09:00"')
        wall += timedelta(days=(found[0] - wall.weekday()) % 7)
    return Moment(wall, now.monotonic + (wall - now.wall).total_seconds())

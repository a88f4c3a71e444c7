"""Read local times of day, such as 08:30, and spans of them, such as 22:00-06:00."""

import re

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")


def minutes_of(clock: str) -> int:
    """Minutes since midnight of "HH:MM". Raises ValueError."""
    found = CLOCK.match(clock.strip())
    if found is None:
        raise ValueError(f'"{clock}" is not a time of day like 08:30')
    return int(found[1]) * 60 + int(found[2])


def hours_span(hours: str) -> tuple[int, int] | None:
    """Start and end in minutes since midnight; None means always. Across midnight the end is smaller."""
    if not hours.strip():
        return None
    start, dash, end = hours.partition("-")
    if not dash:
        raise ValueError(f'"{hours}" is not a span like 08:00-23:30')
    last = 1440 if end.strip() == "24:00" else minutes_of(end)
    return minutes_of(start), last

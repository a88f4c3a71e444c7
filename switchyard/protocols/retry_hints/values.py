"""Spans and moments of time as hints state them, and how long one may make an upstream wait."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from switchyard.protocols.late_pattern import late

MAX_SECONDS = 7 * 86400.0
LONG_WINDOW_SECONDS = 600.0
"""A rate limit whose window ends later than this is a quota: waiting for it is no pause."""
CHINA_SECONDS = 8 * 3600.0
MAX_VALUE_CHARS = 100


def bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(0.0, seconds), MAX_SECONDS)


class When(NamedTuple):
    """Seconds from now, or since the epoch for a moment."""

    seconds: float
    is_moment: bool = False


def seconds_until(when: When, wall: float) -> float:
    return when.seconds - wall if when.is_moment else when.seconds


# --- spans ----------------------------------------------------------------------

UNITS: Mapping[str, float] = {
    "milliseconds?|msecs?|ms|毫秒": 0.001,
    "seconds?|secs?|s|秒钟?": 1.0,
    "minutes?|mins?|m|分钟?": 60.0,
    "hours?|hrs?|h|小时": 3600.0,
    "days?|d|天|日": 86400.0,
    "weeks?|周": 604800.0,
}
NUMERALS = {"半": 0.5, "两": 2.0, **{sign: float(n) for n, sign in enumerate("一二三四五六七八九十", 1)}}
PART = (
    r"(?:\d{1,12}(?:\.\d{1,12})?|[半一二两三四五六七八九十])\s{0,2}个?(?:" + "|".join(UNITS) + r")(?![a-z])"
)
SPAN = rf"{PART}(?:\s{{0,2}}(?:,|and)?\s{{0,2}}{PART}){{0,5}}"

_SPAN = late(SPAN, re.IGNORECASE)
_PARTS = tuple(
    (late(rf"([\d.]{{1,25}}|[半一二两三四五六七八九十])\s{{0,2}}个?(?:{unit})(?![a-z])", re.I), seconds)
    for unit, seconds in UNITS.items()
)


def duration(text: str) -> float | None:
    """Seconds of "1m30s", "20ms", "3 days 4 hours", "5分钟"; None if the text is something else."""
    text = text.strip()[:MAX_VALUE_CHARS]
    return seconds_of(text) if _SPAN.fullmatch(text) else None


def seconds_of(span: str) -> float:
    return sum(
        (NUMERALS.get(found[1]) or float(found[1])) * seconds
        for pattern, seconds in _PARTS
        for found in pattern.finditer(span)
    )


# --- values of fields -----------------------------------------------------------

Reader = Callable[[str], When | None]


def span(text: str) -> When | None:
    """Seconds as a number, or a duration such as "6m0s"."""
    seconds = number_of(text)
    seconds = duration(text) if seconds is None else seconds
    return None if seconds is None else When(seconds)


def milliseconds(text: str) -> When | None:
    number = number_of(text)
    return None if number is None else When(number / 1000)


def span_or_date(text: str) -> When | None:
    if (seconds := span(text)) is not None:
        return seconds
    found = http_date(text) or _iso(text, UTC)
    return None if found is None else When(found, is_moment=True)


def moment(text: str) -> When | None:
    """Epoch seconds or milliseconds, RFC 3339, or few seconds from now."""
    number = number_of(text)
    if number is None:
        found = _iso(text, UTC)
        return span(text) if found is None else When(found, is_moment=True)
    if number > 1e12:
        return When(number / 1000, is_moment=True)
    return When(number, is_moment=number > 1e9)


def moment_in_china(text: str) -> When | None:
    found = _iso(text, timezone(timedelta(seconds=CHINA_SECONDS)))
    return moment(text) if found is None else When(found, is_moment=True)


def number_of(text: str) -> float | None:
    try:
        return float(text[:MAX_VALUE_CHARS])
    except ValueError:
        return None


def _iso(text: str, zone: timezone) -> float | None:
    """`zone` holds where the text names none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def http_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text[:MAX_VALUE_CHARS]).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None

"""The value of a header or field that names a moment or a span of time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from switchyard.protocols.retry_hints.durations import MAX_VALUE_CHARS, duration

CHINA_SECONDS = 8 * 3600.0


class When(NamedTuple):
    """Seconds from now, or since the epoch for a moment."""

    seconds: float
    is_moment: bool = False


def seconds_until(when: When, wall: float) -> float:
    return when.seconds - wall if when.is_moment else when.seconds


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

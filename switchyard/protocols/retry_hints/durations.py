"""Spans of time as text: "1m30s", "20ms", "3 days 4 hours", "5分钟"."""

import re
from collections.abc import Mapping

MAX_VALUE_CHARS = 100
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

_SPAN = re.compile(SPAN, re.IGNORECASE)
_PARTS = tuple(
    (re.compile(rf"([\d.]{{1,25}}|[半一二两三四五六七八九十])\s{{0,2}}个?(?:{unit})(?![a-z])", re.I), seconds)
    for unit, seconds in UNITS.items()
)


def duration(text: str) -> float | None:
    """Seconds of "1m30s", "20ms", "3 days 4 hours", "5分钟"; None if the text is something else."""
    text = text.strip()[:MAX_VALUE_CHARS]
    return seconds_of(text) if _SPAN.fullmatch(text) else None


def seconds_of(span: str) -> float:
    return sum(_amount(found[1]) * seconds for pattern, seconds in _PARTS for found in pattern.finditer(span))


def _amount(text: str) -> float:
    return NUMERALS[text] if text in NUMERALS else float(text)

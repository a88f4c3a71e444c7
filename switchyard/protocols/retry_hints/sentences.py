"""Sentences that name when an upstream can be tried again, in English and Chinese."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from switchyard.protocols.late_pattern import late
from switchyard.protocols.retry_hints.values import CHINA_SECONDS, SPAN, seconds_of

MAX_SENTENCE_CHARS = 4000

PAUSES = tuple(
    late(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:try(?:ing)? again|retry(?:ing)?|come back|wait(?:ing)?|available)[a-z ,:(\-]{{0,30}}?(?P<span>{SPAN})",
        r"retry[-_ ]after['\"]?\s{0,2}[:=]?\s{0,2}['\"]?(?P<number>\d{1,9})\b(?!\s?[a-z:/-])",
        rf"(?P<span>{SPAN})\s{{0,2}}(?:之|以)?后[^，。,.\d]{{0,8}}?(?:试|请求|访问|使用|调用)",
        rf"等待\s{{0,2}}约?\s{{0,2}}(?P<span>{SPAN})",
    )
)
"""Please try again in 7m12s (OpenAI, Groq); retry after 20 seconds (Azure); please wait 30s; 请在30秒后重试."""
RESETS = tuple(
    late(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:reset|renew|refresh|replenish)[a-z]{{0,5}}[a-z ,:(]{{0,24}}?(?P<span>{SPAN})",
        rf"(?P<span>{SPAN})\s{{0,2}}(?:之|以)?后[^，。,.\d]{{0,8}}?(?:重置|恢复|刷新|解除)",
    )
)
"""Your quota will reset after 3h12m37s (Google Code Assist); resets in 5 hours; 2小时后重置."""


def first_span(patterns: tuple[re.Pattern[str], ...], words: str) -> float | None:
    """Seconds of the span in the first sentence that fits."""
    for pattern in patterns:
        if found := pattern.search(words[:MAX_SENTENCE_CHARS]):
            groups = found.groupdict()
            return seconds_of(groups["span"]) if groups.get("span") else float(groups["number"])
    return None


ZONE = r"(?P<zone>Z\b|(?:UTC|GMT)?\s?[+-]\d{1,2}(?::?\d\d)?\b|UTC|GMT)?"
CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::(?P<second>\d\d)(?:\.\d{1,9})?)?\s?(?P<half>[ap]m)?"
DATED = rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:(?:T|\s{{1,2}}|,\s|\sat\s){CLOCK}\s{{0,2}}{ZONE})?"
TIMED = rf"(?<!\d){CLOCK}(?!\d)\s{{0,2}}{ZONE}"
BEGINS_ANEW = r"(?:reset|renew|refresh|replenish|again|access|available|until|重置|恢复|刷新|解除)"
THEN_ANEW = r"(?:重置|恢复|刷新|解除|再试|重试)"
MOMENTS = tuple(
    late(pattern, re.IGNORECASE)
    for moment in (DATED, TIMED)
    for pattern in (rf"{BEGINS_ANEW}[^.;。\d]{{0,40}}?{moment}", rf"{moment}[^.;。，\d]{{0,12}}?{THEN_ANEW}")
)
"""It will reset at 2026-08-03 23:59:59 +0800 CST (Volcengine); 将在 2026-08-25 07:41:44 重置 (Zhipu); at 00:00."""
EPOCH = late(r"limit reached\|(\d{10})(?:\d{3})?\b", re.IGNORECASE)
"""Claude AI usage limit reached|1790000000"""


def named_moment(message: str, wall: float, utc_offset: float) -> float | None:
    """Seconds until the moment that a sentence names.

    Where it names no zone, the earliest one of UTC, this machine and China counts: an upstream that is probed too early
    repeats the hint; one that is probed too late is lost for hours.
    """
    message = message[:MAX_SENTENCE_CHARS]
    if epoch := EPOCH.search(message):
        return float(epoch[1]) - wall
    for pattern in MOMENTS:
        for found in pattern.finditer(message):
            coming = [seconds for seconds in _moments(found.groupdict(), wall, utc_offset) if seconds > 0]
            if coming:
                return min(coming)
    return None


def _moments(parts: Mapping[str, str | None], wall: float, utc_offset: float) -> Iterator[float]:
    """Seconds until the moment, for each zone it may be meant in."""
    if not (parts.get("date") or parts["minute"] or parts["half"]):
        return
    zone = _zone(parts["zone"])
    for offset in (0.0, utc_offset, CHINA_SECONDS) if zone is None else (zone,):
        try:
            yield _until(parts, wall, offset)
        except (ValueError, OverflowError):
            return


def _until(parts: Mapping[str, str | None], wall: float, offset: float) -> float:
    """Raises ValueError and OverflowError for what is no time."""
    zone = timezone(timedelta(seconds=offset))
    date = parts.get("date")
    day = datetime.fromisoformat(date) if date else datetime.fromtimestamp(wall, zone)
    hour = int(parts["hour"] or 0)
    if parts["half"]:
        hour = hour % 12 + (12 if parts["half"].lower() == "pm" else 0)
    minute, second = int(parts["minute"] or 0), int(parts["second"] or 0)
    moment = day.replace(hour=hour, minute=minute, second=second, microsecond=0, tzinfo=zone)
    seconds = moment.timestamp() - wall
    return seconds + 86400 if seconds <= 0 and not date else seconds


def _zone(text: str | None) -> float | None:
    """Seconds east of UTC; None if no zone is named."""
    if not text:
        return None
    digits = re.search(r"([+-])(\d{1,2})(?::?(\d\d))?", text)
    if digits is None:
        return 0.0
    seconds = int(digits[2]) * 3600 + int(digits[3] or 0) * 60
    return float(-seconds if digits[1] == "-" else seconds)

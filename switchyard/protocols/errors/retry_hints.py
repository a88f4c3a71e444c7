"""Decode when an upstream can be tried again: from headers, body fields and sentences.

A span of seconds needs no clock (`read_body`); a moment does (`with_hints`, time is an argument).
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from switchyard.protocols.neutral import ErrorType, WireError

MAX_SECONDS = 7 * 86400.0
LONG_WINDOW_SECONDS = 600.0
"""A rate limit whose window ends later than this is a quota: waiting for it is no pause."""
MAX_VALUE_CHARS = 100
MAX_NODES = 1000
MAX_MEMBERS = 100
MAX_SENTENCE_CHARS = 4000
CHINA_SECONDS = 8 * 3600.0
TOO_MANY_REQUESTS = 429

Kind = Literal["pause", "limit", "window"]
"""An explicit pause; the end of a rate limit's window; the reset of a quota or of a long window."""

LIMITS = frozenset({ErrorType.RATE_LIMIT, ErrorType.QUOTA, ErrorType.BILLING})
"""Errors whose sentences may name the moment at which a limit ends."""


# --- durations ----------------------------------------------------------------

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
    return _sum(text) if _SPAN.fullmatch(text) else None


def _sum(span: str) -> float:
    return sum(_amount(found[1]) * seconds for pattern, seconds in _PARTS for found in pattern.finditer(span))


def _amount(text: str) -> float:
    return NUMERALS[text] if text in NUMERALS else float(text)


# --- values of headers and fields ---------------------------------------------


class When(NamedTuple):
    """Seconds from now, or since the epoch for a moment."""

    seconds: float
    is_moment: bool = False


Reader = Callable[[str], When | None]


def _span(text: str) -> When | None:
    """Seconds as a number, or a duration such as "6m0s"."""
    seconds = _number(text)
    seconds = duration(text) if seconds is None else seconds
    return None if seconds is None else When(seconds)


def _milliseconds(text: str) -> When | None:
    number = _number(text)
    return None if number is None else When(number / 1000)


def _span_or_date(text: str) -> When | None:
    if (span := _span(text)) is not None:
        return span
    moment = http_date(text) or _iso(text, UTC)
    return None if moment is None else When(moment, is_moment=True)


def _moment(text: str) -> When | None:
    """Epoch seconds or milliseconds, RFC 3339, or few seconds from now."""
    number = _number(text)
    if number is None:
        moment = _iso(text, UTC)
        return _span(text) if moment is None else When(moment, is_moment=True)
    if number > 1e12:
        return When(number / 1000, is_moment=True)
    return When(number, is_moment=number > 1e9)


def _moment_in_china(text: str) -> When | None:
    moment = _iso(text, timezone(timedelta(seconds=CHINA_SECONDS)))
    return _moment(text) if moment is None else When(moment, is_moment=True)


def _number(text: str) -> float | None:
    try:
        return float(text[:MAX_VALUE_CHARS])
    except ValueError:
        return None


def _iso(text: str, zone: timezone) -> float | None:
    """`zone` holds where the text names none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def http_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text[:MAX_VALUE_CHARS]).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


# --- the table ----------------------------------------------------------------


class Row(NamedTuple):
    """`name`: a header or a field of the body, in lower case, with hyphens for underscores; `*` stands for anything."""

    name: str
    kind: Kind
    read: Reader
    source: str


ROWS: tuple[Row, ...] = (
    Row("retry-after-ms", "pause", _milliseconds, "OpenAI, Azure"),
    Row("retry-after", "pause", _span_or_date, "RFC 9110, 10.2.3; in bodies: Cloudflare"),
    Row("retry-after-seconds", "pause", _span, "OpenRouter: error.metadata"),
    Row("retrydelay", "pause", _span, "Google: RetryInfo in error.details"),
    Row("quotaresetdelay", "window", _span, "Google: ErrorInfo.metadata in error.details"),
    Row("quotaresettimestamp", "window", _moment, "Google: ErrorInfo.metadata in error.details"),
    Row("resets-in-seconds", "window", _span, "ChatGPT for Codex: error"),
    Row("resets-at", "window", _moment, "ChatGPT for Codex: error"),
    Row("next-flush-time", "window", _moment_in_china, "Zhipu coding plans: error"),
    Row("anthropic-ratelimit-unified-reset", "window", _moment, "Anthropic subscriptions"),
    Row("anthropic-ratelimit-unified-5h*-reset", "window", _moment, "Anthropic subscriptions"),
    Row("anthropic-ratelimit-unified-7d*-reset", "window", _moment, "Anthropic subscriptions"),
    Row("x-codex-*-reset-after-seconds", "window", _span, "ChatGPT for Codex: primary and secondary"),
    Row("x-codex-*-reset-at", "window", _moment, "ChatGPT for Codex: primary and secondary"),
    Row("anthropic-ratelimit-requests-reset", "limit", _moment, "Anthropic"),
    Row("anthropic-ratelimit-*tokens-reset", "limit", _moment, "Anthropic: tokens, input-, output-tokens"),
    Row("x-ratelimit-reset-after", "limit", _moment, "gateways after Discord's example"),
    Row("x-ratelimit-reset-*", "limit", _moment, "OpenAI, Azure, Groq, Cerebras: requests and tokens"),
    Row("x-ratelimit-reset", "limit", _moment, "OpenRouter (also in error.metadata.headers), GitHub Models"),
    Row("x-rate-limit-reset", "limit", _moment, "older gateways"),
)
"""Earlier rows win. `x-should-retry` is no row: it means whether, not when."""

NOT_USED_UP = ("allowed", "active")


def _used_up(name: str, fields: Mapping[str, str]) -> bool | None:
    """Whether the limit that a reset belongs to is exhausted; None if no other field shows it."""
    if (remaining := _number(fields.get(name.replace("reset", "remaining"), ""))) is not None:
        return remaining <= 0
    if status := fields.get(f"{name.partition('reset')[0]}status"):
        return not status.lower().startswith(NOT_USED_UP)
    share = _reported_share(name, fields)
    return None if share is None else share >= 1


def _reported_share(name: str, fields: Mapping[str, str]) -> float | None:
    before = name.partition("reset")[0]
    for part, full in (("utilization", 1.0), ("used-percent", 100.0)):
        if (used := _number(fields.get(before + part, ""))) is not None:
            return used / full
    return None


def _used_share(name: str, fields: Mapping[str, str]) -> float | None:
    """How much of the limit that a reset belongs to is used, from 0 to 1; None if no field shows it."""
    share = _reported_share(name, fields)
    remaining = _number(fields.get(name.replace("reset", "remaining"), ""))
    limit = _number(fields.get(name.replace("reset", "limit"), ""))
    if share is None and remaining is not None and limit:
        share = 1 - remaining / limit
    if share is None and _used_up(name, fields):
        share = 1.0
    return None if share is None or not isfinite(share) else min(max(share, 0.0), 1.0)


class _Hint(NamedTuple):
    kind: Kind
    when: When


def _hints(fields: Mapping[str, str], *, limits: bool) -> list[_Hint]:
    """What the fields mean, best first. Limits and windows count where `limits` and only those that are used up."""
    certain: list[_Hint] = []
    possible: list[_Hint] = []
    for row in ROWS:
        for name in fields:
            when = row.read(fields[name]) if fnmatchcase(name, row.name) else None
            used_up = None if row.kind == "pause" else _used_up(name, fields)
            if when is None or used_up is False or (row.kind != "pause" and not limits):
                continue
            sure = used_up or row.kind == "pause" or row.name in EXPLICIT
            (certain if sure else possible).append(_Hint(row.kind, when))
    # if no field names the limit that is exhausted, the one that ends first is the better guess
    return certain or sorted(possible, key=lambda hint: hint.when)[:1]


EXPLICIT = frozenset(
    {"quotaresetdelay", "quotaresettimestamp", "resets-in-seconds", "resets-at", "next-flush-time"}
)
"""Fields of the error itself: they mean the limit that was hit."""


class QuotaWindow(NamedTuple):
    """A window of a quota or rate limit as headers report it: the share that is used, and when it resets."""

    name: str
    used: float
    seconds: float
    """until the reset"""


MAX_WINDOWS = 16
WINDOW_HEADERS = ("anthropic-ratelimit-", "x-codex-", "x-ratelimit-", "x-rate-limit-")
SPANS = ((10080, "7d"), (1440, "1d"), (300, "5h"), (60, "1h"))
"""minutes of the windows that have a name"""


def read_windows(headers: Sequence[tuple[str, str]], wall: float) -> tuple[QuotaWindow, ...]:
    """The windows in the headers of an answer, or of an error. `wall`: epoch seconds; names are in lower case."""
    resets = [(name, row) for name, _ in headers if "reset" in name and (row := _window_row(name))]
    if not resets:
        return ()
    fields = {_plain_name(name): value for name, value in headers}
    theirs = http_date(fields.get("date", "")) or wall
    found: dict[str, QuotaWindow] = {}
    for name, row in resets[:MAX_WINDOWS]:
        name = _plain_name(name)
        when, used = row.read(fields[name]), _used_share(name, fields)
        if when is None or used is None:
            continue
        seconds = _bounded(when.seconds - theirs if when.is_moment else when.seconds)
        label = _window_name(name, fields)
        if seconds:
            found.setdefault(label, QuotaWindow(label, used, seconds))
    return tuple(found.values())


@lru_cache(256)
def _window_row(name: str) -> Row | None:
    """The row of a header that names the reset of a window."""
    plain = _plain_name(name)
    if not plain.startswith(WINDOW_HEADERS):
        return None
    return next((row for row in ROWS if row.kind != "pause" and fnmatchcase(plain, row.name)), None)


def _window_name(name: str, fields: Mapping[str, str]) -> str:
    """5h of anthropic-ratelimit-unified-5h-reset; requests of x-ratelimit-reset-requests."""
    before, _, after = name.partition("reset")
    minutes = _number(fields.get(f"{before}window-minutes", ""))
    spans = [span for length, span in SPANS if length == minutes]
    prefix = next(one for one in WINDOW_HEADERS if name.startswith(one))
    label = before.removeprefix(prefix).removeprefix("unified-").strip("-")
    return spans[0] if spans else label or ("" if after.startswith("-a") else after.strip("-")) or "requests"


# --- bodies -------------------------------------------------------------------


class BodyHints(msgspec.Struct, frozen=True):
    """The hints of a body: seconds to pause, seconds until a window ends, the moment (epoch) at which it does."""

    pause: float | None = None
    reset: float | None = None
    resets_at: float | None = None


def read_body(bodies: Sequence[object], words: str) -> BodyHints:
    """The hints in the fields of an error's body, and of those inside it, and in the spans of its sentences."""
    hints = _hints(_fields(bodies), limits=True)
    pauses = [hint.when.seconds for hint in hints if hint.kind == "pause" and not hint.when.is_moment]
    resets = [hint.when.seconds for hint in hints if hint.kind != "pause" and not hint.when.is_moment]
    moments = [hint.when.seconds for hint in hints if hint.when.is_moment]
    return BodyHints(
        _bounded(pauses[0] if pauses else _first_span(PAUSES, words)),
        _bounded(max(resets) if resets else _first_span(RESETS, words)),
        max(moments, default=None),
    )


QUOTES_REQUEST = frozenset({"input", "messages", "prompt", "request", "ctx"})


def _fields(bodies: Sequence[object]) -> dict[str, str]:
    """The scalar members, the outer ones first, by name; those that quote the request aside."""
    fields: dict[str, str] = {}
    waiting = deque(bodies)
    for _ in range(MAX_NODES):
        if not waiting:
            break
        match waiting.popleft():
            case dict() as node:
                members = list(islice(node.items(), MAX_MEMBERS))
                for name, value in members:
                    if isinstance(value, str | int | float) and not isinstance(value, bool):
                        fields.setdefault(_plain_name(name), str(value)[:MAX_VALUE_CHARS])
                waiting.extend(value for name, value in members if name not in QUOTES_REQUEST)
            case list() as node:
                waiting.extend(node[:MAX_MEMBERS])
    return fields


def _plain_name(name: object) -> str:
    return str(name)[:MAX_VALUE_CHARS].lower().replace("_", "-")


# --- sentences ----------------------------------------------------------------

PAUSES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:try(?:ing)? again|retry(?:ing)?|come back|wait(?:ing)?|available)[a-z ,:(\-]{{0,30}}?(?P<span>{SPAN})",
        r"retry[-_ ]after['\"]?\s{0,2}[:=]?\s{0,2}['\"]?(?P<number>\d{1,9})\b(?!\s?[a-z:/-])",
        rf"(?P<span>{SPAN})\s{{0,2}}(?:之|以)?后[^，。,.\d]{{0,8}}?(?:试|请求|访问|使用|调用)",
        rf"等待\s{{0,2}}约?\s{{0,2}}(?P<span>{SPAN})",
    )
)
"""Please try again in 7m12s (OpenAI, Groq); retry after 20 seconds (Azure); please wait 30s; 请在30秒后重试."""
RESETS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:reset|renew|refresh|replenish)[a-z]{{0,5}}[a-z ,:(]{{0,24}}?(?P<span>{SPAN})",
        rf"(?P<span>{SPAN})\s{{0,2}}(?:之|以)?后[^，。,.\d]{{0,8}}?(?:重置|恢复|刷新|解除)",
    )
)
"""Your quota will reset after 3h12m37s (Google Code Assist); resets in 5 hours; 2小时后重置."""


def _first_span(patterns: tuple[re.Pattern[str], ...], words: str) -> float | None:
    """Seconds of the span in the first sentence that fits."""
    for pattern in patterns:
        if found := pattern.search(words[:MAX_SENTENCE_CHARS]):
            groups = found.groupdict()
            return _sum(groups["span"]) if groups.get("span") else float(groups["number"])
    return None


ZONE = r"(?P<zone>Z\b|(?:UTC|GMT)?\s?[+-]\d{1,2}(?::?\d\d)?\b|UTC|GMT)?"
CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::(?P<second>\d\d)(?:\.\d{1,9})?)?\s?(?P<half>[ap]m)?"
DATED = rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:(?:T|\s{{1,2}}|,\s|\sat\s){CLOCK}\s{{0,2}}{ZONE})?"
TIMED = rf"(?<!\d){CLOCK}(?!\d)\s{{0,2}}{ZONE}"
BEGINS_ANEW = r"(?:reset|renew|refresh|replenish|again|access|available|until|重置|恢复|刷新|解除)"
THEN_ANEW = r"(?:重置|恢复|刷新|解除|再试|重试)"
MOMENTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for moment in (DATED, TIMED)
    for pattern in (
        rf"{BEGINS_ANEW}[^.;。\d]{{0,40}}?{moment}",
        rf"{moment}[^.;。，\d]{{0,12}}?{THEN_ANEW}",
    )
)
"""It will reset at 2026-08-03 23:59:59 +0800 CST (Volcengine); 将在 2026-08-25 07:41:44 重置 (Zhipu); at 00:00."""
EPOCH = re.compile(r"limit reached\|(\d{10})(?:\d{3})?\b", re.IGNORECASE)
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


# --- all of them --------------------------------------------------------------


class _Wait(NamedTuple):
    kind: Kind
    seconds: float


def with_hints(
    error: WireError, headers: Mapping[str, str], wall: float, utc_offset: float = 0.0
) -> WireError:
    """The error with `retry_after` from all hints together. A rate limit with a long window is a quota.

    An explicit pause counts first, for a quota the latest of all. `wall`: epoch seconds; `utc_offset`: of this machine.
    """
    fields = {_plain_name(name): value for name, value in headers.items()}
    # moments are those of the upstream's clock: ours may be wrong
    theirs = http_date(fields.get("date", "")) or wall
    is_limited = error.status == TOO_MANY_REQUESTS or error.type in (ErrorType.RATE_LIMIT, ErrorType.QUOTA)
    waits = [
        _Wait(kind, when.seconds - theirs if when.is_moment else when.seconds)
        for kind, when in _hints(fields, limits=is_limited)
    ]
    return _folded(error, waits + _from_body(error, theirs, utc_offset))


def _from_body(error: WireError, wall: float, utc_offset: float) -> list[_Wait]:
    """The hints that were decoded with the body, and the moment that its message names."""
    waits = []
    if error.retry_after is not None:
        waits.append(_Wait("window" if error.type is ErrorType.QUOTA else "pause", error.retry_after))
    if error.resets_at is not None:
        waits.append(_Wait("window", error.resets_at - wall))
    named = named_moment(error.message, wall, utc_offset) if error.type in LIMITS else None
    return waits if named is None else [*waits, _Wait("window", named)]


def _folded(error: WireError, waits: list[_Wait]) -> WireError:
    if not waits:
        return error
    latest = max(wait.seconds for wait in waits)
    windows = [wait.seconds for wait in waits if wait.kind != "pause"]
    is_long = max(windows, default=0.0) >= LONG_WINDOW_SECONDS
    if error.type in (ErrorType.QUOTA, ErrorType.BILLING):
        return replace(error, retry_after=_bounded(latest))
    if error.type is ErrorType.RATE_LIMIT and is_long:
        return replace(error, type=ErrorType.QUOTA, retry_after=_bounded(latest))
    pause = next((wait.seconds for wait in waits if wait.kind == "pause"), None)
    return replace(error, retry_after=_bounded(max(windows) if pause is None else pause))


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(0.0, seconds), MAX_SECONDS)

"""Headers and body fields that name when an upstream can be tried again: one table."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import isfinite
from typing import Literal, NamedTuple

from switchyard.protocols.retry_hints.values import (
    MAX_VALUE_CHARS,
    Reader,
    When,
    milliseconds,
    moment,
    moment_in_china,
    number_of,
    seconds_until,
    span,
    span_or_date,
)

Kind = Literal["pause", "hit", "reset"]
"""An explicit pause; the end of the limit that was hit; the end of a limit that need not be used up."""


class Row(NamedTuple):
    """`name`: a header or a field of the body, in lower case, with hyphens for underscores; `*` stands for anything."""

    name: str
    kind: Kind
    read: Reader
    source: str


ROWS: tuple[Row, ...] = (
    Row("retry-after-ms", "pause", milliseconds, "OpenAI, Azure"),
    Row("retry-after", "pause", span_or_date, "RFC 9110, 10.2.3; in bodies: Cloudflare"),
    Row("retry-after-seconds", "pause", span, "OpenRouter: error.metadata"),
    Row("retrydelay", "pause", span, "Google: RetryInfo in error.details"),
    Row("quotaresetdelay", "hit", span, "Google: ErrorInfo.metadata in error.details"),
    Row("quotaresettimestamp", "hit", moment, "Google: ErrorInfo.metadata in error.details"),
    Row("resets-in-seconds", "hit", span, "ChatGPT for Codex: error"),
    Row("resets-at", "hit", moment, "ChatGPT for Codex: error"),
    Row("next-flush-time", "hit", moment_in_china, "Zhipu coding plans: error"),
    Row("anthropic-ratelimit-unified-reset", "reset", moment, "Anthropic subscriptions"),
    Row("anthropic-ratelimit-unified-5h*-reset", "reset", moment, "Anthropic subscriptions"),
    Row("anthropic-ratelimit-unified-7d*-reset", "reset", moment, "Anthropic subscriptions"),
    Row("x-codex-*-reset-after-seconds", "reset", span, "ChatGPT for Codex: primary and secondary"),
    Row("x-codex-*-reset-at", "reset", moment, "ChatGPT for Codex: primary and secondary"),
    Row("anthropic-ratelimit-requests-reset", "reset", moment, "Anthropic"),
    Row("anthropic-ratelimit-*tokens-reset", "reset", moment, "Anthropic: tokens, input-, output-tokens"),
    Row("x-ratelimit-reset-after", "reset", moment, "gateways after Discord's example"),
    Row("x-ratelimit-reset-*", "reset", moment, "OpenAI, Azure, Groq, Cerebras: requests and tokens"),
    Row("x-ratelimit-reset", "reset", moment, "OpenRouter (also in error.metadata.headers), GitHub Models"),
    Row("x-rate-limit-reset", "reset", moment, "older gateways"),
)
"""Earlier rows win. `x-should-retry` is no row: it means whether, not when."""

NOT_USED_UP = ("allowed", "active")


def _used_up(name: str, fields: Mapping[str, str]) -> bool | None:
    """Whether the limit that a reset belongs to is exhausted; None if no other field shows it."""
    if (remaining := number_of(fields.get(name.replace("reset", "remaining"), ""))) is not None:
        return remaining <= 0
    if status := fields.get(f"{name.partition('reset')[0]}status"):
        return not status.lower().startswith(NOT_USED_UP)
    share = _reported_share(name, fields)
    return None if share is None else share >= 1


def _reported_share(name: str, fields: Mapping[str, str]) -> float | None:
    before = name.partition("reset")[0]
    for part, full in (("utilization", 1.0), ("used-percent", 100.0)):
        if (used := number_of(fields.get(before + part, ""))) is not None:
            return used / full
    return None


def used_share(name: str, fields: Mapping[str, str]) -> float | None:
    """How much of the limit that a reset belongs to is used, from 0 to 1; None if no field shows it."""
    share = _reported_share(name, fields)
    remaining = number_of(fields.get(name.replace("reset", "remaining"), ""))
    limit = number_of(fields.get(name.replace("reset", "limit"), ""))
    if share is None and remaining is not None and limit:
        share = 1 - remaining / limit
    if share is None and _used_up(name, fields):
        share = 1.0
    return None if share is None or not isfinite(share) else min(max(share, 0.0), 1.0)


class Hint(NamedTuple):
    kind: Kind
    when: When
    is_certain: bool
    """False if no field shows that the limit which ends then is exhausted"""


def hints_of(fields: Mapping[str, str], *, limits: bool) -> list[Hint]:
    """What the fields mean, best first. Resets count where `limits`, but not those of what is not used up."""
    found: list[Hint] = []
    for row in ROWS:
        for name in fields:
            when = row.read(fields[name]) if fnmatchcase(name, row.name) else None
            used_up = None if row.kind == "pause" else _used_up(name, fields)
            if when is None or used_up is False or (row.kind != "pause" and not limits):
                continue
            found.append(Hint(row.kind, when, is_certain=bool(used_up) or row.kind != "reset"))
    return found


def best(hints: list[Hint], wall: float = 0.0) -> list[Hint]:
    """The certain ones; if no field names the limit that is exhausted, the one that ends first is the better guess."""
    certain = [hint for hint in hints if hint.is_certain]
    return certain or sorted(hints, key=lambda hint: seconds_until(hint.when, wall))[:1]


def plain_name(name: object) -> str:
    return str(name)[:MAX_VALUE_CHARS].lower().replace("_", "-")

"""Decide which upstreams are to be activated now, and when each is next. Time is an argument.

The activation of a day is due at its local time and for two hours after it. In spring a time that the clock skips
moves by the same amount; in autumn the first of two equal times counts.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache, partial

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Activated, ActivationResult
from switchyard.plural import plural
from switchyard.settings import WEEKDAYS, Activation, Settings, Upstream
from switchyard.times_of_day import minutes_of

MAKE_UP_SECONDS = 2 * 3600.0
MAX_TRIES = 20
RETRY_SECONDS = 60.0
DAY_MINUTES = 24 * 60
NEVER = Activated()


class Occasion(msgspec.Struct, frozen=True):
    """The next activation of one account: the local day `day`, sent at `at` (seconds since the epoch)."""

    account: str
    day: str
    at: float
    reason: str


def due(settings: Settings, remembered: Mapping[str, Activated], now: datetime) -> tuple[Occasion, ...]:
    """The activations to send now."""
    seconds = now.timestamp()
    return tuple(one for one in plan(settings, remembered, now) if one.at <= seconds)


def plan(settings: Settings, remembered: Mapping[str, Activated], now: datetime) -> tuple[Occasion, ...]:
    """The next activation of every account of the enabled upstreams that have one; `now` with its local time zone."""
    # many have the same time, and a time zone takes long
    instant, seconds = cache(partial(_instant, now.tzinfo)), now.timestamp()
    found = (
        _next(
            account, account.activation, remembered.get(account.account, NEVER), now.date(), seconds, instant
        )
        for account in settings.accounts
        if account.enabled and account.activation is not None
    )
    return tuple(occasion for occasion in found if occasion is not None)


def minutes_now(activation: Activation, memory: Activated) -> int:
    """The effective time of day in minutes since midnight: the configured one, or the one it has advanced to."""
    if activation.advance_minutes and memory.minutes is not None and memory.at == activation.at:
        return memory.minutes % DAY_MINUTES  # the file may hold any number
    return minutes_of(activation.at)


# --- what becomes of the memory ------------------------------------------------


def tried(memory: Activated, day: str, at: float) -> Activated:
    """Record that a try begins; it counts even if the daemon is killed during it."""
    tries = memory.tries if memory.tried_day == day else 0
    return replace(memory, tried_day=day, tries=tries + 1, tried_at=at)


def ended(memory: Activated, activation: Activation | None, day: str, result: ActivationResult) -> Activated:
    """Record the end of a try; `day` is "" if it belongs to no occasion. A success may advance the time."""
    memory = replace(memory, last=result)
    if not result.ok:
        return memory
    memory = replace(memory, succeeded_at=result.at)
    if not day:
        return memory
    memory = replace(memory, day=day)
    if activation is None or not activation.advance_minutes:
        return memory
    minutes = (minutes_now(activation, memory) + activation.advance_minutes) % DAY_MINUTES
    return replace(memory, at=activation.at, minutes=minutes)


# --- one upstream --------------------------------------------------------------


def _next(
    upstream: Upstream,
    activation: Activation,
    memory: Activated,
    today: date,
    now: float,
    instant: Callable[[date, int], float],
) -> Occasion | None:
    minutes = minutes_now(activation, memory)
    for day in _days(today):
        if WEEKDAYS[day.weekday()] not in upstream.weekdays:
            continue
        planned = instant(day, minutes)
        moment = _moment(memory, day.isoformat(), planned, now)
        if moment is not None:
            reason = _reason(memory, day.isoformat(), minutes, now - planned)
            return Occasion(upstream.account, day.isoformat(), moment, reason)
    return None


def _days(today: date) -> Iterator[date]:
    """From yesterday, whose two hours may not be over, to the same weekday of next week."""
    return (today + timedelta(days=offset) for offset in range(-1, 8))


def _instant(zone: tzinfo | None, day: date, minutes: int) -> float:
    return datetime.combine(day, time(minutes // 60, minutes % 60), zone).timestamp()


def _moment(memory: Activated, day: str, planned: float, now: float) -> float | None:
    """When the activation of this day is due; None if it is done, given up or missed."""
    if memory.day == day or planned <= memory.succeeded_at <= now:
        return None
    tries = memory.tries if memory.tried_day == day else 0
    # after the clock is set back, the last try lies in the future: it does not delay the next one
    waits = tries > 0 and memory.tried_at <= now
    moment = max(planned, memory.tried_at + RETRY_SECONDS) if waits else planned
    ends = planned + MAKE_UP_SECONDS
    return moment if max(moment, now) < ends and tries < MAX_TRIES else None


def _reason(memory: Activated, day: str, minutes: int, late_seconds: float) -> str:
    text = f"planned for {minutes // 60:02}:{minutes % 60:02}"
    if memory.tried_day == day and memory.tries:
        return f"try {memory.tries + 1} of {MAX_TRIES}, {text}"
    late = int(late_seconds // 60)
    return f"{text}, {plural(late, 'minute')} late" if late > 0 else text

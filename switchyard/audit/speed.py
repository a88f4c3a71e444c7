"""Compare the speed of an upstream now with that of its own last week, the busy hours included."""

from collections.abc import Mapping, Sequence

import msgspec

from switchyard.audit.fact import Fact, median

HOUR = 3600
DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS
MIN_OUTPUT = 16
"""the pace of fewer tokens is chance"""
WINDOW = 12
MIN_SAMPLES = 60
"""of last week, on at least two days"""
MIN_DAYS = 3
MIN_IN_HOUR = 4
MAX_IN_HOUR = 16
BUSY_SHARE = 0.9
"""of the hours are less busy than a busy one"""
MIN_ALIKE = 3
SLOWER = 2.3
"""times the usual time, at this time of the day"""
SLOWER_THAN_BUSY = 1.35
"""times the time of the busy hours of the week"""
FIRST_TOKEN_MARGIN = 2.0
"""times as much for the first token, which depends on the prompt"""
NETWORK = 1.5
"""times as slow as the others have become"""

Hours = Mapping[int, Sequence[float]]
"""hour since the epoch -> seconds"""


class Slowdown(msgspec.Struct, frozen=True):
    """`now` and `before` in seconds: for 1,000 tokens, or until the first token; `busy` is that of its busy hours."""

    kind: str
    now: float
    before: float
    busy: float
    count: int
    others: float | None
    """how much slower other upstreams were at the same time; None if none was used"""


def pace_of(fact: Fact) -> float | None:
    """Seconds for 1,000 tokens."""
    if not fact.tokens_per_second or fact.output < MIN_OUTPUT:
        return None
    return 1000 / fact.tokens_per_second


def first_token_of(fact: Fact) -> float | None:
    return fact.first_token


MEASURES = {"pace": pace_of, "first_token": first_token_of}


class Times:
    """Samples of one upstream and model by hour, for eight days; bounded."""

    def __init__(self) -> None:
        self.hours: dict[int, list[float]] = {}

    def add(self, at: float, value: float) -> None:
        hour = int(at) // HOUR
        samples = self.hours.setdefault(hour, [])
        if len(samples) < MAX_IN_HOUR:
            samples.append(value)
        while len(self.hours) > WEEK_HOURS + DAY_HOURS:
            del self.hours[min(self.hours)]


def slowdown(
    kind: str, latest: Sequence[tuple[float, float]], hours: Hours, others: float | None
) -> Slowdown | None:
    """`latest` are times and values of the last requests. None if they are not slower than last week explains."""
    window = latest[-WINDOW:]
    if len(window) < WINDOW:
        return None
    until = int(window[0][0]) // HOUR
    before = {hour: values for hour, values in hours.items() if until - WEEK_HOURS <= hour < until}
    samples = [value for values in before.values() for value in values]
    if len(samples) < MIN_SAMPLES or len({hour // DAY_HOURS for hour in before}) < MIN_DAYS:
        return None
    now = median([value for _, value in window])
    blocks = {hour: median(values) for hour, values in before.items() if len(values) >= MIN_IN_HOUR}
    alike = [value for hour, value in blocks.items() if (hour - until) % DAY_HOURS in (0, 1, DAY_HOURS - 1)]
    all_of_it = median(samples)
    usual = max(median(alike), all_of_it) if len(alike) >= MIN_ALIKE else all_of_it
    ordered = sorted(blocks.values()) or sorted(samples)
    busy = ordered[min(len(ordered) - 1, int(BUSY_SHARE * len(ordered)))]
    margin = FIRST_TOKEN_MARGIN if kind == "first_token" else 1.0
    if now < margin * SLOWER * usual or now < margin * SLOWER_THAN_BUSY * busy:
        return None
    if others is not None and now / all_of_it < NETWORK * others:
        return None  # the network is slow
    return Slowdown(kind, now, all_of_it, busy, len(window), others)

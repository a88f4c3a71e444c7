"""Show which upstreams serve when in the coming days, according to the calendar."""

from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from switchyard.routing.calendar import on_weekday, within_hours
from switchyard.routing.lineup import Moment
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.settings import Settings, Upstream
from switchyard.times_of_day import hours_span

DAY = 24 * 60


class Span(msgspec.Struct, frozen=True):
    """Minutes since the midnight at which the plan begins; `place` 1 serves first, 2 next."""

    start: int
    end: int
    place: int


def plan(settings: Settings, ask: Ask, now: Moment, days: int = 7) -> dict[str, tuple[Span, ...]]:
    """Upstream name -> when it would serve; current cooldowns and limits are ignored."""
    midnight = now.wall.replace(hour=0, minute=0, second=0, microsecond=0)
    spans: dict[str, list[Span]] = {}
    steps = _boundaries(settings, days)
    known: dict[tuple[bool, ...], list[str]] = {}
    for start, end in pairwise(steps):
        wall = midnight + timedelta(minutes=start)
        # the time decides through the calendar only
        on_duty = tuple(_is_on_duty(one, wall) for one in settings.upstreams)
        if on_duty not in known:
            known[on_duty] = _names(choose_route(settings, State(), ask, replace(now, wall=wall)))
        for place, name in enumerate(known[on_duty], 1):
            _extend(spans.setdefault(name, []), Span(start, end, place))
    return {name: tuple(found) for name, found in spans.items()}


def _is_on_duty(upstream: Upstream, wall: datetime) -> bool:
    return on_weekday(upstream.weekdays, wall) and within_hours(upstream.hours, wall)


def _boundaries(settings: Settings, days: int) -> list[int]:
    """Every minute at which the route may change."""
    minutes = {0}
    for upstream in settings.upstreams:
        span = hours_span(upstream.hours)
        minutes.update(span or ())
    return sorted({day * DAY + minute for day in range(days) for minute in minutes} | {days * DAY})


def _names(route: Route) -> list[str]:
    return list(dict.fromkeys(candidate.upstream.name for candidate in route.candidates))


def _extend(spans: list[Span], span: Span) -> None:
    """Merge adjacent spans of the same position."""
    last = spans[-1] if spans else None
    if last is not None and last.end == span.start and last.place == span.place:
        spans[-1] = replace(last, end=span.end)
    else:
        spans.append(span)

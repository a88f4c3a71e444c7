"""Compute the response of `GET /api/token-stats` from the totals by day."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import msgspec

from switchyard.store.cell import MAX_KEYS_OF_SPAN, SHOWN_DIMENSIONS, Cell, Cells, Day, DaySums
from switchyard.store.cell_view import brief, shown, shown_by, shown_cost, summary
from switchyard.store.local_time import days_before
from switchyard.store.stats import GROUPINGS, PERIODS, Statistics
from switchyard.store.stored_day import decode_day

HOURLY_DAYS = 35


def token_stats(statistics: Statistics, start: str = "", end: str = "", by: str = "") -> dict[str, Any]:
    """For a span of days, both included. Raises ValueError for an invalid date or grouping."""
    return later_token_stats(statistics, start, end, by)()


def later_token_stats(
    statistics: Statistics, start: str = "", end: str = "", by: str = ""
) -> Callable[[], dict[str, Any]]:
    """The same as a function for a thread: a year takes too long for the event loop. It answers with the totals
    of now. Raises ValueError."""
    start, end = (date.fromisoformat(given).isoformat() if given else "" for given in (start, end))
    if by not in ("", *PERIODS, *GROUPINGS):
        raise ValueError(f'"{by}" is not one of ' + ", ".join((*PERIODS, *GROUPINGS)))
    days = statistics.kept(start, end)
    first_hourly = days_before(end or statistics.today(), HOURLY_DAYS)
    answer = {"generated_at": statistics.generated_at(), "from": start or None, "to": end or None}
    return partial(_token_stats, days, by, first_hourly, answer)


def _token_stats(
    days: dict[str, Day | msgspec.Raw], by: str, first_hourly: str, asked: dict[str, Any]
) -> dict[str, Any]:
    total = Day()
    months: Cells = {}
    daily: dict[str, Any] = {}
    hourly: dict[str, Any] = {}
    dimensions = dict.fromkeys((*SHOWN_DIMENSIONS, *([GROUPINGS[by]] if by in GROUPINGS else [])))
    for name, kept in days.items():
        is_hourly = by == "hour" or name > first_hourly
        is_whole = is_hourly or len(dimensions) > len(SHOWN_DIMENSIONS)
        kind: type[Day | DaySums] = Day if is_whole else DaySums
        day = kept if isinstance(kept, Day) else decode_day(kept, kind)
        total.merge(day, MAX_KEYS_OF_SPAN, dimensions)
        daily[name] = {**shown(day.all), "by_model": shown_by(day.models, brief)}
        months.setdefault(name[:7], Cell()).merge(day.all)
        if is_hourly and isinstance(day, Day):
            hourly |= {f"{name}T{hour}": shown(cell) for hour, cell in sorted(day.hours.items())}
    answer: dict[str, Any] = {
        "summary": summary(total.all),
        "by_model": shown_by(total.models, shown),
        "daily": daily,
        "generated_at": asked["generated_at"],
        "by_model_sent": shown_by(total.sent, shown),
        "by_upstream": shown_by(total.upstreams, shown),
        "by_client": shown_by(total.clients, shown),
        "hourly": {hour: cell for hour, cell in hourly.items() if hour[:10] > first_hourly},
        "cost": shown_cost(total.all),
        "from": asked["from"] or (min(daily) if daily else None),
        "to": asked["to"] or (max(daily) if daily else None),
    }
    if by:
        periods = {
            "day": daily,
            "hour": hourly,
            "month": {key: shown(cell) for key, cell in months.items()},
        }
        rows = periods[by] if by in periods else shown_by(getattr(total, GROUPINGS[by]), shown)
        answer["by"] = by
        answer["rows"] = [{"key": key, **cell} for key, cell in rows.items()]
    return answer

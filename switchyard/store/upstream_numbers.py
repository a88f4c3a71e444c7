"""What each upstream has done in the last 24 hours and the last seven days, from the totals by day."""

import msgspec

from switchyard.store.cell import Cell, Cells
from switchyard.store.local_time import days_before
from switchyard.store.stats import Statistics
from switchyard.store.stored_day import UpstreamsOfDay

DAYS = 7
HOURS = 24


class UpstreamNumbers(msgspec.Struct, frozen=True):
    """By upstream: the sums of the last 24 hours, of the last seven local days, and of each of these days."""

    hours: Cells
    days: Cells
    daily: dict[str, Cells]


class HoursOfDay(msgspec.Struct):
    upstream_hours: Cells = {}


def upstream_numbers(statistics: Statistics, today: str, hour: int) -> UpstreamNumbers:
    """Up to this hour of the local day: the 24 hours are whole ones and the one that has begun."""
    days, daily = _days(statistics, days_before(today, DAYS - 1), today)
    return UpstreamNumbers(_hours(statistics, today, hour), days, daily)


def _hours(statistics: Statistics, today: str, hour: int) -> Cells:
    sums: Cells = {}
    for day, part in statistics.parts(HoursOfDay, days_before(today, 1), today):
        for key, cell in part.upstream_hours.items():
            hour_of_cell, _, upstream = key.partition(" ")
            if upstream and (day == today) == (int(hour_of_cell) <= hour):
                sums.setdefault(upstream, Cell()).merge(cell)
    return sums


def _days(statistics: Statistics, start: str, end: str) -> tuple[Cells, dict[str, Cells]]:
    sums: Cells = {}
    daily: dict[str, Cells] = {}
    for day, part in statistics.parts(UpstreamsOfDay, start, end):
        for upstream, cell in part.upstreams.items():
            sums.setdefault(upstream, Cell()).merge(cell)
            daily.setdefault(upstream, {}).setdefault(day, Cell()).merge(cell)
    return sums, daily

"""Keep the totals by day in memory, and return them for any span of days."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from functools import partial

import msgspec

from switchyard.store.cell import MAX_KEYS_OF_SPAN, NANOS, Cell, Cells, Day, Place, most_first, place_of
from switchyard.store.counts import is_request
from switchyard.store.journal_line import RESET, Line
from switchyard.store.local_time import local_moment
from switchyard.store.stored_day import (
    EVER_DIMENSIONS,
    Part,
    StoredDays,
    UpstreamsOfDay,
    decode_day,
    with_additions,
)

BATCH = 64
"""lines are counted together: one by one, between all that a request needs, that takes half as long again"""
MAX_LATEST = 100
"""to add one to its day takes a twentieth of a millisecond"""

PERIODS = ("day", "hour", "month")
GROUPINGS = {
    "model": "models",
    "model_sent": "sent",
    "upstream": "upstreams",
    "client": "clients",
    "session": "sessions",
    "project": "projects",
}


class Statistics:
    """Totals by local day, in layers that are added up on demand: stored days as their JSON text, the additions that
    are being stored, those since, and the latest lines by their place."""

    def __init__(self, now: Callable[[], float], zone: tzinfo | None = None) -> None:
        self.changed = False
        """since the roll-up was saved"""
        self._now = now
        self._zone = zone
        self._stored = StoredDays()
        self._storing: Mapping[str, Day] = {}
        self._since: dict[str, Day] = {}
        self._uncounted: list[Line] = []
        self._latest: dict[Place, Cell] = {}
        self._spent: dict[str, dict[str, int]] = {}

    # --- counting ---

    def add(self, line: Line) -> None:
        """Count a line. Call it right before the journal gets the line, with no await in between."""
        self.changed = True
        self._uncounted.append(line)
        if len(self._uncounted) >= BATCH:
            self._count_all()
            if len(self._latest) > MAX_LATEST:
                self._fold()

    def _count_all(self) -> None:
        lines, self._uncounted = self._uncounted, []
        for line in lines:
            self._count(line)

    def _count(self, line: Line) -> None:
        place = place_of(line)
        cell = self._latest.get(place)
        if cell is None:
            cell = self._latest[place] = Cell()
        cell.add(line)
        for attempt in line.attempts:
            if attempt.failed and is_request(line):
                self._since_on(line.day).add_failed_attempts(attempt.upstream, line.hour)
        if line.session:
            self._since_on(line.day).add_to_talk(line)
        if line.cost and self._spent:
            self._add_spent(line)

    def add_all(self, lines: Iterable[Line]) -> None:
        """Count lines that the journal has. May run in a thread where no one else has these statistics."""
        for line in lines:
            if line.kind != RESET:
                self.changed = True
                self._count(line)
        self._fold()
        # most of the next lines belong to the newest days
        if whole := {name: self._since.pop(name) for name in sorted(self._since)[:-2]}:
            self._stored = with_additions(self._stored, whole)

    def clear(self) -> None:
        self._stored, self._storing, self._since, self._latest = StoredDays(), {}, {}, {}
        self._spent, self._uncounted = {}, []

    # --- reporting ---

    def days(self) -> list[str]:
        """All days with entries, oldest first."""
        self._fold()
        return sorted(self._stored.days.keys() | self._storing.keys() | self._since.keys())

    def day(self, name: str) -> Day:
        """The sums of a day; empty without entries."""
        self._fold()
        stored = self._stored.days.get(name)
        day = decode_day(stored, Day) if stored is not None else Day()
        for added in self._added(name):
            day.merge(added)
        return day

    def parts(self, kind: type[Part], start: str = "", end: str = "") -> Iterator[tuple[str, Part | Day]]:
        """What a span of days has of the fields of `kind`, in one or more parts for each day.

        Only these fields are decoded.
        """
        self._fold()
        for name in self._between(start, end):
            stored = self._stored.days.get(name)
            if stored is not None:
                yield name, decode_day(stored, kind)
            for added in self._added(name):
                yield name, added

    def kept(self, start: str = "", end: str = "") -> dict[str, Day | msgspec.Raw]:
        """The days of a span, most of them as text. Lines that are added later leave them as they are."""
        return {
            name: self.day(name) if self._added(name) else self._stored.days[name]
            for name in self._between(start, end)
        }

    def ever(self) -> Day:
        """The sums since the last reset, without hours and sessions."""
        self._fold()
        total = Day()
        for part in (self._stored.ever, *self._storing.values(), *self._since.values()):
            total.merge(part, dimensions=EVER_DIMENSIONS)
        return total

    def today(self) -> str:
        return local_moment(self._now(), self._zone).day

    def generated_at(self) -> str:
        local = datetime.fromtimestamp(self._now(), self._zone)
        return local.astimezone(self._zone).isoformat(timespec="seconds")

    def span(self, start: str = "", end: str = "") -> Day:
        """The sums of several days, both ends included; "" means from the first or to the last."""
        total = Day()
        for day in self._between(start, end):
            total.merge(self.day(day), MAX_KEYS_OF_SPAN)
        return total

    def cells(self, by: str, start: str = "", end: str = "") -> Cells:
        """The sums of a span of days by one grouping; periods in order, names by their tokens."""
        if by in GROUPINGS:
            return dict(most_first(getattr(self.span(start, end), GROUPINGS[by])))
        cells: Cells = {}
        for name in self._between(start, end):
            day = self.day(name)
            if by == "hour":
                cells |= {f"{name}T{hour}": cell for hour, cell in sorted(day.hours.items())}
            else:
                cells.setdefault(name[:7] if by == "month" else name, Cell()).merge(day.all)
        return cells

    def spent(self, period: str) -> dict[str, int]:
        """Cost in billionths by upstream, in a day (2026-11-21) or a month (2026-11)."""
        self._count_all()
        if period not in self._spent:
            costs: dict[str, int] = {}
            for _, part in self.parts(UpstreamsOfDay, period, f"{period}~"):
                for name, cell in part.upstreams.items():
                    costs[name] = costs.get(name, 0) + cell.cost
            while len(self._spent) > 8:
                del self._spent[next(iter(self._spent))]
            self._spent[period] = costs
        return self._spent[period]

    # --- for the roll-up ---

    def load(self, stored: StoredDays) -> None:
        """Begin with these days."""
        self._stored, self._spent = stored, {}

    def begin_storing(self) -> Callable[[], StoredDays]:
        """All totals of now as a function for a thread: a year takes too long for the event loop.

        Give its result to `end_storing`. What is counted in the meantime is not in it.
        """
        self._fold()
        for name, day in self._storing.items():  # of an attempt that has failed
            self._since_on(name).merge(day)
            self._since_on(name).merge_details(day)
        self._storing, self._since = self._since, {}
        return partial(with_additions, self._stored, self._storing)

    def end_storing(self, stored: StoredDays) -> None:
        self._stored, self._storing = stored, {}

    def past(self) -> "Statistics":
        """Statistics for older lines that begin with the same stored days, until `take_over`."""
        past = Statistics(self._now, self._zone)
        past.load(self._stored)
        return past

    def take_over(self, past: StoredDays) -> None:
        """What was counted here in the meantime comes after this past."""
        self.load(past)
        self.changed = True

    # --- days ---

    def _since_on(self, name: str) -> Day:
        day = self._since.get(name)
        if day is None:
            day = self._since[name] = Day()
        return day

    def _fold(self) -> None:
        self._count_all()
        latest, self._latest = self._latest, {}
        for place, cell in latest.items():
            self._since_on(place[0]).add(place, cell)

    def _added(self, name: str) -> list[Day]:
        """What is not stored of a day."""
        return [layer[name] for layer in (self._storing, self._since) if name in layer]

    def _add_spent(self, line: Line) -> None:
        for period in (line.day, line.day[:7]):
            if period in self._spent and line.upstream:
                costs = self._spent[period]
                costs[line.upstream] = costs.get(line.upstream, 0) + round((line.cost or 0) * NANOS)

    def _between(self, start: str, end: str) -> Iterator[str]:
        return (day for day in self.days() if (not start or day >= start) and (not end or day <= end))

"""Keep the totals by day in memory, and return them for any span of days."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo

import msgspec

from switchyard.store.cell import MAX_KEYS_OF_SPAN, NANOS, Cell, Cells, Day, Place, most_first, place_of
from switchyard.store.counts import is_request
from switchyard.store.journal_line import RESET, Line
from switchyard.store.local_time import days_before, local_moment
from switchyard.store.stored_day import Part, decode_day, encode_day, tidied

SESSION_DAYS = 31
"""Older days drop their sessions, which are rarely requested and take the most space."""
BATCH = 64
"""lines are counted together: one by one, between all that a request needs, that takes half as long again"""
MAX_LATEST = 2000

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
    """Totals by local day, in three layers that are added up on demand: stored days as their JSON text, the
    additions to the newest days, and the latest lines by their place."""

    def __init__(self, now: Callable[[], float], zone: tzinfo | None = None) -> None:
        self.changed = False
        """since the roll-up was saved"""
        self._now = now
        self._zone = zone
        self._stored: dict[str, msgspec.Raw] = {}
        self._stored_ever = Day()
        self._since: dict[str, Day] = {}
        self._uncounted: list[Line] = []
        self._latest: dict[Place, Cell] = {}
        self._spent: dict[str, dict[str, int]] = {}
        self._tidied = ""
        """the newest day when the older ones were tidied"""

    # --- counting ---

    def add(self, line: Line) -> None:
        """Count a line. Call it right before the journal gets the line, with no await in between."""
        self.changed = True
        self._uncounted.append(line)
        if len(self._uncounted) >= BATCH:
            self._count_all()

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
        if len(self._latest) > MAX_LATEST:
            self._fold()

    def add_all(self, lines: Iterable[Line]) -> None:
        """Count lines that the journal has."""
        for line in lines:
            if line.kind != RESET:
                self.add(line)
        self._store_days()

    def clear(self) -> None:
        self._stored, self._stored_ever, self._since, self._latest, self._spent = {}, Day(), {}, {}, {}
        self._uncounted = []

    # --- reporting ---

    def days(self) -> list[str]:
        """All days with entries, oldest first."""
        self._fold()
        return sorted(self._stored.keys() | self._since.keys())

    def day(self, name: str) -> Day:
        """The sums of a day; empty without entries."""
        self._fold()
        stored = self._stored.get(name)
        day = decode_day(stored, Day) if stored is not None else Day()
        if name in self._since:
            day.merge(self._since[name])
        return day

    def parts(self, kind: type[Part], start: str = "", end: str = "") -> Iterator[tuple[str, Part | Day]]:
        """What a span of days has of the fields of `kind`, in one or two parts for each day.

        Only these fields are decoded.
        """
        self._fold()
        for name in self._between(start, end):
            stored = self._stored.get(name)
            if stored is not None:
                yield name, decode_day(stored, kind)
            if name in self._since:
                yield name, self._since[name]

    def kept(self, start: str = "", end: str = "") -> dict[str, Day | msgspec.Raw]:
        """The days of a span, most of them as text. Lines that are added later leave them as they are."""
        return {
            name: self.day(name) if name in self._since else self._stored[name]
            for name in self._between(start, end)
        }

    def ever(self) -> Day:
        """The sums since the last reset, without hours and sessions."""
        self._fold()
        total = Day()
        for part in (self._stored_ever, *self._since.values()):
            total.merge(part)
        total.hours, total.sessions = {}, {}
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
            for day in self.days():
                if day.startswith(period):
                    for name, cell in self.day(day).upstreams.items():
                        costs[name] = costs.get(name, 0) + cell.cost
            while len(self._spent) > 8:
                del self._spent[next(iter(self._spent))]
            self._spent[period] = costs
        return self._spent[period]

    # --- for the roll-up ---

    def load(self, ever: Day, days: dict[str, msgspec.Raw]) -> None:
        """Begin with these days and their sum."""
        self._stored_ever, self._stored, self._spent = ever, days, {}

    def stored_days(self) -> dict[str, msgspec.Raw]:
        """All days with all their sums."""
        self._store_days()
        return self._stored | {name: encode_day(self._whole_day(name)) for name in self._since}

    def past(self) -> "Statistics":
        """Statistics for older lines that begin with the same stored days, until `take_over`."""
        past = Statistics(self._now, self._zone)
        past.load(self._stored_ever, self._stored)
        return past

    def take_over(self, past: "Statistics") -> None:
        """Add what was counted here in the meantime to the past."""
        past._fold()
        self.load(past._stored_ever, past._stored)
        for name, day in past._since.items():
            self._since_on(name).merge(day)
            self._since_on(name).merge_details(day)
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

    def _store_days(self) -> None:
        """Encode all days except the two newest, and drop what is kept of new days only."""
        days = self.days()
        for name in sorted(self._since)[:-2]:
            self._stored[name] = encode_day(self._whole_day(name))
            self._stored_ever.merge(self._since.pop(name))
            self._tidied = ""
        if days and days[-1] != self._tidied:
            self._tidied = days[-1]
            oldest = days_before(days[-1], SESSION_DAYS)
            for name in set(self._stored) - set(days[-2:]):
                self._stored[name] = tidied(self._stored[name], is_old=name < oldest)

    def _whole_day(self, name: str) -> Day:
        day = self.day(name)
        if name in self._since:
            day.merge_details(self._since[name])
        return day

    def _add_spent(self, line: Line) -> None:
        for period in (line.day, line.day[:7]):
            if period in self._spent and line.upstream:
                costs = self._spent[period]
                costs[line.upstream] = costs.get(line.upstream, 0) + round((line.cost or 0) * NANOS)

    def _between(self, start: str, end: str) -> Iterator[str]:
        return (day for day in self.days() if (not start or day >= start) and (not end or day <= end))

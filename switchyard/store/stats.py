"""Keep the totals by day that are computed from the journal, and return them for any span of days.

`token_stats.json` is only a roll-up with the journal positions that it covers: later lines are read again at the
next start, and all of it can be rebuilt from the journal.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from switchyard.store.cell import (
    MAX_KEYS_OF_SPAN,
    NANOS,
    Cell,
    Cells,
    Day,
    Place,
    most_first,
    place_of,
)
from switchyard.store.cell_view import brief, shown, shown_by, shown_cost, summary
from switchyard.store.counts import is_request
from switchyard.store.files import read_or_none, set_aside, write_whole
from switchyard.store.journal import Batch, Journal, Position
from switchyard.store.journal_line import RESET, Line, reset_line, write_line
from switchyard.store.local_time import days_before, is_day, local_moment, notice_zone_change

FILE_NAME = "token_stats.json"
SCHEMA = 3
SESSION_DAYS = 31
"""Older days drop their sessions, which are rarely requested and take the most space."""
MAX_LATEST = 2000
HOURS_KEY = b'"upstream_hours"'

PERIODS = ("day", "hour", "month")
GROUPINGS = {
    "model": "models",
    "model_sent": "sent",
    "upstream": "upstreams",
    "client": "clients",
    "session": "sessions",
    "project": "projects",
}


class StoredDay(msgspec.Struct):
    """A day in the file: the keys of the legacy format beside `detail`, the only part that is read back."""

    detail: Day


Part = TypeVar("Part")


class StoredPart(msgspec.Struct, Generic[Part]):
    """The same, of which only a part is decoded."""

    detail: Part


class StoredHead(msgspec.Struct):
    """What tells whether the file is one of an older version."""

    schema: int
    covers: Position


class Stored(msgspec.Struct):
    """The fields of the roll-up file that are read."""

    schema: int
    covers: Position
    ever: Day
    daily: dict[str, msgspec.Raw]


class Statistics:
    """Totals by local day, in three layers that are added up on demand: stored days as their JSON text, the
    additions to the newest days, and the latest lines by their place."""

    def __init__(
        self, folder: Path, journal: Journal, now: Callable[[], float], zone: tzinfo | None = None
    ) -> None:
        self.fault = ""
        self._path = folder / FILE_NAME
        self._journal = journal
        self._now = now
        self._zone = zone
        self._stored: dict[str, msgspec.Raw] = {}
        self._stored_ever = Day()
        self._since: dict[str, Day] = {}
        self._latest: dict[tuple[str, Place], Cell] = {}
        self._spent: dict[str, dict[str, int]] = {}
        self._behind: tuple[Position, Position] | None = None
        self._changed = False
        self._tidied = ""
        """the newest day when the older ones were tidied"""
        self._saving = asyncio.Lock()

    # --- counting ---

    def start(self, read_only: bool = False, patience_bytes: int | None = None) -> None:
        """Load the roll-up and add the rest of the journal; rebuild it if it cannot be used.

        `read_only` leaves an unusable file in place: a daemon may be using it.
        If more than `patience_bytes` of the journal are unread, `catch_up` reads them.
        """
        covered = self._load(read_only)
        if covered is None:
            self._clear()
            self._changed = True
            covered = {}
        until = self._journal.position()
        unread = sum(max(0, size - covered.get(name, 0)) for name, size in until.items())
        if patience_bytes is not None and unread > patience_bytes:
            self._behind = covered, until
            news = f"The totals of {unread >> 20} MB of journal are still being added up."
            self.fault = f"{self.fault}. {news}" if self.fault else news
        else:
            self._catch_up(covered)

    async def catch_up(self) -> None:
        """Add what `start` left unread, in small steps, while new lines are counted."""
        if self._behind is None:
            return
        covered, until = self._behind
        past = Statistics(self._path.parent, self._journal, self._now, self._zone)
        past._stored, past._stored_ever = self._stored, self._stored_ever
        for batch in past._unread(covered, until):
            past._add_batch(batch)
            await asyncio.sleep(0)
        past._fold()
        self._stored, self._stored_ever = past._stored, past._stored_ever
        for name, day in past._since.items():
            self._since_on(name).merge(day)
            self._since_on(name).merge_details(day)
        self._spent = {}
        self._behind = None
        self._changed = True
        self.fault = ""

    def rebuild(self) -> None:
        """Rebuild the totals from the whole journal."""
        self._clear()
        self._catch_up({})
        self._changed = True

    def add(self, line: Line) -> None:
        """Count a line. Call it right before the journal gets the line, with no await in between."""
        self._changed = True
        where = line.day, place_of(line)
        cell = self._latest.get(where)
        if cell is None:
            cell = self._latest[where] = Cell()
        cell.add(line)
        for attempt in line.attempts:
            if attempt.failed and is_request(line):
                self._since_on(line.day).add_failed_attempts(attempt.upstream, line.hour)
        if line.session:
            self._since_on(line.day).add_to_talk(line)
        if line.cost:
            self._add_spent(line)
        if len(self._latest) > MAX_LATEST:
            self._fold()

    async def save(self, final: bool = False) -> None:
        """Replace the file if something changed, unless lines wait for the disk: they would count twice.

        With `final`, no one will write them any more, and only the roll-up has them.
        """
        async with self._saving:
            notice_zone_change()
            self._journal.refresh()
            waits = self._journal.pending and not final
            if not self._changed or waits or self._behind is not None:
                return
            self._changed = False
            position = self._journal.position()
            content = self._encode(position)
            try:
                await asyncio.to_thread(self._write, content)
                self.fault = ""
            except OSError as error:
                self._changed = True
                self.fault = f"The statistics file {self._path} cannot be written: {error.strerror}"

    async def reset(self) -> Path | None:
        """Start counting from now. Returns the path of the copy with the old totals; the journal stays complete."""
        if self._behind is not None:
            return None
        now = self._now()
        stamp = datetime.fromtimestamp(now, self._zone).strftime("%Y%m%d-%H%M%S")
        copy = self._path.with_name(f"token_stats.before-{stamp}.json")
        content = self._encode(self._journal.position())
        try:
            await asyncio.to_thread(write_whole, copy, content)
        except OSError as error:
            self.fault = (
                f"The statistics were not reset: their copy {copy} cannot be written: {error.strerror}"
            )
            return None
        if self._journal.pending:
            self.fault = "The statistics were not reset: earlier lines are not on the disk yet"
            return None
        line = reset_line(now, self._journal.position(), self._zone)
        self._clear()
        self._changed = True
        await self._journal.append(write_line(line), line.month)
        await self.save()
        return copy

    # --- reporting ---

    def days(self) -> list[str]:
        """All days with entries, oldest first."""
        self._fold()
        return sorted(self._stored.keys() | self._since.keys())

    def day(self, name: str) -> Day:
        """The sums of a day; empty without entries."""
        self._fold()
        stored = self._stored.get(name)
        day = msgspec.json.decode(stored, type=StoredDay).detail if stored is not None else Day()
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
                yield name, msgspec.json.decode(stored, type=StoredPart[kind]).detail  # type: ignore[valid-type]
            if name in self._since:
                yield name, self._since[name]

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
        return (
            datetime.fromtimestamp(self._now(), self._zone)
            .astimezone(self._zone)
            .isoformat(timespec="seconds")
        )

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

    def kept(self, start: str = "", end: str = "") -> dict[str, Day | msgspec.Raw]:
        """The days of a span, of which most are not decoded: a year takes too long for the event loop. A day that
        is counted later leaves them as they are."""
        return {
            name: self.day(name) if name in self._since else self._stored[name]
            for name in self._between(start, end)
        }

    # --- the file ---

    def _load(self, read_only: bool) -> Position | None:
        try:
            content = read_or_none(self._path)
            if content is None or self._is_outdated(msgspec.json.decode(content, type=StoredHead)):
                return None
            stored = msgspec.json.decode(content, type=Stored)
            for name, day in stored.daily.items():
                msgspec.json.decode(day, type=StoredDay)
                if not is_day(name):
                    raise msgspec.ValidationError(name)
        except OSError as error:
            self.fault = f"The statistics file {self._path} cannot be read: {error.strerror}"
            return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._set_aside(read_only)
            return None
        if stored.schema != SCHEMA or not self._journal.fits(stored.covers):
            self._set_aside(read_only)
            return None
        self._stored_ever = stored.ever
        # copied, so that the text of the whole file can be freed
        self._stored = {name: msgspec.Raw(bytes(day)) for name, day in stored.daily.items()}
        self._spent = {}
        return stored.covers

    def _is_outdated(self, head: StoredHead) -> bool:
        """True for a file of an older version whose journal is all there: it is rebuilt, and nothing is lost."""
        return 0 < head.schema < SCHEMA and self._journal.fits(head.covers)

    def _set_aside(self, read_only: bool) -> None:
        if read_only:
            self.fault = (
                f"The statistics file {self._path} does not match the journal; the totals are rebuilt"
            )
            return
        stamp = datetime.fromtimestamp(self._now(), self._zone).strftime("%Y%m%d-%H%M%S")
        try:
            aside = set_aside(self._path, stamp)
            self.fault = f"The statistics were rebuilt from the journal; the old file is now {aside}"
        except OSError as error:
            self.fault = f"The unusable statistics file {self._path} cannot be renamed: {error.strerror}"

    def _catch_up(self, covered: Position) -> None:
        for batch in self._unread(covered):
            self._add_batch(batch)

    def _unread(self, covered: Position, until: Position | None = None) -> Iterator[Batch]:
        """The journal after the position; starts again where a reset says so.

        The position of the reset alone is not enough: after a change of time zone, or with its clock set back, a
        machine writes to the file of a past month.
        """
        start, found = covered, True
        while found:
            found = False
            for batch in self._journal.lines_since(start, until):
                before = _last_reset(batch, start)
                if before is not None:
                    self._clear()
                    start, found = {**start, **before}, True
                    break
                yield batch

    def _add_batch(self, batch: Batch) -> None:
        for line in batch.lines:
            if line.kind != RESET:
                self.add(line)
        self._store_days()

    def _write(self, content: bytes) -> None:
        # a roll-up must not survive a power cut that loses the lines it covers
        self._journal.sync()
        write_whole(self._path, content)

    def _encode(self, position: Position) -> bytes:
        self._store_days()
        daily = self._stored | {name: _stored_day(self._whole_day(name)) for name in self._since}
        ever = self.ever()
        return msgspec.json.encode(
            {
                "summary": summary(ever.all),
                "by_model": shown_by(ever.models, brief),
                "daily": dict(sorted(daily.items())),
                "generated_at": self.generated_at(),
                "by_upstream": shown_by(ever.upstreams, shown),
                "by_client": shown_by(ever.clients, shown),
                "cost": shown_cost(ever.all),
                "schema": SCHEMA,
                "covers": position,
                "ever": ever,
            }
        )

    # --- days ---

    def _clear(self) -> None:
        self._stored, self._stored_ever, self._since, self._latest, self._spent = {}, Day(), {}, {}, {}
        self._behind = None

    def _since_on(self, name: str) -> Day:
        day = self._since.get(name)
        if day is None:
            day = self._since[name] = Day()
        return day

    def _fold(self) -> None:
        latest, self._latest = self._latest, {}
        for (name, place), cell in latest.items():
            self._since_on(name).add(place, cell)

    def _store_days(self) -> None:
        """Encode all days except the two newest, and drop what is kept of new days only."""
        days = self.days()
        if self._behind is not None:
            return
        for name in sorted(self._since)[:-2]:
            self._stored[name] = _stored_day(self._whole_day(name))
            self._stored_ever.merge(self._since.pop(name))
            self._tidied = ""
        if days and days[-1] != self._tidied:
            self._tidied = days[-1]
            self._tidy(days)

    def _tidy(self, days: list[str]) -> None:
        oldest = days_before(days[-1], SESSION_DAYS)
        for name in set(self._stored) - set(days[-2:]):
            is_old = name < oldest
            kept = bytes(self._stored[name])
            if HOURS_KEY in kept or (is_old and (b'"sessions"' in kept or b'"talks"' in kept)):
                day = msgspec.json.decode(kept, type=StoredDay).detail
                day.upstream_hours = {}
                if is_old:
                    day.sessions, day.talks = {}, {}
                self._stored[name] = _stored_day(day)

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


def _last_reset(batch: Batch, start: Position) -> Position | None:
    """The position of the last reset in the batch, if it is after the start."""
    resets = (line.before for line in reversed(batch.lines) if line.kind == RESET)
    return next((one for one in resets if any(end > start.get(name, 0) for name, end in one.items())), None)


def _stored_day(day: Day) -> msgspec.Raw:
    return msgspec.Raw(
        msgspec.json.encode({**brief(day.all), "by_model": shown_by(day.models, brief), "detail": day})
    )

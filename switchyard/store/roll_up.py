"""Keep the statistics in `token_stats.json`, and catch up with the journal that they are computed from.

The file is only a roll-up with the journal positions that it covers: later lines are read again at the next start,
and all of it can be rebuilt from the journal.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from zlib import crc32

import msgspec

from switchyard.store.cell import Day
from switchyard.store.cell_view import brief, shown, shown_by, shown_cost, summary
from switchyard.store.files import free_name, read_or_none, set_aside, write_pieces
from switchyard.store.journal import Batch, Journal, Position
from switchyard.store.journal_line import RESET, reset_line, write_line
from switchyard.store.local_time import is_day, notice_zone_change
from switchyard.store.stats import Statistics
from switchyard.store.stored_day import StoredDays, decode_day

FILE_NAME = "token_stats.json"
SCHEMA = 3


class StoredHead(msgspec.Struct):
    """What tells whether the file is one of an older version."""

    schema: int
    covers: Position


class Stored(msgspec.Struct):
    """The fields of the file that are read."""

    schema: int
    covers: Position
    ever: Day
    daily: dict[str, msgspec.Raw]
    checksum: int = 0
    """of the days: to decode all those of a year only for a check takes a tenth of the start"""


class RollUp:
    """Call `start`, then `catch_up`, and `save` every few seconds."""

    def __init__(
        self, folder: Path, journal: Journal, now: Callable[[], float], zone: tzinfo | None = None
    ) -> None:
        self.statistics = Statistics(now, zone)
        self.fault = ""
        self._path = folder / FILE_NAME
        self._journal = journal
        self._now = now
        self._zone = zone
        self._behind: tuple[Position, Position] | None = None
        self._saving = asyncio.Lock()

    def start(self, read_only: bool = False, patience_bytes: int | None = None) -> None:
        """Load the roll-up and add the rest of the journal; rebuild it if it cannot be used.

        `read_only` leaves an unusable file in place: a daemon may be using it.
        If more than `patience_bytes` of the journal are unread, `catch_up` reads them.
        """
        covered = self._load(read_only)
        if covered is None:
            self.statistics.clear()
            self.statistics.changed = True
            covered = {}
        until = self._journal.position()
        unread = sum(max(0, size - covered.get(name, 0)) for name, size in until.items())
        if patience_bytes is not None and unread > patience_bytes:
            self._behind = covered, until
            news = f"The totals of {unread >> 20} MB of journal are still being added up."
            self.fault = f"{self.fault}. {news}" if self.fault else news
        else:
            self._add_unread(covered)

    async def catch_up(self) -> None:
        """Add what `start` left unread, batch by batch in a thread, while new lines are counted."""
        if self._behind is None:
            return
        past = self.statistics.past()
        batches = self._unread(past, *self._behind)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            await asyncio.to_thread(past.add_all, batch.lines)
        self.statistics.take_over(await asyncio.to_thread(past.begin_storing()))
        self._behind = None
        self.fault = ""

    def rebuild(self) -> None:
        """Rebuild the totals from the whole journal."""
        self.statistics.clear()
        self._behind = None
        self._add_unread({})
        self.statistics.changed = True

    async def save(self, final: bool = False) -> None:
        """Replace the file if something changed, unless lines wait for the disk: they would count twice.

        With `final`, no one will write them any more, and only the roll-up has them.
        """
        # whoever saves next waits until the thread of a cancelled save has written
        await asyncio.shield(asyncio.create_task(self._save(final)))

    async def _save(self, final: bool) -> None:
        async with self._saving:
            notice_zone_change()
            self._journal.refresh()
            waits = self._journal.pending and not final
            if not self.statistics.changed or waits or self._behind is not None:
                return
            self.statistics.changed = False
            pieces = await self._pieces()
            try:
                await asyncio.to_thread(self._write, pieces)
                self.fault = ""
            except OSError as error:
                self.statistics.changed = True
                self.fault = f"The statistics file {self._path} cannot be written: {error.strerror}"

    async def reset(self) -> Path | None:
        """Start counting from now. Returns the path of the copy with the old totals; the journal stays complete."""
        if self._behind is not None:
            return None
        now = self._now()
        # two resets within a second: the second one must not replace the totals of the first
        stem = self._path.with_name(f"token_stats.before-{self._timestamp(now)}")
        async with self._saving:
            copy = free_name(stem, ".json")
            pieces = await self._pieces()
            try:
                await asyncio.to_thread(write_pieces, copy, pieces)
            except OSError as error:
                self.fault = (
                    f"The statistics were not reset: their copy {copy} cannot be written: {error.strerror}"
                )
                return None
        if self._journal.pending:
            self.fault = "The statistics were not reset: earlier lines are not on the disk yet"
            return None
        line = reset_line(now, self._journal.position(), self._zone)
        self.statistics.clear()
        self.statistics.changed = True
        await self._journal.append(write_line(line), line.month)
        await self.save()
        return copy

    # --- the journal ---

    def _add_unread(self, covered: Position) -> None:
        for batch in self._unread(self.statistics, covered):
            self.statistics.add_all(batch.lines)

    def _unread(
        self, statistics: Statistics, covered: Position, until: Position | None = None
    ) -> Iterator[Batch]:
        """The journal after the position; clears the statistics and starts again where a reset says so.

        The position of the reset alone is not enough: after a change of time zone, or with its clock set back, a
        machine writes to the file of a past month.
        """
        start, found = covered, True
        while found:
            found = False
            for batch in self._journal.lines_since(start, until):
                before = _last_reset(batch, start)
                if before is not None:
                    statistics.clear()
                    start, found = {**start, **before}, True
                    break
                yield batch

    # --- the file ---

    def _load(self, read_only: bool) -> Position | None:
        try:
            content = read_or_none(self._path)
            if content is None or self._is_outdated(msgspec.json.decode(content, type=StoredHead)):
                return None
            stored = msgspec.json.decode(content, type=Stored)
            if stored.checksum != _checksum(stored.daily):
                for name, day in stored.daily.items():
                    decode_day(day, Day)
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
        # copied, so that the text of the whole file can be freed
        days = {name: msgspec.Raw(bytes(day)) for name, day in stored.daily.items()}
        self.statistics.load(StoredDays(stored.ever, days))
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
        try:
            aside = set_aside(self._path, self._timestamp(self._now()))
            self.fault = f"The statistics were rebuilt from the journal; the old file is now {aside}"
        except OSError as error:
            self.fault = f"The unusable statistics file {self._path} cannot be renamed: {error.strerror}"

    def _write(self, pieces: Iterable[bytes]) -> None:
        # a roll-up must not survive a power cut that loses the lines it covers
        self._journal.sync()
        write_pieces(self._path, pieces)

    async def _pieces(self) -> Iterator[bytes]:
        """The content of the file as it is now."""
        head = {
            "generated_at": self.statistics.generated_at(),
            "schema": SCHEMA,
            "covers": self._journal.position(),
        }
        stored = await asyncio.to_thread(self.statistics.begin_storing())
        self.statistics.end_storing(stored)
        return _pieces(stored, head)

    def _timestamp(self, at: float) -> str:
        return datetime.fromtimestamp(at, self._zone).strftime("%Y%m%d-%H%M%S")


def _pieces(stored: StoredDays, head: dict[str, object]) -> Iterator[bytes]:
    """Day by day: the whole of a year at once would keep other threads waiting."""
    ever, daily = stored.ever, dict(sorted(stored.days.items()))
    sums = {
        "summary": summary(ever.all),
        "by_model": shown_by(ever.models, brief),
        "by_upstream": shown_by(ever.upstreams, shown),
        "by_client": shown_by(ever.clients, shown),
        "cost": shown_cost(ever.all),
        "ever": ever,
        "checksum": _checksum(daily),
    }
    yield msgspec.json.encode(head | sums)[:-1] + b',"daily":{'
    for number, (name, day) in enumerate(daily.items()):
        yield b'%b"%b":' % (b"," if number else b"", name.encode())
        yield bytes(day)
    yield b"}}"


def _checksum(daily: Mapping[str, msgspec.Raw]) -> int:
    found = 0
    for name, day in daily.items():
        found = crc32(day, crc32(name.encode(), found))
    return found


def _last_reset(batch: Batch, start: Position) -> Position | None:
    """The position of the last reset in the batch, if it is after the start."""
    resets = (line.before for line in reversed(batch.lines) if line.kind == RESET)
    return next((one for one in resets if any(end > start.get(name, 0) for name, end in one.items())), None)

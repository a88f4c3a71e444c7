"""Read the journal from its newest line backwards, in pages that each take a bounded part of the processor's time."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from switchyard.store.journal import MAX_READ_LINE, Journal
from switchyard.store.journal_line import RESET, Line, decode_line
from switchyard.store.local_time import local_moment

BLOCK_BYTES = 256 * 1024
BUDGET_SECONDS = 0.02
"""of the processor, for one page"""
DISORDER_SECONDS = 3600.0
"""by this much, lines of one file may be out of order: a clock was set back, a slow disk took them late"""
DAY_SECONDS = 86400.0
PLACE = re.compile(r"(\d{4}-\d\d):(\d{1,18})")


class Place(msgspec.Struct, frozen=True):
    """A position in the file of a month, always at the start or the end of a line."""

    month: str
    offset: int

    def __str__(self) -> str:
        return f"{self.month}:{self.offset}"


class Filters(msgspec.Struct, frozen=True):
    """What is wanted; "" and None mean all. `since` and `until` limit the moments at which the requests ended."""

    since: float | None = None
    until: float | None = None
    text: str = ""
    """in any of the texts that the list shows"""
    upstream: str = ""
    protocol: str = ""
    client: str = ""
    """the label of a client key, or a program"""
    model: str = ""
    """a part of the requested or the upstream model"""
    outcome: str = ""
    session: str = ""
    project: str = ""
    id: str = ""


class Found(msgspec.Struct, frozen=True):
    """A line, the bytes that were read, and where they start."""

    line: Line
    raw: bytes
    place: Place


class Page(msgspec.Struct, frozen=True):
    """`next` is where to go on, None at the end of the journal. `reached` is the moment of the oldest line seen."""

    found: list[Found]
    next: Place | None
    reached: float | None


def place_from(text: str) -> Place:
    """Raises ValueError."""
    parsed = PLACE.fullmatch(text)
    if parsed is None:
        raise ValueError(f'"{text[:40]}" is not a place in the journal')
    return Place(parsed[1], int(parsed[2]))


def line_at(journal: Journal, place: Place) -> Line | None:
    """The line that starts at a place."""
    try:
        with (journal.folder / f"{place.month}.jsonl").open("rb") as file:
            file.seek(place.offset)
            return decode_line(file.readline(MAX_READ_LINE))
    except OSError:
        return None


def read_page(
    journal: Journal,
    filters: Filters,
    start: Place | None = None,
    limit: int = 100,
    budget_seconds: float = BUDGET_SECONDS,
    clock: Callable[[], float] = time.thread_time,
) -> Page:
    """The newest lines that fit, from before `start` on. May run in a thread.

    When the budget is used up, the page has fewer lines than wanted, perhaps none, and says where to go on.
    """
    ends = clock() + budget_seconds
    found: list[Found] = []
    reached: float | None = None
    place: Place | None = start
    for part in _parts(journal, filters, start):
        found += part.found[: limit - len(found)]
        reached = part.reached if part.reached is not None else reached
        if len(found) == limit:
            return Page(found, found[-1].place, found[-1].line.at)
        place = part.next
        if place is None or clock() >= ends:
            return Page(found, place, reached)
    return Page(found, None, reached)


def _parts(journal: Journal, filters: Filters, start: Place | None) -> Iterator[Page]:
    """One page for each block; the last one has no `next`."""
    matching = Matching(filters)
    for month in _months(journal, filters, start):
        path = journal.folder / f"{month}.jsonl"
        try:
            with path.open("rb") as file:
                yield from _parts_of(file.fileno(), month, matching, start)
        except OSError:
            continue


def _months(journal: Journal, filters: Filters, start: Place | None) -> list[str]:
    """Newest first: those that can have lines of the time range, up to the place."""
    months = [Path(name).stem for name in journal.files()]
    if filters.since is not None:
        first = local_moment(max(0.0, filters.since - DAY_SECONDS)).month
        months = [month for month in months if month >= first]
    if filters.until is not None:
        last = local_moment(filters.until + DAY_SECONDS).month
        months = [month for month in months if month <= last]
    return [month for month in reversed(months) if start is None or month <= start.month]


def _parts_of(handle: int, month: str, matching: "Matching", start: Place | None) -> Iterator[Page]:
    size = os.fstat(handle).st_size
    end = min(start.offset, size) if start is not None and start.month == month else size
    if matching.filters.until is not None:
        end = min(end, _end_of(handle, size, matching.filters.until + DISORDER_SECONDS))
    while end > 0:
        begin = max(0, end - BLOCK_BYTES)
        block = _read(handle, end - begin, begin)
        # the first line of a block is cut off, unless the file begins with it; a block without a whole one is garbage
        cut = 0 if begin == 0 else (block.find(b"\n") + 1) % len(block)
        whole, end = block[cut:], begin + cut
        oldest = _first_line(whole)
        page = Page(matching.lines_of(whole, month, end), Place(month, end), oldest.at if oldest else None)
        yield page
        if oldest is not None and matching.is_past(oldest):
            return


def _end_of(handle: int, size: int, moment: float) -> int:
    """A start of a line such that the lines after it are later than the moment, found by halving."""
    low, high = 0, size
    while high - low > BLOCK_BYTES:
        middle = (low + high) // 2
        block = _read(handle, BLOCK_BYTES // 2, middle)
        cut = block.find(b"\n") + 1
        line = _first_line(block[cut:])
        if line is None or line.at <= moment:
            low = middle
        else:
            high = middle + cut
    return high


def _read(handle: int, size: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, size)


def _first_line(block: bytes) -> Line | None:
    """The first line of a block that can be decoded, among its first ones."""
    for raw in block.split(b"\n", 8)[:8]:
        if raw and (line := decode_line(raw)) is not None:
            return line
    return None


class Matching:
    """The filters, with bytes that every line that fits contains: most blocks need not be decoded."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters
        self._text = filters.text.strip().lower()
        self._model = filters.model.lower()
        self._needles = tuple(_needles(filters, self._text, self._model))

    def lines_of(self, block: bytes, month: str, offset: int) -> list[Found]:
        """The lines that fit, newest first. `offset` is where the block begins in its file."""
        folded = block.lower() if self._needles else block
        if any(needle not in folded for needle in self._needles):
            return []
        found: list[Found] = []
        for start, end in _lines_backwards(folded, self._needles[0] if self._needles else b""):
            raw = block[start:end]
            line = decode_line(raw) if self._may_fit(folded, start, end) else None
            if line is not None and self.fits(line):
                found.append(Found(line, raw, Place(month, offset + start)))
        return found

    def _may_fit(self, folded: bytes, start: int, end: int) -> bool:
        return all(folded.find(needle, start, end) >= 0 for needle in self._needles[1:])

    def is_past(self, line: Line) -> bool:
        """True if the lines before this one are too old."""
        since = self.filters.since
        return since is not None and line.at < since - DISORDER_SECONDS

    def fits(self, line: Line) -> bool:
        filters = self.filters
        return (
            line.kind != RESET
            and (filters.since is None or line.at >= filters.since)
            and (filters.until is None or line.at < filters.until)
            and filters.upstream in ("", line.upstream)
            and filters.protocol in ("", line.client_protocol)
            and filters.outcome in ("", line.outcome)
            and filters.session in ("", line.session)
            and filters.project in ("", line.project)
            and filters.id in ("", line.id)
            and filters.client in ("", line.client, program_of(line))
            and (not self._model or self._model in line.model.lower() or self._model in line.sent.lower())
            and (not self._text or self._text in _texts(line))
        )


def program_of(line: Line) -> str:
    """The program that sent the request: "claude-cli/2.1 (external)" -> "claude-cli"."""
    return line.agent.split(" ", 1)[0].partition("/")[0]


def _texts(line: Line) -> str:
    """What the search looks through."""
    error = line.error.message if line.error is not None else ""
    texts = (
        line.model,
        line.sent,
        line.upstream,
        line.agent,
        line.client,
        line.session,
        line.project,
        error,
        line.id,
    )
    return "\n".join(texts).lower()


def _needles(filters: Filters, text: str, model: str) -> Iterator[bytes]:
    """The rarest first, in lower case. Other letters than ASCII stay out: their case would not be folded."""
    exact = {
        "id": filters.id,
        "session": filters.session,
        "project": filters.project,
        "upstream": filters.upstream,
        "outcome": filters.outcome,
        "client_protocol": filters.protocol,
    }
    if text.isascii() and text:
        yield _quoted(text)[1:-1]
    for name, value in exact.items():
        if value:
            yield b'"%s":%s' % (name.encode(), _quoted(value))
    for part in (model, filters.client):
        if part.isascii() and part:
            yield _quoted(part)[1:-1].lower()


def _quoted(text: str) -> bytes:
    """As the journal writes it, in lower case as far as it is ASCII."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode()).lower()


def _lines_backwards(block: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the lines with the needle, the last one first; of all lines without one."""
    end = len(block)
    while end > 0:
        at = block.rfind(needle, 0, end) if needle else end - 1
        if at < 0:
            return
        start = block.rfind(b"\n", 0, at) + 1
        stop = block.find(b"\n", at, end)
        stop = end if stop < 0 else stop
        if stop > start:
            yield start, stop
        end = start - 1 if start else 0

"""Append one line per exchange to the file of its month, and read the lines back.

Usually a line is one short `os.write`, done before the caller continues. While the disk is slow, a thread
writes the lines; while it refuses them, they wait in a bounded queue and are written later.
"""

import asyncio
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from switchyard.plural import plural
from switchyard.store.files import NotAFile, ensure_folder, is_in_place, open_file, remedy_of
from switchyard.store.journal_line import Line, decode_line

Position = dict[str, int]
"""How far each file is counted: file name -> bytes."""

SLOW_SECONDS = 0.020
LONGEST_WAIT_SECONDS = 1.0
RETRY_SECONDS = 2.0
CLOSE_SECONDS = 5.0
MAX_WAITING_BYTES = 32 * 1024 * 1024
BATCH_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024
MAX_READ_LINE = 1024 * 1024
MONTH_FILE = re.compile(r"\d{4}-\d\d\.jsonl")
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


@dataclass(slots=True)
class Waiting:
    """A line, or the rest of one, that is not in its file yet."""

    file: str
    rest: bytes
    written: asyncio.Event = field(default_factory=asyncio.Event)


class Written(msgspec.Struct, frozen=True):
    """The result of one write."""

    size: int
    seconds: float
    error: OSError | None = None


class Batch(msgspec.Struct, frozen=True):
    """Lines read from one file; `end` is the position after the last of them."""

    file: str
    end: int
    lines: list[Line]


class Journal:
    """The files `usage/YYYY-MM.jsonl` of the data folder, appended to by one process only."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[int, bytes], int] = os.write,
        retry_seconds: float = RETRY_SECONDS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.folder = folder / "usage"
        self.fault = ""
        self.lost = 0
        """lines dropped because the queue was full"""
        self._clock = clock
        self._write = write
        self._retry_seconds = retry_seconds
        self._max_waiting_bytes = max_waiting_bytes
        self._torn: set[str] = set()
        """files that `repair` could not write: their last line is ended before the next one"""
        self._file = ""
        self._handle: int | None = None
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._slow = False
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    # --- writing ---

    @property
    def pending(self) -> int:
        """The number of lines that are not in their file yet."""
        return len(self._waiting)

    async def append(self, line: bytes, month: str) -> None:
        """Return when the system has the line of this month, or when waiting longer would delay the client.

        An unwritten line stays in the queue. Never raises OSError.
        """
        file = f"{month}.jsonl"
        if not self._waiting and not self._slow:
            done = self._write_batch(file, line)
            self._judge(done)
            if done.size == len(line):
                return
            line = line[done.size :]
        waiting = self._enqueue(file, line)
        if waiting is None or self.fault:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting.written.wait(), LONGEST_WAIT_SECONDS)

    async def close(self) -> None:
        """Write the queued lines, if the disk accepts them."""
        self._closing.set()
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=CLOSE_SECONDS)
        self._shut()

    def _enqueue(self, file: str, line: bytes) -> Waiting | None:
        if self._waiting_bytes + len(line) > self._max_waiting_bytes:
            self.lost += 1
            self.fault = f"{self.fault.split(' (')[0]} ({plural(self.lost, 'line')} lost)"
            return None
        waiting = Waiting(file, line)
        self._waiting.append(waiting)
        self._waiting_bytes += len(line)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting(), name="journal writer")
        return waiting

    async def _write_waiting(self) -> None:
        while self._waiting:
            if self.fault and not self._closing.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._retry_seconds)
            is_last = self._closing.is_set()
            self._settle(await asyncio.to_thread(self._write_batch, *self._batch()))
            if self.fault and is_last:
                return

    def _batch(self) -> tuple[str, bytes]:
        """The next lines of one file as one block."""
        file = self._waiting[0].file
        pieces: list[bytes] = []
        size = 0
        for waiting in self._waiting:
            if waiting.file != file or size > BATCH_BYTES:
                break
            pieces.append(waiting.rest)
            size += len(waiting.rest)
        return file, b"".join(pieces)

    def _settle(self, done: Written) -> None:
        """Remove the written lines from the queue; the rest of a partly written line stays first."""
        left = done.size
        self._waiting_bytes -= left
        while left and self._waiting:
            first = self._waiting[0]
            if len(first.rest) > left:
                first.rest = first.rest[left:]
                break
            left -= len(first.rest)
            self._waiting.popleft().written.set()
        self._judge(done)

    def _judge(self, done: Written) -> None:
        self._slow = done.error is not None or done.seconds > SLOW_SECONDS
        if done.error is None:
            self.fault = ""
            return
        remedy = remedy_of(done.error)
        if isinstance(done.error, NotAFile):
            remedy = f"{Path(done.error.filename).name} is {remedy}"
        self.fault = (
            f"The journal in {self.folder} cannot be written, {remedy}. Lines are kept in memory until then."
        )
        self._shut()

    def _write_batch(self, file: str, content: bytes) -> Written:
        """May run in a thread, but only once at a time."""
        began = self._clock()
        size = 0
        try:
            handle = self._open(file)
            while size < len(content):
                size += self._write(handle, content[size:] if size else content)
        except OSError as error:
            return Written(size, self._clock() - began, error)
        return Written(size, self._clock() - began)

    def _open(self, file: str) -> int:
        if self._handle is None or self._file != file:
            self._shut()
            ensure_folder(self.folder)
            self._handle = open_file(self.folder / file, APPEND)
            self._file = file
        if file in self._torn:
            self._write(self._handle, b"\n")
            self._torn.discard(file)
        return self._handle

    def _shut(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                os.close(handle)

    # --- keeping ---

    def repair(self) -> None:
        """End the torn last line of each file, so that the next line starts on its own."""
        for name in self.files():
            try:
                with os.fdopen(open_file(self.folder / name, os.O_RDWR), "rb+") as file:
                    if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                        self._torn.add(name)
                        file.write(b"\n")
                self._torn.discard(name)
            except OSError as error:
                self._judge(Written(0, 0.0, error))

    def refresh(self) -> None:
        """Close a file that was moved away, so that the next line creates a new one."""
        if self._handle is None or self._waiting or is_in_place(self.folder / self._file, self._handle):
            return
        self._shut()

    def sync(self) -> None:
        """Flush the lines to the disk. May run in a thread."""
        for name in self.files()[-2:]:
            with suppress(OSError):
                handle = open_file(self.folder / name)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)

    # --- reading ---

    def files(self) -> list[str]:
        """The names of the month files, oldest first."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        # a copy kept in the same folder must not count
        return sorted(name for name in names if MONTH_FILE.fullmatch(name))

    def position(self) -> Position:
        """The ends of all files. With `pending` at 0 it covers every line appended so far."""
        sizes: Position = {}
        for name in self.files():
            with suppress(OSError):
                sizes[name] = os.stat(self.folder / name).st_size
        return sizes

    def fits(self, position: Mapping[str, int]) -> bool:
        """False if a file appears to have been removed, shortened or replaced since."""
        return all(self._is_line_end(name, offset) for name, offset in position.items())

    def lines_since(
        self, position: Mapping[str, int], until: Mapping[str, int] | None = None
    ) -> Iterator[Batch]:
        """The complete lines after the position and before `until`; unreadable ones are left out."""
        for name in self.files() if until is None else sorted(until):
            end = None if until is None else until[name]
            try:
                yield from self._lines_of(name, position.get(name, 0), end)
            except OSError as error:
                self.fault = f"{self.folder / name} cannot be read: {error.strerror}"

    def lines_of_month(self, month: str) -> Iterator[Line]:
        """All lines of a month such as "2026-11"."""
        name = f"{month}.jsonl"
        if name in self.files():
            for batch in self._lines_of(name, 0):
                yield from batch.lines

    def _is_line_end(self, name: str, offset: int) -> bool:
        """True after a newline, and before one: `repair` ends the line that a full disk has torn."""
        if offset == 0:
            return True
        try:
            with os.fdopen(open_file(self.folder / name), "rb") as file:
                if file.seek(0, os.SEEK_END) <= offset:
                    return file.tell() == offset
                file.seek(offset - 1)
                return b"\n" in file.read(2)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _lines_of(self, name: str, start: int, end: int | None = None) -> Iterator[Batch]:
        with os.fdopen(open_file(self.folder / name), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            left = max(0, min(size, size if end is None else end) - start)
            file.seek(min(start, size))
            rest = b""
            while chunk := file.read(min(READ_BYTES, left)):
                left -= len(chunk)
                content = rest + chunk
                cut = content.rfind(b"\n") + 1
                # a line of this length is garbage; its tail cannot be decoded either
                rest = content[cut:] if len(content) - cut < MAX_READ_LINE else b"?"
                raws = content[:cut].split(b"\n")
                lines = [line for raw in raws if raw and (line := decode_line(raw)) is not None]
                yield Batch(name, file.tell() - (len(content) - cut), lines)
            # a line that only lacks its newline is complete
            if (last := decode_line(rest)) is not None:
                yield Batch(name, file.tell(), [last])

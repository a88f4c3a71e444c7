"""Server-sent events: bytes to records and back, at any chunking.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Sequence

import msgspec

MAX_RECORD_BYTES = 32 * 1024 * 1024
PIECE_COST = 64
"""what a piece takes in memory besides its bytes: many tiny ones weigh more than they say"""
LINES_OF_NAMED_RECORD = 3
"""event, data and the blank one"""
BLANK_LINE = b"\n\n"
SEVERAL_BYTES = 1024
"""more are several records, as a rule"""
MAX_CONTAINERS = 1_000_000
BOM = b"\xef\xbb\xbf"
LINE_SEPARATORS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))
"""Legal in JSON, but some readers of lines stop there."""

_encode_json = msgspec.json.Encoder().encode


class Record(msgspec.Struct, frozen=True):
    """One event: `data` joined with newlines, `event` name or ""."""

    data: bytes
    event: str = ""


class RecordTooLarge(Exception):
    """One record exceeds `MAX_RECORD_BYTES`.

    `records`: those that the same chunk completed before it; `given`: what a stream gives the client of the chunk.
    """

    def __init__(self, records: Sequence[Record] = (), given: bytes = b"") -> None:
        super().__init__()
        self.records = records
        self.given = given


class SseDecoder:
    """Feed it bytes, take records; call `close` at the end: many relays forget the last blank line.

    Lines end with LF, CRLF or CR. Records without data are dropped unless they name an `error` event.
    """

    __slots__ = ("_data", "_event", "_max", "_piece_size", "_pieces", "_size", "_skip_lf", "_started")

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._pieces: list[bytes] = []
        """of the line that has not ended yet"""
        self._piece_size = 0
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._skip_lf = False
        self._started = False
        self._max = max_record_bytes

    def feed(self, chunk: bytes) -> list[Record]:
        """The records that this chunk completes. Raises RecordTooLarge."""
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._pieces:
            lines[0] = b"".join((*self._pieces, lines[0]))
            self._pieces, self._piece_size = [], 0
        records: list[Record] = []
        if lines:
            self._take(lines, records)
        if rest:
            self._pieces.append(rest)
            self._piece_size += len(rest) + PIECE_COST
            if self._piece_size + self._size > self._max:
                raise RecordTooLarge(records)
        return records

    def close(self) -> list[Record]:
        """The record that the end of the stream completes, if any."""
        last, self._pieces, self._piece_size = b"".join(self._pieces), [], 0
        records: list[Record] = []
        self._take([last, b""] if last else [b""], records)
        return records

    def _take(self, lines: list[bytes], records: list[Record]) -> None:
        if not self._started:
            self._started = True
            lines[0] = lines[0].removeprefix(BOM)
        for line in lines:
            if line.startswith(b"data:"):
                self._take_data(line[6:] if line.startswith(b" ", 5) else line[5:], records)
            elif not line:
                if self._data or self._event == "error":
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    if is_overgrown(data):
                        raise RecordTooLarge(records)
                    records.append(Record(data, self._event))
                    self._data, self._size = [], 0
                self._event = ""
            elif line.startswith(b"event:"):
                self._event = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif line == b"data":
                self._take_data(b"", records)
            elif line.startswith(b"{"):
                # no field at all: an error of a server that forgot what it was writing
                self._take_data(line, records)

    def _take_data(self, value: bytes, records: list[Record]) -> None:
        self._data.append(value)
        self._size += len(value) + PIECE_COST
        if self._size > self._max:
            raise RecordTooLarge(records)


def usual_record(raw: bytes) -> Record | None:
    """The record of two lines at most that these bytes are, as nearly all are; None for anything else."""
    if len(raw) > MAX_CONTAINERS or raw.find(b"\r") >= 0:
        return None
    event, start = "", 0
    if raw.startswith(b"event:"):
        start = raw.find(b"\n") + 1
        event = raw[6 : start - 1].removeprefix(b" ").decode("utf-8", "replace")
    end = raw.find(b"\n", start)
    if not raw.startswith(b"data:", start) or end != len(raw) - 2 or not raw.endswith(b"\n"):
        return None
    return Record(raw[start + 5 : end].removeprefix(b" "), event)


def is_overgrown(data: bytes) -> bool:
    """True for JSON that would take a hundred times its size in memory: empty lists by the million."""
    return len(data) > MAX_CONTAINERS and data.count(b"[") + data.count(b"{") > MAX_CONTAINERS


def count_if_all(records: bytes, names: Sequence[tuple[bytes, bytes]]) -> int:
    """How many records these are, if each is of the usual three lines and has one of the names; else 0.

    Lines are counted, as that is the cheapest of all ways to see where records end. Each name comes with its usual
    surroundings: those are found twice as fast as the name alone. Most often one name is all.
    """
    if not records.startswith(b"event:"):
        return 0  # of two lines each, three records have as many as two of the usual ones
    lines = records.count(b"\n")
    for usual, _ in names:
        if len(records) > SEVERAL_BYTES and records.find(usual, 0, SEVERAL_BYTES) < 0:
            continue  # most often all are of the kind of the first
        found = records.count(usual)
        if lines == found * LINES_OF_NAMED_RECORD:
            return found
    found = 0
    for _, name in names:
        found += records.count(name)
        if lines == found * LINES_OF_NAMED_RECORD:
            return found
    return 0


def on_one_line(json: bytes) -> bytes:
    """The JSON without anything that a program could take for the end of its line."""
    if b"\xe2\x80" in json:
        for separator, escaped in LINE_SEPARATORS:
            json = json.replace(separator, escaped)
    return json


def quoted(text: str) -> bytes:
    """The JSON string, on one line."""
    try:
        json = _encode_json(text)
    except UnicodeEncodeError:
        json = _encode_json(text.encode("utf-8", "replace").decode())
    return json if text.isascii() else on_one_line(json)


def encode(data: bytes, event: str = "") -> bytes:
    """One record of JSON or words without line ends."""
    data = on_one_line(data)
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data

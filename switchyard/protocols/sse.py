"""Server-sent events: bytes to records and back, at any chunking.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from dataclasses import dataclass

MAX_RECORD_BYTES = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


class RecordTooLarge(Exception):
    """One record exceeds `MAX_RECORD_BYTES`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event: `data` joined with newlines, `event` name or ""."""

    data: bytes
    event: str = ""


class SseDecoder:
    """Feed it bytes, take records; call `close` at the end: many relays forget the last blank line.

    Lines end with LF, CRLF or CR. Records without data are dropped unless they name an `error` event.
    """

    __slots__ = ("_data", "_event", "_line", "_max", "_size", "_skip_lf", "_started")

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._event = ""
        self._skip_lf = False
        self._started = False
        self._size = 0
        self._max = max_record_bytes

    def feed(self, chunk: bytes) -> list[Record]:
        """The records that this chunk completes. Raises RecordTooLarge."""
        if not chunk:
            return []
        if self._skip_lf:
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        records: list[Record] = []
        lines = chunk.split(b"\n")
        for line in lines[:-1]:
            if self._line:
                self._line.append(line)
                line = b"".join(self._line)
                self._line = []
            self._take_line(line, records)
        if lines[-1]:
            self._line.append(lines[-1])
            self._size += len(lines[-1])
            if self._size > self._max:
                raise RecordTooLarge
        return records

    def close(self) -> list[Record]:
        """The record that the end of the stream completes, if any."""
        records: list[Record] = []
        if self._line:
            line, self._line = b"".join(self._line), []
            self._take_line(line, records)
        self._take_line(b"", records)
        return records

    def _take_line(self, line: bytes, records: list[Record]) -> None:
        if not self._started:
            self._started = True
            line = line.removeprefix(BOM)
        if not line:
            if self._data or self._event == "error":
                records.append(Record(b"\n".join(self._data), self._event))
            self._data, self._event, self._size = [], "", 0
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._max:
                raise RecordTooLarge
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")


def encode(data: bytes, event: str = "") -> bytes:
    """One record; `data` must be a single line."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data

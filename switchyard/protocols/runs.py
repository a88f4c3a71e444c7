"""Recognize records of a stream that differ in one text alone: nearly all of an answer, read together as one run."""

import msgspec

from switchyard.protocols.sse import Record, quoted, usual_record

PROBE = "\u2042 a text of no answer \u2042"
PROBE_JSON = msgspec.json.encode(PROBE)[1:-1]
MARK_BYTES = 16

_read_texts = msgspec.json.Decoder(list[str]).decode


class Texts(msgspec.Struct, frozen=True, gc=False):
    """The texts of a run, none of them empty, and each as JSON on one line, without its quotes."""

    words: list[str]
    quoted: list[bytes]


class Run:
    """What the records of a run have before and after their text, its quotes included."""

    __slots__ = ("_between", "_mark", "_tail_size", "end", "start")

    def __init__(self, start: bytes, end: bytes) -> None:
        self.start, self.end = start, end
        self._between = end + start
        # a packet is split at a short mark three times as fast as at all that is between two texts
        self._mark = start[-MARK_BYTES:]
        self._tail_size = len(self._between) - len(self._mark)

    def texts(self, records: bytes) -> Texts | None:
        """Of whole records; None if any is another one."""
        if not (records.startswith(self.start) and records.endswith(self.end)):
            return None
        inner = records[len(self.start) : -len(self.end)]
        pieces = inner.split(self._mark)
        if len(pieces) > 1:
            if inner.count(self._between) != len(pieces) - 1:
                return None
            last, tail_size = pieces.pop(), self._tail_size
            pieces = [piece[:-tail_size] for piece in pieces]
            pieces.append(last)
        return _texts(pieces, has_escapes=inner.find(b"\\") >= 0)

    def may_begin(self, piece: bytes) -> bool:
        """True if this is the beginning of a record that may be of the run."""
        if b"\r" in piece:
            return False  # it may be whole, with other line ends
        return piece.startswith(self.start) or self.start.startswith(piece)

    def probe(self) -> Record | None:
        """A record of the run that has a text of no answer."""
        return usual_record(self.start + PROBE_JSON + self.end)


def run_of(raw: bytes, text: str) -> Run | None:
    """The run that a record with this text may belong to, if it is clear where the text is."""
    words = quoted(text)
    at = raw.find(words)
    start, end = raw[: at + 1], raw[at + len(words) - 1 :]
    if at < 0 or raw.find(words, at + 1) >= 0 or b"\\" in start or b"\\" in end:
        return None
    return Run(start, end)


def _texts(pieces: list[bytes], *, has_escapes: bool) -> Texts | None:
    together = b'","'.join(pieces)
    if has_escapes and any(piece.replace(rb"\\", b"").endswith(b"\\") for piece in pieces):
        return None
    try:
        words = _read_texts(b'["%b"]' % together)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if len(words) != len(pieces) or not all(words):
        return None  # a text has ended, and something else followed it
    if has_escapes or together.find(b"\xe2\x80") >= 0:
        pieces = [quoted(word)[1:-1] for word in words]
    return Texts(words, pieces)

"""Repair characters outside the basic plane whose surrogate halves were torn apart: `\\ud83d` and `\\ude00`.

JSON allows such escapes alone, but no text can hold them. Halves in two records of a stream are joined; one that
stands alone becomes U+FFFD.
"""

import re

from switchyard.protocols.sse import Record

HALVES = re.compile(
    rb"(\\(?<!\\\\)\\*)u[dD](?:[89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[c-fC-F][0-9a-fA-F]{2})"
)
"""Backslashes and a half, and the second one if it follows. Only an odd number of backslashes makes it an escape."""
FIRST_HALF_AT_END = re.compile(rb'\\(u[dD][89abAB][0-9a-fA-F]{2})(?=")')
SECOND_HALF_AT_START = re.compile(rb'(?<=")\\u[dD][c-fC-F][0-9a-fA-F]{2}')
REPLACEMENT = rb"\ufffd"
PING = "ping"


def without_halves(body: bytes) -> bytes:
    """The JSON with a replacement for every half that stands alone."""
    if not holds_escaped_halves(body):
        return body
    return HALVES.sub(_without_half, body)


def _without_half(found: re.Match[bytes]) -> bytes:
    escape, (slashes, second) = found[0], found.groups()
    if len(slashes) % 2 == 0:
        return escape if second is None else escape.removesuffix(second) + REPLACEMENT
    return slashes[:-1] + REPLACEMENT if second is None else escape


def holds_escaped_halves(body: bytes) -> bool:
    return b"\\u" in body and (b"\\ud" in body or b"\\uD" in body)


def _has_half(body: bytes) -> bool:
    return without_halves(body) != body


class SurrogateJoiner:
    """Feed it records, decode those that it gives back: one that ends in a first half waits for the next."""

    __slots__ = ("has_replaced", "held")

    def __init__(self) -> None:
        self.held: Record | None = None
        self.has_replaced = False

    def concerns(self, record: Record) -> bool:
        return self.held is not None or _has_half(record.data)

    def take(self, record: Record) -> list[Record]:
        before = self.held
        if before is not None and record.event == PING:
            return [record]
        self.held = None
        if before is not None:
            before, record = _joined(before, record)
        ready = [] if before is None else [self._whole(before)]
        if _has_half(record.data):
            if FIRST_HALF_AT_END.search(record.data):
                self.held = record
                return ready
            record = self._whole(record)
        return [*ready, record]

    def close(self) -> list[Record]:
        before, self.held = self.held, None
        return [] if before is None else [self._whole(before)]

    def _whole(self, record: Record) -> Record:
        data = without_halves(record.data)
        self.has_replaced = self.has_replaced or data != record.data
        return Record(data, record.event)


def _joined(first: Record, second: Record) -> tuple[Record, Record]:
    """The halves together in the second record, if it begins with one."""
    half = FIRST_HALF_AT_END.search(first.data)
    if half is None or SECOND_HALF_AT_START.search(second.data) is None:
        return first, second
    begun = b"\\" + half.group(1)
    return (
        Record(FIRST_HALF_AT_END.sub(b"", first.data), first.event),
        Record(SECOND_HALF_AT_START.sub(lambda found: begun + found.group(), second.data), second.event),
    )

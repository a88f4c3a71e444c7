"""Change the model name in a body and nothing else: every other byte stays as it came."""

import re
from typing import Any

import msgspec

MODEL_MEMBER = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


class _Top(msgspec.Struct):
    model: Any = None


_decode_top = msgspec.json.Decoder(_Top).decode


def splice_model(body: bytes, model: str) -> bytes:
    """The JSON object with its top-level `model` replaced; unchanged where it has none.

    A candidate is verified by reading the result again, so that a `model` deeper inside is never touched.
    """
    new = msgspec.json.encode(model)
    for found in MODEL_MEMBER.finditer(body):
        start, end = found.span(1)
        if body[start:end] == new and _is_top_level(body, found.start()):
            return body
        spliced = b"".join((body[:start], new, body[end:]))
        if _is_top_level(body, found.start()) or _decode_top(spliced).model == model:
            return spliced
    return body


def _is_top_level(body: bytes, position: int) -> bool:
    """True where nothing was opened before but the object itself; False says only that one cannot tell."""
    return body.find(b"{", body.find(b"{") + 1, position) < 0 and b"[" not in body[:position]


def insert_member(body: bytes, member: bytes) -> bytes:
    """The JSON object with one more member, e.g. b'"a":1', at its head. The object must not be empty."""
    brace = body.index(b"{") + 1
    return b"".join((body[:brace], member, b",", body[brace:]))


class StreamRenamer:
    """Replaces the upstream's model name in the records of a stream by the name the client asked for.

    The spelling of the member is learned from the first record that names a model. Inside JSON strings quotes
    are escaped, so the member cannot be mistaken there.
    """

    __slots__ = ("_asked", "_new", "_old")

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._old = b""
        self._new = b""

    def learn(self, record: bytes, model: str) -> None:
        """A record is known to name this model."""
        if self._old or model == self._asked:
            return
        name = msgspec.json.encode(model)
        for found in MODEL_MEMBER.finditer(record):
            if found[1] == name or msgspec.json.decode(found[1]) == model:
                self._old = found[0]
                self._new = self._old[: found.start(1) - found.start()] + msgspec.json.encode(self._asked)
                return

    def rename(self, records: bytes) -> bytes:
        return records.replace(self._old, self._new) if self._old else records

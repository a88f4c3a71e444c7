"""Change the model name in a body and nothing else: every other byte stays as it came."""

import re
import sys
from itertools import islice
from typing import Any

import msgspec

from switchyard.protocols.surrogates import without_halves

MODEL_MEMBER = re.compile(rb'"model"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")')
MODEL_KEY = re.compile(rb'"model"')
"""a pattern rather than bytes: finding them in a large body takes 1.5 times as long"""
ESCAPED_LETTER = b"\\u00"
MAX_LOOKS = 9
LARGE_BYTES = 16 * 1024
BEGINNING_BYTES = 256
Buffer = bytes | msgspec.Raw
Parts = tuple[tuple[int, int], ...]
"""of a body, from and to"""
WHOLE: Parts = ((0, sys.maxsize),)


class _Top(msgspec.Struct):
    model: Any = None


_decode_top = msgspec.json.Decoder(_Top).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def rewrite_model_name(body: bytes, model: str, history: Buffer = b"", history_at: int = -1) -> bytes:
    """The JSON object with its top-level `model` replaced; unchanged where it has none.

    What may be a member of something deeper is verified by reading the result again, a few times at most. The
    `history`, most of a large body, is a list: what it holds is deeper in any case. `history_at`: where it is known
    to stand.
    """
    around = WHOLE if len(body) <= LARGE_BYTES else _around(history, history_at, body)
    for part in around:
        if (found := MODEL_MEMBER.search(body, *part)) is not None:
            break
    else:
        return body if ESCAPED_LETTER not in body else _rewritten(body, model)
    start, end = found.span(1)
    if _is_top_level(body, found.start(), around) and not _names_another(body, end, around):
        return _spliced(body, start, msgspec.json.encode(model), end)
    return _verified(body, model)


def _verified(body: bytes, model: str) -> bytes:
    """For a body in which the first `"model"` may not be the member."""
    if _model_of(body) == model:
        return body
    new = msgspec.json.encode(model)
    for found in islice(MODEL_MEMBER.finditer(body), MAX_LOOKS):
        start, end = found.span(1)
        rewritten = _spliced(body, start, new, end)
        if _model_of(rewritten) == model:
            return rewritten
    return _rewritten(body, model)


def _model_of(body: bytes) -> Any:
    try:
        return _decode_top(without_halves(body)).model
    except msgspec.ValidationError:
        return None  # not an object


def _rewritten(body: bytes, model: str) -> bytes:
    """For the rare body that has two `model` members, one spelled with escapes or one among very many."""
    try:
        members = _decode_members(without_halves(body))
    except msgspec.ValidationError:
        return body
    if "model" not in members:
        return body
    return msgspec.json.encode(members | {"model": msgspec.Raw(msgspec.json.encode(model))})


def _is_top_level(body: bytes, position: int, around: Parts) -> bool:
    """True where nothing was opened before but the object itself; False means only that this is not certain."""
    opened = 0
    for start, end in around:
        end = min(end, position)
        if body.find(b"[", start, end) >= 0:
            return False
        opened += body.count(b"{", start, end)
    return opened == 1


def _names_another(body: bytes, position: int, around: Parts) -> bool:
    """True if `"model"` stands anywhere from there on."""
    for start, end in around:
        if MODEL_KEY.search(body, max(start, position), end) is not None:
            return True
    return False


def _around(history: Buffer, at: int, body: bytes) -> Parts:
    """All but the history, if that is large and found, where `at` says or else by its bytes."""
    if at < 0:
        if len(history) <= LARGE_BYTES:
            return WHOLE
        at = body.find(bytes(memoryview(history)[:BEGINNING_BYTES]))
        if at < 0 or not body.startswith(history, at):
            return WHOLE
    return (0, at), (at + len(history), len(body))


def insert_member(body: bytes, member: bytes) -> bytes:
    """The JSON object with one more member, e.g. b'"a":1', as its first. The object must not be empty."""
    brace = body.index(b"{") + 1
    return _spliced(body, brace, member + b",", brace)


def _spliced(body: bytes, start: int, new: bytes, end: int) -> bytes:
    """The body with this in place of what stands there, copied only once if it is large."""
    given = body if len(body) <= LARGE_BYTES else memoryview(body)
    return b"".join((given[:start], new, given[end:]))


class StreamRenamer:
    """Replaces the upstream's model name in the records of a stream by the requested one.

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
            if found[1] == name or _text(found[1]) == model:
                self._old = found[0]
                self._new = self._old[: found.start(1) - found.start()] + msgspec.json.encode(self._asked)
                return

    def rename(self, records: bytes) -> bytes:
        return records.replace(self._old, self._new) if self._old else records


def _text(literal: bytes) -> str | None:
    try:
        return msgspec.json.decode(literal, type=str)
    except msgspec.DecodeError:
        return None

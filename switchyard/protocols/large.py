"""Decode and encode large JSON in steps, so that other threads get their turn: one call would hold them all up."""

from collections.abc import Mapping
from typing import Any

import msgspec

LARGE_BYTES = 256 * 1024
MANY_ITEMS = 64

_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_large(text: bytes | memoryview) -> Any:
    """As `msgspec.json.decode`; raises what that raises."""
    if len(text) < LARGE_BYTES:
        return msgspec.json.decode(text)
    match bytes(text[:64]).lstrip()[:1]:
        case b"{":
            return {name: decode_large(memoryview(part)) for name, part in _decode_members(text).items()}
        case b"[":
            return [decode_large(memoryview(part)) for part in _decode_items(text)]
    return msgspec.json.decode(text)


def encode_large(members: Mapping[str, Any]) -> bytes:
    """As `msgspec.json.encode` of an object, whose long lists are encoded item by item.

    The pieces are joined only once: of megabytes each copy costs more than the encoding of a piece.
    """
    if not any([isinstance(value, list) and len(value) > MANY_ITEMS for value in members.values()]):
        return _encode(members)
    pieces: list[bytes | msgspec.Raw] = []
    before = b"{"
    for name, value in members.items():
        pieces += (before, _encode(name), b":")
        if isinstance(value, list) and len(value) > MANY_ITEMS:
            _add_items(value, pieces)
        else:
            pieces.append(_encode(value))
        before = b","
    pieces.append(b"}")
    return b"".join(pieces)


def _add_items(items: list[Any], pieces: list[bytes | msgspec.Raw]) -> None:
    before = b"["
    for item in items:
        pieces.append(before)
        pieces.append(item if type(item) is msgspec.Raw else _encode(item))
        before = b","
    pieces.append(b"]")

"""Decode and encode large JSON in steps, so that other threads get their turn: one call would hold them all up."""

from collections.abc import Mapping
from typing import Any

import msgspec

LARGE_BYTES = 256 * 1024
MANY_ITEMS = 64

_encode_into = msgspec.json.Encoder().encode_into
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

    All into one buffer: each encoded for itself, long items are copied several times.
    """
    encoded = bytearray()
    before = b"{"
    for name, value in members.items():
        encoded += before
        _encode_into(name, encoded, -1)
        encoded += b":"
        if isinstance(value, list) and len(value) > MANY_ITEMS:
            _encode_items(value, encoded)
        else:
            _encode_into(value, encoded, -1)
        before = b","
    encoded += b"}" if members else b"{}"
    return bytes(encoded)


def _encode_items(items: list[Any], encoded: bytearray) -> None:
    before = b"["
    for item in items:
        encoded += before
        _encode_into(item, encoded, -1)
        before = b","
    encoded += b"]"

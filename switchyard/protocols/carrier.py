"""Carry an upstream's own reasoning data through a client that keeps it as an opaque string.

What comes back in a history is untrusted: whatever is not exactly a carrier is none.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

PREFIX = "swyd1."
MAX_LENGTH = 16 * 1024 * 1024

Kind = Literal["reasoning", "thinking", "text", "summary"]
"""A Responses reasoning item, an Anthropic thinking block, plain reasoning text of Chat, a summary."""
KINDS: tuple[str, ...] = get_args(Kind)


class Carrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    issuer: str
    payload: dict[str, Any]


def pack(kind: str, issuer: str, payload: Mapping[str, Any]) -> str:
    packed = msgspec.json.encode(Carrier(kind, issuer, dict(payload)))
    return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def unpack(text: str) -> Carrier | None:
    """The carrier in the text, or None if it is anything else: a native signature, damaged, too large."""
    if not text.startswith(PREFIX) or len(text) > MAX_LENGTH:
        return None
    try:
        encoded = text.removeprefix(PREFIX).encode("ascii")
        packed = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        carrier = msgspec.json.decode(packed, type=Carrier)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    return carrier if carrier.kind in KINDS else None


def carried_text(text: str, kind: Kind = "text") -> str | None:
    """The words in a carrier of this kind; None for anything else."""
    carried = unpack(text)
    words = carried.payload.get("text") if carried is not None and carried.kind == kind else None
    return words if isinstance(words, str) else None

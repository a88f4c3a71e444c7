"""The hints of an error's body: of its fields at any depth, and of the spans in its sentences."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from switchyard.protocols.retry_hints.fields import best, hints_of, plain_name
from switchyard.protocols.retry_hints.sentences import PAUSES, RESETS, first_span
from switchyard.protocols.retry_hints.values import MAX_VALUE_CHARS, bounded

MAX_NODES = 1000
MAX_MEMBERS = 100


class BodyHints(msgspec.Struct, frozen=True):
    """The hints of a body: seconds to pause, seconds until a window ends, the moment (epoch) at which it does."""

    pause: float | None = None
    reset: float | None = None
    resets_at: float | None = None


def read_body(bodies: Sequence[object], words: str) -> BodyHints:
    """The hints in the fields of an error's body, and of those inside it, and in the spans of its sentences."""
    hints = best(hints_of(_fields(bodies), limits=True))
    pauses = [hint.when.seconds for hint in hints if hint.kind == "pause" and not hint.when.is_moment]
    resets = [hint.when.seconds for hint in hints if hint.kind != "pause" and not hint.when.is_moment]
    moments = [hint.when.seconds for hint in hints if hint.when.is_moment]
    return BodyHints(
        bounded(pauses[0] if pauses else first_span(PAUSES, words)),
        bounded(max(resets) if resets else first_span(RESETS, words)),
        max(moments, default=None),
    )


QUOTES_REQUEST = frozenset({"input", "messages", "prompt", "request", "ctx"})


def _fields(bodies: Sequence[object]) -> dict[str, str]:
    """The scalar members, the outer ones first, by name; those that quote the request aside."""
    fields: dict[str, str] = {}
    waiting = deque(bodies)
    for _ in range(MAX_NODES):
        if not waiting:
            break
        match waiting.popleft():
            case dict() as node:
                members = list(islice(node.items(), MAX_MEMBERS))
                for name, value in members:
                    if isinstance(value, str | int | float) and not isinstance(value, bool):
                        fields.setdefault(plain_name(name), str(value)[:MAX_VALUE_CHARS])
                waiting.extend(value for name, value in members if name not in QUOTES_REQUEST)
            case list() as node:
                waiting.extend(node[:MAX_MEMBERS])
    return fields

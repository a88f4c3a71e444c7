"""What is known of one answered request, as small as the examination needs it."""

from collections.abc import Sequence

import msgspec


class Fact(msgspec.Struct, frozen=True, gc=False):
    """`model` is the upstream model, `client` the protocol and program, `conversation` its session and thread.

    `cache_price` is what one token costs more if it is not read from the cache. Unknown numbers are None.
    """

    id: str
    at: float
    upstream: str
    model: str
    client: str = ""
    conversation: str = ""
    answered_model: str = ""
    input_reported: int | None = None
    input_before: int | None = None
    added_estimated: tuple[int, int, int, int] | None = None
    """of words, numbers, signs, and what is not ASCII"""
    cache_read: int = 0
    cache_write: int = 0
    cache_expected: int | None = None
    changed_in: str = ""
    changed_at: int | None = None
    cache_price: float | None = None
    stream: bool = False
    output: int = 0
    first_token: float | None = None
    tokens_per_second: float | None = None


def median(values: Sequence[float]) -> float:
    """Of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

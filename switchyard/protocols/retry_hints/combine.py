"""All hints of an error together: its `retry_after`, and whether a rate limit is a quota."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.fields import Kind, best, hints_of, plain_name
from switchyard.protocols.retry_hints.sentences import named_moment
from switchyard.protocols.retry_hints.values import LONG_WINDOW_SECONDS, bounded, http_date, seconds_until

TOO_MANY_REQUESTS = 429
LIMITS = frozenset({ErrorType.RATE_LIMIT, ErrorType.QUOTA, ErrorType.BILLING})
"""Errors whose sentences may name the moment at which a limit ends."""


class _Wait(NamedTuple):
    kind: Kind
    seconds: float


def with_hints(
    error: WireError, headers: Mapping[str, str], wall: float, utc_offset: float = 0.0
) -> WireError:
    """The error with `retry_after` from all hints together. A rate limit with a long window is a quota.

    An explicit pause counts first, for a quota the latest of all. `wall`: epoch seconds; `utc_offset`: of this machine.
    """
    fields = {plain_name(name): value for name, value in headers.items()}
    # moments are those of the upstream's clock: ours may be wrong
    theirs = http_date(fields.get("date", "")) or wall
    is_limited = error.status == TOO_MANY_REQUESTS or error.type in (ErrorType.RATE_LIMIT, ErrorType.QUOTA)
    from_body = _from_body(error, theirs, utc_offset)
    hints = best(hints_of(fields, limits=is_limited), theirs)
    waits = [
        _Wait(hint.kind, seconds_until(hint.when, theirs))
        for hint in hints
        if hint.is_certain or not from_body
    ]
    return _folded(error, waits + from_body)


def _from_body(error: WireError, wall: float, utc_offset: float) -> list[_Wait]:
    """The hints that were decoded with the body, and the moment that its message names."""
    waits = []
    if error.retry_after is not None:
        waits.append(_Wait("reset" if error.type is ErrorType.QUOTA else "pause", error.retry_after))
    if error.resets_at is not None:
        waits.append(_Wait("reset", error.resets_at - wall))
    named = named_moment(error.message, wall, utc_offset) if error.type in LIMITS else None
    return waits if named is None else [*waits, _Wait("reset", named)]


def _folded(error: WireError, waits: list[_Wait]) -> WireError:
    if not waits:
        return error
    latest = max(wait.seconds for wait in waits)
    windows = [wait.seconds for wait in waits if wait.kind != "pause"]
    is_long = max(windows, default=0.0) >= LONG_WINDOW_SECONDS
    if error.type in (ErrorType.QUOTA, ErrorType.BILLING):
        return replace(error, retry_after=bounded(latest))
    if error.type is ErrorType.RATE_LIMIT and is_long:
        return replace(error, type=ErrorType.QUOTA, retry_after=bounded(latest))
    pause = next((wait.seconds for wait in waits if wait.kind == "pause"), None)
    return replace(error, retry_after=bounded(max(windows) if pause is None else pause))

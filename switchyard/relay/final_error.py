"""The one error that a client gets when no upstream answered: the most helpful one, with the earliest recovery."""

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.headers import Fields
from switchyard.routing.fit import Overflow
from switchyard.routing.lineup import Moment, Skip
from switchyard.routing.route import Route

MOST_DESCRIPTIVE = (
    ErrorType.CONTEXT_OVERFLOW,
    ErrorType.INVALID_REQUEST,
    ErrorType.TOO_LARGE,
    ErrorType.MODEL_NOT_FOUND,
    ErrorType.AUTHENTICATION,
    ErrorType.BILLING,
    ErrorType.QUOTA,
    ErrorType.PERMISSION,
    ErrorType.RATE_LIMIT,
    ErrorType.OVERLOADED,
    ErrorType.SERVER,
    ErrorType.TIMEOUT,
)

PASSING = frozenset({"cooldown", "trial", "concurrency", "rate", "time"})
"""reasons that pass by themselves"""

NO_TRY = "this request had no try at it"
ONLY_RESCUES = "it answers only after a failure whose action is `rescue`"

CLIENT_ERRORS = frozenset({ErrorType.INVALID_REQUEST, ErrorType.CONTEXT_OVERFLOW, ErrorType.TOO_LARGE})
LASTING = CLIENT_ERRORS | {
    ErrorType.AUTHENTICATION,
    ErrorType.BILLING,
    ErrorType.PERMISSION,
    ErrorType.NOT_FOUND,
    ErrorType.MODEL_NOT_FOUND,
}
"""causes that do not pass: the end of such a cooldown is no recovery"""
MINUTE = 60.0


class FinalError(msgspec.Struct, frozen=True):
    error: WireError
    reported: Failure | None = None
    """the upstream's own answer, in the client's protocol: returned unchanged"""
    upstream: str = ""
    """the upstream whose error is returned"""
    headers: Fields = ()
    """those that came with the error"""
    recovery_seconds: float | None = None
    """until the first upstream may answer again, if known"""
    of_client_key: bool = False
    """the client's own key was refused, which it may renew"""
    hold_used_up: bool = False
    """the hold time of the turn is used up: clients that wait by themselves get the time of the recovery"""


def nothing_could_answer(route: Route, model: str, now: Moment) -> FinalError:
    """No upstream was tried: names each with the reason why it was skipped."""
    if route.overflow is not None:
        return FinalError(_overflow_error(route.overflow))
    ends = [cooling.cooldown.until for cooling in route.cooling if cooling.cooldown.passes]
    ends += [now.monotonic for _ in route.candidates]
    reported = [(skip.upstream, skip.text) for skip in route.skipped]
    reported += [(one.name, NO_TRY) for one in route.candidates]
    reported += [(one.name, ONLY_RESCUES) for one in route.rescues]
    reasons = "; ".join(f'"{upstream}": {text}' for upstream, text in reported)
    message = f'No upstream can answer for model "{model}" now. ' + (
        f"Skipped: {reasons}." if reasons else "None is configured; add one in the dashboard."
    )
    error = WireError(ErrorType.SERVER, message, 503, code="no_upstream")
    recovery = max(0.0, min(ends) - now.monotonic) if ends else None
    return FinalError(error, recovery_seconds=recovery)


def _overflow_error(overflow: Overflow) -> WireError:
    """In the words by which clients know that they have to compact the conversation."""
    tokens, window = overflow.tokens, overflow.window
    message = (
        f"This model's maximum context length is {window} tokens, but the prompt has about {tokens} tokens. "
        "No upstream that serves the model has a larger context window. Reduce the length of the prompt."
    )
    return WireError(ErrorType.CONTEXT_OVERFLOW, message, 400, tokens=tokens, limit=window)


def all_failed(attempts: Sequence[Attempt], skipped: Sequence[Skip], now: Moment) -> FinalError:
    """Every candidate failed. The message names each upstream and its cause, and those that could not be asked now."""
    failed = [attempt for attempt in attempts if attempt.failure is not None]
    chosen = min(failed, key=_rank)
    assert chosen.failure is not None
    error = chosen.failure.error
    if error.type is ErrorType.CONTEXT_OVERFLOW:
        return FinalError(error, headers=chosen.failure.headers)
    asked = {attempt.account for attempt in failed}
    passing = [skip for skip in skipped if skip.reason in PASSING]
    causes = [_cause(attempt) for attempt in failed]
    causes += [f'upstream "{skip.upstream}": {skip.text}' for skip in passing if skip.upstream not in asked]
    listed = "; ".join(dict.fromkeys(causes))
    recovery = None if error.type in CLIENT_ERRORS else _recovery_seconds(failed, passing, now)
    prefix = "All upstreams failed: " if len(asked) > 1 else ""
    message = f"{prefix}{listed}.{_next_try(recovery, now)}"
    return FinalError(
        replace(error, message=message, retry_after=None),
        headers=chosen.failure.headers,
        recovery_seconds=recovery,
        of_client_key=chosen.failure.cause == "client_key",
    )


def _recovery_seconds(failed: Sequence[Attempt], passing: Sequence[Skip], now: Moment) -> float | None:
    """From the cooldowns, and from the hints of upstreams without one."""
    last = {attempt.account: attempt for attempt in failed}
    lasting = {name for name, attempt in last.items() if _type(attempt) in LASTING}
    cooling = {skip.upstream: skip.until - now.monotonic for skip in passing if skip.until is not None}
    waits = {name: wait for name, attempt in last.items() if (wait := _hint(attempt, failed)) is not None}
    return min(
        (max(0.0, wait) for name, wait in (waits | cooling).items() if name not in lasting), default=None
    )


def _hint(attempt: Attempt, failed: Sequence[Attempt]) -> float | None:
    """The wait that is left at the end of the last attempt."""
    assert attempt.failure is not None
    wait = attempt.failure.retry_after
    if wait is None:
        return None
    return wait - (max(one.ended or 0.0 for one in failed) - (attempt.ended or 0.0))


def _next_try(recovery: float | None, now: Moment) -> str:
    if recovery is None:
        return ""
    if recovery < MINUTE:
        return f" Next try possible in {math.ceil(recovery)} s."
    return f" Next try possible at {now.clock_at(now.monotonic + recovery)}."


def _rank(attempt: Attempt) -> tuple[bool, bool, int]:
    failure = attempt.failure
    assert failure is not None
    is_ours = failure.kind is FailureKind.REFUSED_REQUEST
    kind = failure.error.type
    place = MOST_DESCRIPTIVE.index(kind) if kind in MOST_DESCRIPTIVE else len(MOST_DESCRIPTIVE)
    return is_ours, bool(attempt.unlikely), place


def _type(attempt: Attempt) -> ErrorType:
    assert attempt.failure is not None
    return attempt.failure.error.type


def _cause(attempt: Attempt) -> str:
    failure = attempt.failure
    assert failure is not None
    status = f"{failure.status} " if failure.kind is FailureKind.STATUS else ""
    return f'upstream "{attempt.account}": {status}{failure.message.rstrip(".")}'

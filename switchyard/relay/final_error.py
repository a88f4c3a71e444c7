"""The one error a client gets when no upstream answered: the most telling one, shaped to end its retries."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.lineup import Moment, Skip
from switchyard.routing.route import Route

TELLING = (
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

PASSING = frozenset({"resting", "trial", "concurrency", "rate", "time"})
"""reasons that will not last"""


class FinalError(msgspec.Struct, frozen=True):
    error: WireError
    told: Failure | None = None
    """the upstream's own answer, in the client's protocol: given back as it came"""
    upstream: str = ""
    """whose error is returned"""


def nothing_could_answer(route: Route, model: str) -> FinalError:
    """No upstream was even tried: says which exist and why each was skipped."""
    reasons = "; ".join(f'"{skip.upstream}": {skip.text}' for skip in route.skipped)
    message = f'No upstream can answer for model "{model}" now. ' + (
        f"Skipped: {reasons}." if reasons else "None is configured; add one in the dashboard."
    )
    error = WireError(ErrorType.SERVER, message, 503, code="no_upstream")
    return FinalError(error)


def all_failed(attempts: Sequence[Attempt], skipped: Sequence[Skip], now: Moment) -> FinalError:
    """Every candidate failed. The message names each upstream and its cause, and those who could not be asked now."""
    failed = [attempt for attempt in attempts if attempt.failure is not None]
    chosen = min(failed, key=_rank)
    assert chosen.failure is not None
    error = chosen.failure.error
    asked = {attempt.upstream for attempt in failed}
    passing = [skip for skip in skipped if skip.reason in PASSING]
    causes = [_told(attempt) for attempt in failed]
    causes += [f'upstream "{skip.upstream}": {skip.text}' for skip in passing if skip.upstream not in asked]
    told = "; ".join(dict.fromkeys(causes))
    recovery = min((skip.until for skip in passing if skip.until is not None), default=None)
    again = f" Next try possible at {now.clock_at(recovery)}." if recovery is not None else ""
    prefix = "All upstreams failed: " if len(asked) > 1 else ""
    if error.type is ErrorType.CONTEXT_OVERFLOW:
        return FinalError(error)
    return FinalError(replace(error, message=f"{prefix}{told}.{again}", retry_after=None))


def _rank(attempt: Attempt) -> tuple[bool, int]:
    failure = attempt.failure
    assert failure is not None
    is_ours = failure.kind is FailureKind.REFUSED_REQUEST
    kind = failure.error.type
    return is_ours, TELLING.index(kind) if kind in TELLING else len(TELLING)


def _told(attempt: Attempt) -> str:
    failure = attempt.failure
    assert failure is not None
    status = f"{failure.status} " if failure.kind is FailureKind.STATUS else ""
    return f'upstream "{attempt.upstream}": {status}{failure.message.rstrip(".")}'

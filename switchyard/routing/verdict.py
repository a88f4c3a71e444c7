"""What follows a failure: which action, and what it costs the upstream. A table with a few readings of the text."""

import msgspec

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import ErrorType
from switchyard.routing.health import Charge
from switchyard.settings import Action, Failover

RETURNED = frozenset({400, 413, 422})
"""the request itself is at fault: another upstream would say the same"""
AT_ONCE = frozenset({401, 402, 403, 429})
SHORT_RETRY_SECONDS = 5.0
RETRIES = 2
BACKOFF_SECONDS = (0.5, 2.0)

NETWORK = frozenset(
    {
        FailureKind.CONNECT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.READ,
        FailureKind.FIRST_BYTE_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
        FailureKind.PROTOCOL,
    }
)


class Verdict(msgspec.Struct, frozen=True):
    """`wait_seconds` only with action "retry"."""

    action: Action
    charge: Charge
    why: str
    wait_seconds: float = 0.0


def judge(failure: Failure, rules: Failover, retries_so_far: int) -> Verdict:
    """The consequence of one failed attempt."""
    action, why = _action(failure, rules)
    charge = charge_for(failure)
    if action != "retry":
        return Verdict(action, charge, why)
    wait = failure.retry_after
    if retries_so_far >= RETRIES or (wait is not None and wait > SHORT_RETRY_SECONDS):
        return Verdict("switch", charge, f"{why}, retries used up")
    pause = wait if wait is not None else BACKOFF_SECONDS[min(retries_so_far, len(BACKOFF_SECONDS) - 1)]
    return Verdict("retry", Charge("none"), why, pause)


def charge_for(failure: Failure) -> Charge:
    """What the failure says about the upstream's health."""
    error = failure.error
    if failure.kind in NETWORK:
        return Charge("error")
    if failure.kind is FailureKind.REFUSED_REQUEST or error.type in NEUTRAL_TYPES:
        return Charge("none")
    if error.type in (ErrorType.QUOTA, ErrorType.BILLING) or error.status in AT_ONCE:
        return Charge("rest", retry_after=error.retry_after)
    if error.status in RETURNED:
        return Charge("none")
    return Charge("error", model_only=error.type is ErrorType.OVERLOADED, retry_after=error.retry_after)


NEUTRAL_TYPES = frozenset(
    {ErrorType.MODEL_NOT_FOUND, ErrorType.CONTEXT_OVERFLOW, ErrorType.INVALID_REQUEST, ErrorType.TOO_LARGE}
)


def _action(failure: Failure, rules: Failover) -> tuple[Action, str]:
    if failure.kind is FailureKind.REFUSED_REQUEST:
        return "switch", failure.message
    if failure.kind in NETWORK:
        chosen = rules.on_error.get(failure.kind) or rules.on_error.get("default") or "switch"
        return chosen, failure.message
    return _status_action(failure, rules), f"{failure.status} {failure.message}"


def _status_action(failure: Failure, rules: Failover) -> Action:
    status = failure.status
    for key in (str(status), f"{status // 100}xx"):
        if key in rules.on_status:
            return rules.on_status[key]
    if failure.error.type in (ErrorType.QUOTA, ErrorType.MODEL_NOT_FOUND, ErrorType.BILLING):
        return "switch"
    if status in RETURNED:
        return "return"
    return rules.on_status.get("default", "switch")

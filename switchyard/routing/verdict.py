"""Decide what follows a failure: the action, and the charge to the upstream. Tables by the meaning of the error."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.errors.meaning import is_of_account
from switchyard.protocols.neutral import ErrorType
from switchyard.routing.health import Charge
from switchyard.settings import Action, Failover

RETURNED = frozenset({400, 413, 422})
"""the request itself is wrong, unless the error means something else: other upstreams would return the same"""
CLIENT_FAULTS = frozenset({ErrorType.INVALID_REQUEST, ErrorType.TOO_LARGE})
ELSEWHERE = frozenset(
    {ErrorType.QUOTA, ErrorType.BILLING, ErrorType.MODEL_NOT_FOUND, ErrorType.CONTEXT_OVERFLOW}
)
"""another upstream may answer, whatever the status and its default action"""
TOO_MANY_REQUESTS = 429
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

UNREACHABLE = frozenset({FailureKind.CONNECT, FailureKind.CONNECT_TIMEOUT})
"""whichever key is sent"""

NOTHING = Charge("none")
ERROR = Charge("error")
CHARGES: Mapping[ErrorType, Charge] = {
    ErrorType.INVALID_REQUEST: NOTHING,
    ErrorType.TOO_LARGE: NOTHING,
    ErrorType.CONTEXT_OVERFLOW: NOTHING,
    ErrorType.MODEL_NOT_FOUND: NOTHING,
    ErrorType.AUTHENTICATION: Charge("cooldown", full=True),
    ErrorType.PERMISSION: Charge("cooldown", full=True),
    ErrorType.BILLING: Charge("cooldown", full=True, is_reset=True),
    ErrorType.QUOTA: Charge("cooldown", full=True, is_reset=True),
    ErrorType.RATE_LIMIT: Charge("cooldown", model_only=True),
    ErrorType.OVERLOADED: Charge("error", model_only=True),
}
"""The charge of an error for the upstream's health; all other errors count towards the threshold."""


class Verdict(msgspec.Struct, frozen=True):
    """`wait_seconds` only with action "retry". `needs_larger_window` only with "switch": the prompt exceeds the window
    of this upstream, and only one with a larger or unknown window can help."""

    action: Action
    charge: Charge
    why: str
    wait_seconds: float = 0.0
    needs_larger_window: bool = False


def judge(failure: Failure, rules: Failover, retries_so_far: int) -> Verdict:
    """The consequence of one failed attempt."""
    action, why = _action(failure, rules)
    charge = replace(charge_for(failure), rescues=action == "rescue")
    if action != "retry":
        outgrown = action == "switch" and failure.error.type is ErrorType.CONTEXT_OVERFLOW
        return Verdict(action, charge, why, needs_larger_window=outgrown)
    wait = failure.retry_after
    if retries_so_far >= RETRIES or (wait is not None and wait > SHORT_RETRY_SECONDS):
        return Verdict("switch", charge, f"{why}, retries used up")
    pause = wait if wait is not None else BACKOFF_SECONDS[min(retries_so_far, len(BACKOFF_SECONDS) - 1)]
    return Verdict("retry", NOTHING, why, pause)


def charge_for(failure: Failure) -> Charge:
    """The charge of the failure for the upstream's health."""
    error = failure.error
    if failure.kind in NETWORK:
        return ERROR
    if failure.kind is FailureKind.REFUSED_REQUEST or failure.cause == "client_key":
        return NOTHING
    charge = CHARGES.get(error.type, ERROR)
    if charge.weight == "none":
        return charge
    if error.status == TOO_MANY_REQUESTS:
        charge = replace(charge, weight="cooldown")
    of_model = charge.model_only and not is_of_account(error)
    return replace(charge, model_only=of_model, retry_after=error.retry_after)


def _action(failure: Failure, rules: Failover) -> tuple[Action, str]:
    if failure.kind in (FailureKind.REFUSED_REQUEST, FailureKind.NO_KEY):
        return "switch", failure.message
    if failure.kind in NETWORK:
        chosen = rules.on_error.get(failure.kind) or rules.on_error.get("default") or "switch"
        return chosen, failure.message
    return _status_action(failure, rules), f"{failure.status} {failure.message}"


def _status_action(failure: Failure, rules: Failover) -> Action:
    """The rules for the text, those for the status, the meaning of the error, then the default of the status."""
    message, status, type = failure.message.casefold(), failure.status, failure.error.type
    for rule in rules.on_text:
        if rule.match.casefold() in message:
            return rule.action
    for key in (str(status), f"{status // 100}xx"):
        if key in rules.on_status:
            return rules.on_status[key]
    if type in ELSEWHERE or (status in RETURNED and type not in CLIENT_FAULTS):
        return "switch"
    return "return" if status in RETURNED else rules.on_status.get("default", "switch")

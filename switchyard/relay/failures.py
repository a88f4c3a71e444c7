"""The failures that Switchyard itself finds: no answer, or no valid one."""

from switchyard.exchange import Failure, FailureCause, FailureKind
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.neutral import ErrorType, WireError

NESTED = "sent JSON that is nested too deeply"


class AttemptFailed(Exception):
    """The upstream did not answer; `failure` is the reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def network_failure(kind: FailureKind, message: str, cause: FailureCause = "") -> Failure:
    """What went wrong between Switchyard and the upstream."""
    timed_out = kind in (
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.FIRST_BYTE_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
    )
    error_type = ErrorType.TIMEOUT if timed_out else ErrorType.SERVER
    return Failure(kind, WireError(error_type, message, 504 if timed_out else 502), cause=cause)


def timeout_failure(kind: FailureKind, seconds: float) -> Failure:
    """The failure of an upstream that sent nothing for so long."""
    what = "sent nothing" if kind is FailureKind.FIRST_BYTE_TIMEOUT else "sent nothing more"
    return network_failure(kind, f"{what} for {seconds:g} s")


def protocol_failure(message: str) -> Failure:
    """The upstream answered with something that is not its protocol."""
    return network_failure(FailureKind.PROTOCOL, message)


def withheld_failure(error: WireError) -> Failure:
    """The answer has a tool call that must not reach the client."""
    return Failure(FailureKind.PROTOCOL, error, cause="withheld")


def truncated_failure() -> Failure:
    """The stream ended before the protocol's end."""
    return network_failure(FailureKind.READ, "stream ended before the answer was complete")


def refused_failure(refused: BadRequest) -> Failure:
    """The request cannot be sent to this upstream, or its answer not be converted for this request."""
    error = WireError(ErrorType.INVALID_REQUEST, refused.message, 400, refused.code, refused.param)
    return Failure(FailureKind.REFUSED_REQUEST, error)

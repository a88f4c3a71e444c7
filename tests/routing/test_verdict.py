import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.verdict import judge
from switchyard.settings import Failover

TYPES = {
    400: ErrorType.INVALID_REQUEST,
    401: ErrorType.AUTHENTICATION,
    402: ErrorType.BILLING,
    403: ErrorType.PERMISSION,
    404: ErrorType.NOT_FOUND,
    413: ErrorType.TOO_LARGE,
    422: ErrorType.INVALID_REQUEST,
    429: ErrorType.RATE_LIMIT,
    503: ErrorType.OVERLOADED,
    529: ErrorType.OVERLOADED,
}


def told(status: int, kind: ErrorType | None = None, retry_after: float | None = None) -> Failure:
    found = kind or TYPES.get(status, ErrorType.SERVER)
    return Failure(FailureKind.STATUS, WireError(found, "said so", status, retry_after=retry_after))


@pytest.mark.parametrize(
    ("failure", "action", "weight", "model_only"),
    [
        (told(400), "return", "none", False),
        (told(413), "return", "none", False),
        (told(422), "return", "none", False),
        (told(400, ErrorType.CONTEXT_OVERFLOW), "return", "none", False),
        (told(400, ErrorType.QUOTA), "switch", "rest", False),
        (told(400, ErrorType.MODEL_NOT_FOUND), "switch", "none", False),
        (told(401), "switch", "rest", False),
        (told(402), "switch", "rest", False),
        (told(403), "switch", "rest", False),
        (told(404), "switch", "error", False),
        (told(404, ErrorType.MODEL_NOT_FOUND), "switch", "none", False),
        (told(408), "switch", "error", False),
        (told(409), "switch", "error", False),
        (told(429), "switch", "rest", False),
        (told(500), "switch", "error", False),
        (told(502), "switch", "error", False),
        (told(503), "switch", "error", True),
        (told(529), "switch", "error", True),
        (told(599), "switch", "error", False),
        (told(418), "switch", "error", False),
    ],
)
def test_each_status_has_its_action_and_its_price(
    failure: Failure, action: str, weight: str, model_only: bool
) -> None:
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight, verdict.charge.model_only) == (action, weight, model_only)


@pytest.mark.parametrize(
    "kind", ["connect", "connect_timeout", "read", "first_byte_timeout", "idle_timeout", "protocol"]
)
def test_network_errors_switch_and_count(kind: str) -> None:
    failure = Failure(FailureKind(kind), WireError(ErrorType.SERVER, "broke", 502))
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight) == ("switch", "error")
    asked = judge(failure, Failover(on_error={kind: "rescue"}), 0)
    assert asked.action == "rescue"
    assert judge(failure, Failover(on_error={"default": "return"}), 0).action == "return"


@pytest.mark.parametrize(
    ("rules", "status", "action"),
    [
        ({"429": "return"}, 429, "return"),
        ({"5xx": "rescue"}, 529, "rescue"),
        ({"500": "return", "5xx": "rescue"}, 500, "return"),
        ({"default": "rescue"}, 418, "rescue"),
        ({"default": "rescue"}, 400, "return"),
        ({"400": "switch"}, 400, "switch"),
    ],
)
def test_the_file_may_set_an_action_for_a_status_a_class_or_all_others(
    rules: dict[str, str], status: int, action: str
) -> None:
    assert judge(told(status), Failover(on_status=rules), 0).action == action  # type: ignore[arg-type]


def test_a_retry_waits_a_short_hint_and_gives_up_after_two() -> None:
    rules = Failover(on_status={"503": "retry"})
    first, second, third = (judge(told(503), rules, retries) for retries in (0, 1, 2))
    assert (first.action, first.wait_seconds, first.charge.weight) == ("retry", 0.5, "none")
    assert (second.action, second.wait_seconds) == ("retry", 2.0)
    assert (third.action, third.charge.weight) == ("switch", "error")
    assert judge(told(503, retry_after=3.0), rules, 0).wait_seconds == 3.0
    assert judge(told(503, retry_after=60.0), rules, 0).action == "switch"


def test_a_request_that_cannot_be_said_to_an_upstream_goes_to_the_next_at_no_cost() -> None:
    failure = Failure(FailureKind.REFUSED_REQUEST, WireError(ErrorType.INVALID_REQUEST, "no PDFs", 400))
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight) == ("switch", "none")

"""What one held request still waits for."""

import math
from collections.abc import Sequence

import pytest

from switchyard.exchange import Attempt, Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.health import Cooldown
from switchyard.routing.hold import MAX_REPEATS, UNKNOWN_HOST_SECONDS
from switchyard.routing.lineup import Candidate, Skip
from switchyard.routing.recoveries import Recoveries
from switchyard.routing.route import Cooling, Route
from switchyard.routing.waits import Period, Waited, Waits
from switchyard.settings import Upstream

PERIOD = Period(received_at=990.0, began=1000.0, seconds=300.0)
BUSY = Failure(FailureKind.STATUS, WireError(ErrorType.OVERLOADED, "busy", 503))
CRASHED = Failure(FailureKind.STATUS, WireError(ErrorType.SERVER, "internal", 500))
BAD_KEY = Failure(FailureKind.STATUS, WireError(ErrorType.AUTHENTICATION, "bad key", 401))
UNKNOWN_HOST = Failure(FailureKind.CONNECT, WireError(ErrorType.SERVER, "no host", 502), cause="unknown_host")


def candidate(name: str) -> Candidate:
    return Candidate(Upstream(name=name, base_url=f"https://{name}.example"), "m")


def attempt(name: str, failure: Failure) -> Attempt:
    return Attempt(name, "m", "messages", "", "", started=5.0, failure=failure)


def waits(*attempts: Attempt, recoveries: Recoveries | None = None) -> Waits:
    return Waits(attempts, recoveries or Recoveries())


def expected(found: Waits, seconds: float = 0.0, answered: Sequence[str] = ("a", "b")) -> list[str]:
    waiting = found.expected(PERIOD, PERIOD.began + seconds, set(answered))
    return [waited.target[0] for waited in waiting]


def cooling(name: str, cooldown: Cooldown) -> Route:
    return Route((), (), (), (), cooling=(Cooling(candidate(name), cooldown),))


def test_failures_that_pass_are_waited_for_and_others_are_not() -> None:
    assert expected(waits(attempt("a", BUSY), attempt("b", BAD_KEY))) == ["a"]


def test_a_host_that_never_answered_is_waited_for_only_for_a_while() -> None:
    found = waits(attempt("a", UNKNOWN_HOST))
    seconds = [expected(found, at, answered=()) for at in (0.0, UNKNOWN_HOST_SECONDS)]
    assert seconds == [["a"], []]
    assert found.expected(PERIOD, PERIOD.began, set())[0].until == PERIOD.began + UNKNOWN_HOST_SECONDS


def test_an_edited_entry_is_waited_for_from_its_edit_on() -> None:
    found = waits(attempt("a", UNKNOWN_HOST))
    found.note_edited(["a"], held_seconds=100.0)
    assert [expected(found, at, answered=()) for at in (110.0, 116.0)] == [["a"], []]


def test_what_is_cooling_down_is_waited_for_until_it_is_tried() -> None:
    attempts: list[Attempt] = []
    found = Waits(attempts, Recoveries())
    hinted = Cooldown(2040.0, 3, "429 slow down", hinted=True)
    found.note_cooling(cooling("a", hinted), now=1000.0, monotonic=2000.0)
    assert found.expected(PERIOD, 1000.0, set()) == [Waited(("a", "m"), "429 slow down", 1040.0, math.inf)]
    assert found.failing == {"a"}
    attempts.append(attempt("a", BAD_KEY))
    found.note_cooling(Route((), (), (), ()), now=1040.0, monotonic=2040.0)
    assert found.expected(PERIOD, 1040.0, set()) == []


def test_a_cooldown_that_ends_after_the_period_is_not_waited_for() -> None:
    found = waits()
    found.note_cooling(cooling("a", Cooldown(2400.0, 3, "429", hinted=True)), now=1000.0, monotonic=2000.0)
    assert expected(found) == []


@pytest.mark.parametrize(
    ("route", "is_left"),
    [
        (Route((candidate("a"),), (), (), ()), True),
        (Route((), (candidate("a"),), (), ()), True),
        (Route((), (), (Skip("a", "concurrency", "full"),), (), full=(candidate("a"),)), True),
        (Route((), (), (Skip("a", "disabled", "disabled"),), ()), False),
    ],
)
def test_a_target_that_the_settings_no_longer_allow_is_dropped_until_they_change(
    route: Route, is_left: bool
) -> None:
    found = waits(attempt("a", BUSY))
    assert found.note_unused(("a", "m"), route) is is_left
    assert expected(found) == (["a"] if is_left else [])
    found.note_settings()
    assert expected(found) == ["a"]


def test_a_failure_that_belongs_to_the_request_is_not_waited_for() -> None:
    recoveries = Recoveries()
    found = waits(attempt("a", CRASHED), recoveries=recoveries)
    seen = [expected(found)]
    for _ in range(MAX_REPEATS):
        recoveries.note_recovered([("a", "m")])
        recoveries.note_failure(("a", "m"), was_alone=True)
    assert [*seen, expected(found)] == [["a"], []]

"""Which failures are temporary, how long a request may be held for them, and how often it is retried."""

import math
from typing import Any

import msgspec.structs
import pytest

from switchyard.exchange import Attempt, Failure, FailureCause, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.hold import (
    CLIENT_SHARE,
    CRASH_TRIES,
    LASTING_CAUSES,
    LASTING_TYPES,
    LONGEST_PAUSE_SECONDS,
    MAX_REPEATS,
    NEVER_ANSWERED_SECONDS,
    UNKNOWN_HOST_SECONDS,
    WHOLE_SECONDS,
    Hope,
    client_seconds,
    outlook,
    pause_seconds,
    prospect_of,
)

FOR_EVER = math.inf
OFTEN = 1_000_000


def status(status: int, kind: ErrorType = ErrorType.SERVER, retry_after: float | None = None) -> Failure:
    return Failure(FailureKind.STATUS, WireError(kind, "boom", status, retry_after=retry_after))


def network(kind: FailureKind, cause: FailureCause = "") -> Failure:
    return Failure(kind, WireError(ErrorType.SERVER, "boom", 502), cause=cause)


# --- prospect_of ------------------------------------------------------------------

PASSING = {
    "refused": (network(FailureKind.CONNECT), OFTEN, 0.0),
    "no connection in time": (network(FailureKind.CONNECT_TIMEOUT), OFTEN, 0.0),
    "reset": (network(FailureKind.READ), OFTEN, 0.0),
    "no first byte": (network(FailureKind.FIRST_BYTE_TIMEOUT), OFTEN, 0.0),
    "silent": (network(FailureKind.IDLE_TIMEOUT), OFTEN, 0.0),
    "network down": (network(FailureKind.CONNECT, "unknown_host"), OFTEN, 0.0),
    "not its protocol": (network(FailureKind.PROTOCOL), CRASH_TRIES, 0.0),
    "500": (status(500), CRASH_TRIES, 0.0),
    "501": (status(501), CRASH_TRIES, 0.0),
    "500 that means overload": (status(500, ErrorType.OVERLOADED), OFTEN, 0.0),
    "500 that means a rate limit": (status(500, ErrorType.RATE_LIMIT, 7.0), OFTEN, 7.0),
    "502": (status(502), OFTEN, 0.0),
    "503": (status(503), OFTEN, 0.0),
    "503 with a hint": (status(503, retry_after=30.0), OFTEN, 30.0),
    "504": (status(504), OFTEN, 0.0),
    "520 of a front": (status(520), OFTEN, 0.0),
    "529": (status(529, ErrorType.OVERLOADED), OFTEN, 0.0),
    "overload inside a 200": (status(200, ErrorType.OVERLOADED), OFTEN, 0.0),
    "429": (status(429, ErrorType.RATE_LIMIT), OFTEN, 0.0),
    "429 with a hint": (status(429, ErrorType.RATE_LIMIT, 40.0), OFTEN, 40.0),
    "quota with its end": (status(429, ErrorType.QUOTA, 90.0), OFTEN, 90.0),
    "408": (status(408, ErrorType.TIMEOUT), OFTEN, 0.0),
    "425": (status(425, ErrorType.INVALID_REQUEST), OFTEN, 0.0),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_passes_is_tried_again_for_as_long_as_the_request_is_held(what: str) -> None:
    failure, tries, after = PASSING[what]
    found = prospect_of(failure)
    assert (found.passes, found.seconds, found.tries, found.after) == (True, FOR_EVER, tries, after)


LASTING = {
    **{f"{cause} cause": network(FailureKind.CONNECT, cause) for cause in ("tls", "address")},
    "redirect": network(FailureKind.PROTOCOL, "redirect"),
    "withheld call": network(FailureKind.PROTOCOL, "withheld"),
    "503 with x-should-retry: false": msgspec.structs.replace(status(503), cause="final"),
    **{f"{kind}": status(400, kind) for kind in sorted(LASTING_TYPES)},
    **{f"{kind} told with 503": status(503, kind) for kind in sorted(LASTING_TYPES)},
    **{f"{kind} told with 500": status(500, kind) for kind in sorted(LASTING_TYPES)},
    **{f"{kind} inside a 200": status(200, kind) for kind in sorted(LASTING_TYPES)},
    "quota without an end": status(429, ErrorType.QUOTA),
    "a client error of no known type": status(418),
    "not expressible": Failure(FailureKind.REFUSED_REQUEST, WireError(ErrorType.INVALID_REQUEST, "no", 400)),
}


@pytest.mark.parametrize("what", LASTING)
def test_a_permanent_failure_is_not_waited_for_and_the_reason_is_given(what: str) -> None:
    found = prospect_of(LASTING[what])
    assert (found.passes, bool(found.why)) == (False, True)


def test_every_cause_that_lasts_is_in_the_table() -> None:
    assert {failure.cause for failure in LASTING.values()} - {""} == LASTING_CAUSES


@pytest.mark.parametrize("what", PASSING)
def test_an_entry_that_has_never_answered_is_waited_for_a_short_time(what: str) -> None:
    failure, tries, after = PASSING[what]
    found = prospect_of(failure, has_answered=False)
    seconds = UNKNOWN_HOST_SECONDS if failure.cause == "unknown_host" else NEVER_ANSWERED_SECONDS
    assert (found.seconds, found.tries, found.after, bool(found.why)) == (seconds, tries, after, True)


@pytest.mark.parametrize("what", LASTING)
def test_an_entry_that_has_never_answered_passes_no_better(what: str) -> None:
    assert prospect_of(LASTING[what], has_answered=False) == prospect_of(LASTING[what])


# --- pause_seconds ------------------------------------------------------------------


def test_pauses_double_from_1_to_15_seconds() -> None:
    assert [pause_seconds(failures, 0.0) for failures in range(1, 8)] == [1, 2, 4, 8, 15, 15, 15]
    assert pause_seconds(10_000, 0.0) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 8.0), (0.5, 7.2), (1.0, 6.4)])
def test_a_pause_is_up_to_a_fifth_shorter(jitter: float, pause: float) -> None:
    assert pause_seconds(4, jitter) == pytest.approx(pause)


# --- client_seconds -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, WHOLE_SECONDS),
        ({"x-stainless-timeout": "300"}, 300 * CLIENT_SHARE),
        ({"x-stainless-timeout": "NOT_GIVEN"}, WHOLE_SECONDS),
        ({"x-stainless-timeout": "NOT_GIVEN", "x-stainless-read-timeout": "600"}, 600 * CLIENT_SHARE),
        ({"x-stainless-timeout": "600", "x-stainless-read-timeout": "20"}, 20 * CLIENT_SHARE),
        ({"x-stainless-timeout": "20.5", "x-stainless-read-timeout": "600.0"}, 20.5 * CLIENT_SHARE),
        ({"x-stainless-timeout": "0"}, WHOLE_SECONDS),
        ({"x-stainless-timeout": "-5"}, WHOLE_SECONDS),
        ({"x-stainless-timeout": "nan"}, WHOLE_SECONDS),
        ({"x-stainless-timeout": "inf"}, WHOLE_SECONDS),
        ({"x-stainless-timeout": ""}, WHOLE_SECONDS),
    ],
)
def test_a_whole_answer_is_waited_for_within_the_clients_own_limit(
    headers: dict[str, str], seconds: float
) -> None:
    assert client_seconds(headers, stream=False) == pytest.approx(seconds)
    assert client_seconds(headers, stream=True) == FOR_EVER


# --- outlook ------------------------------------------------------------------------


def attempts(*failures: tuple[str, Failure | None], verdict: str = "switch: boom") -> list[Attempt]:
    return [
        Attempt(name, "m", "chat", "https://h", "primary", 0.0, failure=failure, verdict=verdict)
        for name, failure in failures
    ]


def seen(made: list[Attempt], **more: Any) -> tuple[list[str], dict[str, str]]:
    """The upstreams that may still answer, and the reasons of the others."""
    given: dict[str, Any] = {
        "repeats": {},
        "answered": {"a", "b"},
        "held_seconds": 1.0,
        "seconds_left": 299.0,
    }
    found = outlook(made, **(given | more))
    return [hope.target[0] for hope in found.hopes], dict(found.lasting)


def test_the_last_failure_of_a_target_counts() -> None:
    bad_key = status(401, ErrorType.AUTHENTICATION)
    assert seen(attempts(("a", bad_key), ("b", status(503)), ("a", status(503)))) == (["a", "b"], {})
    assert seen(attempts(("a", status(503)), ("a", bad_key))) == (
        [],
        {"a": "authentication is permanent"},
    )


def test_models_of_one_upstream_are_judged_apart() -> None:
    made = attempts(("a", status(503)), ("a", status(404, ErrorType.MODEL_NOT_FOUND)))
    made[1].model = "other"
    found = outlook(made, {}, {"a"}, 0.0, 300.0)
    assert found.hopes == (Hope(("a", "m"), FOR_EVER, "503 boom"),)
    assert found.lasting == (("a", "model_not_found is permanent"),)


def test_nothing_can_be_expected_of_an_untried_target() -> None:
    assert seen([]) == ([], {})
    assert seen(attempts(("a", None))) == ([], {})


def test_a_refusal_with_a_learned_limit_is_no_failure() -> None:
    assert seen(attempts(("a", status(400, ErrorType.INVALID_REQUEST)), verdict="learn: no effort")) == (
        [],
        {},
    )


@pytest.mark.parametrize("tries", [1, 2, 3, 4])
def test_a_crash_is_tried_three_times(tries: int) -> None:
    hopes, lasting = seen(attempts(*[("a", status(500))] * tries))
    assert (hopes, list(lasting)) == ((["a"], []) if tries < CRASH_TRIES else ([], ["a"]))


@pytest.mark.parametrize(
    ("failure", "limit"),
    [(status(503), 20.0), (network(FailureKind.CONNECT, "unknown_host"), 15.0)],
    ids=["busy", "unknown host"],
)
@pytest.mark.parametrize("off", [-0.1, 0.0, 0.1])
def test_an_entry_that_has_never_answered_is_given_up_after_its_time(
    failure: Failure, limit: float, off: float
) -> None:
    hopes, _ = seen(attempts(("a", failure)), answered=set(), held_seconds=limit + off)
    assert hopes == (["a"] if off < 0 else [])


@pytest.mark.parametrize(("left", "hopes"), [(39.9, []), (40.0, ["a"]), (300.0, ["a"])])
def test_an_upstream_that_asks_for_a_longer_wait_than_is_left_is_not_waited_for(
    left: float, hopes: list[str]
) -> None:
    found, lasting = seen(attempts(("a", status(429, ErrorType.RATE_LIMIT, 40.0))), seconds_left=left)
    why = {"a": "its Retry-After of 40 s is longer than this request is held"}
    assert (found, lasting) == (hopes, {} if hopes else why)


@pytest.mark.parametrize(
    ("failure", "ends"),
    [
        (status(503), True),
        (network(FailureKind.READ), True),
        (status(504, ErrorType.TIMEOUT), True),
        (status(429, ErrorType.RATE_LIMIT), False),
        (status(529, ErrorType.OVERLOADED), False),
        (status(429, ErrorType.QUOTA, 5.0), False),
    ],
    ids=["503", "reset", "504", "429", "529", "quota"],
)
@pytest.mark.parametrize("repeats", [0, MAX_REPEATS - 1, MAX_REPEATS, MAX_REPEATS + 1])
def test_what_fails_while_others_are_answered_belongs_to_the_request_unless_it_is_load(
    failure: Failure, ends: bool, repeats: int
) -> None:
    hopes, _ = seen(attempts(("a", failure)), repeats={("a", "m"): repeats})
    assert hopes == ([] if ends and repeats >= MAX_REPEATS else ["a"])


def test_a_success_elsewhere_does_not_change_this_target() -> None:
    repeats = {("b", "m"): MAX_REPEATS, ("a", "other"): MAX_REPEATS}
    assert seen(attempts(("a", status(503))), repeats=repeats) == (["a"], {})

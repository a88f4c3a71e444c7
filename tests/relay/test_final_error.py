from datetime import UTC, datetime

import pytest

from switchyard.exchange import Attempt, Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.failures import network_failure, timeout_failure
from switchyard.relay.final_error import all_failed, nothing_could_answer
from switchyard.routing.lineup import Candidate, Moment, Skip
from switchyard.routing.route import Route
from switchyard.settings import Upstream

NOW = Moment(datetime(2026, 11, 21, 12, 0, tzinfo=UTC), 1000.0)


def reported(kind: ErrorType, status: int, message: str = "failed", wait: float | None = None) -> Failure:
    return Failure(FailureKind.STATUS, WireError(kind, message, status, retry_after=wait))


def attempts(*failures: Failure | None) -> list[Attempt]:
    return [
        Attempt(f"u{number}", "m", "messages", "https://h.example", "", 0.0, failure=failure)
        for number, failure in enumerate(failures)
    ]


REFUSED = network_failure(FailureKind.CONNECT, "cannot connect")
NO_FIRST_BYTE = timeout_failure(FailureKind.FIRST_BYTE_TIMEOUT, 120)
NOT_EXPRESSIBLE = Failure(
    FailureKind.REFUSED_REQUEST, WireError(ErrorType.INVALID_REQUEST, "not expressible", 400)
)


@pytest.mark.parametrize(
    ("failures", "status", "message"),
    [
        ([reported(ErrorType.SERVER, 500)], 500, 'upstream "u0": 500 failed.'),
        ([REFUSED], 502, 'upstream "u0": cannot connect.'),
        ([NO_FIRST_BYTE], 504, 'upstream "u0": sent nothing for 120 s.'),
        (
            [reported(ErrorType.SERVER, 500), reported(ErrorType.AUTHENTICATION, 401), REFUSED],
            401,
            'All upstreams failed: upstream "u0": 500 failed; upstream "u1": 401 failed; '
            'upstream "u2": cannot connect.',
        ),
        (
            [reported(ErrorType.RATE_LIMIT, 429), reported(ErrorType.OVERLOADED, 529)],
            429,
            'All upstreams failed: upstream "u0": 429 failed; upstream "u1": 529 failed.',
        ),
        (
            [NOT_EXPRESSIBLE, reported(ErrorType.SERVER, 500)],
            500,
            'All upstreams failed: upstream "u0": not expressible; upstream "u1": 500 failed.',
        ),
    ],
)
def test_the_most_descriptive_status_is_reported_with_every_upstream_and_its_cause(
    failures: list[Failure], status: int, message: str
) -> None:
    error = all_failed(attempts(*failures), (), NOW).error
    assert (error.status, error.message) == (status, message)


def test_retries_of_one_upstream_are_reported_once() -> None:
    same = attempts(REFUSED, REFUSED)
    same[1].upstream = "u0"
    assert all_failed(same, (), NOW).error.message == 'upstream "u0": cannot connect.'


def cooling(upstream: str, until: float) -> Skip:
    return Skip(upstream, "cooldown", "cooldown", NOW.monotonic + until)


LIMITED = reported(ErrorType.RATE_LIMIT, 429, wait=20.0)
BROKE = reported(ErrorType.SERVER, 500)
BAD_KEY = reported(ErrorType.AUTHENTICATION, 401)


@pytest.mark.parametrize(
    ("failures", "skips", "recovery", "ending"),
    [
        ((BROKE,), (cooling("u0", 600.0),), 600.0, "Next try possible at 12:10."),
        ((BROKE,), (cooling("u0", 14.2),), 14.2, "Next try possible in 15 s."),
        ((BROKE, BROKE), (cooling("u0", 600.0), cooling("u1", 15.0)), 15.0, "in 15 s."),
        ((BROKE,), (cooling("u0", 600.0), cooling("u9", 300.0)), 300.0, "at 12:05."),
        ((BROKE,), (Skip("other", "weekday", "not today", 1100.0),), None, "failed."),
        ((BROKE,), (), None, "failed."),
        ((LIMITED,), (), 20.0, "in 20 s."),
        ((LIMITED,), (cooling("u0", 30.0),), 30.0, "in 30 s."),
        ((LIMITED, BROKE), (cooling("u1", 90.0),), 20.0, "in 20 s."),
        ((BAD_KEY,), (cooling("u0", 600.0),), None, "failed."),
        ((BAD_KEY, BROKE), (cooling("u0", 5.0), cooling("u1", 15.0)), 15.0, "in 15 s."),
        ((reported(ErrorType.MODEL_NOT_FOUND, 404),), (cooling("u0", 600.0),), None, "failed."),
        ((reported(ErrorType.BILLING, 402),), (cooling("u0", 600.0),), None, "failed."),
        ((reported(ErrorType.QUOTA, 429),), (cooling("u0", 600.0),), 600.0, "at 12:10."),
        ((reported(ErrorType.INVALID_REQUEST, 400), BROKE), (cooling("u1", 15.0),), None, "failed."),
    ],
)
def test_the_earliest_recovery_is_the_end_of_a_cooldown_that_a_wait_can_help(
    failures: tuple[Failure, ...], skips: tuple[Skip, ...], recovery: float | None, ending: str
) -> None:
    final = all_failed(attempts(*failures), skips, NOW)
    assert final.recovery_seconds == (recovery if recovery is None else pytest.approx(recovery))
    assert final.error.message.endswith(ending)
    assert (final.error.retry_after, final.hold_used_up) == (None, False)


def test_a_hint_has_run_since_the_attempt_that_it_came_with() -> None:
    hinted, later = attempts(LIMITED, BROKE)
    hinted.ended, later.ended = 3.0, 15.0
    assert all_failed([hinted, later], (), NOW).recovery_seconds == 8.0
    later.ended = 90.0
    assert all_failed([hinted, later], (), NOW).recovery_seconds == 0.0


def test_upstreams_that_could_not_be_asked_now_are_named_too() -> None:
    skips = (
        Skip("u0", "cooldown", "cooling down until 12:10 after 3 errors: 500", 1600.0),
        Skip("u1", "cooldown", "cooling down until 12:05 after 1 error: 401 bad key", 1300.0),
        Skip("u2", "concurrency", "at its limit of 2 concurrent requests"),
        Skip("u3", "disabled", "disabled"),
    )
    error = all_failed(attempts(REFUSED), skips, NOW).error
    assert error.message == (
        'upstream "u0": cannot connect; upstream "u1": cooling down until 12:05 after 1 error: 401 bad key; '
        'upstream "u2": at its limit of 2 concurrent requests. Next try possible at 12:05.'
    )


def test_an_overflow_keeps_the_text_that_clients_act_on() -> None:
    overflow = WireError(ErrorType.CONTEXT_OVERFLOW, "prompt is too long: 2 tokens > 1 maximum", 400)
    final = all_failed(attempts(REFUSED, Failure(FailureKind.STATUS, overflow)), (), NOW)
    assert (final.error, final.reported) == (overflow, None)


@pytest.mark.parametrize(
    ("skips", "reason"),
    [
        ((), "None is configured; add one in the dashboard."),
        (
            (Skip("u0", "disabled", "disabled"), Skip("u1", "weekday", "not today (mon only)")),
            'Skipped: "u0": disabled; "u1": not today (mon only).',
        ),
    ],
)
def test_when_no_upstream_may_answer_each_is_named_with_its_reason(
    skips: tuple[Skip, ...], reason: str
) -> None:
    error = nothing_could_answer(Route((), (), skips, ()), "gpt-x", NOW).error
    assert (error.status, error.message) == (503, f'No upstream can answer for model "gpt-x" now. {reason}')


@pytest.mark.parametrize("skips", [(), (Skip("u0", "disabled", "disabled"),)])
def test_a_rescue_upstream_is_named_where_nothing_else_may_answer(skips: tuple[Skip, ...]) -> None:
    rescue = Candidate(Upstream(name="r", base_url="https://h.example", role="rescue"), "m")
    error = nothing_could_answer(Route((), (rescue,), skips, ()), "m", NOW).error
    named = "".join(f'"{skip.upstream}": {skip.text}; ' for skip in skips)
    assert error.message == (
        f'No upstream can answer for model "m" now. Skipped: {named}'
        '"r": it answers only after a failure whose action is `rescue`.'
    )

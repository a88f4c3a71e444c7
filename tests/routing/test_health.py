import pytest

from switchyard.routing.health import Charge, Health, rest_seconds
from switchyard.settings import Failover

RULES = Failover(error_threshold=3, cooldown_seconds=100, max_cooldown_seconds=500)
ERROR = Charge("error")


def failing(health: Health, times: int, now: float = 0.0, charge: Charge = ERROR) -> list[bool]:
    return [health.failed("u", "m", charge, "boom", RULES, now) for _ in range(times)]


def test_the_threshold_of_errors_in_a_row_makes_an_upstream_rest() -> None:
    health = Health()
    assert failing(health, 3) == [False, False, True]
    rest = health.rest_of("u", "m", 50.0)
    assert rest is not None and (rest.until, rest.errors, rest.reason) == (100.0, 3, "boom")
    assert health.rest_of("u", "m", 100.0) is None


def test_a_success_clears_the_count_of_the_upstream_that_answered_only() -> None:
    health = Health()
    failing(health, 2)
    health.succeeded("other", "m")
    assert failing(health, 1) == [True]
    health.clear()
    failing(health, 2)
    health.succeeded("u", "m")
    assert failing(health, 2) == [False, False]


def test_a_fault_of_a_model_rests_that_model_only() -> None:
    health = Health()
    failing(health, 3, charge=Charge("error", model_only=True))
    assert health.rest_of("u", "m", 1.0) is not None
    assert health.rest_of("u", "other", 1.0) is None


def test_a_bad_key_rests_at_once_and_a_hint_is_honoured_up_to_the_cap() -> None:
    health = Health()
    assert failing(health, 1, charge=Charge("rest", retry_after=20.0)) == [True]
    assert health.rest_of("u", "m", 19.0) is not None
    assert health.rest_of("u", "m", 20.0) is None
    assert rest_seconds(1, Charge("rest", retry_after=86400.0), RULES) == 500


def test_a_failed_trial_rests_again_twice_as_long_up_to_the_cap() -> None:
    health = Health()
    failing(health, 3, now=0.0)
    for now, until in ((100.0, 300.0), (300.0, 700.0), (700.0, 1200.0), (1200.0, 1700.0)):
        health.begin("u", "m", "x")
        assert failing(health, 1, now=now) == [True]
        rest = health.rest_of("u", "m", now)
        assert rest is not None and rest.until == until


def test_one_trial_at_a_time_and_its_success_closes_the_matter() -> None:
    health = Health()
    failing(health, 3)
    assert health.rest_of("u", "m", 100.0, "a") is None
    health.begin("u", "m", "a")
    waiting = health.rest_of("u", "m", 100.0, "b")
    assert waiting is not None and waiting.on_trial
    health.succeeded("u", "m")
    assert health.rest_of("u", "m", 100.0, "b") is None
    assert failing(health, 2, now=101.0) == [False, False]


def test_an_abandoned_trial_frees_its_place() -> None:
    health = Health()
    failing(health, 3)
    health.begin("u", "m", "a")
    health.release("a")
    assert health.rest_of("u", "m", 100.0, "b") is None


def test_failures_while_resting_do_not_prolong_the_rest() -> None:
    health = Health()
    failing(health, 3)
    failing(health, 5, now=10.0)
    rest = health.rest_of("u", "m", 50.0)
    assert rest is not None and rest.until == 100.0


def test_neutral_failures_never_count() -> None:
    health = Health()
    failing(health, 10, charge=Charge("none"))
    assert health.conditions() == {}


@pytest.mark.parametrize(
    ("which", "left"), [("u", {("v", "")}), (None, set()), ("nobody", {("u", ""), ("v", "")})]
)
def test_clear_forgets_one_or_all(which: str | None, left: set[tuple[str, str]]) -> None:
    health = Health()
    for name in ("u", "v"):
        health.failed(name, "m", ERROR, "boom", RULES, 0.0)
    health.clear(which)
    assert set(health.conditions()) == left


def test_edits_to_other_entries_clear_nothing() -> None:
    health = Health()
    for name in ("u", "v"):
        health.failed(name, "m", ERROR, "boom", RULES, 0.0)
    health.keep_only(["u", "new"])
    assert set(health.conditions()) == {("u", "")}

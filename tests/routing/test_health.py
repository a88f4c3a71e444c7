from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from switchyard.routing.health import (
    Charge,
    Condition,
    Health,
    cooldown_length,
    renamed,
    renamed_entries,
    same_accounts,
)
from switchyard.settings import Failover, Settings
from switchyard.settings_validation import parse

RULES = Failover(
    error_threshold=3, cooldown_start_seconds=100, cooldown_seconds=400, max_cooldown_seconds=500
)
ERROR = Charge("error")


def failing(health: Health, times: int, now: float = 0.0, charge: Charge = ERROR) -> list[bool]:
    return [health.failed("u", "m", charge, "boom", RULES, now) for _ in range(times)]


def test_the_threshold_of_errors_in_a_row_puts_an_upstream_into_cooldown() -> None:
    health = Health()
    assert failing(health, 3) == [False, False, True]
    cooldown = health.cooldown_of("u", "m", 50.0)
    assert cooldown is not None and (cooldown.until, cooldown.errors, cooldown.reason) == (100.0, 3, "boom")
    assert health.cooldown_of("u", "m", 100.0) is None


def test_a_success_clears_the_count_of_the_upstream_that_answered_only() -> None:
    health = Health()
    failing(health, 2)
    health.succeeded("other", "m")
    assert failing(health, 1) == [True]
    health.clear()
    failing(health, 2)
    health.succeeded("u", "m")
    assert failing(health, 2) == [False, False]


def test_a_failure_of_a_model_cools_down_that_model_only() -> None:
    health = Health()
    failing(health, 3, charge=Charge("error", model_only=True))
    assert health.cooldown_of("u", "m", 1.0) is not None
    assert health.cooldown_of("u", "other", 1.0) is None


def test_models_that_clients_make_up_fill_no_memory() -> None:
    health = Health()
    for number in range(3000):
        health.failed("a", f"m{number}", Charge("cooldown", model_only=True), "slow down", RULES, now=number)
    assert len(health.conditions()) == 1000
    assert health.cooldown_of("a", "m2999", 3000.0) is not None


def test_a_hint_is_obeyed_at_once_up_to_the_cap() -> None:
    health = Health()
    assert failing(health, 1, charge=Charge("cooldown", retry_after=20.0)) == [True]
    assert health.cooldown_of("u", "m", 19.0) is not None
    assert health.cooldown_of("u", "m", 20.0) is None
    assert cooldown_length(1, Charge("cooldown", retry_after=86400.0), RULES) == 500


@pytest.mark.parametrize(
    ("rules", "lengths"),
    [
        ({}, [15, 30, 60, 120, 240, 480, 600, 600]),
        ({"cooldown_start_seconds": 600}, [600, 600]),
        ({"cooldown_seconds": 1}, [1, 1]),
        ({"cooldown_seconds": 0}, [0, 0]),
        ({"cooldown_start_seconds": 0}, [0, 0]),
        ({"cooldown_start_seconds": 700, "cooldown_seconds": 3600}, [700, 1400, 2800, 3600]),
    ],
)
def test_cooldowns_in_a_row_double_from_the_first_to_the_full_one(
    rules: dict[str, Any], lengths: list[int]
) -> None:
    found = [cooldown_length(number, ERROR, Failover(**rules)) for number in range(1, len(lengths) + 1)]
    assert found == lengths


@pytest.mark.parametrize(
    ("charge", "seconds"),
    [
        (Charge("cooldown", full=True), 600.0),
        (Charge("cooldown", full=True, retry_after=20.0), 20.0),
        (Charge("cooldown"), 15.0),
        (Charge("cooldown", retry_after=3600.0), 1800.0),
        (Charge("cooldown", full=True, is_reset=True, retry_after=3600.0), 3600.0),
        (Charge("cooldown", full=True, is_reset=True, retry_after=30 * 86400.0), 7 * 86400.0),
        (Charge("cooldown", full=True, is_reset=True), 600.0),
        (Charge("cooldown", retry_after=0.0), 1.0),
        (Charge("cooldown", full=True, simulated_seconds=5.0), 5.0),
    ],
)
def test_the_first_cooldown_fits_the_cause(charge: Charge, seconds: float) -> None:
    assert cooldown_length(1, charge, Failover()) == seconds


def test_a_bad_key_found_during_a_short_cooldown_makes_it_a_full_one() -> None:
    health = Health()
    failing(health, 3)
    failing(health, 1, now=10.0, charge=Charge("cooldown", full=True))
    cooldown = health.cooldown_of("u", "m", 399.0)
    assert cooldown is not None and cooldown.until == 410.0


def test_the_reset_of_a_quota_found_during_a_short_cooldown_makes_it_last_until_then() -> None:
    health = Health()
    failing(health, 3)
    failing(health, 1, now=10.0, charge=Charge("cooldown", full=True, is_reset=True, retry_after=7200.0))
    assert health.conditions()["u", ""].until == 7210.0


@pytest.mark.parametrize(
    "charge", [ERROR, Charge("error", model_only=True), Charge("cooldown", model_only=True)]
)
@pytest.mark.parametrize("every", [1, 5, 17])
def test_a_recovered_upstream_is_tried_again_within_a_minute_of_a_short_outage(
    charge: Charge, every: int
) -> None:
    """New conversations start every few seconds, and another upstream answers those that this one cannot."""
    for outage in range(1, 61):
        health, begins = Health(), 7
        for now in range(0, 300, every):
            if health.cooldown_of("u", "m", now, f"x{now}") is not None:
                continue
            health.begin("u", "m", f"x{now}")
            if begins <= now < begins + outage:
                health.failed("u", "m", charge, "boom", Failover(), now, now)
            else:
                health.succeeded("u", "m", now)
                if now >= begins + outage:
                    break
            health.release(f"x{now}")
        assert now - (begins + outage) <= 60, outage
        assert health.cooldown_of("u", "m", now) is None


def test_a_failed_probe_doubles_the_cooldown_up_to_the_full_one() -> None:
    health = Health()
    failing(health, 3, now=0.0)
    for now, until in ((100.0, 300.0), (300.0, 700.0), (700.0, 1100.0), (1100.0, 1500.0)):
        health.begin("u", "m", "x")
        assert failing(health, 1, now=now) == [True]
        cooldown = health.cooldown_of("u", "m", now)
        assert cooldown is not None and cooldown.until == until


def test_one_trial_at_a_time_and_its_success_closes_the_matter() -> None:
    health = Health()
    failing(health, 3)
    assert health.cooldown_of("u", "m", 100.0, "a") is None
    health.begin("u", "m", "a")
    waiting = health.cooldown_of("u", "m", 100.0, "b")
    assert waiting is not None and waiting.on_trial
    health.succeeded("u", "m")
    assert health.cooldown_of("u", "m", 100.0, "b") is None
    assert failing(health, 2, now=101.0) == [False, False]


def test_an_abandoned_trial_allows_the_next() -> None:
    health = Health()
    failing(health, 3)
    health.begin("u", "m", "a")
    health.release("a")
    assert health.cooldown_of("u", "m", 100.0, "b") is None


def test_failures_during_a_cooldown_do_not_prolong_the_cooldown() -> None:
    health = Health()
    failing(health, 3)
    failing(health, 5, now=10.0)
    cooldown = health.cooldown_of("u", "m", 50.0)
    assert cooldown is not None and cooldown.until == 100.0


def test_neutral_failures_never_count() -> None:
    health = Health()
    failing(health, 10, charge=Charge("none"))
    assert health.conditions() == {}


@pytest.mark.parametrize(
    ("which", "left"), [(["u"], {("v", "")}), (None, set()), (["nobody"], {("u", ""), ("v", "")})]
)
def test_clear_forgets_one_or_all(which: list[str] | None, left: set[tuple[str, str]]) -> None:
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


def test_an_account_that_an_edit_changed_is_another_account() -> None:
    before = parse(document({"name": "u"}, {"name": "v"}, {"name": "w"})).settings
    after = parse(
        document({"name": "new"}, {"name": "v", "key": "sk-2"}, {"name": "u", "weekdays": ["mon"]})
    ).settings
    assert same_accounts(before, after) == ("u",)


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"base_url": "https://elsewhere.example"}, False),
        ({"key": "sk-2"}, False),
        ({"protocol": "chat"}, False),
        ({"auth": "bearer"}, False),
        ({"headers": {"x-account": "2"}}, False),
        ({"proxy": "http://localhost:3128"}, False),
        ({"priority": 7}, True),
        ({"role": "backup"}, True),
        ({"enabled": False}, True),
        ({"models": ["m"]}, True),
        ({"note": "now mine"}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_makes_an_account_another_one(change: dict[str, Any], stays: bool) -> None:
    before, after = document({"name": "u"}), document({"name": "u", **change})
    assert (same_accounts(parse(before).settings, parse(after).settings) == ("u",)) is stays


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ([{"name": "u"}], [{"name": "v"}], {"u": "v"}),
        ([{"name": "u"}], [{"name": "v", "priority": 7, "hours": "08:00-09:00"}], {"u": "v"}),
        ([{"name": "u"}], [{"name": "v", "key": "sk-2"}], {}),
        ([{"name": "u"}], [{"name": "u"}, {"name": "copy"}], {}),
        ([{"name": "u"}, {"name": "v"}], [{"name": "u"}], {}),
        ([{"name": "u"}, {"name": "v"}], [{"name": "v"}, {"name": "w"}], {"u": "w"}),
        ([{"name": "u"}, {"name": "v"}], [{"name": "x"}, {"name": "y"}], {}),
        (
            [{"name": "u"}, {"name": "v", "key": "sk-2"}],
            [{"name": "x", "key": "sk-2"}, {"name": "y"}],
            {"u": "y", "v": "x"},
        ),
    ],
)
def test_an_entry_of_the_same_account_under_another_name_was_renamed(
    before: list[dict[str, Any]], after: list[dict[str, Any]], names: dict[str, str]
) -> None:
    assert renamed(parse(document(*before)).settings, parse(document(*after)).settings) == names


@pytest.mark.parametrize(
    ("before", "after", "accounts", "entries"),
    [
        ("abc", "abc", {}, {}),
        ("abc", "bc", {"u (key 2)": "u (key 1)", "u (key 3)": "u (key 2)"}, {}),
        ("ab", "ba", {"u (key 1)": "u (key 2)", "u (key 2)": "u (key 1)"}, {}),
        ("ab", "ab as v", {"u (key 1)": "v (key 1)", "u (key 2)": "v (key 2)"}, {"u": "v"}),
        ("ab", "bc as v", {"u (key 2)": "v (key 1)"}, {}),
        ("a", "ba", {"u": "u (key 2)"}, {}),
        ("ab", "b", {"u (key 2)": "u"}, {}),
    ],
)
def test_the_keys_of_an_entry_are_followed_to_their_new_positions(
    before: str, after: str, accounts: dict[str, str], entries: dict[str, str]
) -> None:
    def settings_of(text: str) -> Settings:
        keys, _, name = text.partition(" as ")
        given = {"keys": list(keys), "key": ""} if len(keys) > 1 else {"key": keys}
        return parse(document({"name": name or "u", **given})).settings

    found = settings_of(before), settings_of(after)
    assert (renamed(*found), renamed_entries(*found)) == (accounts, entries)


def test_cooldowns_change_places_with_their_keys() -> None:
    health = Health()
    failing(health, 3)
    health.rename({"u": "v", "v": "u"})
    assert (health.cooldown_of("u", "m", 1.0), health.cooldown_of("v", "m", 1.0) is None) == (None, False)


def test_a_cooldown_moves_with_the_name() -> None:
    health = Health()
    failing(health, 3)
    health.rename({"u": "new"})
    assert health.cooldown_of("u", "m", 1.0) is None
    assert health.cooldown_of("new", "m", 1.0) is not None


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    common = {"base_url": "https://h.example", "protocol": "messages", "key": "sk-1"}
    return {"upstreams": [{**common, **entry} for entry in entries]}


# --- many requests at a time ---------------------------------------------------

HINT = Charge("cooldown", retry_after=30.0)
COOLDOWN = Charge("cooldown")


def test_many_that_fail_together_are_one_cooldown() -> None:
    for charge, until in ((COOLDOWN, 101.0), (HINT, 31.63)):
        health = Health()
        for number in range(64):
            health.failed("u", "m", charge, "429", RULES, 1.0 + number / 100, begun=0.5)
        found = health.conditions()["u", ""]
        assert (found.cooldowns, round(found.until, 6)) == (1, until)


def test_an_attempt_begun_before_the_cooldown_neither_clears_it_nor_is_a_trial() -> None:
    health = Health()
    health.failed("u", "m", HINT, "429", RULES, 10.0, begun=5.0)
    health.succeeded("u", "m", begun=6.0)
    assert health.cooldown_of("u", "m", 20.0) is not None
    health.begin("u", "m", "trial")
    health.failed("u", "m", ERROR, "reset", RULES, 50.0, begun=9.0)
    found = health.conditions()["u", ""]
    assert (found.cooldowns, found.until, found.trial_by) == (1, 40.0, "trial")
    health.succeeded("u", "m", begun=45.0)
    assert health.is_spotless


def test_a_success_of_a_last_resort_ends_its_cooldown() -> None:
    health = Health()
    health.failed("u", "m", COOLDOWN, "401", RULES, 10.0)
    health.succeeded("u", "m", begun=11.0)
    assert health.is_spotless


def test_a_break_reported_with_its_time_of_cooldown_holds_whenever_its_attempt_began() -> None:
    health = Health()
    health.failed("u", "m", HINT, "429", RULES, 10.0, begun=0.0)
    health.begin("u", "m", "trial")
    health.failed("u", "m", Charge("cooldown", at_least=60.0), "stream broke", RULES, 41.0, begun=1.0)
    cooldown = health.cooldown_of("u", "m", 42.0, "trial")
    assert cooldown is not None and cooldown.until == 141.0


@pytest.mark.parametrize(("at_least", "until"), [(60.0, 110.0), (200.0, 210.0), (1e9, 510.0)])
def test_a_cooldown_of_a_least_length_is_none_that_the_upstream_has_asked_for(
    at_least: float, until: float
) -> None:
    health = Health()
    health.failed("u", "m", Charge("cooldown", at_least=at_least), "stream broke", RULES, 10.0)
    cooldown = health.cooldown_of("u", "m", 11.0)
    assert cooldown is not None
    assert (cooldown.until, cooldown.passes, cooldown.hinted) == (until, True, False)


def test_a_hint_of_any_error_is_honoured() -> None:
    health = Health()
    assert failing(health, 1, charge=Charge("error", model_only=True, retry_after=7.0)) == [True]
    assert health.cooldown_of("u", "m", 6.9) is not None
    assert health.cooldown_of("u", "m", 7.0) is None


def test_a_trial_that_meets_a_failure_of_the_model_has_failed_and_is_over() -> None:
    health = Health()
    failing(health, 3)
    health.begin("u", "m", "trial")
    assert health.failed("u", "m", Charge("error", model_only=True), "overloaded", RULES, 150.0, begun=140.0)
    found = health.conditions()
    assert (found["u", ""].trial_by, found["u", ""].until) == ("", 350.0)
    assert found["u", "m"].errors == 1


def test_of_64_requests_after_a_cooldown_exactly_one_is_the_trial() -> None:
    health = Health()
    failing(health, 3)
    admitted = []
    for number in range(64):
        exchange = f"x{number}"
        if health.cooldown_of("u", "m", 100.0, exchange) is None:
            health.begin("u", "m", exchange)
            admitted.append(exchange)
    assert admitted == ["x0"]


# --- simulated failures ---------------------------------------------------


def test_a_simulated_failure_cools_down_until_the_simulation_ends_at_the_latest() -> None:
    for left, until in ((30.0, 30.0), (300.0, 100.0)):
        health = Health()
        failing(health, 3, charge=Charge("error", simulated_seconds=left))
        cooldown = health.cooldown_of("u", "m", 1.0)
        assert cooldown is not None and cooldown.until == until
    assert cooldown_length(1, Charge("cooldown", retry_after=60.0, simulated_seconds=5.0), RULES) == 5.0


def test_the_end_of_a_simulation_clears_what_nothing_else_has_caused() -> None:
    simulated = Charge("error", simulated_seconds=300.0)
    health = Health()
    failing(health, 3, charge=simulated)
    health.failed("u", "other", replace(simulated, model_only=True), "boom", RULES, 0.0)
    health.failed("v", "m", simulated, "boom", RULES, 0.0)
    health.forget_simulated(["u"])
    assert set(health.conditions()) == {("v", "")}
    for charges in ((simulated, ERROR, simulated), (ERROR, simulated, simulated)):
        health = Health()
        for charge in charges:
            failing(health, 1, charge=charge)
        health.forget_simulated(["u"])
        assert health.cooldown_of("u", "m", 1.0) is not None


# --- any order of events -------------------------------------------------------

CHARGES = (ERROR, HINT, Charge("none"), Charge("error", model_only=True), Charge("cooldown", retry_after=1e9))


class Breaker(RuleBasedStateMachine):
    """Attempts begin, succeed, fail and end without a result in any order, while time passes."""

    @initialize()
    def begin(self) -> None:
        self.health, self.now, self.count = Health(), 0.0, 0
        self.under_way: dict[str, float] = {}
        """exchange -> when its attempt began"""

    def _cooling(self) -> list[Condition]:
        return [found for found in self.health.conditions().values() if found.cooldowns]

    @rule()
    def ask(self) -> None:
        """A request that can use another upstream."""
        self.count += 1
        exchange = f"x{self.count}"
        if self.health.cooldown_of("u", "m", self.now, exchange) is None:
            assert all(found.until <= self.now and not found.trial_by for found in self._cooling())
            self.health.begin("u", "m", exchange)
            assert all(found.trial_by == exchange for found in self._cooling())
            self.under_way[exchange] = self.now

    @rule()
    def ask_as_a_last_resort(self) -> None:
        self.count += 1
        self.health.begin("u", "m", f"x{self.count}")
        self.under_way[f"x{self.count}"] = self.now

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["nothing", "success", *CHARGES]))
    def end(self, data: Any, end: Charge | str) -> None:
        exchange = data.draw(st.sampled_from(sorted(self.under_way)))
        began = self.under_way.pop(exchange)
        before = [(found.since, found.cooldowns) for found in self._cooling()]
        if end == "success":
            self.health.succeeded("u", "m", began)
            assert [(one.since, one.cooldowns) for one in self._cooling()] == [
                one for one in before if one[0] > began
            ]
        elif isinstance(end, Charge):
            self.health.failed("u", "m", end, "boom", RULES, self.now, began)
        self.health.release(exchange)

    @rule(seconds=st.integers(1, 700))
    def time_goes_on(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def nobody_is_locked_out(self) -> None:
        if hasattr(self, "health"):
            conditions = self.health.conditions().values()
            assert all(found.until - self.now <= RULES.max_cooldown_seconds for found in conditions)
            assert {found.trial_by for found in conditions} <= {"", *self.under_way}


Breaker.TestCase.settings = hypothesis_settings(max_examples=100, stateful_step_count=40)
TestBreaker = Breaker.TestCase

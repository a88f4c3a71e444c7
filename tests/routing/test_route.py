from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.routing.health import Charge, Health
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Moment
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.sessions import Affinity
from switchyard.settings import Failover, Settings
from switchyard.settings_validation import parse

MONDAY_NOON = Moment(datetime(2026, 11, 16, 12, 0, tzinfo=UTC), 1000.0)
ASK = Ask("messages", "claude-sonnet-4-5")


def settings(*entries: dict[str, Any], **rest: Any) -> Settings:
    named = [
        {"name": f"u{index}", "base_url": "https://h.example", "protocol": "messages", **entry}
        for index, entry in enumerate(entries)
    ]
    return parse({"upstreams": named, **rest}).settings


def route(found: Settings, ask: Ask = ASK, now: Moment = MONDAY_NOON, **more: Any) -> Route:
    state = more.pop("state", State())
    return choose_route(found, state, ask, now, **more)


def names(found: Route) -> list[str]:
    return [candidate.name for candidate in found.candidates]


def skips(found: Route) -> dict[str, str]:
    return {skip.upstream: skip.text for skip in found.skipped}


@pytest.mark.parametrize(
    ("entry", "reason", "text"),
    [
        ({"enabled": False}, "disabled", "disabled"),
        ({"clients": ["chat"]}, "client", "does not serve messages clients"),
        ({"models": {"gpt-*": "x"}}, "model", 'model "claude-sonnet-4-5" not served'),
        ({"models": ["claude-opus-4-5"]}, "model", 'model "claude-sonnet-4-5" not served'),
        ({"weekdays": ["tue", "wed"]}, "weekday", "not today (tue, wed only)"),
        ({"weekdays": []}, "weekday", "not today: `weekdays` names no day"),
        ({"hours": "13:00-14:00"}, "hours", "outside its hours 13:00-14:00"),
        ({"hours": "22:00-06:00"}, "hours", "outside its hours 22:00-06:00"),
        ({"base_url": "demo:"}, "demo", "demo not needed: another upstream is configured"),
    ],
)
def test_an_upstream_that_may_not_answer_is_skipped_with_its_reason(
    entry: dict[str, Any], reason: str, text: str
) -> None:
    found = route(settings(entry, {}))
    assert names(found) == ["u1"]
    assert [(skip.upstream, skip.reason, skip.text) for skip in found.skipped] == [("u0", reason, text)]


def test_primaries_come_before_backups_then_priority_then_the_order_of_the_file() -> None:
    found = route(
        settings(
            {"role": "backup", "priority": 100},
            {},
            {"priority": 10},
            {"priority": 90},
            {},
            {"role": "rescue"},
        )
    )
    assert names(found) == ["u3", "u1", "u4", "u2", "u0"]
    assert [candidate.name for candidate in found.rescues] == ["u5"]


@pytest.mark.parametrize(
    ("hours", "clock", "serves"),
    [
        ("", (3, 0), True),
        ("08:00-23:30", (8, 0), True),
        ("08:00-23:30", (7, 59), False),
        ("08:00-23:30", (23, 30), False),
        ("22:00-06:00", (23, 0), True),
        ("22:00-06:00", (5, 59), True),
        ("22:00-06:00", (6, 0), False),
        ("00:00-24:00", (23, 59), True),
    ],
)
def test_hours_hold_in_local_time_and_may_cross_midnight(
    hours: str, clock: tuple[int, int], serves: bool
) -> None:
    now = Moment(MONDAY_NOON.wall.replace(hour=clock[0], minute=clock[1]), 0.0)
    assert bool(names(route(settings({"hours": hours}), now=now))) is serves


def test_hours_after_midnight_belong_to_the_weekday_that_begins_there() -> None:
    tuesday_night = Moment(datetime(2026, 11, 17, 2, 0, tzinfo=UTC), 0.0)
    found = route(settings({"hours": "22:00-06:00", "weekdays": ["tue"]}), now=tuesday_night)
    assert names(found) == ["u0"]


@pytest.mark.parametrize(
    ("entry", "asked", "sent"),
    [
        ({}, "anything", "anything"),
        ({"models": {}}, "m", "m"),
        ({"models": []}, "m", "m"),
        ({"models": ["M"]}, "m", "m"),
        ({"models": ["m"], "model": "deployment"}, "m", "deployment"),
        ({"models": {"claude-sonnet-4-5-*": "qwen"}}, "Claude-Sonnet-4-5-20250929", "qwen"),
        ({"models": {"*": "all", "claude-*": "c", "claude-*-haiku*": "h"}}, "claude-3-5-haiku-latest", "h"),
        ({"models": {"*": "all", "claude-*": "c", "claude-opus": "exact"}}, "claude-opus", "exact"),
        ({"models": {"m[1m]": "long"}}, "m", None),
        ({}, "m[1m]", "m"),
        ({}, "u0,m", "m"),
        ({"models": {"a/b": "c"}}, "a/b", "c"),
    ],
)
def test_the_model_is_renamed_by_the_most_specific_entry(
    entry: dict[str, Any], asked: str, sent: str | None
) -> None:
    found = route(settings(entry), replace(ASK, model=asked))
    assert [candidate.model for candidate in found.candidates] == ([] if sent is None else [sent])


def test_the_first_model_rule_applies_once_and_before_the_models_of_the_upstream() -> None:
    rules = [
        {"from": "gpt-4*", "to": "claude-x", "clients": ["chat"]},
        {"from": "claude-3-*", "to": "claude-x"},
        {"from": "claude-x", "to": "never"},
    ]
    found = settings({"models": {"claude-x": "y"}}, model_rules=rules)
    assert route(found, replace(ASK, model="claude-3-opus")).candidates[0].model == "y"
    assert names(route(found, replace(ASK, model="gpt-4o"))) == []
    assert route(found, Ask("chat", "gpt-4o")).candidates[0].model == "y"


def test_a_rule_may_hold_for_upstreams_of_some_protocols_only() -> None:
    rules = [{"from": "gpt-4", "to": "claude-x", "protocols": ["messages"]}]
    found = settings({}, {"protocol": "chat"}, model_rules=rules)
    sent = {one.name: one.model for one in route(found, Ask("chat", "gpt-4")).candidates}
    assert sent == {"u0": "claude-x", "u1": "gpt-4"}


@pytest.mark.parametrize(
    ("entry", "asked", "sent", "thinking"),
    [
        ({}, "claude-x-thinking", "claude-x", True),
        ({"models": {"claude-x": "y"}}, "claude-x-thinking", "y", True),
        ({"models": {"kimi-thinking": "k2"}}, "kimi-thinking", "k2", False),
        ({"models": ["kimi-thinking"]}, "kimi-thinking", "kimi-thinking", False),
        ({"models": {"*": "all"}}, "kimi-thinking", "all", True),
    ],
)
def test_a_thinking_suffix_turns_thinking_on_unless_the_full_name_is_listed(
    entry: dict[str, Any], asked: str, sent: str, thinking: bool
) -> None:
    [candidate] = route(settings(entry), replace(ASK, model=asked)).candidates
    assert (candidate.model, candidate.thinking) == (sent, thinking)


@pytest.mark.parametrize(
    "name",
    [
        "kimi-k2-thinking",
        "moonshotai/Kimi-K2-Thinking",
        "moonshot.kimi-k2-thinking",
        "qwen/qwen3-vl-32b-thinking",
        "qwen3-vl:8b-thinking",
        "GLM-4.1V-9B-Thinking",
    ],
)
def test_a_model_that_its_vendor_names_so_keeps_its_name(name: str) -> None:
    [candidate] = route(settings({}), replace(ASK, model=name)).candidates
    assert (candidate.model, candidate.thinking) == (name, False)


def test_a_vendor_prefix_forces_its_upstream() -> None:
    found = route(settings({}, {"name": "Home Server"}), replace(ASK, model="home server,qwen"))
    assert names(found) == ["Home Server"]
    assert skips(found) == {"u0": 'the model name selects upstream "home server"'}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, None),
        ({"role": "rescue"}, None),
        ({"role": "backup"}, None),
        ({"weekdays": ["sun"]}, None),
        ({"hours": "22:00-06:00"}, None),
        ({"enabled": False}, "disabled"),
        ({"clients": ["chat"]}, "client"),
        ({"models": ["other"]}, "model"),
    ],
)
@pytest.mark.parametrize("state", ["ready", "cooldown"])
def test_an_upstream_selected_by_name_answers_whatever_its_calendar_role_and_cooldown(
    entry: dict[str, Any], reason: str | None, state: str
) -> None:
    found = route(
        settings({}, entry),
        replace(ASK, model="u1,m"),
        state=cooling("u1") if state == "cooldown" else State(),
    )
    reported = [(one.name, one.model, one.why) for one in found.candidates]
    assert (reported, found.rescues) == ([("u1", "m", "selected by name")] if reason is None else [], ())
    assert {skip.upstream: skip.reason for skip in found.skipped} == (
        {"u0": "not_forced"} | ({"u1": reason} if reason else {})
    )


def test_a_budget_also_limits_an_upstream_selected_by_name() -> None:
    found = route(settings({}), replace(ASK, model="u0,m"), state=State(spent={"u0": "over its budget"}))
    assert (names(found), skips(found)) == ([], {"u0": "over its budget"})


def test_the_demo_serves_a_protocol_only_while_nothing_else_is_configured_for_it() -> None:
    found = settings({"base_url": "demo:"}, {"clients": ["messages"], "weekdays": ["sun"]})
    assert names(route(found)) == []
    assert names(route(found, Ask("chat", "m"))) == ["u0"]


def cooling(*which: str, now: float = 1000.0) -> State:
    health = Health()
    for seconds, name in enumerate(which, start=1):
        charge = Charge("cooldown", retry_after=60.0 * seconds)
        health.failed(name, "", charge, "401 bad key", Failover(), now)
    return State(health=health)


def test_an_upstream_that_is_cooling_down_is_skipped_with_its_reason_and_time() -> None:
    found = route(settings({}, {}), state=cooling("u0"))
    assert names(found) == ["u1"]
    assert skips(found) == {"u0": "cooling down until 12:01 after 1 error: 401 bad key"}
    assert not found.last_resort


def test_when_all_cool_down_the_one_whose_cooldown_ends_first_is_tried() -> None:
    found = route(settings({}, {}, {}), state=cooling("u1", "u0", "u2"))
    assert names(found) == ["u1"]
    assert found.last_resort
    assert set(skips(found)) == {"u0", "u2"}


def rescued(*which: str, model: str = "") -> State:
    """These are cooling down after failures whose action is `rescue`."""
    health = Health()
    for name in which:
        charge = Charge("cooldown", model_only=bool(model), rescues=True)
        health.failed(name, model, charge, "503 overloaded", Failover(), MONDAY_NOON.monotonic)
    return State(health=health)


@pytest.mark.parametrize("may_resort", [True, False])
@pytest.mark.parametrize("model", ["", ASK.model])
def test_a_rescue_upstream_answers_while_the_one_it_rescues_is_cooling_down(
    model: str, may_resort: bool
) -> None:
    entries = settings({}, {"role": "rescue"}, {"role": "rescue"})
    found = route(entries, replace(ASK, may_resort=may_resort), state=rescued("u0", model=model))
    assert (names(found), found.rescues, found.last_resort) == (["u1", "u2"], (), False)
    assert set(skips(found)) == {"u0"}


def test_and_while_another_request_tries_that_one_again() -> None:
    state = rescued("u0")
    state.health.begin("u0", ASK.model, "another request")
    later = replace(MONDAY_NOON, monotonic=MONDAY_NOON.monotonic + 60)
    assert names(route(settings({}, {"role": "rescue"}), state=state, now=later)) == ["u1"]


@pytest.mark.parametrize(
    ("entries", "state", "expected"),
    [
        (({}, {"role": "backup"}), rescued("u0"), ["u1"]),
        (({}, {}), cooling("u0", "u1"), ["u0"]),
        (({}, {"max_concurrency": 1}), rescued("u0"), []),
    ],
    ids=["another can answer", "the action is another", "another has a slot soon"],
)
def test_it_does_not_answer_otherwise(
    entries: tuple[dict[str, Any], ...], state: State, expected: list[str]
) -> None:
    found = settings(*entries, {"role": "rescue"})
    if not expected:
        state = replace(state, limits=Limits())
        state.limits.begin(found.upstreams[1].account_id)
    assert names(route(found, state=state)) == expected


def test_a_primary_that_is_cooling_down_gives_way_to_a_backup_rather_than_being_a_last_resort() -> None:
    found = route(settings({}, {"role": "backup"}), state=cooling("u0"))
    assert names(found) == ["u1"]


def test_after_its_cooldown_an_upstream_takes_one_request_on_trial() -> None:
    state = cooling("u0")
    later = Moment(MONDAY_NOON.wall, 1061.0)
    assert names(route(settings({}, {}), replace(ASK, exchange="a"), later, state=state)) == ["u0", "u1"]
    state.health.begin("u0", "claude-sonnet-4-5", "a")
    second = route(settings({}, {}), replace(ASK, exchange="b"), later, state=state)
    assert names(second) == ["u1"]
    assert second.skipped[0].reason == "trial"
    assert names(route(settings({}, {}), replace(ASK, exchange="a"), later, state=state)) == ["u0", "u1"]


def test_limits_are_reasons_too() -> None:
    found = settings({"max_concurrency": 1}, {"requests_per_minute": 1}, {})
    limits = Limits()
    limits.begin("u0")
    limits.count_start(found.upstreams[1], 970.0)
    result = route(found, state=State(limits=limits))
    assert names(result) == ["u2"]
    assert skips(result) == {
        "u0": "at its limit of 1 concurrent request",
        "u1": "at its limit of 1 request per minute until 12:00",
    }


def test_a_budget_is_a_reason_too() -> None:
    found = route(settings({}, {}), state=State(spent={"u0": "over its budget of 5.00 a day"}))
    assert names(found) == ["u1"]
    assert skips(found) == {"u0": "over its budget of 5.00 a day"}


def test_without_explicit_priority_the_order_of_the_file_holds_for_every_session() -> None:
    found = settings({}, {})
    assert {names(route(found, replace(ASK, session=f"s{number}")))[0] for number in range(20)} == {"u0"}


def test_a_conversation_keeps_its_upstream_while_it_may_answer() -> None:
    affinity = Affinity("u1", last_used=990.0)
    found = route(settings({}, {}), affinity=affinity)
    assert names(found) == ["u1", "u0"]
    assert found.candidates[0].why == "keeps its conversation"
    assert names(route(settings({}, {}), affinity=affinity, state=cooling("u1"))) == ["u0"]


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"role": "backup"}), ({}, {}), ({"priority": 90}, {"priority": 80}), ({"priority": 90}, {})],
)
@pytest.mark.parametrize(
    ("stays_since", "order"), [(None, ["u1", "u0"]), (700.0, ["u1", "u0"]), (400.0, ["u0", "u1"])]
)
def test_a_conversation_returns_the_set_time_after_a_better_upstream_has_recovered(
    first: dict[str, Any], second: dict[str, Any], stays_since: float | None, order: list[str]
) -> None:
    found = settings(first, second, failover={"return_to_primary_minutes": 10})
    result = route(found, affinity=Affinity("u1", last_used=990.0, stays_since=stays_since))
    assert (names(result), result.stays) == (order, order[0] == "u1")


def test_a_conversation_has_no_home_among_upstreams_that_take_turns() -> None:
    found = settings({"priority": 70}, {"priority": 70}, failover={"return_to_primary_minutes": 0})
    for name in ("u0", "u1"):
        result = route(found, affinity=Affinity(name, last_used=990.0, stays_since=0.0))
        assert (names(result)[0], result.stays) == (name, False)


def test_with_no_time_to_stay_a_conversation_returns_at_once() -> None:
    found = settings({}, {"role": "backup"}, failover={"return_to_primary_minutes": 0})
    assert names(route(found, affinity=Affinity("u1", last_used=990.0))) == ["u0", "u1"]


def test_the_holder_of_a_slot_is_not_kept_out_by_the_limits() -> None:
    found = settings({"max_concurrency": 1, "requests_per_minute": 1}, {})
    limits = Limits()
    limits.begin("u0")
    limits.count_start(found.upstreams[0], 990.0)
    state = State(limits=limits)
    assert names(route(found, state=state)) == ["u1"]
    assert names(route(found, replace(ASK, holds="u0"), state=state)) == ["u0", "u1"]


def test_a_full_upstream_with_a_slot_that_is_free_soon_counts_as_free_within_its_rate() -> None:
    found = settings({"max_concurrency": 1, "requests_per_minute": 1}, {})
    state = State(limits=Limits())
    state.limits.begin("u0")
    ask = replace(ASK, free_soon=frozenset({"u0"}))
    assert names(route(found, state=state)) == ["u1"]
    assert names(route(found, ask, state=state)) == ["u0", "u1"]
    state.limits.count_start(found.upstreams[0], 990.0)
    assert names(route(found, ask, state=state)) == ["u1"]


def test_a_full_upstream_is_waited_for_rather_than_one_that_cools_down() -> None:
    found = settings({"max_concurrency": 1}, {})
    state = cooling("u1")
    state.limits.begin("u0")
    result = route(found, state=state)
    assert (names(result), [skip.reason for skip in result.skipped]) == ([], ["concurrency", "cooldown"])


def test_without_a_model_the_route_is_that_of_any_model() -> None:
    assert names(route(settings({"models": ["x"]}, {}), Ask("messages", ""))) == ["u0", "u1"]


def test_a_request_does_not_try_the_same_upstream_again() -> None:
    found = settings({}, {}, {"role": "rescue"}, {"role": "rescue"})
    result = route(found, replace(ASK, tried=frozenset({"u0", "u2"})))
    assert (names(result), [one.name for one in result.rescues], result.skipped) == (["u1"], ["u3"], ())


def test_when_all_others_have_failed_one_that_cools_down_is_the_last_resort_and_only_one() -> None:
    found, state = settings({}, {}, {}), cooling("u1", "u2")
    assert names(route(found, state=state)) == ["u0"]
    after_failure = route(found, replace(ASK, tried=frozenset({"u0"})), state=state)
    assert (names(after_failure), after_failure.last_resort) == (["u1"], True)
    after_resort = route(found, replace(ASK, tried=frozenset({"u0", "u1"}), may_resort=False), state=state)
    assert (names(after_resort), list(skips(after_resort))) == ([], ["u2"])


def test_the_limits_of_a_last_resort_hold_too() -> None:
    found, state = settings({"max_concurrency": 1}, {}), cooling("u0", "u1")
    assert names(route(found, state=state)) == ["u0"]
    state.limits.begin("u0")
    full = route(found, state=state)
    assert (names(full), [skip.reason for skip in full.skipped]) == ([], ["concurrency", "cooldown"])
    granted = route(found, replace(ASK, holds="u0"), state=state)
    assert (names(granted), granted.last_resort) == (["u0"], True)

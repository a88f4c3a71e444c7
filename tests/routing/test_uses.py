"""Use this now: which upstream answers first, for which clients, and until when."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.protocols.names import PROTOCOLS
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Moment
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.route import Route, State
from switchyard.routing.sessions import Affinity
from switchyard.routing.uses import Use, Uses, followed, in_effect, until_text, use_of, with_use
from tests.routing.test_route import ASK, MONDAY_NOON, cooling, names, route, settings, skips

NOON = MONDAY_NOON.wall.timestamp()
HOUR = 3600.0


def using(upstream: str, until: float | None = None, **state: Any) -> State:
    return State(uses={"messages": Use(upstream, until)}, **state)


def reasons(found: Route) -> list[tuple[str, str]]:
    return [(one.name, one.why) for one in found.candidates]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"role": "backup"},
        {"role": "rescue"},
        {"priority": 1},
        {"weekdays": ["tue"]},
        {"hours": "13:00-14:00"},
        {"protocol": "chat"},
    ],
)
def test_what_is_used_now_comes_first_whatever_its_entry_says_of_the_order(entry: dict[str, Any]) -> None:
    found = route(settings({"priority": 90}, {}, entry), state=using("u2"))
    assert reasons(found)[0] == ("u2", "used now, until you undo it")
    assert (names(found), found.rescues) == (["u2", "u0", "u1"], ())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"enabled": False}, "disabled"),
        ({"clients": ["chat"]}, "client"),
        ({"models": ["gpt-5.5"]}, "model"),
    ],
)
def test_what_cannot_answer_a_request_is_not_used_for_it(entry: dict[str, Any], reason: str) -> None:
    found = route(settings({}, entry), state=using("u1"))
    assert (names(found), [skip.reason for skip in found.skipped]) == (["u0"], [reason])


def test_it_is_first_and_not_the_only_one() -> None:
    entries = settings({}, {"max_concurrency": 1}, {})
    assert names(route(entries, replace(ASK, tried=frozenset({"u1"})), state=using("u1"))) == ["u0", "u2"]
    assert names(route(entries, state=using("u1", health=cooling("u1").health))) == ["u0", "u2"]
    limits = Limits()
    limits.begin("u1")
    found = route(entries, state=using("u1", limits=limits))
    assert (names(found), list(skips(found))) == (["u0", "u2"], ["u1"])


def test_running_conversations_use_it_too_and_return_to_their_own_upstream_afterwards() -> None:
    affinity = Affinity("u1", last_used=990.0)
    entries = settings({}, {}, {})
    found = route(entries, state=using("u2"), affinity=affinity)
    assert (names(found), found.stays) == (["u2", "u0", "u1"], False)
    assert names(route(entries, state=using("u2", health=cooling("u2").health), affinity=affinity)) == [
        "u1",
        "u0",
    ]
    assert names(route(entries, affinity=affinity)) == ["u1", "u0", "u2"]


@pytest.mark.parametrize(("until", "is_first"), [(NOON + 1, True), (NOON, False), (NOON - 1, False)])
def test_it_ends_by_itself(until: float, is_first: bool) -> None:
    assert (names(route(settings({}, {}), state=using("u1", until)))[0] == "u1") is is_first


def test_the_end_of_a_use_holds_for_an_order_that_is_asked_for_a_later_time() -> None:
    state, later = using("u1", NOON + HOUR), Moment(MONDAY_NOON.wall.replace(hour=14), 1000.0)
    assert names(route(settings({}, {}), state=state)) == ["u1", "u0"]
    assert names(route(settings({}, {}), state=state, now=later)) == ["u0", "u1"]


def test_it_applies_to_the_clients_that_are_named() -> None:
    state = using("u1")
    assert names(route(settings({}, {}), replace(ASK, protocol="chat"), state=state)) == ["u0", "u1"]


def test_a_request_that_names_its_upstream_gets_that_one() -> None:
    found = route(settings({}, {}), replace(ASK, model="u0,m"), state=using("u1"))
    assert reasons(found) == [("u0", "selected by name")]


def test_a_vendor_hardly_serves_the_models_of_others_even_if_it_is_used_now() -> None:
    entries = settings(
        {}, {"base_url": "https://api.openai.com", "protocol": "responses", "hours": "13:00-14:00"}
    )
    assert names(route(entries, replace(ASK, model="gpt-5.5"), state=using("u1"))) == ["u1", "u0"]
    found = route(entries, state=using("u1"))
    assert (names(found), skips(found)) == (["u0"], {"u1": "outside its hours 13:00-14:00"})


def test_what_answered_no_such_model_is_not_used_for_that_model() -> None:
    missing = MissingModels()
    missing.note("u1", ASK.model, MONDAY_NOON.monotonic)
    state = using("u1", missing=missing)
    assert names(route(settings({}, {}), state=state)) == ["u0", "u1"]
    assert names(route(settings({}, {}), replace(ASK, model="other"), state=state)) == ["u1", "u0"]


# --- the values ------------------------------------------------------------------


A, B = Use("a"), Use("b", NOON)
BOTH: Uses = {"messages": A, "chat": B}


def test_some_clients_or_all_use_an_upstream_until_another_one_replaces_it() -> None:
    everyone = with_use({}, A, PROTOCOLS)
    assert everyone == dict.fromkeys(PROTOCOLS, A)
    assert with_use(everyone, B, ["chat"]) == {**everyone, "chat": B}
    assert with_use(BOTH, None, ["chat"]) == {"messages": A}
    assert with_use(everyone, None, PROTOCOLS) == {}


def test_only_what_is_not_over_is_in_effect() -> None:
    assert in_effect(BOTH, NOON - 1) == BOTH
    assert in_effect(BOTH, NOON) == {"messages": A}
    assert use_of(BOTH, "chat", MONDAY_NOON.wall) is None


@pytest.mark.parametrize(
    ("names_after", "enabled", "left"),
    [
        ({}, {"a", "b"}, {"messages": A, "chat": B}),
        ({"a": "new"}, {"new", "b"}, {"messages": Use("new"), "chat": B}),
        ({}, {"b"}, {"chat": B}),
        ({}, set(), {}),
    ],
)
def test_a_use_follows_a_renamed_entry_and_ends_with_one_that_is_removed_or_disabled(
    names_after: dict[str, str], enabled: set[str], left: dict[str, Use]
) -> None:
    assert followed(BOTH, names_after, enabled) == left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "until you undo it"), (90 * 60, "until 13:30"), (25 * HOUR, "until 2026-11-17 13:00")],
)
def test_the_end_is_named_in_local_time(seconds: float | None, text: str) -> None:
    wall = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
    assert until_text(None if seconds is None else wall.timestamp() + seconds, wall) == text

"""Whose prompt is it: the order among upstreams that do not say what they are for."""

from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.routing.limits import Limits
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.route import Ask, State
from switchyard.routing.sessions import Affinity
from tests.routing.test_route import MONDAY_NOON, names, route, settings, skips

ANTHROPIC: dict[str, Any] = {
    "name": "anthropic",
    "base_url": "https://api.anthropic.com",
    "protocol": "messages",
}
OPENAI: dict[str, Any] = {
    "name": "openai",
    "base_url": "https://api.openai.com/v1",
    "protocol": "responses",
}
RELAY: dict[str, Any] = {"name": "relay", "base_url": "https://relay.example", "protocol": "messages"}
OTHER: dict[str, Any] = {"name": "other", "base_url": "https://other.example/v1", "protocol": "responses"}
CLAUDE_CODE, CODEX = Ask("messages", "claude-opus-4-5"), Ask("responses", "gpt-5.5")


@pytest.mark.parametrize(
    ("entries", "ask", "order"),
    [
        ([ANTHROPIC, OPENAI], CODEX, ["openai", "anthropic"]),
        ([OPENAI, ANTHROPIC], CLAUDE_CODE, ["anthropic", "openai"]),
        ([RELAY, OTHER], CODEX, ["other", "relay"]),
        ([RELAY, OTHER], CLAUDE_CODE, ["relay", "other"]),
        ([RELAY, OTHER], Ask("chat", "gpt-5.5"), ["relay", "other"]),
        # what an entry states is a decision
        ([RELAY | {"models": ["*"]}, OTHER], CODEX, ["relay", "other"]),
        ([RELAY | {"clients": ["responses"]}, OTHER], CODEX, ["relay", "other"]),
        ([ANTHROPIC | {"models": ["gpt-*"]}, OPENAI], CODEX, ["anthropic", "openai"]),
        # only within role and priority
        ([RELAY | {"priority": 90}, OTHER], CODEX, ["relay", "other"]),
        ([RELAY, OTHER | {"role": "backup"}], CODEX, ["relay", "other"]),
        # the unlikely come last within their role, whatever their priority
        ([ANTHROPIC | {"priority": 100}, OPENAI], CODEX, ["openai", "anthropic"]),
        ([ANTHROPIC, RELAY, OTHER, OPENAI], CODEX, ["other", "openai", "relay", "anthropic"]),
        ([ANTHROPIC, OPENAI | {"role": "backup"}], CODEX, ["anthropic", "openai"]),
        # the name that is sent decides
        (
            [ANTHROPIC | {"protocol": "responses"}, OTHER],
            Ask("responses", "claude-x"),
            ["anthropic", "other"],
        ),
    ],
)
def test_prompts_go_first_where_they_belong(
    entries: list[dict[str, Any]], ask: Ask, order: list[str]
) -> None:
    assert names(route(settings(*entries), ask)) == order


def test_a_model_rule_decides_about_the_family_that_is_sent() -> None:
    rules = [{"from": "gpt-*", "to": "claude-opus-4-5", "protocols": ["messages"]}]
    found = route(settings(ANTHROPIC, model_rules=rules), CODEX)
    assert [one.unlikely for one in found.candidates] == [""]


def test_an_unlikely_candidate_carries_its_reason_and_the_remedy() -> None:
    found = route(settings(ANTHROPIC, OPENAI), CODEX).candidates[1]
    reason = "api.anthropic.com serves claude models and probably not gpt-5.5; if it does, set `models` or `clients`"
    assert (found.unlikely, found.why) == (reason, f"primary, unlikely: {reason}")


def test_a_converted_entry_says_why_it_comes_after_the_others() -> None:
    found = route(settings(RELAY, OTHER), CODEX)
    assert [one.why for one in found.candidates] == [
        "primary",
        "primary, after those that speak responses; to change this, set `models` or `clients`",
    ]


def test_an_upstream_that_is_selected_by_name_is_never_unlikely() -> None:
    found = route(settings(ANTHROPIC, OPENAI), replace(CODEX, model="anthropic,gpt-5.5"))
    assert [(one.name, one.unlikely) for one in found.candidates] == [("anthropic", "")]


def missing(*pairs: tuple[str, str]) -> State:
    memory = MissingModels()
    for upstream, model in pairs:
        memory.note(upstream, model, MONDAY_NOON.monotonic)
    return State(missing=memory)


def test_an_upstream_that_has_reported_no_such_model_comes_last() -> None:
    state = missing(("other", "gpt-5.5"))
    found = route(settings(OTHER, RELAY), CODEX, state=state)
    assert [(one.name, one.unlikely) for one in found.candidates] == [
        ("relay", ""),
        ("other", 'it answered "no such model" for gpt-5.5; set `models` to what it serves'),
    ]
    an_hour_later = replace(MONDAY_NOON, monotonic=MONDAY_NOON.monotonic + 3600)
    assert names(route(settings(OTHER, RELAY), CODEX, an_hour_later, state=state)) == ["other", "relay"]


def test_what_is_missing_counts_even_where_the_entry_states_its_models() -> None:
    stated = OTHER | {"models": {"gpt-*": "big"}}
    found = route(settings(stated, RELAY), CODEX, state=missing(("other", "big")))
    assert names(found) == ["relay", "other"]


def test_a_sole_upstream_is_asked_though_it_is_unlikely() -> None:
    found = route(settings(ANTHROPIC), CODEX, state=missing(("anthropic", "gpt-5.5")))
    assert names(found) == ["anthropic"]


@pytest.mark.parametrize("state", [State(), missing(("relay", "gpt-5.5"))])
def test_a_conversation_does_not_stay_at_an_unlikely_upstream(state: State) -> None:
    entries = settings(ANTHROPIC if state.missing.is_empty else RELAY, OTHER)
    name = entries.upstreams[0].name
    found = route(entries, CODEX, state=state, affinity=Affinity(name, MONDAY_NOON.monotonic))
    assert (names(found), found.stays) == (["other", name], False)


def test_a_conversation_stays_at_an_unlikely_upstream_where_all_are() -> None:
    google = {"name": "google", "base_url": "https://generativelanguage.googleapis.com", "protocol": "chat"}
    found = route(settings(ANTHROPIC, google), CODEX, affinity=Affinity("google", MONDAY_NOON.monotonic))
    assert names(found) == ["google", "anthropic"]


def test_an_unlikely_upstream_is_not_asked_because_the_likely_one_is_full() -> None:
    limits = Limits()
    limits.begin("openai")
    entries = settings(ANTHROPIC, OPENAI | {"max_concurrency": 1})
    found = route(entries, CODEX, state=State(limits=limits))
    assert (names(found), list(skips(found))) == ([], ["anthropic", "openai"])
    tried = replace(CODEX, tried=frozenset({"openai"}))
    assert names(route(entries, tried, state=State(limits=limits))) == ["anthropic"]


def test_equal_priorities_take_turns_among_those_that_are_equally_likely() -> None:
    entries = settings(*({**one, "priority": 50} for one in (RELAY, OTHER, ANTHROPIC, OPENAI)))
    assert names(route(entries, CODEX)) == ["other", "openai", "relay", "anthropic"]
    limits = Limits()
    limits.begin("other")
    found = route(entries, CODEX, state=State(limits=limits))
    assert names(found) == ["openai", "other", "relay", "anthropic"]

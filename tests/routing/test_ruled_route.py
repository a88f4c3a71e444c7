"""What a rule does to the order of the upstreams, and to the model that each is sent."""

from typing import Any

import pytest

from switchyard.routing.lineup import Moment
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.rules import Ruled
from switchyard.routing.sessions import conversation_of
from switchyard.routing.uses import Use
from switchyard.settings_validation import parse
from tests.routing.test_route import MONDAY_NOON, names, settings, skips


def ruled_route(
    rule: dict[str, Any], *entries: dict[str, Any], state: State | None = None, model: str = "claude-sonnet-5"
) -> Route:
    found = settings(*entries, routes=[rule])
    ask = Ask("messages", model, ruled=Ruled(1, found.routes[0]))
    return choose_route(found, state or State(), ask, MONDAY_NOON)


def sent(route: Route) -> list[tuple[str, str]]:
    return [(one.name, one.model) for one in route.candidates]


def test_the_upstreams_of_a_rule_come_first_in_its_order_whatever_their_role_and_priority() -> None:
    entries: list[dict[str, Any]] = [{"priority": 90}, {"role": "backup"}, {}, {"role": "rescue"}]
    found = ruled_route({"upstreams": ["u3", "u1"]}, *entries)
    assert names(found) == ["u3", "u1", "u0", "u2"]
    assert [one.why for one in found.candidates[:2]] == ["rescue, rule 1", "backup, rule 1"]
    assert found.rescues == ()


def test_only_leaves_the_others_out_with_the_reason() -> None:
    found = ruled_route({"name": "work", "upstreams": ["u1"], "only": True}, {}, {}, {"role": "rescue"})
    text = 'rule "work" allows only u1'
    assert (names(found), skips(found)) == (["u1"], {"u0": text, "u2": text})
    assert {skip.reason for skip in found.skipped} == {"rule"} and not found.rescues


def test_only_also_holds_while_its_upstream_cannot_answer() -> None:
    found = ruled_route({"upstreams": ["u1"], "only": True}, {}, {"enabled": False})
    assert (names(found), skips(found)) == ([], {"u0": "rule 1 allows only u1", "u1": "disabled"})


@pytest.mark.parametrize(
    ("rule", "entry", "expected"),
    [
        ({"upstreams": ["u1"]}, {}, [("u1", "qwen"), ("u0", "claude-sonnet-5")]),
        ({}, {}, [("u0", "qwen"), ("u1", "qwen")]),
        ({"upstreams": ["u1"]}, {"models": {"qwen": "qwen3-32b"}}, [("u1", "qwen3-32b"), ("u0", "claude-sonnet-5")]),
        ({"upstreams": ["u1"]}, {"models": {"claude-*": "x"}}, [("u1", "qwen"), ("u0", "claude-sonnet-5")]),
        ({"upstreams": ["u1"]}, {"models": ["gpt"]}, [("u1", "qwen"), ("u0", "claude-sonnet-5")]),
        ({"upstreams": ["u1"]}, {"model": "deployment"}, [("u1", "deployment"), ("u0", "claude-sonnet-5")]),
        ({}, {"models": ["claude-sonnet-5"]}, [("u0", "qwen")]),
    ],
)  # fmt: skip
def test_the_model_of_a_rule_is_for_its_upstreams_or_for_all_if_it_names_none(
    rule: dict[str, Any], entry: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert sent(ruled_route({**rule, "model": "qwen"}, {}, entry)) == expected


def test_an_upstream_of_a_rule_is_never_unlikely_because_of_its_host() -> None:
    entries: list[dict[str, Any]] = [{"base_url": "https://api.openai.com/v1", "protocol": "responses"}, {}]
    found = ruled_route({"upstreams": ["u0"]}, *entries)
    assert [(one.name, one.unlikely) for one in found.candidates] == [("u0", ""), ("u1", "")]


def test_an_upstream_of_a_rule_that_lacks_the_model_comes_last() -> None:
    missing = MissingModels()
    missing.note("u1", "claude-sonnet-5", MONDAY_NOON.monotonic)
    found = ruled_route({"upstreams": ["u1"]}, {}, {}, state=State(missing=missing))
    assert names(found) == ["u0", "u1"]


def test_a_model_with_the_thinking_suffix_turns_thinking_on() -> None:
    for entry in ({}, {"models": ["gpt"]}):
        (candidate,) = ruled_route({"model": "qwen-thinking", "upstreams": ["u0"]}, entry).candidates
        assert (candidate.model, candidate.thinking) == ("qwen", True)


@pytest.mark.parametrize(("only", "expected"), [(False, ["u0", "u1", "u2"]), (True, ["u1"])])
def test_what_is_used_now_comes_before_the_upstreams_of_a_rule_unless_it_allows_only_them(
    only: bool, expected: list[str]
) -> None:
    state = State(uses={"messages": Use("u0")})
    found = ruled_route({"upstreams": ["u1"], "only": only}, {"role": "backup"}, {}, {}, state=state)
    assert names(found) == expected


def test_an_order_is_remembered_for_each_rule() -> None:
    found = settings({}, {}, routes=[{"upstreams": ["u1"]}, {"upstreams": ["u0"]}])
    state = State()
    asks = [Ask("messages", "m", ruled=Ruled(number, rule)) for number, rule in enumerate(found.routes, 1)]
    asks.append(Ask("messages", "m"))
    now = Moment(MONDAY_NOON.wall, 0.0)
    order = [names(choose_route(found, state, ask, now))[0] for ask in asks * 2]
    assert order == ["u1", "u0", "u0"] * 2


def test_the_affinity_of_a_conversation_is_its_own_for_each_sub_agent_and_rule() -> None:
    rules = parse({"routes": [{"model": "a"}, {"model": "b"}]}).settings.routes
    first, second = (Ruled(number, rule) for number, rule in enumerate(rules, 1))
    keys = [
        conversation_of("s", "m"),
        conversation_of("s", "m", "agent"),
        conversation_of("s", "m", "", first),
        conversation_of("s", "m", "", second),
        conversation_of("s", "m", "agent", first),
    ]
    assert len(set(keys)) == len(keys)
    assert conversation_of("s", "m", "", Ruled(7, first.rule)) == keys[2]
    assert conversation_of("", "m", "agent", first) == ""

"""`routes` in the settings file: what a rule may state, and what is reported of a wrong one."""

from typing import Any

import pytest

from switchyard.faults import SettingsError
from switchyard.settings import Condition, RouteRule
from switchyard.settings_validation import parse

UPSTREAMS = [{"name": "local", "base_url": "http://h", "protocol": "chat"}]
OTHER = "another member than model, messages, input, stream"
ONE_MODEL = "the name of a model; `upstreams` selects the upstream"
APART = "more than tokens_over and one (10)"
NAMES = "a text in which * matches anything or a list"


def faults_of(rule: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse({"upstreams": UPSTREAMS, "routes": [{}, rule]})
    return [str(fault).removeprefix("$.routes[1]") for fault in caught.value.faults]


def test_a_rule_is_read_whole() -> None:
    when = {
        "client": ["claude-code", "opencode/*"],
        "protocol": "messages",
        "model": "claude-*",
        "subagent": True,
        "background": False,
        "compaction": False,
        "thinking": True,
        "effort": ["high", "max"],
        "web_search": False,
        "images": False,
        "tokens_over": 1000,
        "tokens_under": 60000,
        "project": "~/company/*",
        "client_key": "laptop",
        "weekdays": ["mon"],
        "hours": "08:00-18:00",
    }
    rule = {
        "name": "work",
        "when": when,
        "upstreams": ["local"],
        "only": True,
        "model": "qwen3-coder",
        "effort": "low",
        "max_tokens": 8000,
    }
    found = parse({"upstreams": UPSTREAMS, "routes": [rule]})
    assert found.warnings == ()
    assert found.settings.routes == (
        RouteRule(
            name="work",
            when=Condition(
                client=("claude-code", "opencode/*"),
                protocol="messages",
                model="claude-*",
                subagent=True,
                background=False,
                compaction=False,
                thinking=True,
                effort=("high", "max"),
                web_search=False,
                images=False,
                tokens_over=1000,
                tokens_under=60000,
                project="~/company/*",
                client_key="laptop",
                weekdays=("mon",),
                hours="08:00-18:00",
            ),
            upstreams=("local",),
            only=True,
            model="qwen3-coder",
            effort="low",
            max_tokens=8000,
        ),
    )


@pytest.mark.parametrize(
    ("rule", "faults"),
    [
        (
            {"upstreams": ["lokal"]},
            ['.upstreams[0]: expected the name of an upstream, found "lokal"; did you mean `local`?'],
        ),
        ({"upstreams": "local"}, ['.upstreams: expected a list, found "local"']),
        ({"only": True}, [".upstreams: expected at least one upstream, as `only` is set, found none"]),
        ({"model": "local,m"}, [f'.model: expected {ONE_MODEL}, found "local,m"']),
        ({"model": "qwen*"}, [f'.model: expected {ONE_MODEL}, found "qwen*"']),
        ({"max_tokens": 0}, [".max_tokens: expected a whole number from 1 to 1000000000, found 0"]),
        ({"when": {"subagent": "yes"}}, ['.when.subagent: expected true or false, found "yes"']),
        ({"when": {"client": 5}}, [f".when.client: expected {NAMES}, found 5"]),
        ({"when": {"hours": "8-10"}}, ['.when.hours: expected local times such as 08:00-23:30, found "8-10"']),
        (
            {"when": {"tokens_over": 9, "tokens_under": 9}},
            [f".when.tokens_under: expected {APART}, found 9"],
        ),
        ({"when": []}, [".when: expected an object, found []"]),
        (5, [": expected an object, found 5"]),
    ],
)  # fmt: skip
def test_an_error_in_a_rule_has_its_path(rule: Any, faults: list[str]) -> None:
    assert faults_of(rule) == faults


@pytest.mark.parametrize("effort", ["hgih", ["hgih"], 5])
def test_an_unknown_effort_is_an_error(effort: Any) -> None:
    (fault,) = faults_of({"when": {"effort": effort}})
    assert fault.startswith(".when.effort") and '"xhigh"' in fault


def test_an_unknown_field_of_a_condition_is_reported_with_the_nearest_name() -> None:
    found = parse({"upstreams": UPSTREAMS, "routes": [{"when": {"sub_agent": True}}]})
    assert found.warnings == (
        "$.routes[0].when.sub_agent: unknown field, kept without effect; did you mean `subagent`?",
    )


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"set": {"model": "x"}}, [f".body.set.model: expected {OTHER}, found a value"]),
        ({"set": {"stream": True, "input": [], "user": "u"}}, [
            f".body.set.stream: expected {OTHER}, found a value",
            f".body.set.input: expected {OTHER}, found a value",
        ]),
        ({"remove": ["user", "messages"]}, [f'.body.remove[1]: expected {OTHER}, found "messages"']),
        ({"remove": "user"}, ['.body.remove: expected a list, found "user"']),
        ({"set": []}, [".body.set: expected an object, found []"]),
    ],
)  # fmt: skip
def test_what_only_switchyard_sets_cannot_be_changed_in_a_body(body: Any, faults: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"upstreams": [{**UPSTREAMS[0], "body": body}]})
    assert [str(fault).removeprefix("$.upstreams[0]") for fault in caught.value.faults] == faults


def test_the_changes_of_a_body_are_named_without_their_values() -> None:
    body = {"set": {"provider": {"sort": "price"}, "user": "u"}, "remove": ["service_tier"]}
    found = parse({"upstreams": [{**UPSTREAMS[0], "body": body}]})
    assert found.warnings == ()
    assert found.settings.upstreams[0].body.text == "sets provider, user; removes service_tier"

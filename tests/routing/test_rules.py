"""Which rule applies to a request: the first one whose condition matches."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.protocols.facts import Facts
from switchyard.protocols.names import ProtocolName
from switchyard.routing.rules import Ruled, find_rule, token_thresholds, wanted_facts
from switchyard.settings import RouteRule
from switchyard.settings_validation import parse

MONDAY_NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)


def rules(*entries: dict[str, Any]) -> tuple[RouteRule, ...]:
    return parse({"routes": list(entries)}).settings.routes


def applying(
    when: dict[str, Any],
    facts: Facts | None = None,
    protocol: ProtocolName = "messages",
    model: str = "claude-sonnet-5",
    home: str = "",
) -> bool:
    found = find_rule(rules({"when": when}), protocol, model, facts or Facts(), MONDAY_NOON, home)
    return found is not None


CLAUDE = Facts(program="claude-code", agent="claude-cli/2.1.332 (external, cli)")
CODEX = Facts(program="codex", agent="codex_exec/0.171.0")
SDK = Facts(agent="opencode/1.18")


@pytest.mark.parametrize(
    ("client", "facts", "expected"),
    [
        ("claude-code", CLAUDE, True),
        ("claude-code", CODEX, False),
        ("codex", CODEX, True),
        ("codex", SDK, False),
        ("opencode/*", SDK, True),
        ("claude-cli/*", CLAUDE, True),
        (["codex", "opencode/*"], SDK, True),
        (["codex", "opencode/*"], CLAUDE, False),
        ([], SDK, True),
        ("*", Facts(), False),
    ],
)
def test_a_client_is_a_program_or_a_pattern_of_the_user_agent(
    client: Any, facts: Facts, expected: bool
) -> None:
    assert applying({"client": client}, facts) is expected


@pytest.mark.parametrize("flag", ["subagent", "background", "compaction", "thinking", "web_search", "images"])
def test_a_flag_matches_requests_that_have_it_or_those_that_do_not(flag: str) -> None:
    having = replace(Facts(), **{flag: True})
    assert (applying({flag: True}, having), applying({flag: True})) == (True, False)
    assert (applying({flag: False}, having), applying({flag: False})) == (False, True)
    assert (applying({}, having), applying({})) == (True, True)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"protocol": "messages"}, True),
        ({"protocol": ["chat", "responses"]}, False),
        ({"model": "claude-*"}, True),
        ({"model": ["gpt-*", "CLAUDE-SONNET-5"]}, True),
        ({"model": "gpt-*"}, False),
        ({"effort": "high"}, True),
        ({"effort": ["low", "max"]}, False),
        ({"client_key": "my *"}, True),
        ({"client_key": "other"}, False),
        ({"tokens_over": 999}, True),
        ({"tokens_over": 1000}, False),
        ({"tokens_under": 1001}, True),
        ({"tokens_under": 1000}, False),
        ({"weekdays": ["mon"]}, True),
        ({"weekdays": ["tue"]}, False),
        ({"hours": "08:00-18:00"}, True),
        ({"hours": "18:00-08:00"}, False),
        ({"effort": "high", "weekdays": ["tue"]}, False),
    ],
)
def test_all_that_a_condition_states_must_be_so(when: dict[str, Any], expected: bool) -> None:
    assert applying(when, Facts(effort="high", client_key="my laptop", tokens=1000)) is expected


@pytest.mark.parametrize(
    ("pattern", "project", "home", "expected"),
    [
        ("/home/me/company/*", "/home/me/company/app", "", True),
        ("~/company/*", "/home/me/company/a/b", "", True),
        ("~/company/*", "/Users/me/company/a", "", True),
        ("~/company/*", "C:\\Users\\me\\company\\a", "", True),
        ("~/company/*", "/data/me/company/a", "/data/me", True),
        ("~/company/*", "/data/meme/company/a", "/data/me", False),
        ("~/company/*", "/data/me/company/a", "", False),
        ("~/company/*", "/home/me/private/a", "/home/me", False),
        ("~", "/home/me", "", True),
        ("*", "", "", False),
        (["/x", "/y*"], "/yz", "", True),
    ],
)
def test_a_project_is_a_path_in_which_a_tilde_is_a_home_folder(
    pattern: Any, project: str, home: str, expected: bool
) -> None:
    assert applying({"project": pattern}, Facts(project=project), home=home) is expected


def test_the_first_rule_that_matches_decides() -> None:
    ordered = rules(
        {"when": {"subagent": True}, "model": "a"},
        {"name": "all", "model": "b"},
        {"when": {"subagent": False}, "model": "c"},
    )
    first = find_rule(ordered, "messages", "m", Facts(subagent=True), MONDAY_NOON)
    second = find_rule(ordered, "messages", "m", Facts(), MONDAY_NOON)
    assert (first, second) == (Ruled(1, ordered[0]), Ruled(2, ordered[1]))
    assert first is not None and second is not None
    assert [first.text, second.text, first.label, second.label] == ["rule 1", 'rule "all"', "1", "all"]


def test_no_rule_applies_where_the_model_name_selects_an_upstream() -> None:
    assert find_rule(rules({}), "messages", "u,m", Facts(), MONDAY_NOON) is None
    assert find_rule((), "messages", "m", Facts(), MONDAY_NOON) is None


def test_a_rule_names_the_facts_of_the_body_that_it_needs() -> None:
    ordered = rules(
        {"when": {"subagent": True, "client": "codex", "tokens_over": 5}},
        {"when": {"images": False, "project": "~/x", "tokens_under": 3}},
        {"when": {"effort": ["low"]}},
    )
    assert wanted_facts(ordered) == {"images", "project", "effort"}
    assert wanted_facts(ordered[:1]) == frozenset()
    assert token_thresholds(ordered) == [5, 3]

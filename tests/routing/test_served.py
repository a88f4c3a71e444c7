"""The models that clients can request."""

from collections.abc import Callable
from typing import Any

import pytest

from switchyard.protocols.facts import CLAUDE_CODE, Facts
from switchyard.protocols.names import ModelName, ProtocolName
from switchyard.routing.lineup import served_by_rule
from switchyard.routing.served import is_served, served_models, usable_window, window_of
from switchyard.settings import Settings, Upstream
from switchyard.settings_validation import parse

LOCAL = {
    "name": "local",
    "base_url": "http://localhost:8000",
    "protocol": "chat",
    "clients": ["messages"],
    "models": {"qwen3": "Qwen/Qwen3-32B", "claude-*": "Qwen/Qwen3-32B"},
    "context_window": 32_768,
}
LARGE = {
    "name": "large",
    "base_url": "http://localhost:9000",
    "protocol": "responses",
    "models": ["qwen3", "gpt-oss"],
    "context_window": 65_536,
}
DEMO: dict[str, object] = {"name": "demo", "base_url": "demo:"}


def settings(*upstreams: dict[str, object], **more: object) -> Settings:
    return parse({"upstreams": list(upstreams), **more}).settings


def test_a_prompt_goes_where_it_fits_so_the_largest_window_behind_a_name_counts() -> None:
    assert served_models(settings(LOCAL, LARGE)) == {"qwen3": 65_536, "gpt-oss": 65_536}


def test_only_the_asking_clients_upstreams_count() -> None:
    assert served_models(settings(LOCAL, LARGE), "responses") == {"qwen3": 65_536, "gpt-oss": 65_536}


def test_a_disabled_upstream_serves_nothing() -> None:
    assert served_models(settings(LOCAL | {"enabled": False}, LARGE)) == {"qwen3": 65_536, "gpt-oss": 65_536}


def test_the_demo_shows_its_names_only_to_clients_it_answers() -> None:
    assert list(served_models(settings(DEMO, LOCAL))) == ["gpt-5.5", "qwen3"]


def test_names_of_model_rules_are_served_too() -> None:
    rules = [{"from": "gpt-4", "to": "qwen3", "clients": ["chat"]}, {"from": "gpt-9*", "to": "qwen3"}]
    asked = settings(LARGE, model_rules=rules)
    assert list(served_models(asked, "chat")) == ["gpt-4", "qwen3", "gpt-oss"]
    assert list(served_models(asked, "messages")) == ["qwen3", "gpt-oss"]


ANTHROPIC = {"name": "a", "base_url": "https://api.anthropic.com", "protocol": "messages"}
OPENAI = {"name": "o", "base_url": "https://api.openai.com/v1", "protocol": "responses"}
CLAUDE = ["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"]


@pytest.mark.parametrize(
    ("entries", "protocol", "listed"),
    [
        ([ANTHROPIC, OPENAI], "messages", [*CLAUDE, "gpt-5.5"]),
        ([ANTHROPIC], "responses", CLAUDE),
        ([OPENAI], "messages", ["gpt-5.5"]),
        ([OPENAI], "chat", ["gpt-5.5"]),
        ([OPENAI | {"enabled": False}], "chat", []),
        ([LOCAL, OPENAI], "responses", ["gpt-5.5"]),
    ],
)
def test_only_what_is_routed_is_listed(
    entries: list[dict[str, object]], protocol: ProtocolName, listed: list[str]
) -> None:
    found = served_models(settings(*entries), protocol)
    assert list(found) == listed


def test_a_name_that_a_rule_leads_away_from_its_entry_is_not_listed() -> None:
    rules = [{"from": "qwen3", "to": "elsewhere"}, {"from": "gpt-4", "to": "gpt-oss", "protocols": ["chat"]}]
    assert list(served_models(settings(LARGE, model_rules=rules), "responses")) == ["gpt-oss"]


def test_a_window_that_nobody_states_is_unknown() -> None:
    unstated = {name: value for name, value in LARGE.items() if name != "context_window"}
    assert served_models(settings(unstated), "chat") == {"qwen3": 0, "gpt-oss": 0}
    # a prompt that exceeds the known window goes to the one that states none
    assert served_models(settings(unstated, LOCAL), "messages")["qwen3"] == 0


@pytest.mark.parametrize(
    ("model", "window"), [("claude-anything", 32_768), ("gpt-oss", 65_536), ("unheard-of", None)]
)
def test_a_single_name_need_not_be_listed_to_be_routed(model: str, window: int | None) -> None:
    assert window_of(settings(LOCAL, LARGE), model, "messages") == window


@pytest.mark.parametrize(
    ("entries", "rules", "window"),
    [
        ([LOCAL, LARGE], [], 65_536),
        ([LOCAL, LARGE | {"role": "backup"}], [], 32_768),
        ([LOCAL, LARGE | {"role": "rescue"}], [], 32_768),
        ([LOCAL | {"role": "backup"}, LARGE | {"role": "backup"}], [], 65_536),
        ([LOCAL, LARGE | {"models": ["other"]}], [], 32_768),
        # long prompts go there by a rule, whatever its role
        ([LOCAL, LARGE | {"role": "backup"}], [{"when": {"tokens_over": 9000}, "upstreams": ["large"]}], 65_536),
        ([LOCAL, LARGE], [{"when": {"tokens_under": 9000}, "upstreams": ["local"], "only": True}], 65_536),
        ([LOCAL, LARGE], [{"when": {"client": "claude-code"}, "upstreams": ["local"], "only": True}], 32_768),
        ([LOCAL, LARGE], [{"when": {"client": "codex"}, "upstreams": ["local"], "only": True}], 65_536),
        ([LOCAL, LARGE], [{"when": {"subagent": True}, "upstreams": ["local"], "only": True}], 65_536),
    ],
)  # fmt: skip
def test_the_window_of_a_client_is_that_of_the_upstreams_that_routing_chooses(
    entries: list[dict[str, object]], rules: list[dict[str, object]], window: int
) -> None:
    asked = settings(*entries, routes=rules)
    assert usable_window(asked, "messages", "qwen3", CLAUDE_CODE) == window


def test_an_unlikely_upstream_does_not_count_for_the_window() -> None:
    entries: list[dict[str, object]] = [OPENAI | {"context_window": 400_000}, LOCAL]
    assert usable_window(settings(*entries), "messages", "claude-opus-4-5", CLAUDE_CODE) == 32_768
    assert usable_window(settings(*entries), "chat", "unheard-of") == 400_000


NAMED = {"when": {"model": "fast"}, "upstreams": ["local"], "model": "qwen3-coder"}


@pytest.mark.parametrize(
    ("rule", "listed"),
    [
        (NAMED, ["fast", "qwen3", "gpt-oss"]),
        (NAMED | {"when": {"model": ["fast", "quick", "fast-*"]}}, ["fast", "quick", "qwen3", "gpt-oss"]),
        (NAMED | {"when": {"model": "fast", "client": "claude-code"}}, ["fast", "qwen3", "gpt-oss"]),
        (NAMED | {"when": {"model": "fast", "client": "codex"}}, ["qwen3", "gpt-oss"]),
        (NAMED | {"when": {"model": "fast", "subagent": True}}, ["qwen3", "gpt-oss"]),
        (NAMED | {"when": {"model": "fast", "protocol": "chat"}}, ["qwen3", "gpt-oss"]),
        (NAMED | {"upstreams": []}, ["qwen3", "gpt-oss"]),
        (NAMED | {"upstreams": [], "model": "gpt-oss"}, ["fast", "qwen3", "gpt-oss"]),
        ({"upstreams": ["local"], "only": True}, ["qwen3"]),
        ({"upstreams": ["local"], "only": True, "model": "qwen3"}, ["qwen3", "gpt-oss"]),
        ({"upstreams": ["local"]}, ["qwen3", "gpt-oss"]),
        ({"when": {"hours": "08:00-09:00"}, "upstreams": ["local"], "only": True}, ["qwen3", "gpt-oss"]),
        ({"when": {"client_key": "mine"}, "upstreams": ["local"], "only": True}, ["qwen3"]),
    ],
)
def test_the_list_follows_the_rules_for_the_client_that_asks(
    rule: dict[str, object], listed: list[str]
) -> None:
    client = Facts(program="claude-code", client_key="mine")
    assert list(served_models(settings(LOCAL, LARGE, routes=[rule]), "messages", client=client)) == listed


def test_what_a_rule_leads_to_an_upstream_is_served() -> None:
    asked = settings(LOCAL, routes=[NAMED])
    assert [is_served(asked, "messages", model) for model in ("fast", "qwen3", "other")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("role", "listed"), [("primary", ["qwen3"]), ("backup", ["qwen3"]), ("rescue", [])])
def test_what_only_a_rescue_upstream_has_is_not_listed(role: str, listed: list[str]) -> None:
    assert list(served_models(settings(LOCAL | {"role": role}), "messages")) == listed


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("claude-switchyard-qwen3", ModelName("qwen3")),
        ("Claude-Switchyard-Qwen/Qwen3-32B[1m]", ModelName("Qwen/Qwen3-32B")),
        ("local,claude-switchyard-qwen3", ModelName("qwen3", "local")),
        ("claude-switchyard-", ModelName("claude-switchyard-")),
        ("claude-sonnet-4-5", ModelName("claude-sonnet-4-5")),
    ],
)
def test_the_alias_for_claude_code_is_understood(text: str, name: ModelName) -> None:
    assert ModelName.read(text) == name


@pytest.mark.parametrize("rule", [{}, {"upstreams": ["u7"]}, {"upstreams": ["u7"], "model": "other"}])
def test_a_list_of_models_looks_at_few_of_many_upstreams(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, object]
) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr("switchyard.routing.served.served_by_rule", _counted(served_by_rule, looked_at))
    upstreams = [LARGE | {"name": f"u{number}", "models": [f"model-{number}"]} for number in range(100)]
    listed = served_models(settings(*upstreams, routes=[{"when": {}, **rule}] if rule else []), "chat")
    assert set(listed) >= {f"model-{number}" for number in range(100)}
    assert len(looked_at) <= 2 * len(listed)


def _counted(serve: Callable[..., Any], looked_at: list[str]) -> Callable[..., Any]:
    def counting(rules: object, upstream: Upstream, *rest: object) -> Any:
        looked_at.append(upstream.name)
        return serve(rules, upstream, *rest)

    return counting

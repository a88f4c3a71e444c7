"""The models that clients can request."""

import pytest

from switchyard.protocols.names import ModelName, ProtocolName
from switchyard.routing.served import served_models, smallest_window
from switchyard.settings import Settings, parse

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


def test_the_smallest_window_behind_a_name_is_the_one_to_rely_on() -> None:
    assert served_models(settings(LOCAL, LARGE)) == {"qwen3": 32_768, "gpt-oss": 65_536}


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


@pytest.mark.parametrize(
    ("protocol", "model", "window"),
    [
        ("messages", "", 32_768),
        ("messages", "claude-opus-4-5", 32_768),
        ("messages", "gpt-oss", 65_536),
        ("responses", "", 65_536),
        ("chat", "unheard-of", 0),
    ],
)
def test_the_window_of_a_client_is_the_smallest_that_may_answer(
    protocol: ProtocolName, model: str, window: int
) -> None:
    assert smallest_window(settings(LOCAL, LARGE), protocol, model) == window


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

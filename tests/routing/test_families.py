"""Whose model a name is, and where it is unlikely to be served."""

from typing import Any

import pytest

from switchyard.routing.families import family_of, official_families, unlikely_reason
from switchyard.settings import Upstream


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-5", "claude"),
        ("anthropic/Claude-Sonnet-4-5", "claude"),
        ("gpt-5.5", "gpt"),
        ("o3-mini", "gpt"),
        ("codex-mini-latest", "gpt"),
        ("gpt-oss-120b", ""),
        ("gemini-3-pro", "gemini"),
        ("deepseek-chat", "deepseek"),
        ("qwen3-coder", "qwen"),
        ("glm-4.7", "glm"),
        ("kimi-k2", "kimi"),
        ("moonshot-v1-8k", "kimi"),
        ("grok-4", "grok"),
        ("devstral-small", "mistral"),
        ("MiniMax-M2", "minimax"),
        ("my-deployment", ""),
        ("oxford", ""),
        ("", ""),
    ],
)
def test_a_model_name_tells_its_family(model: str, family: str) -> None:
    assert family_of(model) == family


@pytest.mark.parametrize(
    ("base_url", "families"),
    [
        ("https://api.anthropic.com", ("claude",)),
        ("https://API.openai.com/v1", ("gpt",)),
        ("https://coding.dashscope.aliyuncs.com/v1", ("qwen", "deepseek", "glm", "kimi", "minimax")),
        ("https://api.anthropic.com.relay.example", ()),
        ("https://openrouter.ai/api/v1", ()),
        ("http://localhost:8000", ()),
        ("demo:", ()),
    ],
)
def test_only_official_hosts_are_in_the_table(base_url: str, families: tuple[str, ...]) -> None:
    assert official_families(base_url) == families


ANTHROPIC: dict[str, Any] = {"base_url": "https://api.anthropic.com", "protocol": "messages"}
OPENAI: dict[str, Any] = {"base_url": "https://api.openai.com/v1", "protocol": "responses"}
DEEPSEEK: dict[str, Any] = {"base_url": "https://api.deepseek.com/anthropic", "protocol": "messages"}


@pytest.mark.parametrize(
    ("entry", "model", "unlikely"),
    [
        (ANTHROPIC, "gpt-5.5", True),
        (ANTHROPIC, "claude-opus-4-5", False),
        (ANTHROPIC, "my-own-name", False),
        (OPENAI, "claude-opus-4-5", True),
        (OPENAI, "gpt-5.5", False),
        (DEEPSEEK, "gpt-5.5", True),
        # a vendor's Messages endpoint is made for Claude Code and accepts its model names
        (DEEPSEEK, "claude-opus-4-5", False),
        (DEEPSEEK | {"protocol": "chat"}, "claude-opus-4-5", True),
        (ANTHROPIC | {"models": ["*"]}, "gpt-5.5", False),
        (ANTHROPIC | {"models": {"gpt-*": "gpt-5.5"}}, "gpt-5.5", False),
        (ANTHROPIC | {"model": "gpt-5.5"}, "gpt-5.5", False),
        (ANTHROPIC | {"clients": ("responses",)}, "gpt-5.5", False),
        ({"base_url": "https://relay.example", "protocol": "messages"}, "gpt-5.5", False),
    ],
)
def test_an_official_host_is_unlikely_for_the_models_of_other_vendors(
    entry: dict[str, Any], model: str, unlikely: bool
) -> None:
    assert bool(unlikely_reason(Upstream(name="u", **entry), model)) is unlikely


def test_the_reason_names_the_host_the_model_and_the_remedy() -> None:
    assert unlikely_reason(Upstream(name="u", **ANTHROPIC), "gpt-5.5") == (
        "api.anthropic.com serves claude models and probably not gpt-5.5; if it does, set `models` or `clients`"
    )

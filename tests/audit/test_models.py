"""When two names mean one model, and when they do not."""

import pytest

from switchyard.audit.models import same_model

SAME = [
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5@20250929"),
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
    ("claude-opus-4-5[1m]", "claude-opus-4-5"),
    ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
    ("anthropic/claude-3.5-haiku", "claude-haiku-3-5"),
    ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
    ("sonnet", "claude-sonnet-4-5"),
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4", "gpt-4-0613"),
    ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    ("gpt-4-turbo-preview", "gpt-4-0125-preview"),
    ("gpt-5.5", "gpt-5.5-2026-04-23"),
    ("chatgpt-4o-latest", "gpt-4o"),
    ("o3", "o3-2025-04-16"),
    ("gpt-oss-120b", "openai/gpt-oss-120b"),
    ("mistral-large-latest", "mistral-large-2411"),
    ("grok-4", "grok-4-0709"),
    ("glm-4.6", "GLM-4.6"),
    ("qwen3-coder", "Qwen/Qwen3-Coder-480B-A35B-Instruct"),
    ("qwen3-32b", "Qwen/Qwen3-32B-AWQ"),
    ("qwen3-32b", "/models/qwen3-32b-q4_k_m.gguf"),
    ("qwen-max", "qwen-max-2025-01-25"),
    ("deepseek-chat", "deepseek-v3.2"),
    ("deepseek/deepseek-chat-v3.1:free", "deepseek-chat-v3.1"),
    ("deepseek-r1", "deepseek-r1-0528"),
    ("kimi-k2", "kimi-k2-0905-preview"),
    ("kimi-latest", "moonshot-v1-32k"),
    ("gemini-flash-latest", "gemini-2.5-flash-preview-09-2025"),
    ("gemini-2.5-flash", "models/gemini-2.5-flash-001"),
    ("llama-3.3-70b", "meta-llama/Llama-3.3-70B-Instruct"),
]
OTHER = [
    ("claude-opus-5-6", "claude-opus-5-5"),
    ("claude-opus-4-5", "claude-sonnet-4-5"),
    ("claude-opus-4-5", "glm-4.6"),
    ("claude-opus-4-1-20250805", "claude-opus-4-20250514"),
    ("claude-sonnet-4-5", "claude-sonnet-4"),
    ("claude-sonnet-4-5", "claude-3-5-sonnet-20241022"),
    ("sonnet", "gpt-5"),
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4", "gpt-4-turbo"),
    ("gpt-5", "gpt-5-mini"),
    ("gpt-5", "gpt-5.1"),
    ("gpt-5-codex", "gpt-5"),
    ("gpt-5.5", "deepseek-v3"),
    ("o3", "o3-mini"),
    ("qwen3-235b", "qwen3-32b"),
    ("llama-3.3-70b", "llama-3.1-8b"),
    ("deepseek-chat", "qwen3-32b"),
    ("gemini-2.5-pro", "gemini-2.5-flash"),
    ("grok-4", "grok-4-fast"),
    ("glm-4.6", "glm-4.5-air"),
    ("kimi-k2", "kimi-k1.5"),
    ("mistral-large-latest", "mistral-small-2503"),
]


@pytest.mark.parametrize(("requested", "answered"), SAME)
def test_aliases_and_dated_names_are_the_same_model(requested: str, answered: str) -> None:
    assert same_model(requested, answered)


@pytest.mark.parametrize(("requested", "answered"), OTHER)
def test_another_version_size_or_vendor_is_another_model(requested: str, answered: str) -> None:
    assert not same_model(requested, answered)


@pytest.mark.parametrize("name", ["", "-", "model", "a" * 500, "日本", "///", "@:[]"])
def test_any_name_is_the_same_as_itself(name: str) -> None:
    assert same_model(name, name)

"""What is suggested for a mapping, from the lists that known services give."""

import pytest

from switchyard.routing.suggestions import suggest_mapping

DEEPSEEK = ["deepseek-chat", "deepseek-reasoner"]
GLM = ["glm-4.5", "glm-4.5-air", "glm-4.6", "embedding-3"]
QWEN = ["qwen3-max", "qwen3-coder-plus", "qwen-flash", "text-embedding-v4", "qwen3-vl-plus"]
GROQ = ["whisper-large-v3", "llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b"]
OPENROUTER = [
    "anthropic/claude-sonnet-4.5",
    "anthropic/claude-opus-4.5",
    "anthropic/claude-haiku-4.5",
    "openai/gpt-5.5",
    "openai/gpt-5-mini",
    "qwen/qwen3-coder-480b",
]
OLLAMA = ["nomic-embed-text:latest", "qwen3:32b", "llama3.2:3b"]


def mapped(opus: str, sonnet: str, haiku: str, gpt: str) -> dict[str, str]:
    return {"claude-opus-*": opus, "claude-sonnet-*": sonnet, "claude-haiku-*": haiku, "gpt-*": gpt}


@pytest.mark.parametrize(
    ("names", "suggested"),
    [
        (DEEPSEEK, mapped(*["deepseek-chat"] * 4)),
        (GLM, mapped("glm-4.6", "glm-4.6", "glm-4.5-air", "glm-4.6")),
        (QWEN, mapped("qwen3-coder-plus", "qwen3-coder-plus", "qwen-flash", "qwen3-coder-plus")),
        (
            GROQ,
            mapped(
                "llama-3.3-70b-versatile",
                "llama-3.3-70b-versatile",
                "llama-3.1-8b-instant",
                "openai/gpt-oss-120b",
            ),
        ),
        (
            OPENROUTER,
            mapped(
                "anthropic/claude-opus-4.5",
                "anthropic/claude-sonnet-4.5",
                "anthropic/claude-haiku-4.5",
                "openai/gpt-5.5",
            ),
        ),
        (OLLAMA, mapped("qwen3:32b", "qwen3:32b", "llama3.2:3b", "qwen3:32b")),
    ],
    ids=["DeepSeek", "GLM", "Qwen", "Groq", "OpenRouter", "Ollama"],
)
def test_the_names_that_clients_request_lead_to_the_fitting_models(
    names: list[str], suggested: dict[str, str]
) -> None:
    assert suggest_mapping(names) == suggested


@pytest.mark.parametrize(
    "names", [[], ["text-embedding-3-large"], ["claude-opus-4-5", "glm-4.6"], ["gpt-5.5", "o3"]]
)
def test_nothing_is_suggested_where_nothing_fits_or_the_names_are_those_of_clients(names: list[str]) -> None:
    assert suggest_mapping(names) == {}

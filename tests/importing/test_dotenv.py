"""A .env file with the usual names becomes upstreams."""

import pytest

from switchyard.importing import merge, recognise_other
from switchyard.settings_validation import parse

TEXT = """# keys
export ANTHROPIC_BASE_URL="https://relay.example/anthropic"
ANTHROPIC_AUTH_TOKEN='sk-relay' # the relay
ANTHROPIC_DEFAULT_OPUS_MODEL=glm-5
ANTHROPIC_SMALL_FAST_MODEL=glm-5-air
ANTHROPIC_MODEL=glm-5[1m]
OPENAI_API_KEY=$MY_KEY
$env:OPENROUTER_API_KEY = "sk-or-1"
set DEEPSEEK_API_KEY=sk-ds
OLLAMA_BASE_URL=http://gpu:11434
UNRELATED=1
"""


def test_each_provider_becomes_an_upstream() -> None:
    imported = recognise_other(TEXT.encode())
    assert imported is not None and imported.notes == ()
    assert imported.document["upstreams"] == [
        {
            "name": "relay.example",
            "base_url": "https://relay.example/anthropic",
            "key": "sk-relay",
            "protocol": "messages",
            "models": {"*opus*": "glm-5", "*haiku*": "glm-5-air", "*": "glm-5"},
        },
        {"name": "OpenAI", "base_url": "https://api.openai.com/v1", "key": "env:MY_KEY", "protocol": "chat"},
        {
            "name": "OpenRouter",
            "base_url": "https://openrouter.ai/api/v1",
            "key": "sk-or-1",
            "protocol": "chat",
        },
        {"name": "DeepSeek", "base_url": "https://api.deepseek.com", "key": "sk-ds", "protocol": "chat"},
        {"name": "Ollama", "base_url": "http://gpu:11434", "key": "", "protocol": "chat"},
    ]
    assert imported.origins[0] == "ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL"
    parse(merge({"upstreams": []}, imported)[0])


@pytest.mark.parametrize(
    ("line", "upstreams", "note"),
    [
        ("OPENAI_BASE_URL=here\nOPENAI_API_KEY=k", 0, "OPENAI_BASE_URL: skipped, it is no http(s) address"),
        ("DEEPSEEK_API_KEY=在此填写", 1, "DEEPSEEK_API_KEY: it has characters that no key has"),
    ],
)
def test_what_cannot_be_used_is_named(line: str, upstreams: int, note: str) -> None:
    imported = recognise_other(line.encode())
    assert imported is not None and len(imported.document["upstreams"]) == upstreams
    assert imported.notes[0].startswith(note)
    assert not any(entry.get("enabled", True) for entry in imported.document["upstreams"])


@pytest.mark.parametrize("text", ["A=1\n", "", "# OPENAI_API_KEY=x\n", '{"OPENAI_API_KEY": "x"}', "hello"])
def test_other_texts_are_not_taken_for_one(text: str) -> None:
    assert recognise_other(text.encode()) is None

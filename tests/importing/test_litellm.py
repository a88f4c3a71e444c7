"""The config.yaml of a LiteLLM proxy becomes upstreams with their models."""

import pytest

from switchyard.importing import UnknownFormat, merge, recognise_other
from switchyard.importing.imported import Imported
from switchyard.settings_validation import parse

CONFIG = """
model_list:
  - model_name: gpt-4o            # received name
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_EU"
      api_version: "2024-02-01"
      rpm: 6
  - model_name: sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: opus
    litellm_params: {model: claude-opus-4-5}
  - model_name: coder
    litellm_params:
      model: openai/qwen3-coder
      api_base: http://localhost:8000/v1
      api_key: none
      stream_timeout: 600
  - model_name: small
    litellm_params: {model: hosted_vllm/qwen3-4b, api_base: "http://localhost:8000/v1", api_key: none}
  - model_name: anything
    litellm_params: {model: openrouter/*, api_key: sk-or}
  - model_name: rock
    litellm_params: {model: bedrock/anthropic.claude-v2}
router_settings:
  model_group_alias: {"gpt-4": "gpt-4o"}
litellm_settings:
  fallbacks: [{"gpt-4o": ["sonnet"]}]
general_settings:
  master_key: sk-1234
"""


def imported(text: str) -> Imported:
    found = recognise_other(text.encode())
    assert found is not None
    return found


def test_models_are_joined_by_address_and_key() -> None:
    found = imported(CONFIG)
    assert found.document == {
        "upstreams": [
            {
                "name": "my-endpoint.openai.azure.com",
                "base_url": "https://my-endpoint.openai.azure.com/",
                "key": "env:AZURE_API_KEY_EU",
                "protocol": "chat",
                "models": {"gpt-4o": "gpt-4o-eu"},
                "api_version": "2024-02-01",
                "auth": "api-key",
                "requests_per_minute": 6,
            },
            {
                "name": "Anthropic",
                "base_url": "https://api.anthropic.com",
                "key": "env:ANTHROPIC_API_KEY",
                "protocol": "messages",
                "models": {"sonnet": "claude-sonnet-4-5", "opus": "claude-opus-4-5"},
            },
            {
                "name": "localhost:8000",
                "base_url": "http://localhost:8000/v1",
                "key": "none",
                "protocol": "chat",
                "models": {"coder": "qwen3-coder", "small": "qwen3-4b"},
                "timeouts": {"first_byte": 600},
            },
            {
                "name": "OpenRouter",
                "base_url": "https://openrouter.ai/api/v1",
                "key": "sk-or",
                "protocol": "chat",
            },
        ],
        "model_rules": [{"from": "gpt-4", "to": "gpt-4o"}],
    }
    assert found.notes == (
        'model_list[6] "rock": skipped, the provider "bedrock" is not supported',
        "litellm_settings.fallbacks: not imported; Switchyard tries the upstreams in their order",
        "general_settings.master_key: not imported; create a client key on the page Clients",
    )
    parse(merge({"upstreams": []}, found)[0])


@pytest.mark.parametrize(
    ("params", "note"),
    [
        ("{model: openai/x, api_base: os.environ/BASE}", "it names no address or no model"),
        ("{model: x}", "its provider is not known"),
        ("{}", "its provider is not known"),
        ("{model: deepseek/x, api_base: 'ftp://x'}", '"ftp://x" is no http(s) address'),
        ("5", "its provider is not known"),
    ],
)
def test_what_cannot_be_used_is_named(params: str, note: str) -> None:
    found = imported(f"model_list:\n  - model_name: m\n    litellm_params: {params}\n")
    if "openai" in params:
        # the default address is used where the given one is in a variable
        assert found.document["upstreams"][0]["base_url"] == "https://api.openai.com/v1"
    else:
        assert found.document["upstreams"] == [] and found.notes == (f'model_list[0] "m": skipped, {note}',)


def test_broken_yaml_is_an_error_with_its_position() -> None:
    with pytest.raises(UnknownFormat, match="not valid YAML: line 3, column 4"):
        imported("model_list:\n  - [a\n  b: c\n")


def test_yaml_cannot_create_objects() -> None:
    with pytest.raises(UnknownFormat, match="could not determine a constructor"):
        imported("model_list: !!python/object/apply:os.system ['true']\n")

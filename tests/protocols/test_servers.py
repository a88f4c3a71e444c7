"""The starting rows of the capability record, and how they are found and overridden."""

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import PROTOCOLS
from switchyard.protocols.servers import ROWS, capabilities_of, server_kind


@pytest.mark.parametrize(
    ("kind", "address", "known"),
    [
        ("auto", "https://api.anthropic.com", "anthropic"),
        ("auto", "https://api.openai.com/v1", "openai"),
        ("auto", "https://my.openai.azure.com/openai", "azure"),
        ("auto", "https://api.deepseek.com/anthropic", "deepseek"),
        ("auto", "http://localhost:11434/v1", "ollama"),
        ("auto", "http://10.0.0.7:1234", "lmstudio"),
        ("auto", "https://notapi.openai.com.example.com", ""),
        ("auto", "https://api.openai.com.evil.example", ""),
        ("auto", "http://localhost:8000/v1", ""),
        ("vllm", "http://localhost:8000/v1", "vllm"),
        ("tgi", "https://api.openai.com", "tgi"),
    ],
)
def test_the_kind_of_server_is_named_or_told_by_the_address(kind: str, address: str, known: str) -> None:
    assert server_kind(kind, address) == known


@pytest.mark.parametrize("kind", ["auto", *ROWS])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_kind_has_a_valid_record_for_every_protocol(kind: str, protocol: str) -> None:
    assert isinstance(capabilities_of(kind, "http://h", protocol), Capabilities)  # type: ignore[arg-type]


def test_the_vendors_own_protocols_need_no_repair() -> None:
    assert capabilities_of("auto", "https://relay.example/v1", "messages") == Capabilities()
    assert capabilities_of("auto", "https://relay.example/v1", "responses") == Capabilities()


@pytest.mark.parametrize(
    ("kind", "protocol", "told"),
    [
        ("anthropic", "messages", {"mid_system": True, "billing_line": True, "reasoning_effort": "adaptive"}),
        (
            "openai",
            "chat",
            {"max_tokens_field": "max_completion_tokens", "custom_tools": True, "top_k": False},
        ),
        ("openai", "responses", {"compaction": True, "responses_items": True}),
        ("vllm", "chat", {"mid_system": False, "reasoning_effort": "template", "max_tokens_field": "either"}),
        ("llama.cpp", "messages", {"mid_system": False, "signed_thinking": False, "billing_line": False}),
        (
            "ollama",
            "chat",
            {"image_urls": False, "forced_tool_choice": False, "max_tokens_field": "max_tokens"},
        ),
        ("lmstudio", "chat", {"max_tokens_field": "max_tokens"}),
        ("lmstudio", "responses", {"responses_items": False, "custom_tools": False}),
        ("tgi", "chat", {"parallel_tool_calls": False, "max_tokens_field": "max_tokens"}),
        ("fastchat", "chat", {"tools": False, "content_parts": False, "include_usage": False}),
        (
            "deepseek",
            "chat",
            {"reasoning_history": "required", "images": False, "max_tokens_field": "max_tokens"},
        ),
        ("deepseek", "chat", {"thinking_switch": True, "efforts": ("high", "max")}),
        ("auto", "chat", {"developer_role": False, "openai_extras": False, "images": True}),
    ],
)
def test_the_row_of_a_kind_tells_what_it_lacks(kind: str, protocol: str, told: dict[str, object]) -> None:
    record = capabilities_of(kind, "http://h", protocol)  # type: ignore[arg-type]
    assert {name: getattr(record, name) for name in told} == told


def test_later_overrides_are_stronger() -> None:
    learned, written = {"images": False, "stop": False}, {"images": True}
    record = capabilities_of("tgi", "http://h", "chat", learned, written)
    assert (record.images, record.stop, record.parallel_tool_calls) == (True, False, False)

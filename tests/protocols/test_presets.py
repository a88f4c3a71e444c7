"""The starting rows of the capability record, and how they are found and overridden."""

from typing import get_args

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.presets import (
    LOCAL_SERVERS,
    ROWS,
    capabilities_of,
    is_local_server,
    server_kind,
)
from switchyard.settings import ServerKind


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
def test_the_kind_of_server_is_named_or_reported_by_the_address(kind: str, address: str, known: str) -> None:
    assert server_kind(kind, address) == known


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("http://localhost:11434/v1", True),
        ("http://127.0.0.1:11434", True),
        ("http://[::1]:1234/v1", True),
        ("http://192.168.1.20:1234/v1/chat/completions", True),
        ("http://10.0.0.7:11434", True),
        ("http://172.16.3.4:11434", True),
        ("http://[fd00::7]:11434", True),
        ("http://box.local:11434", True),
        ("http://app.localhost:1234", True),
        # nothing tells what these are: relays listen on such ports too
        ("http://127.0.0.1:5102", False),
        ("http://localhost:8000/v1", False),
        ("http://192.168.1.20", False),
        ("https://localhost", False),
        # a known port, but not a machine of the user's own
        ("http://models.example.com:11434", False),
        ("http://8.8.8.8:1234", False),
        ("http://notlocalhost:11434", False),
        ("https://api.openai.com/v1", False),
        ("demo:", False),
    ],
)
def test_a_local_server_is_known_by_its_port_at_an_address_of_ones_own(address: str, is_local: bool) -> None:
    assert is_local_server("auto", address) is is_local


@pytest.mark.parametrize("address", ["http://127.0.0.1:5102", "https://models.example.com/v1"])
@pytest.mark.parametrize("kind", ROWS)
def test_a_server_that_the_user_names_is_local_wherever_it_is(kind: str, address: str) -> None:
    assert is_local_server(kind, address) is (kind in LOCAL_SERVERS)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "deepseek"])
def test_what_the_user_names_goes_before_the_port(kind: str) -> None:
    assert not is_local_server(kind, "http://localhost:11434")


@pytest.mark.parametrize("kind", ["auto", *ROWS])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_kind_has_a_valid_record_for_every_protocol(kind: str, protocol: ProtocolName) -> None:
    assert isinstance(capabilities_of(kind, "http://h", protocol), Capabilities)


def test_the_vendors_own_protocols_need_no_repair() -> None:
    assert capabilities_of("auto", "https://relay.example/v1", "messages") == Capabilities()
    assert capabilities_of("auto", "https://relay.example/v1", "responses") == Capabilities()


@pytest.mark.parametrize(
    ("kind", "protocol", "reported"),
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
def test_the_row_of_a_kind_reports_what_it_lacks(
    kind: str, protocol: ProtocolName, reported: dict[str, object]
) -> None:
    record = capabilities_of(kind, "http://h", protocol)
    assert {name: getattr(record, name) for name in reported} == reported


def test_later_overrides_are_stronger() -> None:
    learned, written = {"images": False, "stop": False}, {"images": True}
    record = capabilities_of("tgi", "http://h", "chat", learned, written)
    assert (record.images, record.stop, record.parallel_tool_calls) == (True, False, False)


def test_every_preset_can_be_named_in_the_settings() -> None:
    assert {"auto", *ROWS} == set(get_args(ServerKind))

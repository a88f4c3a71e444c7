"""Presets: what the known kinds of servers take, and where the known services listen.

They come from the servers' own documentation; the file may override each, and more is learned from refusals.
"""

from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import ProtocolName

Flags = dict[str, Any]

LOCAL_RESPONSES: Flags = dict(responses_items=False, custom_tools=False, hosted_web_search=False)
COMPATIBLE_MESSAGES: Flags = dict(
    billing_line=False,
    mid_system=False,
    context_management=False,
    signed_thinking=False,
    reasoning_effort="budget",
    hosted_web_search=False,
    files=False,
)
LOCAL_MESSAGES: Flags = COMPATIBLE_MESSAGES | dict(cache_control=False)
COMPATIBLE_CHAT: Flags = dict(
    developer_role=False, hosted_web_search=False, openai_extras=False, prompt_cache_key=False
)
LOCAL_CHAT: Flags = COMPATIBLE_CHAT | dict(files=False)
REASONS_BY_TEMPLATE: Flags = dict(
    mid_system=False, reasoning_effort="template", reasoning_history="reasoning_content", max_stops=64
)
OLDER: Flags = dict(
    max_tokens_field="max_tokens",
    mid_system=False,
    reasoning_effort="none",
    forced_tool_choice=False,
    parallel_tool_calls=False,
)


def _local(chat: Flags, messages: Flags | None = None) -> dict[ProtocolName, Flags]:
    """A server that people run on machines of their own."""
    return {
        "messages": LOCAL_MESSAGES | (messages or {}),
        "chat": LOCAL_CHAT | chat,
        "responses": LOCAL_RESPONSES,
    }


LOCAL_SERVERS: dict[str, dict[ProtocolName, Flags]] = {
    "vllm": _local(REASONS_BY_TEMPLATE | dict(continues_answer=True)),
    "llama.cpp": _local(REASONS_BY_TEMPLATE),
    "ollama": _local(
        dict(
            max_tokens_field="max_tokens",
            image_urls=False,
            forced_tool_choice=False,
            top_k=False,
            max_stops=64,
        ),
        messages=dict(image_urls=False, forced_tool_choice=False, error_results=False),
    ),
    "lmstudio": _local(dict(max_tokens_field="max_tokens", image_urls=False, mid_system=False, max_stops=64)),
    "sglang": _local(REASONS_BY_TEMPLATE),
    "tgi": _local(OLDER | dict(top_k=False)),
    "fastchat": _local(
        OLDER | dict(content_parts=False, tools=False, include_usage=False, json_schema=False, max_stops=64)
    ),
}
ROWS: dict[str, dict[ProtocolName, Flags]] = {
    "anthropic": {"messages": dict(reasoning_effort="adaptive")},
    "openai": {
        "chat": dict(custom_tools=True, top_k=False, max_tokens_field="max_completion_tokens"),
        "responses": dict(custom_tools=True, top_k=False, compaction=True),
    },
    "azure": {
        "chat": dict(top_k=False, max_tokens_field="max_completion_tokens"),
        "responses": dict(custom_tools=True, top_k=False, compaction=True),
    },
    **LOCAL_SERVERS,
    "deepseek": {
        "chat": COMPATIBLE_CHAT
        | dict(
            max_tokens_field="max_tokens",
            images=False,
            files=False,
            json_schema=False,
            reasoning_history="required",
            efforts=("high", "max"),
            thinking_switch=True,
            top_k=False,
            max_stops=16,
        ),
        # marks for caching are ignored, https://api-docs.deepseek.com/guides/anthropic_api
        "messages": COMPATIBLE_MESSAGES | dict(images=False),
    },
}
UNKNOWN: dict[ProtocolName, Flags] = {"chat": COMPATIBLE_CHAT}
"""Resellers: mostly the vendors' own behaviour; Chat relays stand before every kind of model."""


class Vendor(msgspec.Struct, frozen=True):
    """A service or a server that many people use, as the form of a new upstream offers it."""

    id: str
    """its kind, too, if it has a row in ROWS"""
    title: str
    urls: tuple[str, ...]
    """base URLs, the usual one first"""
    protocol: ProtocolName
    key_prefix: str = ""
    has_own_port: bool = False
    """nothing else usually listens at the port of its URL"""
    models_path: str = ""
    """of the list of models, where it is not beside the endpoint"""

    @property
    def kind(self) -> str:
        return self.id if self.id in ROWS else ""

    @property
    def needs_key(self) -> bool:
        return self.id not in LOCAL_SERVERS


RESOURCE = "your-resource"
"""in URLs of which each user has another one"""
VENDORS: tuple[Vendor, ...] = (
    Vendor("anthropic", "Anthropic", ("https://api.anthropic.com",), "messages", key_prefix="sk-ant-"),
    Vendor("openai", "OpenAI", ("https://api.openai.com/v1",), "responses", key_prefix="sk-proj-"),
    Vendor("azure", "Azure OpenAI", (f"https://{RESOURCE}.openai.azure.com",), "responses"),
    Vendor("openrouter", "OpenRouter", ("https://openrouter.ai/api",), "messages", key_prefix="sk-or-"),
    Vendor(
        "deepseek",
        "DeepSeek",
        ("https://api.deepseek.com/anthropic", "https://api.deepseek.com"),
        "messages",
        models_path="/models",
    ),
    Vendor(
        "kimi",
        "Kimi (Moonshot)",
        ("https://api.moonshot.cn/anthropic", "https://api.moonshot.ai/anthropic"),
        "messages",
        models_path="/v1/models",
    ),
    Vendor(
        "glm",
        "GLM (Zhipu, Z.ai)",
        ("https://open.bigmodel.cn/api/anthropic", "https://api.z.ai/api/anthropic"),
        "messages",
        models_path="/api/paas/v4/models",
    ),
    Vendor(
        "qwen",
        "Qwen (DashScope)",
        (
            "https://dashscope.aliyuncs.com/apps/anthropic",
            "https://dashscope-intl.aliyuncs.com/apps/anthropic",
        ),
        "messages",
        models_path="/compatible-mode/v1/models",
    ),
    Vendor(
        "minimax",
        "MiniMax",
        ("https://api.minimaxi.com/anthropic", "https://api.minimax.io/anthropic"),
        "messages",
        models_path="/v1/models",
    ),
    Vendor("groq", "Groq", ("https://api.groq.com/openai/v1",), "chat", key_prefix="gsk_"),
    Vendor("vllm", "vLLM", ("http://localhost:8000",), "chat"),
    Vendor("ollama", "Ollama", ("http://localhost:11434",), "chat", has_own_port=True),
    Vendor("lmstudio", "LM Studio", ("http://localhost:1234",), "chat", has_own_port=True),
    Vendor("llama.cpp", "llama.cpp", ("http://localhost:8080",), "chat"),
    Vendor("reseller", "", (), "messages"),
)
"""The last one is any other service: its protocol and the form of its URL are found by a test."""
KNOWN_HOSTS = {
    (urlsplit(url).hostname or "").removeprefix(RESOURCE): vendor.kind
    for vendor in VENDORS
    if vendor.kind and vendor.needs_key
    for url in vendor.urls
}
"""Host, or the end of it that all users share, and kind of each service that has a row."""
KNOWN_PORTS = {
    urlsplit(url).port: vendor.kind for vendor in VENDORS if vendor.has_own_port for url in vendor.urls
}
LOCAL_HEADERS = frozenset({"llama.cpp"})
"""the others send none, or that of their HTTP library"""
KNOWN_ADDRESSES = 16_384
"""more than there are upstreams: the dashboard asks for all of them in turn"""
LOCAL_FINGERPRINTS = frozenset({"fp_ollama"})


@lru_cache(maxsize=KNOWN_ADDRESSES)
def server_kind(kind: str, base_url: str) -> str:
    """The kind that the user names, or that the address shows; "" if it is not known."""
    if kind != "auto":
        return kind
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    for suffix, known in KNOWN_HOSTS.items():
        if host == suffix or (suffix.startswith(".") and host.endswith(suffix)):
            return known
    return KNOWN_PORTS.get(parts.port or 0, "")


def is_local_server(kind: str, base_url: str) -> bool:
    """True for a known local server: the user names its kind, or it listens at its usual port on a private address."""
    if kind != "auto":
        return kind in LOCAL_SERVERS
    return server_kind(kind, base_url) in LOCAL_SERVERS and has_private_address(base_url)


def answers_as_local(server: str, fingerprint: str, base_url: str) -> bool:
    """True for a private address whose answers name a local server: in the header `server`, or by their fingerprint."""
    is_named = server.lower() in LOCAL_HEADERS or fingerprint in LOCAL_FINGERPRINTS
    return is_named and has_private_address(base_url)


def has_private_address(base_url: str) -> bool:
    """True for this machine and those of the same network, whatever listens there."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local"))


def capabilities_of(kind: str, base_url: str, protocol: ProtocolName, *overrides: Flags) -> Capabilities:
    """The record of one upstream: its kind's row, then the overrides, the later the stronger."""
    known = server_kind(kind, base_url)
    row = ROWS[known].get(protocol, {}) if known in ROWS else UNKNOWN.get(protocol, {})
    for override in overrides:
        row = row | override
    return msgspec.convert(row, Capabilities)

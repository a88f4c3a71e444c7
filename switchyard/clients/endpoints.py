"""Read the endpoint that a client's file names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import json_edit, toml_edit
from switchyard.clients.files import without_setup
from switchyard.clients.plan import Endpoint

ANTHROPIC = "https://api.anthropic.com"
OPENAI = "https://api.openai.com/v1"
BEARER = "Bearer "


def claude_endpoint(path: Path) -> Endpoint | None:
    """As it is without Switchyard's set-up. Raises Unparsable or OSError."""
    return claude_endpoint_in(without_setup(json_edit, path))


def claude_endpoint_in(data: Mapping[str, Any]) -> Endpoint | None:
    """None if the settings name neither an address nor a key."""
    env = _table(data, "env")
    base = _text(env, "ANTHROPIC_BASE_URL")
    key = _text(env, "ANTHROPIC_AUTH_TOKEN") or _text(env, "ANTHROPIC_API_KEY")
    return Endpoint(base or ANTHROPIC, "messages", key) if base or key else None


def codex_endpoint(path: Path) -> Endpoint | None:
    """As it is without Switchyard's set-up. Raises Unparsable or OSError."""
    return codex_endpoint_in(without_setup(toml_edit, path))


def codex_endpoint_in(data: Mapping[str, Any]) -> Endpoint | None:
    """None if the configuration names no provider with a key or an address."""
    provider = _table(_table(data, "model_providers"), _text(data, "model_provider"))
    base, key = _text(provider, "base_url"), _codex_key(provider)
    protocol = "chat" if provider.get("wire_api") == "chat" else "responses"
    return Endpoint(base or OPENAI, protocol, key) if base or key else None


def _codex_key(provider: Mapping[str, Any]) -> str:
    if name := _text(provider, "env_key"):
        return f"env:{name}"
    headers = {name.lower(): value for name, value in _table(provider, "http_headers").items()}
    sent = _text(headers, "authorization")
    bearer = sent.removeprefix(BEARER) if sent.startswith(BEARER) else ""
    return _text(provider, "experimental_bearer_token") or bearer or _text(headers, "x-api-key")


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    return found.strip() if isinstance(found, str) else ""

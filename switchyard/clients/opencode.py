"""OpenCode: opencode.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import texts
from switchyard.clients.file_client import (
    OUTPUT_TOKENS,
    PROVIDER,
    FileClient,
    Json,
    Offer,
    config_folder,
    first_present,
    key_of,
    text_at,
)
from switchyard.clients.plan import Endpoint

PACKAGES = {"@ai-sdk/anthropic": "messages", "@ai-sdk/openai": "responses"}
"""the protocol of OpenCode's packages; all others speak Chat Completions"""


def _path(environment: Mapping[str, str], home: Path) -> Path:
    if named := environment.get("OPENCODE_CONFIG"):
        return Path(named)
    folder = config_folder(environment, home) / "opencode"
    # OpenCode reads both; the second wins
    return first_present(folder / "opencode.jsonc", folder / "opencode.json")


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    ours = ("provider", PROVIDER)
    return {
        (*ours, "npm"): "@ai-sdk/openai-compatible",
        (*ours, "name"): "Switchyard",
        (*ours, "options"): {"baseURL": offer.base_url, "apiKey": offer.key},
        **{(*ours, "models", name): _model_entry(name, window) for name, window in offer.windows.items()},
        ("model",): f"{PROVIDER}/{offer.model}",
    }


def _model_entry(name: str, window: int) -> dict[str, Any]:
    return {"name": name, "limit": {"context": window, "output": min(OUTPUT_TOKENS, window // 4)}}


def _endpoint(data: Json) -> Endpoint | None:
    provider = text_at(data, "model").partition("/")[0]
    options = ("provider", provider, "options")
    base, key = text_at(data, *options, "baseURL"), text_at(data, *options, "apiKey")
    protocol = PACKAGES.get(text_at(data, "provider", provider, "npm"), "chat")
    return Endpoint(base, protocol, key_of(key)) if base else None


def _model(data: Json) -> str:
    provider, _, model = text_at(data, "model").partition("/")
    return model if provider == PROVIDER else ""


CLIENT = FileClient("OpenCode", "opencode", _path, _wanted, _endpoint, _model)

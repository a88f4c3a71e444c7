"""Crush: crush.json."""

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
    key_of,
    text_at,
)
from switchyard.clients.plan import Endpoint

SIZES = ("large", "small")
"""Crush asks the small model for titles and summaries"""


def _path(environment: Mapping[str, str], home: Path) -> Path:
    folder = environment.get("CRUSH_GLOBAL_CONFIG")
    return (Path(folder) if folder else config_folder(environment, home) / "crush") / "crush.json"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    ours = ("providers", PROVIDER)
    return {
        (*ours, "name"): "Switchyard",
        (*ours, "type"): "openai-compat",
        (*ours, "base_url"): offer.base_url,
        (*ours, "api_key"): offer.key,
        (*ours, "models"): [_model_entry(name, window) for name, window in offer.windows.items()],
        **{("models", size): {"provider": PROVIDER, "model": offer.model} for size in SIZES},
    }


def _model_entry(name: str, window: int) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "context_window": window,
        "default_max_tokens": min(OUTPUT_TOKENS, window // 4),
    }


def _endpoint(data: Json) -> Endpoint | None:
    table = ("providers", text_at(data, "models", "large", "provider"))
    base, key = text_at(data, *table, "base_url"), text_at(data, *table, "api_key")
    protocol = "messages" if text_at(data, *table, "type") == "anthropic" else "chat"
    return Endpoint(base, protocol, key_of(key)) if base else None


def _model(data: Json) -> str:
    is_ours = text_at(data, "models", "large", "provider") == PROVIDER
    return text_at(data, "models", "large", "model") if is_ours else ""


CLIENT = FileClient("Crush", "crush", _path, _wanted, _endpoint, _model)

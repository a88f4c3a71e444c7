"""Cline, its CLI and its editor extensions: ~/.cline/data/settings/providers.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import texts
from switchyard.clients.file_client import FileClient, Json, Offer, key_of, text_at
from switchyard.clients.plan import Endpoint

PROVIDER = "openai-compatible"
"""Cline has a fixed list of providers; this one takes a base URL"""
PROTOCOLS = {PROVIDER: "chat", "anthropic": "messages", "openai-native": "responses"}
SETTINGS = ("providers", PROVIDER, "settings")
NEVER = "1970-01-01T00:00:00.000Z"
"""Cline requires a time of the last change"""


def _path(environment: Mapping[str, str], home: Path) -> Path:
    if named := environment.get("CLINE_PROVIDER_SETTINGS_PATH"):
        return Path(named)
    folder = (
        environment.get("CLINE_DATA_DIR") or Path(environment.get("CLINE_DIR") or home / ".cline") / "data"
    )
    return Path(folder) / "settings" / "providers.json"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    return {
        ("version",): 1,
        ("lastUsedProvider",): PROVIDER,
        (*SETTINGS, "provider"): PROVIDER,
        (*SETTINGS, "baseUrl"): offer.base_url,
        (*SETTINGS, "apiKey"): offer.key,
        (*SETTINGS, "model"): offer.model,
        ("providers", PROVIDER, "updatedAt"): NEVER,
        ("providers", PROVIDER, "tokenSource"): "manual",
    }


def _endpoint(data: Json) -> Endpoint | None:
    provider = text_at(data, "lastUsedProvider")
    settings = ("providers", provider, "settings")
    base, key = text_at(data, *settings, "baseUrl"), text_at(data, *settings, "apiKey")
    protocol = PROTOCOLS.get(provider)
    return Endpoint(base, protocol, key_of(key)) if base and protocol else None


def _model(data: Json) -> str:
    return text_at(data, *SETTINGS, "model") if text_at(data, "lastUsedProvider") == PROVIDER else ""


CLIENT = FileClient("Cline", "cline", _path, _wanted, _endpoint, _model)

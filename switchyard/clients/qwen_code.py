"""Qwen Code: ~/.qwen/settings.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import texts
from switchyard.clients.file_client import FileClient, Json, Offer, key_of, text_at
from switchyard.clients.plan import Endpoint

AUTH = ("security", "auth")
PROTOCOLS = {"openai": "chat", "anthropic": "messages"}


def _path(environment: Mapping[str, str], home: Path) -> Path:
    folder = environment.get("QWEN_HOME")
    return (Path(folder) if folder else home / ".qwen") / "settings.json"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    return {
        (*AUTH, "selectedType"): "openai",
        (*AUTH, "baseUrl"): offer.base_url,
        (*AUTH, "apiKey"): offer.key,
        ("model", "name"): offer.model,
        ("model", "generationConfig", "contextWindowSize"): offer.windows[offer.model],
    }


def _endpoint(data: Json) -> Endpoint | None:
    protocol = PROTOCOLS.get(text_at(data, *AUTH, "selectedType"))
    base, key = text_at(data, *AUTH, "baseUrl"), text_at(data, *AUTH, "apiKey")
    return Endpoint(base, protocol, key_of(key)) if base and protocol else None


def _model(data: Json) -> str:
    return text_at(data, "model", "name")


CLIENT = FileClient("Qwen Code", "qwen", _path, _wanted, _endpoint, _model)

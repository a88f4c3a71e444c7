"""Zed: settings.json. Its keys are in the system's keychain or in a variable, so none is written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import texts
from switchyard.clients.file_client import OUTPUT_TOKENS, FileClient, Json, Offer, config_folder, text_at
from switchyard.clients.plan import Endpoint

PROVIDER = "Switchyard"
"""Zed reads its key from SWITCHYARD_API_KEY"""
MODELS = ("language_models", "openai_compatible")
DEFAULT = ("agent", "default_model")


def _path(environment: Mapping[str, str], home: Path) -> Path:
    roaming = environment.get("APPDATA")
    return (Path(roaming) / "Zed" if roaming else config_folder(environment, home) / "zed") / "settings.json"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    return {
        (*MODELS, PROVIDER, "api_url"): offer.base_url,
        (*MODELS, PROVIDER, "available_models"): [
            {"name": name, "max_tokens": window, "max_output_tokens": min(OUTPUT_TOKENS, window // 4)}
            for name, window in offer.windows.items()
        ],
        DEFAULT: {"provider": PROVIDER, "model": offer.model},
    }


def _endpoint(data: Json) -> Endpoint | None:
    provider = text_at(data, *DEFAULT, "provider")
    base = text_at(data, *MODELS, provider, "api_url") or text_at(data, MODELS[0], provider, "api_url")
    return Endpoint(base, "messages" if provider == "anthropic" else "chat") if base else None


def _model(data: Json) -> str:
    return text_at(data, *DEFAULT, "model") if text_at(data, *DEFAULT, "provider") == PROVIDER else ""


KEY_NOTE = (
    "Zed keeps keys in the system's keychain: set SWITCHYARD_API_KEY for Zed, or enter the key in its settings "
    "(Agent, LLM Providers, Switchyard); without client keys any text works."
)
CLIENT = FileClient("Zed", "zed", _path, _wanted, _endpoint, _model, KEY_NOTE)

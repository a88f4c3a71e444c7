"""aider: ~/.aider.conf.yml, and a list of models beside it: aider warns of each model that it does not know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from switchyard.clients import texts, yaml_edit
from switchyard.clients.file_client import (
    OUTPUT_TOKENS,
    FileClient,
    Json,
    Listing,
    Offer,
    key_of,
    text_at,
)
from switchyard.clients.plan import Endpoint

PROVIDER = "openai/"
"""before a model of the address in `openai-api-base`"""
LIST_NAME = ".aider.switchyard.json"


def _path(environment: Mapping[str, str], home: Path) -> Path:
    return home / ".aider.conf.yml"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    model = f"{PROVIDER}{offer.model}"
    wanted: dict[texts.Path, Any] = {
        ("model",): model,
        # of a well-known model aider would choose one that no upstream may serve
        ("weak-model",): model,
        ("openai-api-base",): offer.base_url,
        ("openai-api-key",): offer.key,
    }
    if offer.folder:
        wanted[("model-metadata-file",)] = str(offer.folder / LIST_NAME)
    return wanted


def _models(offer: Offer) -> bytes:
    """https://aider.chat/docs/config/adv-model-settings.html#context-window-size-and-token-costs"""
    models = {
        f"{PROVIDER}{name}": {
            "max_input_tokens": window,
            "max_output_tokens": min(OUTPUT_TOKENS, window // 4),
            "litellm_provider": "openai",
            "mode": "chat",
        }
        for name, window in offer.windows.items()
    }
    return msgspec.json.format(msgspec.json.encode(models), indent=2) + b"\n"


def _endpoint(data: Json) -> Endpoint | None:
    base, key = text_at(data, "openai-api-base"), text_at(data, "openai-api-key")
    return Endpoint(base, "chat", key_of(key)) if base else None


def _model(data: Json) -> str:
    model = text_at(data, "model")
    return model.removeprefix(PROVIDER) if model.startswith(PROVIDER) else ""


CLIENT = FileClient(
    "aider",
    "aider",
    _path,
    _wanted,
    _endpoint,
    _model,
    dialect=yaml_edit,
    listing=Listing(LIST_NAME, _models),
)

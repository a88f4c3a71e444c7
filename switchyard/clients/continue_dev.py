"""Continue, its editor extensions and its command `cn`: ~/.continue/config.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchyard.clients import texts, yaml_edit
from switchyard.clients.edits import value_at
from switchyard.clients.file_client import OUTPUT_TOKENS, FileClient, Json, Offer, key_of, text_at
from switchyard.clients.plan import Endpoint

DEFAULT = "Switchyard"
"""the entry of the model to use; Continue begins with the first one of its list"""
PROTOCOLS = {"openai": "chat", "anthropic": "messages"}
REQUIRED: Mapping[texts.Path, Any] = {("name",): "Main", ("version",): "1.0.0", ("schema",): "v1"}
"""Continue refuses a file without them"""


def _path(environment: Mapping[str, str], home: Path) -> Path:
    folder = environment.get("CONTINUE_GLOBAL_DIR")
    return (Path(folder) if folder else home / ".continue") / "config.yaml"


def _wanted(offer: Offer) -> dict[texts.Path, Any]:
    windows = offer.windows
    others = {f"{DEFAULT} {name}": name for name in windows if name != offer.model}
    return {
        ("models", entry): _entry(entry, name, windows[name], offer)
        for entry, name in {DEFAULT: offer.model, **others}.items()
    }


def _entry(entry: str, model: str, window: int, offer: Offer) -> dict[str, Any]:
    return {
        "name": entry,
        "provider": "openai",
        "model": model,
        "apiBase": offer.base_url,
        "apiKey": offer.key,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use"],
        "defaultCompletionOptions": {
            "contextLength": window,
            "maxTokens": min(OUTPUT_TOKENS, window // 4),
        },
    }


def _first(data: Json) -> Json:
    """The entry with which Continue begins."""
    models = value_at(data, ("models",))
    return next(iter(models.values()), {}) if isinstance(models, dict) else {}


def _endpoint(data: Json) -> Endpoint | None:
    first = _first(data)
    base, key = text_at(first, "apiBase"), text_at(first, "apiKey")
    protocol = PROTOCOLS.get(text_at(first, "provider"))
    return Endpoint(base, protocol, key_of(key)) if base and protocol else None


def _model(data: Json) -> str:
    first = _first(data)
    return text_at(first, "model") if text_at(first, "name") == DEFAULT else ""


def _refuse(path: Path) -> None:
    """Raises Refused where a new file would put an older one out of use."""
    if (path.parent / "config.json").exists() and not path.exists():
        raise texts.Refused(
            "Continue uses config.json here, and would no longer read it beside a config.yaml",
            "Move the settings of config.json to config.yaml first, then run the set-up again.",
        )


CLIENT = FileClient(
    "Continue",
    "cn",
    _path,
    _wanted,
    _endpoint,
    _model,
    dialect=yaml_edit,
    required=REQUIRED,
    refuse=_refuse,
)

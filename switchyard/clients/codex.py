"""Point Codex at the daemon through its config.toml, and undo that."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from switchyard.clients import texts, toml_edit
from switchyard.clients.edits import Record, apply_edits, undo_edits, value_at
from switchyard.clients.endpoints import codex_endpoint_in
from switchyard.clients.files import replaced
from switchyard.clients.plan import Plan, apply, change_of, mode_notes, read_record, record_change
from switchyard.store.files import read_or_none

__all__ = [
    "KNOWN_WINDOW",
    "CatalogModel",
    "apply",
    "base_url_in",
    "catalog",
    "config_path",
    "knows",
    "model_in",
    "plan",
    "undo",
]

PROVIDER = "switchyard"
"""never changes: Codex lists old sessions by it"""
TABLE = ("model_providers", PROVIDER)
CATALOG_NAME = "switchyard-models.json"
DEFAULT_WINDOW = 128_000
EFFORTS = {"low": "Fast", "medium": "Balanced", "high": "Thorough"}
LEAKING = ("requires_openai_auth", "env_key", "env_key_instructions", "experimental_bearer_token", "auth")
"""with these, Codex would send a ChatGPT token or another credential to Switchyard"""
KNOWN = re.compile(r"(gpt-[5-9]|gpt-daybreak|codex-)", re.IGNORECASE)
"""prefixes of the names in Codex's own catalogue; a catalogue file would replace it"""
KNOWN_WINDOW = 272_000
"""the window that Codex assumes for most of its own models"""
WINDOW = ("model_context_window",)
BASE_INSTRUCTIONS = (
    "You are a coding agent working in the user's terminal. Use the given tools to read and change files and to run "
    "commands. Work until the task is done, keep changes small and in the style of the project, and say briefly "
    "what you have done."
)


class CatalogModel(msgspec.Struct, frozen=True):
    """A model that is not in Codex's own catalogue."""

    name: str
    context_window: int = 0
    """0: unknown"""
    images: bool = True
    """False: Codex leaves images out; the daemon learns which models refuse them"""
    reasoning: bool = True


def config_path(environment: Mapping[str, str], home: Path) -> Path:
    """The file from which Codex reads the user's configuration."""
    folder = environment.get("CODEX_HOME")
    return (Path(folder) if folder else home / ".codex") / "config.toml"


def knows(model: str) -> bool:
    """True for models for which Codex has instructions and a window, so that no catalogue is needed."""
    return KNOWN.match(model) is not None


def model_in(path: Path) -> str:
    """The model in the user's configuration; "" if there is none. Raises Unparsable."""
    model = toml_edit.data(texts.decode(read_or_none(path) or b"").text).get("model")
    return model if isinstance(model, str) else ""


def base_url_in(path: Path) -> str:
    """The base URL in the user's configuration; "" if there is none. Raises Unparsable."""
    data = toml_edit.data(texts.decode(read_or_none(path) or b"").text)
    found = value_at(data, ("model_providers", str(data.get("model_provider")), "base_url"))
    return found if isinstance(found, str) else ""


def plan(
    path: Path,
    address: str,
    key: str = "",
    *,
    model: str = "",
    models: Sequence[CatalogModel] = (),
    context_window: int = 0,
    folder: PurePath | None = None,
    has_modes: bool = True,
) -> Plan:
    """What a set-up would change; without `model` the user's own stays. `context_window` is for a model that is not
    among `models`: the one that it can count on, 0 if unknown. `folder` is that of the file as Codex names it;
    without `has_modes` no file
    here can be kept from other users. Raises Unparsable or Refused."""
    content, record = read_or_none(path), read_record(path)
    decoded = texts.decode(content or b"")
    data = toml_edit.data(decoded.text)
    _refuse_profile(data)
    wanted: dict[texts.Path, Any] = {("model_provider",): PROVIDER}
    if model:
        wanted[("model",)] = model
    if models:
        wanted[("model_catalog_json",)] = str((folder or path.parent) / CATALOG_NAME)
    if context_window and not _is_tighter(data, record, context_window):
        wanted[WINDOW] = context_window
    wanted |= {
        (*TABLE, "name"): "Switchyard",
        (*TABLE, "base_url"): f"{address.rstrip('/')}/openai",
        (*TABLE, "wire_api"): "responses",
        (*TABLE, "http_headers"): {"x-api-key": key} if key else None,
        **{(*TABLE, name): None for name in LEAKING},
    }
    edited = apply_edits(toml_edit, None if content is None else decoded.text, wanted, record)
    after = decoded.encode(edited.text)
    changes = change_of(path, content, after, private=bool(key) and has_modes)
    notes = (*replaced(toml_edit, data, wanted, record), *mode_notes(changes))
    if content != after:
        # written first, so that a crash in between can be undone
        changes = record_change(path, edited.record) + changes
    listed = path.parent / CATALOG_NAME
    listing = change_of(listed, read_or_none(listed), catalog(models) if models else None, ours=True)
    # Codex does not start if its catalogue file is missing
    return Plan(listing + changes if models else changes + listing, notes, codex_endpoint_in(data))


def _is_tighter(data: Mapping[str, Any], record: Record | None, context_window: int) -> bool:
    """True if the user has already set a smaller window."""
    found = data.get(*WINDOW)
    keys = record.keys if record else ()
    ours = any(touched.path == WINDOW and touched.after == str(found) for touched in keys)
    return isinstance(found, int) and 0 < found < context_window and not ours


def undo(path: Path) -> Plan:
    """What removing Switchyard's keys would change; other edits of the file stay. Raises Unparsable."""
    folder = path.parent
    content, record = read_or_none(path), read_record(path)
    if record is None:
        return Plan(notes=("There is no set-up to undo.",))
    listed = folder / CATALOG_NAME
    ours = change_of(listed, read_or_none(listed), None, ours=True) + record_change(path, None)
    if content is None:
        return Plan(ours)
    decoded = texts.decode(content)
    edited = undo_edits(toml_edit, decoded.text, record)
    text, notes = edited.text, edited.notes
    if value_at(toml_edit.data(record.before or ""), TABLE) is None:
        left = value_at(toml_edit.data(text), TABLE)
        if left is not None:
            # Codex refuses to start with a provider that has no name or address
            text = toml_edit.drop(text, TABLE)
            notes += (f"[model_providers.{PROVIDER}] is removed completely, including: {', '.join(left)}",)
    gone = record.before is None and not toml_edit.data(text)
    changes = change_of(path, content, None if gone else decoded.encode(text))
    session_note = "Codex lists the sessions of this set-up again after the next set-up."
    return Plan(changes + ours, (*notes, session_note))


def catalog(models: Sequence[CatalogModel]) -> bytes:
    """The content of `model_catalog_json`."""
    entries = [_catalog_entry(model, priority) for priority, model in enumerate(models, 1)]
    return msgspec.json.format(msgspec.json.encode({"models": entries}), indent=2) + b"\n"


def _catalog_entry(model: CatalogModel, priority: int) -> dict[str, Any]:
    """Codex refuses the whole file if one of these fields is missing."""
    window = model.context_window or DEFAULT_WINDOW
    levels = EFFORTS if model.reasoning else {}
    return {
        "slug": model.name,
        "display_name": model.name,
        "description": "Served by Switchyard",
        "default_reasoning_level": "medium" if levels else None,
        "supported_reasoning_levels": [
            {"effort": effort, "description": text} for effort, text in levels.items()
        ],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "priority": priority,
        "base_instructions": BASE_INSTRUCTIONS,
        "supports_reasoning_summaries": False,
        "support_verbosity": False,
        "truncation_policy": {"mode": "tokens", "limit": min(10_000, window // 4)},
        "supports_parallel_tool_calls": True,
        "context_window": window,
        "max_context_window": window,
        "apply_patch_tool_type": "freeform",
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if model.images else ["text"],
    }


def _refuse_profile(data: Mapping[str, Any]) -> None:
    """Raises Refused for a file with which Codex does not start."""
    profile = data.get("profile")
    if profile is None:
        return
    name = profile if isinstance(profile, str) else "NAME"
    raise texts.Refused(
        f"Codex does not start with the line profile = {toml_edit.render(profile)}",
        f"Remove the line and move the settings of [profiles.{name}] to {name}.config.toml beside the file; "
        f"codex --profile {name} selects them. Then run the set-up again.",
    )

"""Import the providers of cc-switch: its database, its SQL export, or the config.json of older versions."""

import tomllib
from typing import Any

import msgspec

from switchyard.importing.dotenv import claude_models
from switchyard.importing.imported import Imported, Json, Names, is_address, is_sendable, text
from switchyard.importing.providers import upstream

SQLITE = b"SQLite format 3\0"
EXPORT = "-- CC Switch SQLite"
"""how an export begins"""
APPS = ("claude", "codex")
API_FORMATS = {"anthropic": "messages", "openai_chat": "chat", "openai_responses": "responses"}


class Row(msgspec.Struct, frozen=True):
    """A provider of one of the programs that cc-switch sets up."""

    app: str
    name: str
    settings: Json
    meta: Json
    is_current: bool


def is_cc_switch(document: Any) -> bool:
    """True for the config.json of versions before the database."""
    return isinstance(document, dict) and any(_table(document, app) for app in APPS)


def from_cc_switch(document: Json) -> Imported:
    """From a config.json."""
    rows = []
    for app in document:
        table = _table(document, app)
        for id, entry in table.items():
            if not isinstance(entry, dict):
                continue
            is_current = document[app].get("current") == id
            rows.append(
                Row(
                    app,
                    text(entry.get("name")) or id,
                    members(entry.get("settingsConfig")),
                    members(entry.get("meta")),
                    is_current,
                )
            )
    rows.sort(key=lambda row: (row.app, not row.is_current))
    return from_rows(rows)


def members(value: Any) -> Json:
    """An object, or the text of one."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def _table(document: Json, app: str) -> Json:
    """The providers of one program."""
    section = document.get(app)
    providers = section.get("providers") if isinstance(section, dict) else None
    return providers if isinstance(providers, dict) else {}


def from_rows(rows: list[Row]) -> Imported:
    """The current provider of each program comes first; the others answer when it cannot."""
    notes: list[str] = []
    names = Names()
    upstreams, origins = [], []
    for row in rows:
        origin = f"{row.app}: {row.name}"
        if (entry := _upstream(row, notes, origin)) is None:
            continue
        role = {} if row.is_current else {"role": "backup"}
        upstreams.append(entry | {"name": names.unique(row.name[:280])} | role)
        origins.append(origin)
    return Imported({"upstreams": upstreams}, tuple(notes), tuple(origins))


def _upstream(row: Row, notes: list[str], origin: str) -> Json | None:
    if row.app not in APPS:
        notes.append(f"{origin}: skipped, only providers of Claude Code and Codex are imported")
        return None
    made = _of_claude(row) if row.app == "claude" else _of_codex(row)
    if not is_address(made["base_url"]):
        why = "it uses the login of the client" if not made["base_url"] else "its address is not http(s)"
        notes.append(f"{origin}: skipped, {why}")
        return None
    if not is_sendable(made["key"]):
        notes.append(
            f"{origin}: its key has characters that no key has; enter it again and enable the upstream"
        )
        made |= {"key": "", "enabled": False}
    return made


def _of_claude(row: Row) -> Json:
    env = members(row.settings.get("env"))
    key_name = next(
        (name for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY") if text(env.get(name))), ""
    )
    return upstream(
        row.name,
        text(env.get("ANTHROPIC_BASE_URL")),
        text(env.get(key_name)),
        API_FORMATS.get(text(row.meta.get("apiFormat")), "messages"),
        clients=["messages"],
        models=claude_models(env),
        auth="x-api-key" if key_name == "ANTHROPIC_API_KEY" else "",
    )


def _of_codex(row: Row) -> Json:
    config = _toml(row.settings.get("config"))
    tables = config.get("model_providers")
    named = tables.get(config.get("model_provider")) if isinstance(tables, dict) else None
    table: Json = named if isinstance(named, dict) else {}
    wire = "chat" if table.get("wire_api") == "chat" else "responses"
    key = text(members(row.settings.get("auth")).get("OPENAI_API_KEY")) or text(
        table.get("experimental_bearer_token")
    )
    model = text(config.get("model"))
    return upstream(
        row.name,
        text(table.get("base_url")) or text(config.get("base_url")),
        key,
        API_FORMATS.get(text(row.meta.get("apiFormat")), wire),
        clients=["responses"],
        # names of its own need no map: Codex requests them
        models={} if not model or model.startswith(("gpt-", "codex-")) else {model: model, "*": model},
    )


def _toml(value: Any) -> Json:
    try:
        return tomllib.loads(text(value))
    except tomllib.TOMLDecodeError:
        return {}

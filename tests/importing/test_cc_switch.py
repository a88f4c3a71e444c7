"""The providers of cc-switch become upstreams, from its database, its export and its older file."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from switchyard.importing import UnknownFormat, merge, recognise, recognise_other
from switchyard.settings_validation import parse

RELAY = {
    "env": {
        "ANTHROPIC_BASE_URL": "https://relay.example",
        "ANTHROPIC_AUTH_TOKEN": "sk-a",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "glm-5-air",
        "ANTHROPIC_MODEL": "glm-5",
    }
}
PLAIN = {"env": {"ANTHROPIC_BASE_URL": "https://other.example", "ANTHROPIC_API_KEY": "sk-b"}}
CODEX = {
    "auth": {"OPENAI_API_KEY": "sk-c"},
    "config": 'model_provider = "custom"\nmodel = "gpt-5.5"\n[model_providers.custom]\nname = "x"\n'
    'base_url = "https://codex.example/v1"\nwire_api = "responses"\n',
}
LOCAL = {
    "auth": {},
    "config": 'model_provider = "v"\nmodel = "qwen3"\n[model_providers.v]\nbase_url = "http://gpu:8000/v1"\n'
    'wire_api = "chat"\n',
}
ROWS: list[tuple[str, str, str, Any, Any, int]] = [
    ("1", "claude", "Official", {"env": {}}, {}, 0),
    ("2", "claude", "Other", PLAIN, {"apiFormat": "openai_chat"}, 0),
    ("3", "claude", "Relay", RELAY, {}, 1),
    ("4", "codex", "Relay", CODEX, {}, 1),
    ("5", "codex", "Local", LOCAL, {}, 0),
    ("6", "gemini", "G", {"env": {"GEMINI_API_KEY": "x"}}, {}, 1),
]
UPSTREAMS = [
    {
        "name": "Relay",
        "base_url": "https://relay.example",
        "key": "sk-a",
        "protocol": "messages",
        "clients": ["messages"],
        "models": {"*haiku*": "glm-5-air", "*": "glm-5"},
    },
    {
        "name": "Other",
        "base_url": "https://other.example",
        "key": "sk-b",
        "protocol": "chat",
        "clients": ["messages"],
        "auth": "x-api-key",
        "role": "backup",
    },
    {
        "name": "Relay (2)",
        "base_url": "https://codex.example/v1",
        "key": "sk-c",
        "protocol": "responses",
        "clients": ["responses"],
    },
    {
        "name": "Local",
        "base_url": "http://gpu:8000/v1",
        "key": "",
        "protocol": "chat",
        "clients": ["responses"],
        "models": {"qwen3": "qwen3", "*": "qwen3"},
        "role": "backup",
    },
]
NOTES = (
    "claude: Official: skipped, it uses the login of the client",
    "gemini: G: skipped, only providers of Claude Code and Codex are imported",
)


def fill(connection: sqlite3.Connection) -> None:
    """The table as cc-switch 3.16 creates it."""
    connection.execute(
        "CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL,"
        " settings_config TEXT NOT NULL, website_url TEXT, category TEXT, created_at INTEGER, sort_index INTEGER,"
        " notes TEXT, icon TEXT, icon_color TEXT, meta TEXT NOT NULL DEFAULT '{}',"
        " is_current BOOLEAN NOT NULL DEFAULT 0, in_failover_queue BOOLEAN NOT NULL DEFAULT 0,"
        " PRIMARY KEY (id, app_type))"
    )
    for id, app, name, config, meta, is_current in ROWS:
        connection.execute(
            "INSERT INTO providers (id, app_type, name, settings_config, meta, is_current) VALUES (?, ?, ?, ?, ?, ?)",
            (id, app, name, json.dumps(config), json.dumps(meta), is_current),
        )
    connection.commit()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_the_database_is_imported(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "cc-switch.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={journal}")
    fill(connection)
    connection.close()
    found = recognise_other(path.read_bytes())
    assert found is not None
    assert (found.document["upstreams"], found.notes) == (UPSTREAMS, NOTES)
    parse(merge({"upstreams": []}, found)[0])


def test_an_export_is_imported() -> None:
    connection = sqlite3.connect(":memory:")
    fill(connection)
    dump = "\n".join(["PRAGMA foreign_keys=OFF;", "PRAGMA user_version=11;", *connection.iterdump()])
    found = recognise_other(f"-- CC Switch SQLite 导出\n-- 生成时间\n{dump}".encode())
    assert found is not None and found.document["upstreams"] == UPSTREAMS


def test_an_export_cannot_reach_other_files(tmp_path: Path) -> None:
    target = tmp_path / "made.db"
    for statement in (f"ATTACH DATABASE '{target}' AS x;", f"VACUUM INTO '{target}';"):
        with pytest.raises(UnknownFormat):
            recognise_other(f"-- CC Switch SQLite 导出\n{statement}".encode())
    assert not target.exists()


def test_the_older_file_is_imported() -> None:
    document: dict[str, Any] = {"version": 2}
    for id, app, name, config, meta, is_current in ROWS:
        section = document.setdefault(app, {"providers": {}, "current": ""})
        section["providers"][id] = {"id": id, "name": name, "settingsConfig": config, "meta": meta}
        if is_current:
            section["current"] = id
    found = recognise(document)
    assert (found.document["upstreams"], found.notes) == (UPSTREAMS, NOTES)


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + bytes(200), b"-- CC Switch SQLite\nSELECT 1;"])
def test_another_database_is_refused(content: bytes) -> None:
    with pytest.raises(UnknownFormat, match="cc-switch"):
        recognise_other(content)

"""A misspelt field may hold a secret: its value is never shown, and no edit loses it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.daemon import Daemon, Document, Response, settings, upstream

SECRET = "secret-"
DOCUMENT: Document = settings(
    upstream(
        "a",
        "http://127.0.0.1:9",
        api_kye="secret-1",
        hedaers={"secret-2": ["secret-3"]},
        timeouts={"idle": 9, "kye": "secret-4"},
        activation={"at": "08:00", "kye": {"secret-5": 1}},
    ),
    client_kyes={"secret-6": "laptop"},
    model_rules=[{"from": "a", "to": "b", "kye": "secret-7"}, {"from": "c", "to": "d"}],
    prices={"gpt*": {"input": 1, "output": 2, "kye": "secret-8"}},
    failover={"hold_seconds": 0, "error_threshold": 5, "kye": "secret-9"},
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, DOCUMENT) as running:
        yield running


def stored(daemon: Daemon) -> Document:
    found: Document = json.loads(daemon.settings_path.read_text())
    return found


def post(daemon: Daemon, path: str, body: Document) -> Response:
    return daemon.post(path, {"revision": daemon.get("/api/configs").json["revision"], **body})


def test_the_values_are_shown_nowhere(daemon: Daemon) -> None:
    post(daemon, "/api/upstreams/toggle", {"name": "a", "enabled": False})
    [version] = daemon.get("/api/history").json["versions"]
    shown = {
        "configs": daemon.get("/api/configs"),
        "export": daemon.post("/api/export", {"keys": False}),
        "diff": daemon.get(f"/api/history/diff?from={version['id']}"),
        "state": daemon.get("/api/state"),
        "import": daemon.post("/api/import?dry_run=1", DOCUMENT | {"upstreams": [], "kye": "secret-10"}),
    }
    assert {name: one.status for name, one in shown.items()} == dict.fromkeys(shown, 200)
    assert [name for name, one in shown.items() if SECRET in one.text] == []
    code, said = daemon.command("check")
    assert (code, "unknown field" in said, SECRET in said) == (0, True, False)
    assert SECRET not in daemon.all_written()


def test_the_names_of_the_fields_are_shown_so_that_they_can_be_corrected(daemon: Daemon) -> None:
    configs, export = daemon.get("/api/configs").json, daemon.post("/api/export", {}).json
    [entry] = configs["upstreams"]
    assert (entry["api_kye"], entry["hedaers"], entry["timeouts"]) == (
        "***",
        "***",
        {"idle": 9, "kye": "***"},
    )
    assert export["upstreams"][0]["activation"] == {"at": "08:00", "kye": ""}
    assert (export["client_kyes"], configs["failover"]) == (
        "",
        {"hold_seconds": 0, "error_threshold": 5, "kye": "***"},
    )


def test_an_export_with_keys_is_whole(daemon: Daemon) -> None:
    assert daemon.post("/api/export", {"keys": True}).json == DOCUMENT


def test_saving_what_was_shown_keeps_the_values(daemon: Daemon) -> None:
    """Like the dashboard: sections are sent back whole, with the masks of unknown fields."""
    shown = daemon.get("/api/configs").json
    [entry] = shown["upstreams"]
    unknown = {name: entry[name] for name in ("api_kye", "hedaers", "activation")}
    prices = {"gpt-6*": shown["prices"]["gpt*"] | {"input": 3}}
    edits: list[tuple[str, Document]] = [
        ("/api/upstreams/update", {"name": "a", "changes": {**unknown, "note": "n", "timeouts": {"idle": 10}}}),
        ("/api/settings", {"changes": {"failover": {"error_threshold": 6, "kye": "***"}}}),
        ("/api/settings", {"changes": {"prices": prices}}),
        ("/api/settings", {"changes": {"model_rules": [{"from": "e", "to": "f"}, *shown["model_rules"][::-1]]}}),
        ("/api/upstreams/move", {"name": "a", "before": None}),
        ("/api/client-keys/add", {"label": "desk"}),
    ]  # fmt: skip
    for path, body in edits:
        assert post(daemon, path, body).status == 200, body
    after = stored(daemon)
    del after["client_keys"]
    [before] = DOCUMENT["upstreams"]
    rules = DOCUMENT["model_rules"]
    assert after == {
        **DOCUMENT,
        "upstreams": [{**before, "note": "n", "timeouts": {"idle": 10, "kye": "secret-4"}}],
        "failover": {"hold_seconds": 0, "error_threshold": 6, "kye": "secret-9"},
        "prices": {"gpt-6*": {"input": 3, "output": 2, "kye": "secret-8"}},
        "model_rules": [{"from": "e", "to": "f"}, rules[1], rules[0]],
    }


def test_an_unknown_field_can_be_taken_out(daemon: Daemon) -> None:
    changes = {"api_kye": None, "timeouts": {"idle": 9, "kye": None}}
    assert post(daemon, "/api/upstreams/update", {"name": "a", "changes": changes}).status == 200
    [entry] = stored(daemon)["upstreams"]
    assert "api_kye" not in entry and entry["timeouts"] == {"idle": 9}

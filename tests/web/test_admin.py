"""The dashboard's API over the whole application: its documentation, its error shape, its rules."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from switchyard.application import Application
from switchyard.settings import Upstream
from switchyard.store.settings_file import SettingsFile
from switchyard.web import health
from tests.bed.daemon import Daemon, Response, request, settings, upstream

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = re.compile(r"^\| `(GET|POST) (/[^`]*)` \|", re.MULTILINE)
OF_THE_RELAY_SERVICE = {("POST", "/api/admin/azure-openai/accounts")}


def test_the_documentation_lists_exactly_the_paths_there_are(tmp_path: Path) -> None:
    settings_file = SettingsFile(tmp_path)
    settings_file.load()
    admin = Application(settings_file, tmp_path, ROOT / "static").admin
    served = {
        (method, route.path)
        for route in admin.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    documented = set(DOCUMENTED.findall((ROOT / "docs" / "api.md").read_text()))
    assert documented | OF_THE_RELAY_SERVICE == served | {("GET", health.PATH)}


def names_reported(value: Any, place: str = "") -> Iterator[str]:
    """The members of a response, including nested ones; not the names that users give."""
    if isinstance(value, list):
        for one in value:
            yield from names_reported(one, place)
    elif isinstance(value, dict) and place not in NAMED_BY_OTHERS:
        for name, inner in value.items():
            yield name
            yield from names_reported(inner, name)


NAMED_BY_OTHERS = {
    *("defaults", "headers", "models", "prices", "summary", "daily", "hourly", "cost_by_day"),
    *("by_model", "by_model_sent", "by_upstream", "by_client"),
}
FIELDS_OF_THE_FILE = {field.name for field in msgspec.structs.fields(Upstream)}


def test_the_documentation_names_every_member_of_the_answers(daemon: Daemon) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    daemon.post("/api/capture", {"mode": "next"})
    daemon.post("/v1/chat/completions", body, {"x-api-key": "sy-hidden-client"})
    id = daemon.get("/api/requests").json["requests"][0]["id"]
    pages = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "statistics.md")
    )
    documented = set(re.findall(r'["`](\w+)["`]', pages))
    answers = [
        daemon.get(path).json for path in (*READ, f"/api/requests/{id}", f"/api/requests/{id}/capture")
    ]
    account = {
        "name": "local",
        "apiUrl": "http://127.0.0.1:9/v1",
        "supportedModels": ["m"],
        "apiFormat": "openai",
    }
    answers.append(daemon.post("/api/import?dry_run=1", account).json)
    answers.append(daemon.post("/api/upstreams/test", {"name": "a/b ü", "model": "m"}).json)
    answers.append(daemon.post("/api/clients/preview", {"client": "claude"}).json)
    reported = {name for answer in answers for name in names_reported(answer)}
    assert reported - documented - FIELDS_OF_THE_FILE == set()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    document = settings(
        upstream(
            "a/b ü",
            "http://127.0.0.1:9",
            "chat",
            key="sk-of-a",
            headers={"X-Secret": "hidden-value"},
            proxy="http://user:hidden-password@127.0.0.1:9",
        ),
        upstream("second", "http://127.0.0.1:9", enabled=False),
        client_keys={"sy-hidden-client": "laptop"},
    )
    with Daemon(tmp_path_factory.mktemp("admin"), document) as running:
        yield running


def revision(daemon: Daemon) -> str:
    found: str = daemon.get("/api/configs").json["revision"]
    return found


READ = [
    "/health",
    "/api/state",
    "/api/configs",
    "/api/week",
    "/api/explain?client=chat&model=m",
    "/api/requests",
    "/api/journal",
    "/api/conversations",
    "/api/upstream-numbers",
    "/api/token-stats",
    "/api/history",
    "/api/clients",
]


@pytest.mark.parametrize("path", READ)
def test_no_answer_holds_a_secret(daemon: Daemon, path: str) -> None:
    answer = daemon.get(path)
    assert answer.status == 200
    for secret in ("sk-of-a", "hidden-value", "hidden-password", "sy-hidden-client"):
        assert secret not in answer.text


def test_the_file_is_reported_without_its_secrets(daemon: Daemon) -> None:
    reported = daemon.get("/api/configs").json
    assert reported["upstreams"][0] == {
        "name": "a/b ü",
        "base_url": "http://127.0.0.1:9",
        "key": {"kind": "literal"},
        "protocol": "chat",
        "headers": {"X-Secret": True},
        "proxy": "http://user:***@127.0.0.1:9",
        "url": "http://127.0.0.1:9/v1/chat/completions",
    }
    assert [key["label"] for key in reported["client_keys"]] == ["laptop"]


@pytest.mark.parametrize(
    ("entry", "first_byte"),
    [
        ({"base_url": "https://h.example"}, 120),
        ({"base_url": "http://localhost:11434"}, 600),
        ({"base_url": "https://h.example", "server": "vllm"}, 600),
        ({"base_url": "http://localhost:11434", "timeouts": {"first_byte": 33}}, 33),
    ],
)
def test_an_entry_that_is_being_edited_is_reported_its_time_limits(
    daemon: Daemon, entry: dict[str, Any], first_byte: float
) -> None:
    body = {"entry": {"name": "new", "protocol": "chat", **entry}}
    checked = daemon.post("/api/upstreams/check", body).json
    assert checked["timeouts"] == {"connect": 10, "first_byte": first_byte, "idle": 300}


@pytest.mark.parametrize(
    ("more", "official"),
    [
        ({}, {"host": "api.anthropic.com", "families": ["claude"]}),
        ({"models": ["claude-*"]}, None),
        ({"clients": ["messages"]}, None),
        ({"base_url": "https://relay.example"}, None),
    ],
)
def test_the_editor_is_told_where_other_vendors_models_come_last(
    daemon: Daemon, more: dict[str, Any], official: object
) -> None:
    entry = {"name": "new", "protocol": "messages", "base_url": "https://api.anthropic.com", **more}
    assert daemon.post("/api/upstreams/check", {"entry": entry}).json["official"] == official


def test_a_route_reports_the_limit_for_the_first_byte(daemon: Daemon) -> None:
    (candidate,) = daemon.get("/api/explain?client=chat&model=m").json["candidates"]
    assert candidate["first_byte"] == 120


PROBLEMS: list[tuple[str, Any, int, str]] = [
    (
        "/api/upstreams/toggle",
        {"name": "gone", "enabled": True},
        404,
        'There is no upstream "gone" any more.',
    ),
    ("/api/upstreams/toggle", {"name": "second", "enabled": 1}, 400, "`enabled` must be true or false."),
    ("/api/upstreams/toggle", {"name": 7, "enabled": True}, 400, "`name` must be a string."),
    (
        "/api/upstreams/move",
        {"name": "second", "before": "gone"},
        404,
        'There is no upstream "gone" any more.',
    ),
    ("/api/upstreams/test", {"name": "gone"}, 404, 'There is no upstream "gone" any more.'),
    ("/api/upstreams/activate", {"name": "gone"}, 404, 'There is no upstream "gone" any more.'),
    ("/api/settings", {"changes": {"upstreams": []}}, 400, "`upstreams` cannot be changed here."),
    ("/api/client-keys/remove", {"id": "none"}, 404, "This key does not exist. It may have been removed."),
    ("/api/history/restore", {"version": "none"}, 404, "This version no longer exists."),
    ("/api/history/restore", {"version": "../../etc/passwd"}, 404, "This version no longer exists."),
    (
        "/api/simulate",
        {"upstream": "second", "mode": "gone"},
        400,
        "`mode` must be one of down, slow, cut, or null.",
    ),
    ("/api/simulate", {"upstream": "gone", "mode": "down"}, 404, 'There is no upstream "gone" any more.'),
    ("/api/simulate", {"mode": "down"}, 400, "`upstream` must be a string, or null for all upstreams."),
    (
        "/api/simulate",
        {"upstream": None, "mode": "down", "minutes": -1},
        400,
        "`minutes` must be a number from 0 to 1440.",
    ),
    (
        "/api/requests/replay",
        {"id": "x", "upstream": "second"},
        404,
        "The body of this request was not captured.",
    ),
    (
        "/api/clients/preview",
        {"client": "emacs"},
        400,
        "`client` must be one of claude, codex, opencode, qwen, crush, cline, zed, continue, aider.",
    ),
    ("/api/capture", {"mode": "some"}, 400, "`mode` must be one of off, next, errors, all."),
    ("/api/held/give-up", {"id": "x_gone"}, 404, "This request is not held any more."),
    ("/api/held/give-up", {"id": 7}, 400, "`id` must be a string."),
    ("/api/held/try", {"upstream": "gone"}, 404, 'There is no upstream "gone" any more.'),
    ("/api/held/try", {"upstream": ["second"]}, 400, "`upstream` must be a string."),
]


@pytest.mark.parametrize(("path", "body", "status", "message"), PROBLEMS)
def test_every_problem_has_one_shape(daemon: Daemon, path: str, body: Any, status: int, message: str) -> None:
    answer = daemon.post(path, {"revision": revision(daemon), **body})
    assert (answer.status, answer.json["error"]["message"]) == (status, message)


def test_errors_of_an_entry_are_reported_by_its_own_fields(daemon: Daemon) -> None:
    entry = {"name": "third", "base_url": "nowhere", "protocol": "chat", "priority": 300}
    answer = daemon.post("/api/upstreams/add", {"entry": entry, "revision": revision(daemon)})
    assert answer.status == 422
    assert [fault["path"] for fault in answer.json["error"]["faults"]] == ["base_url", "priority"]
    assert answer.json["error"]["field"] == "base_url"


def test_a_name_that_is_taken_is_refused(daemon: Daemon) -> None:
    entry = {"name": "second", "base_url": "http://h", "protocol": "chat"}
    answer = daemon.post("/api/upstreams/add", {"entry": entry, "revision": revision(daemon)})
    assert (answer.status, answer.json["error"]["field"]) == (422, "name")


@pytest.mark.parametrize("given", [None, "", "0000000000000000"])
def test_a_change_needs_the_revision_it_is_based_on(daemon: Daemon, given: str | None) -> None:
    before = daemon.settings_path.read_bytes()
    answer = daemon.post("/api/upstreams/delete", {"name": "second", "revision": given})
    assert answer.status == (409 if given else 400)
    assert daemon.settings_path.read_bytes() == before


def raw(daemon: Daemon, body: bytes, headers: dict[str, str]) -> Response:
    return request(daemon.url, "POST", "/api/capture", body, headers)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"mode": "all"}', {}, 415),
        (b'{"mode": "all"}', {"content-type": "text/plain"}, 415),
        (b"mode=all", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{", {"content-type": "application/json"}, 400),
        (b"[]", {"content-type": "application/json"}, 400),
        (b"[" * 100_000, {"content-type": "application/json"}, 400),
        (b'{"mode": "all"}', {"content-type": "application/json", "origin": "https://evil.example"}, 403),
        (b'{"mode": "all"}', {"content-type": "application/json", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_a_write_that_is_no_json_or_from_elsewhere_is_refused(
    daemon: Daemon, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = raw(daemon, body, headers)
    assert answer.status == status
    assert answer.json["error"]["message"]
    assert daemon.get("/api/state").json["capture"]["mode"] == "off"


def test_an_unknown_path_and_another_method_are_reported_in_the_same_shape(daemon: Daemon) -> None:
    assert daemon.get("/api/nothing").json == {
        "error": {"message": "There is nothing at this address; the dashboard is at /."}
    }
    answer = daemon.get("/api/upstreams/add")
    assert (answer.status, set(answer.json)) == (404, {"error"})


def test_accounts_of_the_relay_service_are_taken_at_its_own_path(daemon: Daemon) -> None:
    account = {
        "name": "azure one",
        "azureEndpoint": "https://h.openai.azure.com",
        "deploymentName": "d",
        "apiKey": "sk-azure",
        "supportedModels": ["gpt-4o"],
    }
    body = request(
        daemon.url,
        "POST",
        "/api/admin/azure-openai/accounts",
        account,
    )
    assert (body.status, body.json["success"], body.json["added"]) == (200, True, ["azure one"])
    again = request(daemon.url, "POST", "/api/import", account)
    assert (again.json["added"], again.json["identical"]) == ([], ["azure one"])


def test_a_preview_of_an_import_shows_what_it_adds(daemon: Daemon) -> None:
    foreign = '{"Providers": [{"name": "router", "api_base_url": "http://me:secret@h.example/v1", "x": 1},], // mine\n}'
    headers = {"content-type": "application/json"}
    body = request(daemon.url, "POST", "/api/import?dry_run=1", foreign.encode(), headers).json
    assert body["origins"] == [
        {
            "from": "Providers[0]",
            "to": "router",
            "protocol": "chat",
            "url": "http://me:***@h.example/v1",
            "enabled": True,
        }
    ]
    assert body["notes"] == ["Providers[0].x: unknown field, kept without effect"]
    broken = request(daemon.url, "POST", "/api/import?dry_run=1", b'{\n"a": }', headers)
    assert (broken.status, broken.json["error"]["message"]) == (
        400,
        'The text is not valid JSON: line 2, column 6: expected a value, found "}"',
    )


def test_a_preview_names_the_endpoint_that_is_replaced(daemon: Daemon) -> None:
    path = daemon.home / ".qwen" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    auth = {"selectedType": "openai", "baseUrl": "https://relay.example/v1", "apiKey": "sk-old"}
    path.write_text(json.dumps({"security": {"auth": auth}}))
    options = {"model": "m"}
    note = daemon.post("/api/clients/preview", {"client": "qwen", "options": options}).json["note"]
    assert "Qwen Code has used https://relay.example/v1 until now." in note and "sk-old" not in note
    assert daemon.post("/api/clients/apply", {"client": "qwen", "options": options}).status == 200
    assert daemon.post("/api/clients/undo", {"client": "qwen"}).status == 200
    assert json.loads(path.read_text())["security"]["auth"] == auth


def test_a_set_up_writes_only_what_its_preview_has_shown(daemon: Daemon) -> None:
    path = daemon.home / ".claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    seen = daemon.post("/api/clients/preview", {"client": "claude"}).json["revision"]
    path.write_text('{"env": {"NO_PROXY": "corp"}}\n')
    late = daemon.post("/api/clients/apply", {"client": "claude", "revision": seen})
    assert (late.status, "look at the preview again" in late.json["error"]["message"]) == (409, True)
    assert path.read_text() == '{"env": {"NO_PROXY": "corp"}}\n'
    seen = daemon.post("/api/clients/preview", {"client": "claude"}).json["revision"]
    assert daemon.post("/api/clients/apply", {"client": "claude", "revision": seen}).status == 200
    assert "ANTHROPIC_BASE_URL" in path.read_text()
    assert daemon.post("/api/clients/undo", {"client": "claude"}).status == 200
    assert path.read_text() == '{"env": {"NO_PROXY": "corp"}}\n'


def test_a_variable_that_is_no_longer_chosen_is_removed(daemon: Daemon) -> None:
    path = daemon.home / ".claude" / "settings.json"
    for chosen in (True, None, False):
        options = {} if chosen is None else {"API_TIMEOUT_MS": chosen}
        daemon.post("/api/clients/apply", {"client": "claude", "options": options})
        assert ("API_TIMEOUT_MS" in path.read_text()) is (chosen is not False)
    daemon.post("/api/clients/undo", {"client": "claude"})


def test_a_reload_reports_the_errors_of_the_file(daemon: Daemon) -> None:
    good = daemon.settings_path.read_text()
    try:
        daemon.settings_path.write_text(good.replace('"chat"', '"chatty"', 1))
        faults = daemon.post("/api/reload").json["faults"]
        assert [fault["path"] for fault in faults] == ["$.upstreams[0].protocol"]
    finally:
        daemon.settings_path.write_text(good)
    assert daemon.post("/api/reload").json["faults"] == []


def test_browsers_ask_whether_a_file_of_the_pages_is_still_the_same(daemon: Daemon) -> None:
    fresh = daemon.get("/js/main.js")
    etag = fresh.header("etag")
    assert etag is not None
    kept = daemon.get("/js/main.js", {"if-none-match": etag})
    assert [answer.header("cache-control") for answer in (fresh, kept)] == ["no-cache", "no-cache"]
    assert (fresh.status, kept.status) == (200, 304)

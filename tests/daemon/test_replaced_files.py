"""An update replaces Switchyard's files while the daemon runs, or they are deleted: what runs does not change."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from switchyard.web.outdated import CHINESE, SENTENCE
from tests.bed.asking import ask, question, text_of
from tests.bed.checkout import copy_checkout, delete, imports_are_complete, update
from tests.bed.daemon import Daemon, Document, request, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, closed_url, say, status
from tests.bed.wire import PROTOCOLS

JSON = {"content-type": "application/json"}
PAGE = {"accept": "text/html"}
READ = (
    "/health",
    "/metrics",
    "/statusline",
    "/api/state",
    "/api/configs",
    "/api/week",
    "/api/explain?client=chat&model=chat",
    "/api/requests",
    "/api/journal",
    "/api/journal.csv",
    "/api/conversations",
    "/api/upstream-numbers",
    "/api/upstream-report",
    "/api/token-stats",
    "/api/token-stats.csv",
    "/api/history",
    "/api/clients",
)
BUTTONS: dict[str, Document] = {
    "/api/upstreams/test": {"name": "messages", "model": "messages"},
    "/api/upstreams/models": {"name": "messages"},
    "/api/upstreams/check": {
        "name": "messages",
        "entry": {"name": "messages", "base_url": "http://a.example"},
    },
    "/api/upstreams/clear": {},
    "/api/upstreams/activate": {"name": "messages"},
    "/api/use": {"upstream": "chat"},
    "/api/held/try": {},
    "/api/simulate": {"upstream": "chat", "mode": "down"},
    "/api/capture": {"mode": "next"},
    "/api/settings/check": {"changes": {}},
    "/api/routes/matches": {"routes": [{"when": {"model": "chat"}}], "number": 1},
    "/api/export": {"keys": False},
    "/api/reload": {},
    "/api/clients/preview": {"client": "claude"},
    "/api/token-stats/reset": {},
}
CC_SWITCH = b"""-- CC Switch SQLite
CREATE TABLE providers (id, app_type, name, settings_config, meta, is_current, sort_index, created_at);
INSERT INTO providers VALUES ('1', 'claude', 'A',
    '{"env": {"ANTHROPIC_BASE_URL": "https://a.example", "ANTHROPIC_AUTH_TOKEN": "sk-a"}}', '{}', 1, 1, 1);
"""
"""an export, which SQLite reads"""

Change = Callable[[Path], None]


CHANGES = pytest.mark.parametrize("change", [delete, update])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path)


@pytest.fixture
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


def document(server: ScriptedUpstream) -> Document:
    """An upstream of each protocol and one through SOCKS, each for a model of its own."""
    entries = [upstream(protocol, server.url, protocol, models=[protocol]) for protocol in PROTOCOLS]
    away = closed_url().removeprefix("http://")
    return settings(
        *entries,
        upstream("socks", "http://api.example", models=["socks"], proxy=f"socks5://{away}"),
    )


@contextmanager
def running(folder: Path, checkout: Path, document: Document | None) -> Iterator[Daemon]:
    """A daemon that has imported all that requests need, and whose dashboard was not opened."""
    daemon = Daemon(folder, document, root=checkout)
    daemon.start(wait=False)
    try:
        wait_until(lambda: imports_are_complete(checkout), "the imports")
        yield daemon
    except BaseException:
        daemon.kill()
        raise
    daemon.stop()
    assert "Traceback" not in daemon.log(), daemon.log()


# --- requests of models ------------------------------------------------------------------


def test_requests_and_edits_of_the_settings_need_no_file_of_switchyard(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        delete(checkout)
        for protocol in PROTOCOLS:
            for model in PROTOCOLS:
                for stream in (True, False):
                    response = ask(daemon.url, protocol, model, stream=stream)
                    assert response.status == 200, response.text
                    assert text_of(protocol, response)
        counted = daemon.post("/v1/messages/count_tokens", question("messages", "chat"))
        assert counted.json["input_tokens"] > 0
        assert {entry["id"] for entry in daemon.get("/v1/models").json["data"]} >= {"chat"}
        upgrade = {"connection": "upgrade", "upgrade": "websocket"}
        assert daemon.get("/v1/responses", upgrade).status == 426
        large = ask(daemon.url, "chat", "messages", text="many words " * 300_000)
        assert text_of("chat", large) == "Hello from upstream"
        assert "cannot connect" in ask(daemon.url, "messages", "socks").text
        daemon.write_settings(settings(upstream("new", server.url, "chat", models=["new"])))
        wait_until(lambda: ask(daemon.url, "messages", "new").status == 200, "the new settings")


def test_the_demo_needs_no_file_of_switchyard(tmp_path: Path, checkout: Path) -> None:
    with running(tmp_path, checkout, None) as daemon:
        delete(checkout)
        for protocol in PROTOCOLS:
            assert "demo model" in text_of(protocol, ask(daemon.url, protocol))


def test_failures_and_refusals_need_no_file_of_switchyard(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        delete(checkout)
        failures = {
            529: "Overloaded",
            429: "Rate limit reached. Please try again in 2m.",
            401: "invalid x-api-key",
            400: "prompt is too long: 250000 tokens > 200000 maximum",
            413: "max_tokens: 9 > 8, which is the maximum allowed number of output tokens for m",
        }
        for protocol in PROTOCOLS:
            for model in PROTOCOLS:
                for code, message in failures.items():
                    server.script(status(code, message))
                    assert "itself failed" not in ask(daemon.url, protocol, model).text


def test_a_held_request_needs_no_file_of_switchyard(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream
) -> None:
    server.script(say("fine"), status(503, "back soon", headers={"retry-after": "1"}), say("back again"))
    entries = [upstream("a", server.url)]
    with running(tmp_path, checkout, settings(*entries, failover={"hold_seconds": 300})) as daemon:
        ask(daemon.url, "messages")
        delete(checkout)
        assert text_of("messages", ask(daemon.url, "messages")) == "back again"


# --- the dashboard --------------------------------------------------------------------------


@CHANGES
def test_a_dashboard_that_was_not_opened_before_says_that_the_files_have_changed(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream, change: Change
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        change(checkout)
        for visit in (daemon.get("/", PAGE), daemon.get("/token-stats.html", PAGE)):
            assert visit.status == 503
            assert f"<p>{SENTENCE}</p>" in visit.text
            assert f'<p lang="zh-CN">{CHINESE}</p>' in visit.text
        for answer in (daemon.get("/api/state"), daemon.post("/api/clients/preview")):
            assert (answer.status, answer.json) == (503, {"error": {"message": SENTENCE}})
        assert daemon.get("/health").status == 200


@CHANGES
def test_a_dashboard_that_was_opened_before_answers_its_page_and_serves_no_file_of_the_update(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream, change: Change
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        assert daemon.get("/", PAGE).status == 200
        change(checkout)
        server.pages = {"/v1/models": b'{"data": [{"id": "m"}]}'}
        for path in READ:
            assert daemon.get(path).status == 200, path
        for path, body in BUTTONS.items():
            assert daemon.post(path, body).status == 200, path
        assert request(daemon.url, "POST", "/api/import?dry_run=1", CC_SWITCH, JSON).status == 200
        assert SENTENCE in daemon.get("/", PAGE).text
        assert daemon.get("/js/panels/requests.js").json == {"error": {"message": SENTENCE}}


def test_an_opened_dashboard_works_on_if_the_files_of_its_pages_are_the_same(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        assert daemon.get("/", PAGE).status == 200
        shutil.rmtree(checkout / "switchyard")
        assert daemon.get("/", PAGE).status == 200


def test_after_a_restart_the_dashboard_is_that_of_the_update(
    tmp_path: Path, checkout: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, checkout, document(server)) as daemon:
        update(checkout)
        assert daemon.get("/", PAGE).status == 503
        daemon.restart()
        assert "<title>Next Switchyard" in daemon.get("/", PAGE).text

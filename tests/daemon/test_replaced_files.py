"""An update replaces Switchyard's files while the daemon runs, or they are deleted: what runs does not change."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.asking import ask, question, text_of
from tests.bed.daemon import ROOT, Daemon, Document, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, closed_url, say, status
from tests.bed.wire import PROTOCOLS

COPIED = ("app.py", "pyproject.toml", "requirements.txt", "switchyard", "static")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of Switchyard."""
    folder = tmp_path / "switchyard"
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=without_compiled_demo)
        else:
            shutil.copy2(source, folder / name)
    return folder


def without_compiled_demo(folder: str, names: list[str]) -> set[str]:
    """`running` waits until it is compiled."""
    return {"__pycache__"} if Path(folder).name == "demo" else set()


def deleted(tree: Path) -> None:
    shutil.rmtree(tree / "switchyard")
    shutil.rmtree(tree / "static")


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
def running(folder: Path, tree: Path, document: Document | None) -> Iterator[Daemon]:
    """A daemon that has imported all that requests need, and whose dashboard was not opened."""
    daemon = Daemon(folder, document, root=tree)
    cached = tree / "switchyard" / "demo" / "__pycache__"
    sources = {path.stem for path in (tree / "switchyard" / "demo").glob("*.py")}
    daemon.start(wait=False)
    try:
        wait_until(
            lambda: {path.name.split(".")[0] for path in cached.glob("*.pyc")} == sources, "the imports"
        )
        yield daemon
    except BaseException:
        daemon.kill()
        raise
    daemon.stop()
    assert "Traceback" not in daemon.log(), daemon.log()


# --- requests of models ------------------------------------------------------------------


def test_requests_and_edits_of_the_settings_need_no_file_of_switchyard(
    tmp_path: Path, tree: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, tree, document(server)) as daemon:
        deleted(tree)
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


def test_the_demo_needs_no_file_of_switchyard(tmp_path: Path, tree: Path) -> None:
    with running(tmp_path, tree, None) as daemon:
        deleted(tree)
        for protocol in PROTOCOLS:
            assert "demo model" in text_of(protocol, ask(daemon.url, protocol))


def test_failures_and_refusals_need_no_file_of_switchyard(
    tmp_path: Path, tree: Path, server: ScriptedUpstream
) -> None:
    with running(tmp_path, tree, document(server)) as daemon:
        deleted(tree)
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
    tmp_path: Path, tree: Path, server: ScriptedUpstream
) -> None:
    server.script(say("fine"), status(503, "back soon", headers={"retry-after": "1"}), say("back again"))
    entries = [upstream("a", server.url)]
    with running(tmp_path, tree, settings(*entries, failover={"hold_seconds": 300})) as daemon:
        ask(daemon.url, "messages")
        deleted(tree)
        assert text_of("messages", ask(daemon.url, "messages")) == "back again"

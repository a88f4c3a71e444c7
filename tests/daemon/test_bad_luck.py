"""A full disk, no file handles, a kill during a save: the daemon continues and reports the problem."""

import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import ScriptedUpstream, say, status

if sys.platform == "darwin":
    pytest.skip("limits of another process cannot be set here", allow_module_level=True)


@contextmanager
def limited(daemon: Daemon, what: int, most: int) -> Iterator[None]:
    """The daemon under a system limit."""
    before = resource.prlimit(daemon.pid, what)
    resource.prlimit(daemon.pid, what, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, what, before)


@pytest.fixture
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("Served")) as running:
        yield running


def test_a_full_disk_stops_no_request_and_loses_no_line(tmp_path: Path, server: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
        before, revision = daemon.settings_path.read_bytes(), daemon.get("/health").json["revision"]
        with limited(daemon, resource.RLIMIT_FSIZE, 0):
            for _ in range(5):
                response = ask(daemon.url, "messages")
                assert response.status == 200
            saved = daemon.post(
                "/api/upstreams/toggle", {"revision": revision, "name": "a", "enabled": False}
            )
            assert (saved.status, saved.json["error"]["message"][:27]) == (
                507,
                "The disk refused to write: ",
            )
            assert ask(daemon.url, "messages").status == 200, "what could not be saved is not in use"
        wait_until(lambda: len(daemon.journal()) == 6, "the lines that waited")

        assert daemon.token_stats()["summary"]["total_requests"] == 6
        assert daemon.settings_path.read_bytes() == before
        # the statistics are saved now and then, with a copy until they are on the disk
        wait_until(lambda: not list(daemon.data.glob("*.tmp")), "the end of the copies")
        ask(daemon.url, "messages", "logged-again")
        wait_until(lambda: "logged-again" in daemon.log(), "the log")


@pytest.mark.parametrize("is_stopped", [False, True], ids=["while it runs", "at the end"])
def test_what_was_chosen_on_a_full_disk_is_written_when_there_is_space(
    tmp_path: Path, server: ScriptedUpstream, is_stopped: bool
) -> None:
    with Daemon(tmp_path, settings(upstream("a", server.url), upstream("b", server.url))) as daemon:
        with limited(daemon, resource.RLIMIT_FSIZE, 0):
            assert daemon.post("/api/use", {"upstream": "b"}).status == 200
            assert any("use_now.json" in one for one in daemon.get("/api/state").json["problems"])
        if is_stopped:
            daemon.stop()
        wait_until((daemon.data / "use_now.json").exists, "the choice on the disk")
        assert '"b"' in (daemon.data / "use_now.json").read_text()
        if is_stopped:
            daemon.start()
        wait_until(lambda: daemon.get("/api/state").json["problems"] == [], "the end of the problem")


def test_a_first_start_on_a_full_disk_names_the_folder_and_not_the_settings(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # its process inherits it
    try:
        code, said = daemon.command()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    assert said.startswith(f"Switchyard cannot start: the data folder {daemon.data} cannot be used (")
    assert len(said.splitlines()) == 1


def test_an_edit_of_the_file_takes_full_effect_although_the_disk_is_full(tmp_path: Path) -> None:
    with ScriptedUpstream(status(401), say("Served")) as first, ScriptedUpstream(say("Spare")) as spare:
        entries = upstream("a", first.url), upstream("b", spare.url)
        with Daemon(tmp_path, settings(*entries)) as daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == "Spare"
            with limited(daemon, resource.RLIMIT_FSIZE, 0):
                daemon.change_settings(settings(entries[0] | {"key": "sk-renewed"}, entries[1]))
                wait_until(lambda: _first_state(daemon) == "ready", "the end of the old key's cooldown")
                assert text_of("messages", ask(daemon.url, "messages")) == "Served"
                (warning,) = daemon.get("/api/state").json["file"]["warnings"]
            assert warning == "An earlier version of the file is not in its history: File too large"
            daemon.change_settings(settings(*entries))
            assert daemon.get("/api/state").json["file"]["warnings"] == []
            assert len(list((daemon.data / "history").iterdir())) == 1


def test_a_file_that_an_editor_emptied_on_the_full_disk_is_in_the_history_once_there_is_space(
    tmp_path: Path, server: ScriptedUpstream
) -> None:
    with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
        good = daemon.settings_path.read_bytes()
        with limited(daemon, resource.RLIMIT_FSIZE, 0):
            daemon.settings_path.write_bytes(b"")
            wait_until(lambda: daemon.get("/api/state").json["file"]["warnings"] != [], "a note")
            assert ask(daemon.url, "messages").status == 200
        wait_until(lambda: daemon.get("/api/state").json["file"]["warnings"] == [], "the end of the note")
        assert [path.read_bytes() for path in (daemon.data / "history").glob("*.json")] == [good]


def _first_state(daemon: Daemon) -> str:
    return str(daemon.get("/api/state").json["upstreams"][0]["state"])


def test_without_file_handles_it_waits_for_better_times(tmp_path: Path, server: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
        open_ones = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        with limited(daemon, resource.RLIMIT_NOFILE, open_ones + 5):
            crowd: list[socket.socket] = []
            began = daemon.processor_seconds()
            wait_until(lambda: _crowd_and_ask(daemon, crowd), "exhaustion")
            for connection in crowd:
                connection.close()
            assert daemon.processor_seconds() - began < 1, "it does not spin"
            wait_until(lambda: not _cannot_be_asked(daemon), "an answer after the crowd has gone")
        assert ask(daemon.url, "messages").status == 200
        assert daemon.journal()[-1]["outcome"] == "ok"


def _crowd_and_ask(daemon: Daemon, crowd: list[socket.socket]) -> bool:
    """True if the daemon cannot be asked after ten more connections: it may have refused earlier ones for a file."""
    crowd += [
        socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS) for _ in range(10)
    ]
    return _cannot_be_asked(daemon)


def _cannot_be_asked(daemon: Daemon) -> bool:
    try:
        return request(daemon.url, "GET", "/health", seconds=1).status != 200
    except OSError:
        return True


@pytest.mark.parametrize("used", [False, True], ids=["silent", "after a request"])
def test_started_with_few_file_handles_it_closes_the_longest_idle_connections_for_a_new_one(
    tmp_path: Path, server: ScriptedUpstream, used: bool
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
    command = f'ulimit -n 64; exec "{sys.executable}" "$@"'
    with _shell_before_python(daemon, command), daemon:
        crowd = [_idle_connection(daemon.port, used=used) for _ in range(200)]
        # while it still accepts the other connections, one that has not sent its request yet counts as idle
        wait_until(lambda: sum(map(_is_closed, crowd)) >= 200 - 64 // 3, "the end of the longest idle")
        assert not all(map(_is_closed, crowd)), "the last ones have not reached their time limit"
        assert ask(daemon.url, "messages").status == 200
        assert daemon.journal()[-1]["outcome"] == "ok"
        for connection in crowd:
            connection.close()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def _idle_connection(port: int, *, used: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    if used:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)  # with a timeout, Python would wait before it reads
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def _shell_before_python(daemon: Daemon, command: str) -> Iterator[None]:
    """Starts the daemon through a shell that sets limits first."""
    folder = daemon.home / "bin"
    folder.mkdir()
    wrapper = folder / "python"
    wrapper.write_text(f"#!/bin/sh\n{command}\n")
    wrapper.chmod(0o700)
    before, sys.executable = sys.executable, str(wrapper)
    try:
        yield
    finally:
        sys.executable = before


def test_killed_while_it_saves_it_finds_its_file_whole_and_leaves_no_copies(tmp_path: Path) -> None:
    daemon = Daemon(
        tmp_path, settings(upstream("a", "http://127.0.0.1:9"), upstream("b", "http://127.0.0.1:9"))
    )
    for turn in range(4):
        daemon.start()
        saving = threading.Thread(target=_save_without_end, args=(daemon.url,))
        saving.start()
        wait_until(lambda: len(list((daemon.data / "history").glob("*.json"))) > 3, "some saves")
        daemon.kill()
        saving.join(PATIENCE_SECONDS)
        (daemon.data / f".all_configs.json.killed{turn}.tmp").write_text('{"key": "sk-of-a')
    with daemon:
        names = [one["name"] for one in daemon.get("/api/configs").json["upstreams"]]
        faults = daemon.get("/health").json["faults"]

    assert (sorted(names), faults) == (["a", "b"], 0)
    assert [str(path) for path in daemon.data.rglob("*.tmp")] == []


def _save_without_end(url: str) -> None:
    try:
        revision = request(url, "GET", "/health").json["revision"]
        while True:
            for name in ("b", "a"):
                body = {"revision": revision, "name": name, "before": None}
                revision = request(url, "POST", "/api/upstreams/move", body).json["revision"]
    except (OSError, KeyError, ValueError):
        return


def test_a_folder_that_cannot_be_used_is_reported_in_one_sentence(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("not a folder")
    daemon.data = in_the_way / "data"

    code, said = daemon.command()

    assert code == 1
    assert "cannot be used" in said and "Traceback" not in said


def test_a_stranger_on_the_other_loopback_address_is_not_left_there(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    try:
        stranger = socket.create_server(("::1", daemon.port), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with stranger:
        code, said = daemon.command()

    assert code == 1
    assert f"port {daemon.port} on ::1 is in use" in said and "Traceback" not in said


def test_an_empty_admin_token_is_not_taken_for_none(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings(client_keys={"k": "laptop"}))
    token = daemon.data / "admin_token"
    token.write_text("\n")
    try:
        daemon.start("--host", "0.0.0.0", wait=False)
        wait_until(lambda: not _cannot_be_asked_for_a_key(daemon), "the daemon")
        assert daemon.get("/api/configs").status == 401
        assert len(token.read_text().strip()) >= 32
        assert token.stat().st_mode & 0o777 == 0o600
    finally:
        daemon.stop()


def test_on_a_shared_machine_an_empty_token_file_closes_the_dashboard_to_other_users(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    token = daemon.data / "admin_token"
    token.touch()
    code, said = daemon.command()
    assert (code, "add `client_keys`" in said) == (1, True)

    daemon.write_settings(settings(client_keys={"k": "laptop"}))
    try:
        daemon.start(wait=False)
        wait_until(lambda: not _cannot_be_asked_for_a_key(daemon), "the daemon")
        assert daemon.post("/api/export", {"keys": True}).status == 401
        shown = {"authorization": f"Bearer {token.read_text().strip()}"}
        assert daemon.post("/api/export", {"keys": True}, shown).status == 200
        assert token.read_text().strip() not in daemon.output
    finally:
        daemon.stop()


def _cannot_be_asked_for_a_key(daemon: Daemon) -> bool:
    try:
        return daemon.get("/api").status != 200
    except OSError:
        return True

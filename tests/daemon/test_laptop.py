"""Life on a laptop: it sleeps, changes networks and time zones, its clock is corrected, its port is in use."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import ROOT, Daemon, Response, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, Step, say, stream
from tests.bed.wire import PROTOCOLS, Protocol, Reply, records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops and continues a process by signals")


@contextmanager
def asleep(daemon: Daemon) -> Iterator[None]:
    """The process is stopped, as all processes are while the lid is closed."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def ask_at_once(daemon: Daemon, count: int) -> list[Response]:
    """This many parallel requests, and as many connections to the upstream."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(daemon.url, "messages"), range(count)))


def test_after_sleep_no_stale_connection_looks_like_a_failing_upstream(tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def at_the_same_time(request: Received) -> Script:
        together.wait(PATIENCE_SECONDS)
        return say("Served")(request)

    with ScriptedUpstream(at_the_same_time) as server:
        with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
            ask_at_once(daemon, together.parties)
            assert server.connection_count == together.parties
            for turn in range(3):
                with asleep(daemon):
                    server.hang_up()
                    time.sleep(0.2)
                answers = ask_at_once(daemon, together.parties)
                assert [text_of("messages", one) for one in answers] == ["Served"] * together.parties
                assert {one.header("x-switchyard-attempts") for one in answers} == {"1"}, turn
            state = daemon.get("/api/state").json["upstreams"][0]

    assert (state["state"], state["errors"]) == ("ready", 0)
    assert {(line["outcome"], len(line["attempts"])) for line in daemon.journal()} == {("ok", 1)}


WORDS = "Words before the sleep and words after it"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_survives_a_sleep_longer_than_its_idle_timeout(tmp_path: Path, protocol: Protocol) -> None:
    """The upstream's data waits in the system meanwhile; a check of the clock alone would break the stream off."""
    begun, slept = threading.Event(), threading.Event()

    def script(request: Received) -> Script:
        steps = list(stream(records(request.protocol, Reply(WORDS), "m")))
        return _interrupted(steps, len(steps) // 2, begun, slept)

    entry = upstream("a", "", protocol, timeouts={"idle": 2})
    with ScriptedUpstream(script) as server:
        with Daemon(tmp_path, settings(entry | {"base_url": server.url})) as daemon:
            with ThreadPoolExecutor(1) as pool:
                asking = pool.submit(ask, daemon.url, protocol)
                assert begun.wait(PATIENCE_SECONDS)
                with asleep(daemon):
                    slept.set()
                    time.sleep(2.5)
                response = asking.result(PATIENCE_SECONDS)

    assert text_of(protocol, response) == WORDS
    assert daemon.journal()[-1]["outcome"] == "ok"


def _interrupted(
    steps: list[Step], place: int, begun: threading.Event, until: threading.Event
) -> Iterator[Step]:
    yield from steps[:place]
    begun.set()
    yield Hold(until)
    yield from steps[place:]


# --- other networks -----------------------------------------------------------------

MOVED = r"""
import asyncio, subprocess, sys
from pathlib import Path

sys.path[:0] = [sys.argv[1]]
hosts = Path(sys.argv[2])

import httpx
from switchyard.http1.transport import Http1Transport


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def serve(name):
    async def answer(reader, writer):
        async for line in reader:
            if line == b"\r\n":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + name)
    return answer


async def ask(transport):
    reply = await transport.send("GET", "http://upstream.moving:8000/", [], b"", 2)
    return b"".join([chunk async for chunk in reply.chunks()])


async def main():
    ip("link", "set", "lo", "up")
    for address in ("10.77.0.1", "10.77.1.1", "10.77.2.2"):
        ip("addr", "add", address + "/32", "dev", "lo")
    ip("route", "replace", "local", "10.77.2.2", "dev", "lo", "table", "local", "src", "10.77.0.1")
    first = await asyncio.start_server(serve(b"1"), "10.77.2.2", 8000)
    second = await asyncio.start_server(serve(b"2"), "10.77.1.1", 8000)
    transport = Http1Transport()
    hosts.write_text("10.77.2.2 upstream.moving\n")
    told = [await ask(transport)]
    # the name leads elsewhere now: what is open is used as long as it serves
    hosts.write_text("10.77.1.1 upstream.moving\n")
    told.append(await ask(transport))
    # another network: our own end of the connection has no address any more
    await asyncio.sleep(1.2)
    ip("addr", "del", "10.77.0.1/32", "dev", "lo")
    async with asyncio.timeout(60):
        told.append(await ask(transport))
    print(b"".join(told).decode())
    await transport.close()


asyncio.run(main())
"""


def can_make_networks() -> bool:
    if not all(map(shutil.which, ("unshare", "ip", "mount"))):
        return False
    return subprocess.run(["unshare", "-rnm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_make_networks(), reason="needs a network of its own (unshare, ip)")
def test_in_another_network_names_are_looked_up_again_and_dead_connections_are_not_used(
    tmp_path: Path,
) -> None:
    hosts, script = tmp_path / "hosts", tmp_path / "moved.py"
    hosts.write_text("")
    script.write_text(MOVED)
    inside = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    command = [
        "unshare",
        "-rnm",
        "sh",
        "-c",
        inside,
        "sh",
        sys.executable,
        str(script),
        str(ROOT),
        "/etc/hosts",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    assert done.stdout == "112\n", done.stderr


def test_another_program_that_took_the_port_is_named(tmp_path: Path) -> None:
    with ScriptedUpstream(say("Served")) as server:
        daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
        with daemon:
            assert ask(daemon.url, "messages").status == 200
        with socket.create_server(("127.0.0.1", daemon.port)):
            code, said = daemon.command()
            assert (code, f"port {daemon.port} on 127.0.0.1 is in use" in said, "Traceback" in said) == (
                1,
                True,
                False,
            )
        with daemon:
            assert ask(daemon.url, "messages").status == 200

    assert len(daemon.journal()) == 2

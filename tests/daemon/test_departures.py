"""A client with a large request leaves: noticed at once in every phase, the upstream call ends, the slot is free."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.bed.asking import PATHS, question
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.full_listener import FullListener
from tests.bed.leaving_clients import NODE, abort, claude, interrupt, node_fetch
from tests.bed.patience import wait_until
from tests.bed.raw_client import leave, post
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, Wait, cut_after_content, say, status

KB, MB = 1024, 1024 * 1024
SIZES = {"20 KB": 20 * KB, "300 KB": 300 * KB, "2 MB": 2 * MB, "8 MB": 8 * MB}
LONG = 600
"""seconds: a limit that no test reaches, so that only the client's departure can have ended the call"""
READY = {"state": "ready", "errors": 0, "under_way": 0}

Leave = Callable[[], None]
Client = Callable[["Bed", str], Leave]
"""sends a request to the upstream of this name; the returned function makes the client leave"""


@dataclass(frozen=True)
class Bed:
    """Each upstream takes one request at a time, and a single failure makes it cool down."""

    daemon: Daemon
    server: ScriptedUpstream
    unreachable: FullListener

    def state_of(self, name: str) -> Document:
        states = self.daemon.get("/api/state").json["upstreams"]
        found = next(state for state in states if state["name"] == name)
        return {field: found[field] for field in READY}

    @property
    def running(self) -> int:
        return len(self.daemon.get("/api/state").json["running"])


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server, FullListener() as unreachable:
        entries = [
            upstream("one", server.url, max_concurrency=1),
            upstream("unreachable", unreachable.url, max_concurrency=1, timeouts={"connect": LONG}),
            upstream("failing", server.url, max_concurrency=1),
        ]
        document = settings(*entries, failover={"error_threshold": 1, "hold_seconds": LONG})
        with Daemon(tmp_path_factory.mktemp("departures"), document) as daemon:
            yield Bed(daemon, server, unreachable)


def request_of(name: str, size: int) -> bytes:
    return json.dumps(question("messages", f"{name},m", "x" * size)).encode()


# --- the phases ------------------------------------------------------------------


def while_waiting_for_a_slot(bed: Bed, client: Client) -> None:
    let_go = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(let_go), *say("served")(request)]

    bed.server.script(held)
    holder = post(bed.daemon.port, PATHS["messages"], request_of("one", 10))
    bed.server.wait_for()
    leaves = client(bed, "one")
    wait_until(lambda: bed.running == 2, "the second request")
    leaves()
    wait_until(lambda: bed.running == 1, "the end of the request whose client has left")
    let_go.set()
    assert b"200 OK" in holder.recv(65536)
    wait_until(lambda: bed.state_of("one") == READY, "a free slot")
    holder.close()
    assert len(bed.server.requests) == 1


def while_connecting(bed: Bed, client: Client) -> None:
    leaves = client(bed, "unreachable")
    wait_until(lambda: bed.unreachable.callers == 1, "the call")
    leaves()
    wait_until(lambda: bed.unreachable.callers == 0, "the end of the call")


def before_content(bed: Bed, client: Client) -> None:
    bed.server.script(lambda request: [Wait()])
    leaves = client(bed, "one")
    (call,) = bed.server.wait_for()
    leaves()
    wait_until(lambda: call.gone_at is not None, "the end of the call")


def while_held(bed: Bed, client: Client) -> None:
    held_before = bed.daemon.log().count(" is held ")
    bed.server.script(status(503))
    leaves = client(bed, "failing")
    wait_until(lambda: bed.daemon.log().count(" is held ") > held_before, "a held request")
    assert bed.running == 1
    leaves()
    wait_until(lambda: bed.running == 0, "the end of the request")
    wait_until(lambda: bed.state_of("failing")["under_way"] == 0, "a free slot")


def while_streaming(bed: Bed, client: Client) -> None:
    bed.server.script(cut_after_content([Wait()]))
    leaves = client(bed, "one")
    (call,) = bed.server.wait_for()
    wait_until(lambda: _has_content(bed), "the first content")
    leaves()
    wait_until(lambda: call.gone_at is not None, "the end of the call")


def _has_content(bed: Bed) -> bool:
    return any(one["first_byte"] is not None for one in bed.daemon.get("/api/state").json["running"])


PHASES = {
    "waiting for a slot": while_waiting_for_a_slot,
    "connecting": while_connecting,
    "held": while_held,
    "before content": before_content,
    "streaming": while_streaming,
}


def check(bed: Bed, phase: str, client: Client) -> None:
    """The call ends, one line reports the cancellation, the slots are free, and no upstream's health has changed."""
    if phase == "connecting" and sys.platform != "linux":
        pytest.skip("only Linux lets a full queue of connections wait")
    before = len(bed.daemon.journal())
    PHASES[phase](bed, client)
    expected = ["cancelled", "ok"] if phase == "waiting for a slot" else ["cancelled"]
    wait_until(lambda: len(bed.daemon.journal()) - before == len(expected), "the journal's lines")
    assert [line["outcome"] for line in bed.daemon.journal()[before:]] == expected
    for name in ("one", "unreachable"):
        # the line may be read before the daemon, which has had it written by a thread, goes on
        wait_until(lambda: bed.state_of(name)["under_way"] == 0, "a free slot")  # noqa: B023
        assert bed.state_of(name) == READY


# --- the clients -----------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("chunk_bytes", [0, 5000], ids=["length", "chunked"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phase", PHASES)
def test_a_client_that_leaves_is_noticed_whatever_the_size_of_its_request(
    bed: Bed, phase: str, size: str, chunk_bytes: int, reset: bool
) -> None:
    def client(bed: Bed, name: str) -> Leave:
        body = request_of(name, SIZES[size])
        connection = post(bed.daemon.port, PATHS["messages"], body, chunk_bytes=chunk_bytes)
        return lambda: leave(connection, reset=reset)

    check(bed, phase, client)


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
@pytest.mark.parametrize(("size", "chunked"), [*((size, False) for size in SIZES), ("2 MB", True)])
@pytest.mark.parametrize("phase", PHASES)
def test_so_is_a_fetch_of_node_that_is_aborted(
    bed: Bed, tmp_path: Path, phase: str, size: str, chunked: bool
) -> None:
    with ExitStack() as running:

        def client(bed: Bed, name: str) -> Leave:
            url, body = bed.daemon.url + PATHS["messages"], request_of(name, SIZES[size])
            return partial(abort, running.enter_context(node_fetch(url, body, tmp_path, chunked=chunked)))

        check(bed, phase, client)


@pytest.mark.real_clients
@pytest.mark.parametrize("size", ["20 KB", "300 KB", "2 MB"])
@pytest.mark.parametrize("phase", PHASES)
def test_so_is_claude_code_when_it_is_interrupted(bed: Bed, tmp_path: Path, phase: str, size: str) -> None:
    with ExitStack() as running:

        def client(bed: Bed, name: str) -> Leave:
            base_url, prompt = f"{bed.daemon.url}/api", "word " * (SIZES[size] // 5)
            return partial(interrupt, running.enter_context(claude(base_url, f"{name},m", prompt, tmp_path)))

        check(bed, phase, client)

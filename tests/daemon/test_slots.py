"""A slot is held until the upstream's body has ended or its connection is closed; no client waits for that end."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed import wire
from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import ROOT, Daemon, Response, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import cooldown_of, leave, post
from tests.bed.upstream import (
    ENCODERS,
    Answer,
    Close,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Step,
    Wait,
    chunk,
    head,
    say,
    status,
    stream,
)
from tests.bed.wire import PROTOCOLS, Protocol

SECONDS_LATE = 0.1
TEXT = "Served"
RECORDS = {protocol: wire.records(protocol, wire.Reply(TEXT), "m") for protocol in PROTOCOLS}
EVENT_STREAM = {"content-type": "text/event-stream"}


# --- bodies that end later than their answers ------------------------------------


def chunked(protocol: Protocol) -> tuple[Script, Script]:
    return stream(RECORDS[protocol], end=[]), [Send(b"0\r\n\r\n")]


def gzipped(protocol: Protocol) -> tuple[Script, Script]:
    """The end of the compressed data comes with the end of the body."""
    encoder = ENCODERS["gzip"]()
    steps = stream([], headers={"content-encoding": "gzip"}, end=[])
    packed = encoder.compress(b"".join(RECORDS[protocol])) + encoder.flush(2)
    return [*steps, Send(chunk(packed))], [Send(chunk(encoder.flush()) + b"0\r\n\r\n")]


def with_length(protocol: Protocol) -> tuple[Script, Script]:
    body = b"".join(RECORDS[protocol])
    return [head(200, EVENT_STREAM | {"content-length": str(len(body) + 1)}), Send(body)], [Send(b"\n")]


def until_close(protocol: Protocol) -> tuple[Script, Script]:
    body = b"".join(RECORDS[protocol])
    return [head(200, EVENT_STREAM | {"connection": "close"}), Send(body)], [Close()]


def with_a_trailing_comment(protocol: Protocol) -> tuple[Script, Script]:
    return stream(RECORDS[protocol], end=[]), [Send(chunk(b": bye\n\n")), Send(b"0\r\n\r\n")]


BODIES: dict[str, Callable[[Protocol], tuple[Script, Script]]] = {
    "chunked": chunked,
    "gzip": gzipped,
    "a length": with_length,
    "until it closes": until_close,
    "a comment behind the end": with_a_trailing_comment,
}
"""the content of the response, and the end of its body"""


@dataclass
class OneAtATime:
    """Refuses a request with 429 while another body has not ended, as resellers and local servers do."""

    body: Callable[[Protocol], tuple[Script, Script]] = chunked
    pause: Step = field(default_factory=lambda: Wait(SECONDS_LATE))
    """between the content and the end of its body"""
    refused: int = 0
    served: int = 0
    serving: Received | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Received) -> Iterator[Any]:
        with self._lock:
            refuses = self.serving is not None and not self.serving.client_has_left
            self.refused += refuses
            self.served += not refuses
            if not refuses:
                self.serving = request
        if refuses:
            yield from status(429)(request)
            return
        answer, end = self.body(request.protocol)
        try:
            yield from answer
            yield self.pause
        finally:
            # the client may read the last bytes and send its next request before this thread continues
            with self._lock:
                self.serving = None if self.serving is request else self.serving
        yield from end


@dataclass(frozen=True)
class Bed:
    """One upstream for each protocol, all of them the same server, each with one slot."""

    daemon: Daemon
    server: ScriptedUpstream

    def ask(self, client: Protocol, name: str, *, stream: bool = True) -> Response:
        return ask(self.daemon.url, client, f"{name},m", stream=stream)

    def under_way(self) -> int:
        states = self.daemon.get("/api/state").json["upstreams"]
        return sum(state["under_way"] for state in states)

    def errors(self) -> int:
        return sum(state["errors"] for state in self.daemon.get("/api/state").json["upstreams"])


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with made(tmp_path_factory.mktemp("slots")) as found:
        yield found


PATIENCE = f"""
from switchyard.relay import draining
draining.LINGER_SECONDS = {PATIENCE_SECONDS}
"""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The daemon waits for the end of a body for as long as a test may need to look at it."""
    folder = tmp_path_factory.mktemp("patient")
    (folder / "sitecustomize.py").write_text(PATIENCE)
    with made(folder, {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}) as found:
        yield found


@contextmanager
def made(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [upstream(name, server.url, name, max_concurrency=1) for name in PROTOCOLS]
        with Daemon(folder, settings(*entries), environment) as daemon:
            yield Bed(daemon, server)


def check_one_by_one(
    bed: Bed, client: Protocol, name: Protocol, upstream: OneAtATime, *, stream: bool
) -> None:
    """Three requests, each sent as soon as the previous response has ended."""
    bed.server.script(upstream)
    responses = [bed.ask(client, name, stream=stream) for _ in range(3)]
    assert [(one.status, text_of(client, one)) for one in responses] == [(200, TEXT)] * 3
    assert (upstream.served, upstream.refused) == (3, 0)
    wait_until(lambda: bed.under_way() == 0, "the end of the last body")
    assert bed.errors() == 0


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("body", BODIES)
def test_sequential_requests_of_a_client_are_always_served(bed: Bed, body: str, name: Protocol) -> None:
    check_one_by_one(bed, name, name, OneAtATime(BODIES[body]), stream=True)


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_converted_or_not_streamed_or_whole(
    bed: Bed, client: Protocol, name: Protocol, wants_stream: bool
) -> None:
    """The upstream also streams to clients that do not stream: the response is complete before its body ends."""
    check_one_by_one(bed, client, name, OneAtATime(), stream=wants_stream)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_whole_answers_in_json_as_well(bed: Bed, name: Protocol) -> None:
    octets = wire.body(name, wire.Reply(TEXT), "m")
    json_head = head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
    upstream = OneAtATime(lambda _: ([json_head, Send(chunk(octets))], [Send(b"0\r\n\r\n")]))
    check_one_by_one(bed, name, name, upstream, stream=False)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_connection_whose_body_has_ended_serves_the_next_request(patient: Bed, name: Protocol) -> None:
    patient.server.hang_up()
    before = patient.server.connection_count
    check_one_by_one(patient, name, name, OneAtATime(), stream=True)
    assert patient.server.connection_count - before == 1


# --- the end is sent at once, and the next request waits -------------------------


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_answer_ends_before_its_body_and_the_next_request_waits_for_that(
    patient: Bed, name: Protocol, wants_stream: bool
) -> None:
    ends = threading.Event()
    upstream = OneAtATime(pause=Hold(ends))
    patient.server.script(upstream)
    assert text_of(name, patient.ask(name, name, stream=wants_stream)) == TEXT
    assert (upstream.serving is not None, patient.under_way()) == (True, 1)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(patient.ask, name, name)
        wait_until(lambda: len(patient.daemon.get("/api/state").json["running"]) == 1, "the second request")
        assert len(patient.server.requests) == 1
        ends.set()
        assert text_of(name, second.result()) == TEXT
    assert upstream.refused == 0


@pytest.mark.parametrize("body", ["chunked", "until it closes"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_body_that_never_ends_is_cut_off_after_a_moment(bed: Bed, name: Protocol, body: str) -> None:
    upstream = OneAtATime(BODIES[body], pause=Wait())
    bed.server.script(upstream)
    responses = [bed.ask(name, name) for _ in range(2)]
    assert [text_of(name, one) for one in responses] == [TEXT, TEXT]
    wait_until(lambda: bed.server.requests[0].gone_at is not None, "the end of the first call")
    assert (upstream.served, upstream.refused) == (2, 0)
    wait_until(lambda: bed.under_way() == 0, "the end of the second call")


def test_neither_is_one_that_never_ends(bed: Bed) -> None:
    endless = OneAtATime(lambda name: (stream(RECORDS[name], end=[]), []), pause=Wait(0))
    lots = Send(chunk(b": more\n\n" * 20_000))
    bed.server.script(lambda request: [*endless(request), *[lots] * 200])
    assert text_of("chat", bed.ask("chat", "chat")) == TEXT
    wait_until(lambda: bed.server.requests[0].gone_at is not None, "the end of the call")
    wait_until(lambda: bed.under_way() == 0, "a free slot")


# --- clients that leave, send more, and a daemon that stops ----------------------


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_client_that_leaves_after_its_answer_changes_nothing(patient: Bed, reset: bool) -> None:
    ends = threading.Event()
    upstream = OneAtATime(pause=Hold(ends))
    patient.server.script(upstream)
    before = len(patient.daemon.journal())
    connection = post(patient.daemon.port, PATHS["messages"], body_for("messages"))
    said = b""
    while not said.endswith(b"0\r\n\r\n"):
        said += connection.recv(65536)
    leave(connection, reset=reset)
    assert (len(patient.server.requests), patient.under_way()) == (1, 1)
    ends.set()
    assert text_of("messages", patient.ask("messages", "messages")) == TEXT
    assert (upstream.refused, patient.server.requests[0].gone_at) == (0, None)
    assert [line["outcome"] for line in patient.daemon.journal()[before:]] == ["ok", "ok"]


def test_requests_sent_at_once_on_one_connection_are_answered_one_after_the_other(bed: Bed) -> None:
    upstream = OneAtATime()
    bed.server.script(upstream)
    body = body_for("chat")
    request = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
    last = f"{request}connection: close\r\n\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", bed.daemon.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall((f"{request}\r\n".encode() + body) * 3 + last)
        reported = cooldown_of(connection)
    assert (reported.count(b"HTTP/1.1 200"), reported.count(b"[DONE]")) == (4, 4)
    assert (upstream.served, upstream.refused) == (4, 0)


def test_a_daemon_that_stops_loses_nothing_and_closes_what_is_left(tmp_path: Path) -> None:
    upstream_ = OneAtATime(pause=Wait())
    with ScriptedUpstream(upstream_) as server:
        with Daemon(tmp_path, settings(upstream("one", server.url, max_concurrency=1))) as daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == TEXT
        lines = daemon.journal()
        wait_until(lambda: server.requests[0].gone_at is not None, "the end of the call")
    assert [line["outcome"] for line in lines] == ["ok"]
    assert "never" not in daemon.output


def body_for(name: Protocol) -> bytes:
    return json.dumps(question(name, f"{name},m")).encode()


# --- edits of the file while requests wait -----------------------------------------


@pytest.mark.parametrize(
    ("before", "edit", "key"),
    [
        ({"max_concurrency": 1}, {"max_concurrency": 3}, "sk-of-a"),
        ({"max_concurrency": 1}, {"max_concurrency": 0}, "sk-of-a"),
        ({"requests_per_minute": 1}, {"requests_per_minute": 0}, "sk-of-a"),
        ({"max_concurrency": 1}, {"key": "sk-renewed"}, "sk-renewed"),
    ],
    ids=["a higher limit", "no limit", "no rate limit", "another key"],
)
def test_requests_that_wait_for_a_slot_follow_an_edit_of_its_entry(
    tmp_path: Path, before: dict[str, Any], edit: dict[str, Any], key: str
) -> None:
    gate = threading.Event()
    with ScriptedUpstream(held_by(gate)) as server, ThreadPoolExecutor(2) as pool:
        entry = upstream("a", server.url, **before)
        with Daemon(tmp_path, settings(entry)) as daemon:
            asking = two_at_once(pool, daemon)
            daemon.change_settings(settings(entry | edit))
            try:
                second = server.wait_for(2)[1]
            finally:
                gate.set()
            assert [text_of("messages", one.result()) for one in asking] == [TEXT] * 2
    assert second.header("authorization") == f"Bearer {key}"


def test_and_an_upstream_that_is_added(tmp_path: Path) -> None:
    gate = threading.Event()
    with ScriptedUpstream(held_by(gate)) as full, ScriptedUpstream(say("Added")) as added:
        entry = upstream("a", full.url, max_concurrency=1)
        with Daemon(tmp_path, settings(entry)) as daemon, ThreadPoolExecutor(2) as pool:
            asking = two_at_once(pool, daemon)
            daemon.change_settings(settings(entry, upstream("b", added.url)))
            try:
                added.wait_for()
            finally:
                gate.set()
            assert {text_of("messages", one.result()) for one in asking} == {TEXT, "Added"}


def held_by(gate: threading.Event) -> Answer:
    return lambda request: [Hold(gate), *say(TEXT)(request)]


def two_at_once(pool: ThreadPoolExecutor, daemon: Daemon) -> list[Future[Response]]:
    """One is being answered, the other one waits."""
    asking = [pool.submit(ask, daemon.url, "messages") for _ in range(2)]
    wait_until(lambda: len(daemon.get("/api/state").json["running"]) == 2, "two requests")
    return asking

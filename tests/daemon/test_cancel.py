"""The client leaves: the upstream call ends at once, in every phase, and no upstream is blamed."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.raw_client import leave, post
from tests.bed.upstream import (
    Answer,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Wait,
    cut_after_content,
    head,
    opening,
    say,
    stream,
)
from tests.bed.wire import PROTOCOLS, Protocol

LIMIT_SECONDS = 0.05
READ_SECONDS = 0.03
"""within which the daemon has usually read what the upstream has sent"""


def slow_drip(request: Received) -> Script:
    from tests.bed import wire

    return stream(wire.records(request.protocol, wire.Reply("word " * 400), "m"), seconds_between=0.02)


PHASES: dict[str, tuple[Answer, bool]] = {
    "before the headers": (lambda request: [Wait()], False),
    "after the headers": (
        lambda request: [
            head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}),
            Wait(),
        ],
        False,
    ),
    "after the opening": (lambda request: stream(opening(request), end=[Wait()]), False),
    "after content": (cut_after_content([Wait()]), True),
    "while content flows": (slow_drip, True),
    "inside a record": (
        lambda request: [*stream(opening(request), end=[Send(b"40\r\ndata: {"), Wait()])],
        False,
    ),
}


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
        with Daemon(tmp_path_factory.mktemp("cancel"), settings(*entries)) as daemon:
            yield Bed(daemon, server)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("phase", PHASES)
def test_the_upstream_call_ends_with_the_client(
    bed: Bed, phase: str, protocol: Protocol, wants_stream: bool, reset: bool
) -> None:
    answer, shows_content = PHASES[phase]
    ask_and_leave(bed, answer, protocol, wants_stream, shows_content and wants_stream, reset)


@pytest.mark.timing
@pytest.mark.parametrize("phase", PHASES)
def test_and_at_once(bed: Bed, phase: str) -> None:
    answer, shows_content = PHASES[phase]
    delays = [ask_and_leave(bed, answer, "messages", True, shows_content, False) for _ in range(5)]

    assert min(delays) < LIMIT_SECONDS, delays


def ask_and_leave(
    bed: Bed,
    answer: Answer,
    protocol: Protocol,
    wants_stream: bool = True,
    shows_content: bool = False,
    reset: bool = False,
    read_seconds: float = READ_SECONDS,
) -> float:
    """The seconds from the client's departure to the end of the upstream's connection, which nothing else ends."""
    bed.server.script(answer)
    lines = len(bed.daemon.journal())
    client = ask_and_wait(bed, protocol, wants_stream, shows_content, read_seconds)
    left_at = time.monotonic()
    leave(client, reset=reset)
    request = bed.server.requests[0]
    wait_until(lambda: request.gone_at is not None, "the end of the upstream call")
    wait_until(lambda: len(bed.daemon.journal()) > lines, "the journal line")
    line = bed.daemon.journal()[-1]
    assert line["outcome"] == "cancelled"
    if shows_content:
        assert line["usage"]["estimated"] and line["usage"]["output"] > 1, line
    assert request.gone_at is not None
    return request.gone_at - left_at


def ask_and_wait(
    bed: Bed, protocol: Protocol, wants_stream: bool, shows_content: bool, read_seconds: float
) -> socket.socket:
    body = json.dumps(question(protocol, "m", stream=wants_stream)).encode()
    client = post(bed.daemon.port, PATHS[protocol], body)
    if shows_content:
        seen = b""
        while b"The beg" not in seen and b"word" not in seen:
            seen += client.recv(65536)
    else:
        bed.server.wait_for()
        time.sleep(read_seconds)
    return client


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_clients_that_leave_do_not_put_an_upstream_into_cooldown(bed: Bed, protocol: Protocol) -> None:
    for _ in range(5):
        ask_and_leave(bed, PHASES["before the headers"][0], protocol)
    bed.server.script(say("Still here"))

    assert text_of(protocol, ask(bed.daemon.url, protocol)) == "Still here"


def test_a_client_that_leaves_while_another_upstream_is_tried_ends_that_call_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from tests.bed.upstream import FAULTS

    with (
        ScriptedUpstream(FAULTS["status 500"]) as first,
        ScriptedUpstream(lambda request: [Wait()]) as second,
    ):
        entries = (upstream("first", first.url), upstream("second", second.url))
        with Daemon(tmp_path_factory.mktemp("second"), settings(*entries)) as daemon:
            ask_and_leave(Bed(daemon, second), lambda request: [Wait()], "messages")


def test_a_prompt_that_the_upstream_has_read_counts_though_its_client_left_before_any_content(
    bed: Bed,
) -> None:
    answer, _ = PHASES["after the opening"]
    for factor in (1, 10, 100, 300):  # on a busy machine the client may leave before the opening is read
        ask_and_leave(bed, answer, "messages", read_seconds=factor * READ_SECONDS)
        usage = bed.daemon.journal()[-1].get("usage")
        if usage is not None:
            break

    assert usage is not None and usage["input"] == 11

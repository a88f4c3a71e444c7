"""A client that leaves while it is held: its probe and slot are freed at once, and the next in line continues."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import Daemon, Document, Response, holding_settings, upstream
from tests.bed.outage import Outage, OutageUpstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Received, Script, Wait, say

FAILS_AFTER = 1.0
"""how long a failing request runs, so that another would overlap with it"""


@dataclass
class Bed:
    """One upstream in an outage that the test ends, with one slot; two clients of it."""

    daemon: Daemon
    server: OutageUpstream
    outage: Outage
    pool: ThreadPoolExecutor

    def leaver(self, stream: bool) -> socket.socket:
        body = json.dumps(question("messages", "m", "I will leave", stream)).encode()
        client = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=PATIENCE_SECONDS)
        head = [f"POST {PATHS['messages']} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
        client.sendall("\r\n".join([*head, "", ""]).encode() + body)
        self.wait_for_requests("I will leave", 1)
        return client

    def stayer(self) -> "Future[Response]":
        future = self.pool.submit(ask, self.daemon.url, "messages", "m", "I will stay", seconds=120)
        self.wait_for_requests("I will stay", 1)
        return future

    def requests_of(self, text: str) -> list[Received]:
        return [
            request
            for request in list(self.server.requests)
            if request.json["messages"][0]["content"] == text
        ]

    def wait_for_requests(self, text: str, count: int) -> Received:
        wait_until(
            lambda: len(self.requests_of(text)) >= count,
            f'request {count} of "{text}" (is it held?)',
        )
        return self.requests_of(text)[count - 1]

    def wait_for_the_end_of(self, request: Received) -> None:
        wait_until(lambda: request.ended_at is not None, "the end of a request")

    def rows(self) -> list[Document]:
        return [row for row in self.daemon.journal() if row["model"] == "m"]

    def row_of(self, outcome: str) -> Document:
        def rows() -> list[Document]:
            return [row for row in self.rows() if row["outcome"] == outcome]

        wait_until(lambda: bool(rows()), f"a row with the outcome {outcome}")
        (row,) = rows()
        return row


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    outage = Outage(120)
    with OutageUpstream(say("Back again")) as server:
        entry = upstream("only", server.url, max_concurrency=1)
        with Daemon(tmp_path, holding_settings(entry)) as daemon, ThreadPoolExecutor(1) as pool:
            ask(
                daemon.url, "messages", "before"
            )  # requests are held only briefly for an entry that has never answered
            server.forget()
            server.set_outage("503", outage, before=lambda request: [Wait(FAILS_AFTER)])
            bed = Bed(daemon, server, outage, pool)
            try:
                yield bed
            finally:
                if outage.began is not None:
                    outage.end()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_leaves_during_its_probe_frees_it_for_the_next_in_line(bed: Bed, stream: bool) -> None:
    def until_it_leaves(request: Received) -> Script:
        return [Wait() if request in bed.requests_of("I will leave")[1:] else Wait(FAILS_AFTER)]

    bed.server.set_outage("503", bed.outage, before=until_it_leaves)
    client = bed.leaver(stream)
    stays = bed.stayer()
    probe = bed.wait_for_requests("I will leave", 2)

    client.close()

    wait_until(lambda: probe.gone_at is not None, "the end of the probe")
    judge(bed, stays)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_leaves_when_its_turn_to_probe_comes_makes_way_for_the_next(
    bed: Bed, stream: bool
) -> None:
    client = bed.leaver(stream)
    stays = bed.stayer()
    bed.wait_for_the_end_of(bed.wait_for_requests("I will leave", 2))
    bed.wait_for_the_end_of(bed.wait_for_requests("I will stay", 2))

    client.close()

    judge(bed, stays)


def judge(bed: Bed, stays: "Future[Response]") -> None:
    """The outage is over: the other request finds out, and each of the two is one row."""
    cancelled = bed.row_of("cancelled")
    bed.outage.end()
    response = stays.result(timeout=PATIENCE_SECONDS)

    assert (response.status, text_of("messages", response)) == (200, "Back again")
    assert bed.server.overlapping == []
    assert bed.row_of("ok")["usage"]["input"] == 11
    # no request was sent without a client
    assert "usage" not in cancelled and len(cancelled["attempts"]) == len(bed.requests_of("I will leave"))
    assert len(bed.rows()) == 2
    assert bed.daemon.get("/api/state").json["running"] == []

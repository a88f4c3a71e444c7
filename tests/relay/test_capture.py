"""Keeping bodies: only while asked, only so many, only so much."""

import asyncio
from typing import Any, cast

import pytest

from switchyard.exchange import Exchange
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay import capture
from switchyard.relay.capture import CapturingRelay, NowhereSink
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failover import Relay
from switchyard.relay.values import ClientRequest, Sink

BODY = b'{"model": "m", "messages": []}'


class Parrot(Relay):
    """Answers with the body of the request, in two pieces."""

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._count = 0

    async def answer(self, request: ClientRequest, sink: Sink) -> Exchange:
        await sink.start(200, [])
        await sink.write(request.body[:4])
        await sink.write(request.body[4:])
        await sink.end()
        self._count += 1
        return Exchange(id=f"x{self._count}", at=0.0, client_protocol="chat", requested_model="m")


class Capturing(CapturingRelay, Parrot):
    """What is tested, over a relay that needs no network."""


def ask(relay: Capturing, body: bytes = BODY) -> str:
    request = ClientRequest("chat", body, read_request_summary("chat", BODY, {}), [])
    return asyncio.run(relay.answer(request, NowhereSink())).id


@pytest.fixture
def relay() -> Capturing:
    return Capturing(cast(Dependencies, None))


def kept(relay: Capturing, id: str) -> Any:
    found = relay.find(id)
    return (
        None
        if found is None
        else (found.request.body if found.request else None, found.answer, found.truncated)
    )


def test_nothing_is_kept_unless_asked(relay: Capturing) -> None:
    assert kept(relay, ask(relay)) is None


def test_request_and_answer_are_kept_until_it_is_switched_off(relay: Capturing) -> None:
    relay.switch(True)
    id = ask(relay)
    assert kept(relay, id) == (BODY, BODY, False)
    relay.switch(False)
    assert kept(relay, id) is None


def test_the_oldest_goes(relay: Capturing) -> None:
    relay.switch(True)
    ids = [ask(relay) for _ in range(capture.MAX_EXCHANGES + 1)]
    assert [kept(relay, id) is None for id in ids] == [True] + [False] * capture.MAX_EXCHANGES


def test_a_long_answer_is_kept_in_part_and_a_long_request_not_at_all(relay: Capturing) -> None:
    relay.switch(True)
    long = b"x" * (capture.MAX_REQUEST_BYTES + 1)
    assert kept(relay, ask(relay, long)) == (None, long[: capture.MAX_ANSWER_BYTES], True)

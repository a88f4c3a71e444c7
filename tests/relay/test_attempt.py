from collections.abc import AsyncIterator
from typing import cast

import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.untouched import UntouchedStream
from switchyard.relay.attempt import Held, attempt
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.pretend import PretendingWire
from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Timeouts
from tests.bed import wire
from tests.bed.fake_time import run
from tests.bed.wire import PROTOCOLS, Protocol

BOM = b"\xef\xbb\xbf"
CALL = Call("https://h.example", [], b"", 10.0, upstream="u")


class FakeBody:
    """An empty piece is a connection that breaks."""

    has_ended = False

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if not piece:
                raise OSError("reset by peer")
            yield piece

    async def close(self) -> None:
        return


class FakeWire:
    def __init__(self, pieces: list[bytes], label: str) -> None:
        self._pieces = pieces
        self._label = label

    async def send(self, call: Call) -> Reply:
        return Reply(200, [("content-type", self._label)], FakeBody(self._pieces))


def attempted(
    protocol: Protocol, pieces: list[bytes], *, wants_stream: bool, reads_on: bool = True, label: str = ""
) -> bytes:
    """All that the client would get."""

    async def scenario() -> bytes:
        codec = CODECS[protocol]
        stream = UntouchedStream(codec, "m") if wants_stream else None
        around = cast(PretendingWire, FakeWire(pieces, label))
        held: Held = await attempt(around, CALL, codec, stream, Timeouts(), seconds_left=9.0, wall=0.0)
        rest = b"".join([chunk async for chunk in held.reply.chunks()]) if reads_on else b""
        return held.head + (stream.feed(rest) if stream is not None else rest)

    return run(scenario())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_for_a_client_that_wants_none_is_read_to_its_end_and_no_further(protocol: Protocol) -> None:
    records = wire.records(protocol, wire.Reply("Got it."), "m")
    sent = attempted(protocol, [*records, b": still here\n\n"], wants_stream=False, reads_on=False)
    assert sent == b"".join(records)


@pytest.mark.parametrize("forgotten", [1, 5])
@pytest.mark.parametrize("protocol", ["messages", "chat"])
def test_a_connection_may_break_after_the_reason_to_stop(protocol: Protocol, forgotten: int) -> None:
    records = wire.records(protocol, wire.Reply("Got it."), "m")[:-forgotten]
    if forgotten == 1:
        assert attempted(protocol, [*records, b""], wants_stream=False) == b"".join(records)
    else:
        with pytest.raises(AttemptFailed):
            attempted(protocol, [*records, b""], wants_stream=False)


@pytest.mark.parametrize("label", ["application/json", "text/event-stream", "text/plain", ""])
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_is_what_it_looks_like_whatever_its_label(
    protocol: Protocol, wants_stream: bool, label: str
) -> None:
    reply = wire.Reply("Got it.")
    for sent in (b"".join(wire.records(protocol, reply, "m")), wire.body(protocol, reply, "m")):
        assert attempted(protocol, [sent], wants_stream=wants_stream, label=label) == sent


ONLY_ENDS: dict[Protocol, bytes] = {
    "messages": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "chat": b'data: {"choices":[]}\n\ndata: [DONE]\n\n',
    "responses": b"data: [DONE]\n\n",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
def test_an_end_alone_is_no_answer(protocol: Protocol, wants_stream: bool) -> None:
    with pytest.raises(AttemptFailed):
        attempted(protocol, [ONLY_ENDS[protocol]], wants_stream=wants_stream)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_answer_is_one(protocol: Protocol) -> None:
    sent = b"".join(wire.records(protocol, wire.Reply(""), "m"))
    assert attempted(protocol, [sent], wants_stream=True) == sent


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 9])
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_byte_order_mark_goes_no_further_however_it_is_cut(
    protocol: Protocol, wants_stream: bool, cut: int
) -> None:
    reply = wire.Reply("Got it.")
    sent = b"".join(wire.records(protocol, reply, "m")) if wants_stream else wire.body(protocol, reply, "m")
    marked = BOM + sent
    pieces = [piece for piece in (marked[:cut], marked[cut:]) if piece]
    assert attempted(protocol, pieces, wants_stream=wants_stream) == sent

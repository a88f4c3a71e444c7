import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import zip_longest
from typing import cast

import pytest

from switchyard.exchange import FailureKind
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.relay.attempt import HeldAnswer, Reader, attempt
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.upstream import Call, Reply
from switchyard.timeouts import Timeouts
from tests.bed import wire
from tests.bed.fake_time import now, run
from tests.bed.wire import PROTOCOLS, Protocol

BOM = b"\xef\xbb\xbf"
Headers = Sequence[tuple[str, str]]
CALL = Call("https://h.example", [], b"", 10.0, upstream="u")


class FakeBody:
    """An empty piece is a connection that breaks; `pauses` are the seconds before each piece, 0 where none is left."""

    has_ended = False

    def __init__(self, pieces: list[bytes], pauses: list[float]) -> None:
        self._pieces = pieces
        self._pauses = pauses

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece, pause in zip_longest(self._pieces, self._pauses[: len(self._pieces)], fillvalue=0.0):
            await asyncio.sleep(pause)
            if not piece:
                raise OSError("reset by peer")
            yield cast(bytes, piece)

    async def close(self) -> None:
        return


class FakeWire:
    def __init__(
        self,
        pieces: list[bytes],
        label: str,
        pauses: list[float],
        status: int = 200,
        headers: Headers = (),
    ) -> None:
        self._pieces = pieces
        self._headers = [("content-type", label), *headers]
        self._pauses = pauses
        self._status = status

    async def send(self, call: Call) -> Reply:
        return Reply(self._status, self._headers, FakeBody(self._pieces, self._pauses))


def attempted(
    protocol: Protocol,
    pieces: list[bytes],
    *,
    wants_stream: bool,
    reads_on: bool = True,
    label: str = "",
    pauses: list[float] | None = None,
    timeouts: Timeouts | None = None,
    seconds_left: float = 9.0,
) -> bytes:
    """All that the client would get."""

    async def scenario() -> bytes:
        codec = CODECS[protocol]
        stream = PassthroughStream(codec, "m") if wants_stream else None
        dependencies = cast(SimulatingWire, FakeWire(pieces, label, pauses or []))
        held: HeldAnswer = await attempt(
            dependencies,
            CALL,
            Reader(codec, stream),
            timeouts or Timeouts(),
            seconds_left=seconds_left,
            wall=0.0,
        )
        rest = b"".join([chunk async for chunk in held.reply.chunks()]) if reads_on else b""
        return held.start + (stream.feed(rest) if stream is not None else rest)

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
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("sent", [b"[]", b"[1]", b'[{"error":{"message":"it failed"}}]'])
def test_a_list_is_no_answer(protocol: Protocol, wants_stream: bool, sent: bytes) -> None:
    with pytest.raises(AttemptFailed, match="it failed" if b"it failed" in sent else "."):
        attempted(protocol, [sent], wants_stream=wants_stream)


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


# --- what counts as an answer while none has come --------------------------------

FILLERS: dict[str, bytes] = {
    "comment": b": PROCESSING\n\n",
    "ping": b'event: ping\ndata: {"type":"ping"}\n\n',
    "blank": b"\n\n",
    "retry": b"retry: 1000\n\n",
}
OPENINGS: dict[Protocol, int] = {"messages": 1, "chat": 1, "responses": 2}
"""how many records begin an answer without content"""
LIMITS = Timeouts(first_byte=120, idle=200)


def failed_at(protocol: Protocol, pieces: list[bytes], pauses: list[float], wants_stream: bool) -> object:
    """How the attempt fails, and when."""

    async def scenario() -> object:
        codec = CODECS[protocol]
        stream = PassthroughStream(codec, "m") if wants_stream else None
        dependencies = cast(SimulatingWire, FakeWire(pieces, "text/event-stream", pauses))
        with pytest.raises(AttemptFailed) as failed:
            await attempt(dependencies, CALL, Reader(codec, stream), LIMITS, seconds_left=600.0, wall=0.0)
        return failed.value.failure.kind, now()

    return run(scenario())


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upstream_that_sends_no_content_has_no_longer_than_one_that_sends_nothing(
    protocol: Protocol, wants_stream: bool, filler: str
) -> None:
    first_byte = 120.0 if wants_stream else 200.0  # a whole answer may be generated before its first byte
    drip = [FILLERS[filler]] * 10_000
    found = failed_at(protocol, drip, [0.1] * len(drip), wants_stream)
    assert found == (FailureKind.FIRST_BYTE_TIMEOUT, first_byte)


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_opening_without_content_is_none(protocol: Protocol, wants_stream: bool) -> None:
    opening = wire.records(protocol, wire.Reply("Got it."), "m")[: OPENINGS[protocol]]
    pieces = [*opening, *[b": PROCESSING\n\n"] * 10_000]
    first_byte = 120.0 if wants_stream else 200.0
    found = failed_at(protocol, pieces, [0.1] * len(pieces), wants_stream)
    assert found == (FailureKind.FIRST_BYTE_TIMEOUT, first_byte)


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_after_the_first_content_comments_keep_an_answer_alive(
    protocol: Protocol, wants_stream: bool
) -> None:
    begin, *rest = wire.records(protocol, wire.Reply("Got it."), "m", piece=2)
    middle = len(rest) // 2
    pieces = [begin, *rest[:middle], *[b": PROCESSING\n\n"] * 20, *rest[middle:]]
    pauses = [0.0] * (1 + middle) + [100.0] * 20
    sent = attempted(
        protocol, pieces, wants_stream=wants_stream, pauses=pauses, timeouts=LIMITS, seconds_left=600.0
    )
    assert sent == b"".join(pieces)


@pytest.mark.parametrize("protocol", ["messages", "responses"])
def test_a_model_that_thinks_in_an_open_block_is_at_work(protocol: Protocol) -> None:
    records = wire.records(protocol, wire.Reply("Got it.", thinking="Hm."), "m")
    opened = OPENINGS[protocol] + 1
    pieces = [*records[:opened], b": PROCESSING\n\n", b": PROCESSING\n\n", *records[opened:]]
    pauses = [0.0] * opened + [180.0, 180.0, 180.0]
    sent = attempted(protocol, pieces, wants_stream=True, pauses=pauses, timeouts=LIMITS, seconds_left=600.0)
    assert sent == b"".join(pieces)


@pytest.mark.parametrize("protocol", ["messages", "responses"])
def test_an_open_block_is_filled_within_the_time_budget(protocol: Protocol) -> None:
    records = wire.records(protocol, wire.Reply("Got it.", thinking="Hm."), "m")[: OPENINGS[protocol] + 1]
    pieces = [*records, *[b": PROCESSING\n\n"] * 10_000]
    found = failed_at(protocol, pieces, [1.0] * len(pieces), wants_stream=True)
    assert found == (FailureKind.IDLE_TIMEOUT, 600.0)


# --- when to ask again -----------------------------------------------------------


def refused(status: int, pieces: list[bytes], headers: Headers, *, wants_stream: bool) -> WireError:
    async def scenario() -> WireError:
        codec = CODECS["messages"]
        stream = PassthroughStream(codec, "m") if wants_stream else None
        dependencies = cast(SimulatingWire, FakeWire(pieces, "", [], status, headers))
        with pytest.raises(AttemptFailed) as failed:
            await attempt(
                dependencies, CALL, Reader(codec, stream), Timeouts(), seconds_left=9.0, wall=1_800_000_000.0
            )
        return failed.value.failure.error

    return run(scenario())


LIMITED = wire.error_body("messages", "slow down", "rate_limit_error")
USED_UP = json.dumps(
    {"type": "error", "error": {"type": "usage_limit_reached", "message": "no", "resets_at": 1_800_003_600}}
).encode()
IN_STREAM = b"".join(wire.error_records("messages", "slow down", "rate_limit_error"))


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("status", "body", "headers", "type", "seconds"),
    [
        (429, LIMITED, [("retry-after", "7")], ErrorType.RATE_LIMIT, 7.0),
        (200, LIMITED, [("retry-after", "7")], ErrorType.RATE_LIMIT, 7.0),
        (200, IN_STREAM, [("retry-after", "7")], ErrorType.RATE_LIMIT, 7.0),
        (429, USED_UP, [("retry-after", "7")], ErrorType.QUOTA, 3600.0),
        (200, USED_UP, [], ErrorType.QUOTA, 3600.0),
        (400, USED_UP, [], ErrorType.QUOTA, 3600.0),
    ],
)
def test_the_wait_is_read_from_headers_and_body_whatever_the_status(
    status: int, body: bytes, headers: Headers, type: ErrorType, seconds: float, wants_stream: bool
) -> None:
    error = refused(status, [body], headers, wants_stream=wants_stream)
    assert (error.type, error.retry_after) == (type, seconds)

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols import neutral
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_request
from switchyard.protocols.passthrough.stream import FORGOTTEN_ENDS, PassthroughStream
from switchyard.protocols.sse import MAX_CONTAINERS
from switchyard.relay.attempt import HeldAnswer, Stream
from switchyard.relay.delivery import closing_bytes, deliver_stream
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers
from switchyard.relay.keep_alive import KeepAlive
from switchyard.relay.upstream import Reply
from tests.bed import wire
from tests.bed.fake_time import now, run
from tests.bed.wire import PROTOCOLS, Protocol

TEXT = "A long answer that comes in many small pieces. " * 4
BROKE = "the connection broke"


class FakeReply:
    """Sends its records so many seconds apart, and then ends, breaks or sends nothing more."""

    def __init__(self, records: list[bytes], seconds: float, end: str = "end") -> None:
        self._chunks = self._read(records, seconds, end)
        self.closed_at: float | None = None

    async def _read(self, records: list[bytes], seconds: float, end: str) -> AsyncIterator[bytes]:
        for record in records:
            await asyncio.sleep(seconds)
            yield record
        if end == "idle":
            await asyncio.sleep(1e9)
        if end == "break":
            raise AttemptFailed(network_failure(FailureKind.READ, BROKE))

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def close(self) -> None:
        self.closed_at = now()


@dataclass
class Delivered:
    """What the client got, and how the stream ended."""

    write_seconds: float = 0.0
    started: bool = True
    body: bytes = b""
    failure: Failure | None = None
    body_before_the_end: bytes = b""
    at: float = 0.0
    closed_at: float | None = None
    """when the upstream's connection was closed, if it was not left to the caller"""

    async def start(self, status: int, headers: Headers) -> None:
        raise AssertionError("it has started")

    async def write(self, data: bytes) -> None:
        if self.write_seconds:
            await asyncio.sleep(self.write_seconds)
        self.body += data

    async def end(self, data: bytes = b"") -> None:
        self.body += data

    async def cut(self) -> None:
        raise AssertionError("it ends in its protocol")

    @property
    def kind(self) -> FailureKind | None:
        return self.failure.kind if self.failure else None

    @property
    def beats(self) -> int:
        return (
            self.body.count(b"keep-alive") + self.body.count(b"event: ping") + self.body.count(b'"keepalive"')
        )


def deliver(
    protocol: Protocol,
    records: list[bytes],
    *,
    seconds: float = 0.0,
    end: str = "end",
    idle: float = 60.0,
    write_seconds: float = 0.0,
    client: Protocol | None = None,
) -> Delivered:
    async def scenario() -> Delivered:
        got = Delivered(write_seconds)
        stream = stream_between(protocol, client or protocol)
        reply = FakeReply(records, seconds, end)
        held = HeldAnswer(cast(Reply, reply), protocol, b"", stream)
        keep_alive = KeepAlive(got, 15.0, [], stream.keep_alive)

        delivered = await deliver_stream(held, stream, keep_alive, idle)
        got.failure, got.body_before_the_end, last = delivered.failure, got.body, delivered.last
        await keep_alive.stop()
        if delivered.failure is not None:
            last = closing_bytes(stream, last, delivered.failure.error)
        await keep_alive.write(last)
        got.at, got.closed_at = now(), reply.closed_at
        return got

    return run(scenario())


def stream_between(upstream: Protocol, client: Protocol) -> Stream:
    if upstream == client:
        return PassthroughStream(CODECS[client], "m")
    request = neutral.Request("m", (neutral.Message("user", (neutral.Text("Go"),)),), stream=True)
    sent = convert_request(request, CODECS[upstream], Target("m", "issuer"))
    return StreamConversion(CODECS[upstream], CODECS[client], sent, request)


def records_of(protocol: Protocol) -> list[bytes]:
    return wire.records(protocol, wire.Reply(TEXT), "m")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_of_many_minutes_survives_and_is_kept_alive(protocol: Protocol) -> None:
    records = records_of(protocol)
    got = deliver(protocol, records, seconds=50.0)
    assert got.kind is None
    assert got.at > 20 * 60
    # three keep-alives fit between two events, but none into the time after the last
    assert got.beats >= 3 * (len(records) - 2)
    content = b"".join(records[:-1])  # the mere end is not waited for
    assert got.body.replace(CODECS[protocol].keep_alive, b"").startswith(content)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_idle_timeout_after_content_is_a_break_that_is_reported_once(protocol: Protocol) -> None:
    got = deliver(protocol, records_of(protocol)[:6], end="idle", idle=60.0)
    assert (got.kind, got.at) == (FailureKind.IDLE_TIMEOUT, 60.0)
    assert got.body.count(b"sent nothing more for 60 s") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_broken_connection_is_returned_before_the_client_gets_it_once(protocol: Protocol) -> None:
    got = deliver(protocol, records_of(protocol)[:6], end="break")
    assert got.kind is FailureKind.READ
    assert got.body.count(BROKE.encode()) == 1
    assert BROKE.encode() not in got.body_before_the_end


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_end_before_the_end_of_the_protocol_is_a_break(protocol: Protocol) -> None:
    got = deliver(protocol, records_of(protocol)[:6])
    assert got.kind is FailureKind.READ
    assert got.body.count(b"ended before the answer was complete") == 1


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_came_before_an_event_that_is_too_large_arrives_and_then_the_error(
    protocol: Protocol, client: Protocol
) -> None:
    records = records_of(protocol)
    middle = len(records) // 2
    one_by_one = deliver(protocol, [*records[:middle], OVERGROWN], client=client)
    together = deliver(protocol, [b"".join(records[:middle]) + OVERGROWN + records[middle]], client=client)
    assert says(one_by_one) == says(together)
    assert together.body.count(b"small") >= b"".join(records[:middle]).count(b"small") > 0
    assert together.failure == one_by_one.failure is not None
    assert b"too large" in together.body


OVERGROWN = b'event: error\ndata: {"x":[' + b"[]," * MAX_CONTAINERS + b"[]]}\n\n"


def says(got: Delivered) -> bytes:
    """Without what differs from run to run."""
    return re.sub(rb'"(id|item_id|created|created_at)":("[^"]*"|\d+)', b"", got.body)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_last_bytes_are_returned_and_not_written(protocol: Protocol) -> None:
    records = records_of(protocol)
    got = deliver(protocol, records)
    assert (got.kind, got.body) == (None, b"".join(records))
    assert got.body_before_the_end == b"".join(records[:-1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_that_reads_slowly_does_not_make_the_upstream_idle(protocol: Protocol) -> None:
    got = deliver(protocol, records_of(protocol), write_seconds=100.0, idle=60.0)
    assert got.kind is None


REASONS: dict[Protocol, bytes] = {
    "chat": b'"finish_reason": "stop"',
    "messages": b'"stop_reason": "end_turn"',
}
"""to stop; what follows is no part of the answer"""


def until_the_reason(protocol: Protocol) -> list[bytes]:
    records = records_of(protocol)
    stop = next(place for place, record in enumerate(records) if REASONS[protocol] in record)
    return records[: stop + 1]


@pytest.mark.parametrize("end", ["end", "break", "idle"])
@pytest.mark.parametrize("protocol", REASONS)
def test_an_answer_that_breaks_after_its_stop_reason_is_complete(protocol: Protocol, end: str) -> None:
    records = until_the_reason(protocol)
    got = deliver(protocol, [*records, b'data: {"half a rec'], end=end)
    assert got.kind is None
    body = got.body.replace(CODECS[protocol].keep_alive, b"")
    assert body == b"".join(records) + FORGOTTEN_ENDS[protocol]


@pytest.mark.parametrize("end", ["end", "break", "idle"])
@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("protocol", REASONS)
def test_such_an_answer_is_complete_for_every_client(protocol: Protocol, client: Protocol, end: str) -> None:
    got = deliver(protocol, until_the_reason(protocol), end=end, client=client)
    assert got.kind is None
    assert got.body.rstrip().endswith(LAST_WORDS[client])


LAST_WORDS: dict[Protocol, bytes] = {
    "chat": b"[DONE]",
    "messages": b'{"type":"message_stop"}',
    "responses": b"}",
}
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n'


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("protocol", REASONS)
def test_a_server_that_keeps_its_connection_open_is_not_waited_for(
    protocol: Protocol, client: Protocol
) -> None:
    records = until_the_reason(protocol)
    records += [USAGE] if protocol == "chat" else []
    got = deliver(protocol, records, end="idle", idle=300.0, client=client)
    assert (got.kind, got.at, got.closed_at) == (None, 3.0, 3.0)


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("protocol", REASONS)
def test_nor_are_its_keep_alives(protocol: Protocol, client: Protocol) -> None:
    records = until_the_reason(protocol)
    records += [USAGE] if protocol == "chat" else []
    count = len(records)
    got = deliver(protocol, records + [b": here\n\n"] * 100, seconds=1.0, end="idle", client=client)
    assert (got.kind, got.at) == (None, count + 3.0)


def test_content_after_the_stop_reason_is_waited_for() -> None:
    records = [*until_the_reason("chat"), USAGE]
    later = [record.replace(b'"stop"', b"null") for record in records[1:-2]] * 4
    got = deliver("chat", records + later, seconds=2.0, end="idle")
    assert (got.kind, got.at) == (None, 2.0 * len(records + later) + 3.0)
    assert got.body.startswith(b"".join(records + later))


def test_usage_is_waited_for() -> None:
    got = deliver("chat", until_the_reason("chat"), end="idle", idle=300.0)
    assert (got.kind, got.at) == (None, 300.0)


def test_a_response_is_complete_only_with_its_end() -> None:
    got = deliver("responses", records_of("responses")[:-1], end="break")
    assert got.kind is FailureKind.READ


# --- a stream that came at once ------------------------------------------------

ENDS: dict[Protocol, bytes] = {
    "messages": b"message_stop",
    "chat": b"[DONE]",
    "responses": b"event: response.completed",
}


def deliver_at_once(protocol: Protocol, client: Protocol, content: bytes) -> tuple[bytes, bytes]:
    """What is written before the end is recorded, and what after it."""

    async def scenario() -> tuple[bytes, bytes]:
        got = Delivered()
        stream = stream_between(protocol, client)
        reply = cast(Reply, FakeReply([], 0.0))
        held = HeldAnswer(reply, protocol, stream.feed(content), stream)
        keep_alive = KeepAlive(got, 15.0, [], stream.keep_alive)
        delivered = await deliver_stream(held, stream, keep_alive, 60.0)
        await keep_alive.stop()
        assert got.body + delivered.last == held.start
        return got.body, delivered.last

    return run(scenario())


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_of_a_stream_that_came_at_once_only_the_last_record_waits_for_the_recorded_end(
    protocol: Protocol, client: Protocol
) -> None:
    before, after = deliver_at_once(protocol, client, b"".join(records_of(protocol)))
    assert b"long" in before
    assert ENDS[client] not in before
    assert ENDS[client] in after
    assert after.count(b"\n\n") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_with_other_line_ends_are_not_cut(protocol: Protocol) -> None:
    content = b"".join(records_of(protocol)).replace(b"\n", b"\r\n")
    assert deliver_at_once(protocol, protocol, content) == (b"", content)


def test_a_stream_that_fails_at_once_is_written_with_its_end() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy."}}\n\n'
    content = b"".join(records_of("messages")[:-2]) + error
    assert deliver_at_once("messages", "messages", content) == (b"", content)

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from switchyard.exchange import FailureKind
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.simulate import CHUNKS_BEFORE_CUT, SLOW_SECONDS, Mode, SimulatingWire
from switchyard.relay.upstream import Call, Reply, Wire
from tests.bed.fake_time import now, run

CALL = Call("https://h.example", [], b"", 10.0, upstream="u")
OTHER = Call("https://h.example", [], b"", 10.0, upstream="other")


class FakeReply:
    def __init__(self, status: int, pieces: list[bytes]) -> None:
        self.status = status
        self._chunks = self._read(pieces)

    async def _read(self, pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    def replace_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks


class FakeWire:
    def __init__(self, status: int, pieces: list[bytes]) -> None:
        self._answer = (status, pieces)
        self.calls = 0

    async def send(self, call: Call) -> Reply:
        self.calls += 1
        return cast(Reply, FakeReply(*self._answer))


def wire_of(status: int = 200, pieces: list[bytes] | None = None) -> tuple[FakeWire, SimulatingWire]:
    """In the running loop's time."""
    real = FakeWire(status, pieces if pieces is not None else [b"all"])
    return real, SimulatingWire(cast(Wire, real), asyncio.get_running_loop().time)


async def read(wire: SimulatingWire, call: Call = CALL) -> tuple[bytes, FailureKind | None]:
    """What came of the answer, and how it failed."""
    got = b""
    try:
        async for chunk in (await wire.send(call)).chunks():
            got += chunk
    except AttemptFailed as failed:
        assert failed.failure.message.endswith(" (simulated)")
        return got, failed.failure.kind
    return got, None


def test_down_is_a_refused_connection_and_nothing_is_sent() -> None:
    async def scenario() -> object:
        real, wire = wire_of()
        wire.simulate("u", "down", 60.0)
        return await read(wire), real.calls

    assert run(scenario()) == ((b"", FailureKind.CONNECT), 0)


def test_slow_answers_late_but_whole() -> None:
    async def scenario() -> object:
        _, wire = wire_of()
        wire.simulate("u", "slow", 60.0)
        return await read(wire), now()

    assert run(scenario()) == ((b"all", None), SLOW_SECONDS)


RECORDS = [f"data: {number}\n\n".encode() for number in range(30)]


@pytest.mark.parametrize(
    ("pieces", "begins"),
    [
        (RECORDS, b"".join(RECORDS[:CHUNKS_BEFORE_CUT])),
        ([b"".join(RECORDS)], b"".join(RECORDS[:CHUNKS_BEFORE_CUT])),
    ],
    ids=["record by record", "all at once"],
)
def test_cutting_breaks_a_stream_in_the_middle_however_it_was_packed(
    pieces: list[bytes], begins: bytes
) -> None:
    async def scenario() -> object:
        _, wire = wire_of(pieces=pieces)
        wire.simulate("u", "cut", 60.0)
        return await read(wire)

    assert run(scenario()) == (begins, FailureKind.READ)


def test_a_short_answer_is_cut_before_its_end() -> None:
    async def scenario() -> object:
        _, wire = wire_of(pieces=[b'{"short": 1}'])
        wire.simulate("u", "cut", 60.0)
        return await read(wire)

    assert run(scenario()) == (b'{"short": 1}', FailureKind.READ)


def test_an_error_is_reported_as_it_came() -> None:
    async def scenario() -> object:
        _, wire = wire_of(status=500, pieces=[b"no"])
        wire.simulate("u", "cut", 60.0)
        return await read(wire)

    assert run(scenario()) == (b"no", None)


@pytest.mark.parametrize("mode", ["down", "cut"])
@pytest.mark.parametrize("end", ["another upstream", "time", "owner"])
def test_a_simulation_ends_and_affects_no_other_upstream(mode: Mode, end: str) -> None:
    async def scenario() -> object:
        _, wire = wire_of()
        wire.simulate("u", mode, 60.0)
        assert list(wire.simulations()) == ["u"]
        if end == "time":
            await asyncio.sleep(60.0)
        if end == "owner":
            wire.simulate("u", None, 0.0)
        reported = list(wire.simulations())
        return await read(wire, OTHER if end == "another upstream" else CALL), reported

    assert run(scenario()) == ((b"all", None), ["u"] if end == "another upstream" else [])

"""Ready connections: kept while they are wanted, replaced when the server closes them, and never stale."""

import asyncio
import ssl
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from switchyard.http1 import transport as transport_module
from switchyard.http1.idle_limits import LONGEST_SECONDS, IdleLimits
from switchyard.http1.ready import ASLEEP_SECONDS, GAP_SECONDS, HOUR_SECONDS, OPENED_PER_HOUR, Opening
from switchyard.http1.request import Origin, target_of
from switchyard.http1.tls import ResumingContext
from switchyard.http1.transport import IDLE_SECONDS, Http1Transport
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.far import FarRelay
from tests.bed.raw_server import RawServer, Talk, answers, answers_and_closes, ok
from tests.http1.conftest import Run
from tests.http1.test_transport import Clocks, post, whole

HOLD_SECONDS = 900.0
PAUSE_SECONDS = 180.0


async def until_ready(transport: Http1Transport, server: RawServer) -> None:
    origin = target_of(server.url).origin
    while not transport.is_ready(origin):
        await asyncio.sleep(0)


def passes(clocks: Clocks, transport: Http1Transport, seconds: float) -> None:
    """So much time, with the looks that it brings."""
    for _ in range(round(seconds / 10)):
        clocks.monotonic_now += 10
        clocks.wall_now += 10
        transport.ready.look()


def test_a_held_server_is_asked_over_the_same_connection_after_a_pause(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok())) as server:
            await whole(await post(transport, server.url))
            transport.hold(server.url, HOLD_SECONDS, 5)
            passes(clocks, transport, PAUSE_SECONDS)
            await whole(await post(transport, server.url))
            return server.connection_count, transport.ready.opened_count

    assert PAUSE_SECONDS > IDLE_SECONDS
    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == (1, 0)


def test_a_server_that_is_not_held_is_asked_over_a_new_one(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok())) as server:
            await whole(await post(transport, server.url))
            passes(clocks, transport, PAUSE_SECONDS)
            await whole(await post(transport, server.url))
            return server.connection_count, transport.ready.opened_count

    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == (2, 0)


def test_a_connection_that_the_server_closes_is_replaced_before_the_next_request(run: Run) -> None:
    received: list[int] = []

    async def script(talk: Talk) -> None:
        if talk.number == 0:
            await talk.hear()
            await talk.say(ok())
            return
        while await talk.hear():
            received.append(talk.number)
            await talk.say(ok())

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            transport.hold(server.url, HOLD_SECONDS, 5)
            await whole(await post(transport, server.url))
            await until_ready(transport, server)
            while server.connection_count < 2:
                await asyncio.sleep(0)
            await until_ready(transport, server)
            await whole(await post(transport, server.url))
            return server.connection_count

    assert (run(work), received) == (2, [1])


def test_nothing_is_opened_once_the_time_is_over(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[bool, int, int]:
        async with RawServer(answers_and_closes(ok())) as server:
            origin = target_of(server.url).origin
            transport.hold(server.url, 30, 5)
            passes(clocks, transport, 40)
            held = transport.ready.holds(origin)
            before = transport.ready.opened_count
            passes(clocks, transport, 3600)
            return held, transport.ready.opened_count - before, transport.ready.opened_count

    held, later, _ = run(work, monotonic=clocks.monotonic, wall=clocks.wall)
    assert (held, later) == (False, 0)


def test_a_server_that_closes_at_once_is_not_asked_more_often_than_the_limits_allow() -> None:
    opening, opened = Opening(), 0
    for second in range(round(HOUR_SECONDS)):
        if opening.is_allowed(second):
            opening.begin(second)
            opening.end(ok=True)
            opened += 1
    assert opened == OPENED_PER_HOUR


def test_a_server_that_cannot_be_reached_is_tried_less_and_less_often() -> None:
    opening, times = Opening(), list[int]()
    for second in range(round(HOUR_SECONDS)):
        if opening.is_allowed(second):
            opening.begin(second)
            opening.end(ok=False)
            times.append(second)
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[:3] == [2 * GAP_SECONDS, 4 * GAP_SECONDS, 8 * GAP_SECONDS]
    assert max(gaps) <= 300 and len(times) < 20


def test_after_a_sleep_of_the_machine_the_connection_is_a_new_one(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> list[int]:
        async with RawServer(answers(ok())) as server:
            await whole(await post(transport, server.url))
            transport.hold(server.url, HOLD_SECONDS, 5)
            clocks.monotonic_now += 2
            clocks.wall_now += ASLEEP_SECONDS + 60
            transport.ready.look()
            closed = transport.idle_count
            await until_ready(transport, server)
            await whole(await post(transport, server.url))
            return [closed, transport.ready.opened_count, server.connection_count]

    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == [0, 1, 2]


def test_a_night_of_sleep_ends_the_hold(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[bool, int]:
        async with RawServer(answers(ok())) as server:
            await whole(await post(transport, server.url))
            transport.hold(server.url, HOLD_SECONDS, 5)
            clocks.monotonic_now += 2
            clocks.wall_now += 8 * 3600
            transport.ready.look()
            return transport.ready.holds(target_of(server.url).origin), transport.ready.opened_count

    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == (False, 0)


def test_a_connection_of_another_network_is_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok())) as server:
            await whole(await post(transport, server.url))
            transport.hold(server.url, HOLD_SECONDS, 5)
            monkeypatch.setattr(transport_module, "has_address", lambda _: False)
            passes(clocks, transport, 10)
            monkeypatch.undo()
            await until_ready(transport, server)
            while server.connection_count < 2:
                await asyncio.sleep(0)
            return server.connection_count, transport.ready.opened_count

    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == (2, 1)


def test_a_stated_limit_of_the_server_is_respected(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok(b"a", "keep-alive: timeout=75, max=100"))) as server:
            await whole(await post(transport, server.url))
            transport.hold(server.url, HOLD_SECONDS, 5)
            passes(clocks, transport, 60)
            early = transport.ready.opened_count
            passes(clocks, transport, 10)
            return early, transport.ready.opened_count

    assert run(work, monotonic=clocks.monotonic, wall=clocks.wall) == (0, 1)


ORIGIN = Origin("https", "a.example", 443)


@pytest.mark.parametrize(
    ("closed", "limit"),
    [
        ((), None),
        ((3,), None),  # perhaps a restart of the server
        ((60, 61), 60),
        ((3, 60), None),
        ((3, 60, 60.5), 60),
        ((5000, 5001), LONGEST_SECONDS),
    ],
)
def test_the_limit_of_a_server_is_learned_from_closes_that_agree(
    closed: tuple[float, ...], limit: float | None
) -> None:
    limits = IdleLimits()
    for seconds in closed:
        limits.note_closed(ORIGIN, seconds, is_used=True)
    assert limits.of(ORIGIN, is_used=True) == limit
    assert limits.of(ORIGIN, is_used=False) is None


@pytest.mark.parametrize(
    ("value", "limit"),
    [("timeout=5", 5), ("max=7, Timeout=30", 30), ("timeout=0", 1), ("max=5", None), ("timeout=", None)],
)
def test_the_limit_of_a_server_is_read_of_its_answer(value: str, limit: float | None) -> None:
    limits = IdleLimits()
    limits.note_answer(ORIGIN, [("keep-alive", value)])
    assert limits.of(ORIGIN, is_used=True) == limit


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(Path(tmp_path_factory.mktemp("certificates")))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_new_connection_resumes_the_session_of_an_earlier_one(
    run: Run, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    server_tls = certificates.server()
    server_tls.maximum_version = version
    client_tls = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    client_tls.load_verify_locations(certificates.folder / "all.pem")
    resumed: list[Any] = []

    async def script(talk: Talk) -> None:
        resumed.append(talk.has_resumed)
        await talk.hear()
        await talk.say(ok(b"a", "connection: close"))

    async def work(transport: Http1Transport) -> None:
        async with RawServer(script, server_tls) as server:
            for _ in range(3):
                await whole(await post(transport, server.url))

    run(work, tls=lambda: client_tls)
    assert resumed == [False, True, True]


@pytest.mark.parametrize(
    ("version", "turns"),
    [(ssl.TLSVersion.TLSv1_2, 1), (ssl.TLSVersion.TLSv1_3, 2)],  # the second is that of the session tickets
)
def test_a_request_over_a_ready_connection_needs_a_single_round_trip(
    run: Run, certificates: Certificates, version: ssl.TLSVersion, turns: int
) -> None:
    server_tls = certificates.server()
    server_tls.maximum_version = version
    client_tls = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    client_tls.load_verify_locations(certificates.folder / "all.pem")

    async def script(talk: Talk) -> None:
        while await talk.hear():
            await talk.say(ok())
            if talk.number == 0:
                return  # as a server that closes idle connections

    async def work(transport: Http1Transport) -> list[int]:
        async with RawServer(script, server_tls) as server, FarRelay(server.port, 0.02) as far:
            url = f"https://127.0.0.1:{far.port}/v1/messages"
            transport.hold(url, HOLD_SECONDS, 5)
            await whole(await post(transport, url))
            at_first = sum(far.turns)
            while not (transport.idle_count and far.turns[1:] == [turns]):
                await asyncio.sleep(0.001)
            before = sum(far.turns)
            await whole(await post(transport, url))
            return [at_first, sum(far.turns) - before, far.connection_count]

    at_first, afterwards, connections = run(work, tls=lambda: client_tls)
    assert (afterwards, connections) == (1, 2)
    assert at_first > afterwards

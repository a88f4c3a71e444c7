"""The transport over real sockets: pooling, stale connections, leaving, TLS's and the proxies' own page apart."""

import asyncio
import random
import sys
from typing import Any

import pytest

from switchyard.http1.errors import ConnectionBroken, NotHttp, Unanswered
from switchyard.http1.raw_reply import RawReply
from switchyard.http1.transport import (
    IDLE_SECONDS,
    MAX_IDLE_PER_ORIGIN,
    STALE_SECONDS,
    Http1Transport,
)
from tests.bed.raw_server import RawServer, Talk, answers, answers_and_closes, ok
from tests.http1.conftest import Run

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def post(transport: Http1Transport, url: str, body: bytes = b"{}", method: str = "POST") -> RawReply:
    return await transport.send(method, url, [("x-a", "b")], body, 5)


async def whole(reply: RawReply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


def test_the_server_hears_the_request_and_the_answer_comes_back(run: Run) -> None:
    received: list[bytes] = []

    async def script(talk: Talk) -> None:
        received.append(await talk.hear())
        await talk.say(ok(b"hello", "X-Thing: a"))

    async def work(transport: Http1Transport) -> tuple[Any, ...]:
        async with RawServer(script) as server:
            reply = await post(transport, server.url, b"question")
            return server.port, reply.status, reply.headers, await whole(reply)

    port, *answer = run(work)
    assert answer == [200, [("content-length", "5"), ("x-thing", "a")], b"hello"]
    assert received == [
        f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-a: b\r\n"
        "content-length: 8\r\n\r\nquestion".encode()
    ]


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 20_000_000])
def test_bodies_of_any_size_pass_both_ways(run: Run, size: int) -> None:
    async def script(talk: Talk) -> None:
        while request := await talk.hear():
            await talk.say(ok(request.partition(b"\r\n\r\n")[2]))

    async def work(transport: Http1Transport) -> bool:
        body = random.Random(size).randbytes(size)
        async with RawServer(script) as server:
            back = [await whole(await post(transport, server.url, body)) for _ in range(2)]
            return back == [body, body] and server.connection_count == 1

    assert run(work)


def test_an_idle_connection_does_not_keep_the_body_that_it_sent(run: Run) -> None:
    async def work(transport: Http1Transport) -> int:
        body = bytes(5_000_000)
        async with RawServer(answers(ok())) as server:
            before = sys.getrefcount(body)
            await whole(await post(transport, server.url, body))
            assert transport.idle_count == 1
            return sys.getrefcount(body) - before

    assert run(work) == 0


# --- the pool ------------------------------------------------------------------


def test_requests_in_turn_share_a_connection_and_requests_at_once_do_not(run: Run) -> None:
    async def work(transport: Http1Transport) -> tuple[int, int, int]:
        async with RawServer(answers(ok())) as server:
            for _ in range(5):
                await whole(await post(transport, server.url))
            in_turn = server.connection_count
            await asyncio.gather(*(post(transport, server.url) for _ in range(7)))
            return in_turn, server.connection_count, transport.idle_count

    assert run(work) == (1, 7, 7)


def test_the_connection_used_last_is_used_first(run: Run) -> None:
    async def work(transport: Http1Transport) -> tuple[bytes, bytes]:
        go_on = asyncio.Event()

        async def script(talk: Talk) -> None:
            while await talk.hear():
                if talk.number == 0:
                    await go_on.wait()
                await talk.say(ok(str(talk.number).encode()))

        async with RawServer(script) as server:
            slow = asyncio.create_task(post(transport, server.url))
            while server.connection_count == 0:
                await asyncio.sleep(0)
            await post(transport, server.url)
            after_quick = await whole(await post(transport, server.url))
            go_on.set()
            await slow
            return after_quick, await whole(await post(transport, server.url))

    assert run(work) == (b"1", b"0")


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (ok(b"a"), 1),
        (ok(b"a", "connection: close"), 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", 2),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na", 1),
        (ok(b"a") + b"b", 2),
        (EVENTS + b"1\r\na\r\n0\r\n\r\n", 1),
    ],
)
def test_only_a_clean_connection_is_used_again(run: Run, answer: bytes, count: int) -> None:
    async def work(transport: Http1Transport) -> tuple[list[bytes], int]:
        async with RawServer(answers(answer)) as server:
            bodies = [await whole(await post(transport, server.url)) for _ in range(2)]
            return bodies, server.connection_count

    assert run(work) == ([b"a", b"a"], count)


class Clocks:
    """Both clocks of a machine that may sleep."""

    def __init__(self) -> None:
        self.monotonic_now = 1000.0
        self.wall_now = 2e9

    def monotonic(self) -> float:
        return self.monotonic_now

    def wall(self) -> float:
        return self.wall_now


@pytest.mark.parametrize(
    ("awake", "wall", "count"),
    [
        (IDLE_SECONDS - 1, IDLE_SECONDS - 1, 1),
        (IDLE_SECONDS + 1, IDLE_SECONDS + 1, 2),
        (1, 8 * 3600, 2),  # the machine was suspended
        (1, -3600, 1),  # the wall clock was set back
        (IDLE_SECONDS + 1, -3600, 2),
    ],
)
def test_a_connection_idle_for_too_long_is_not_used(run: Run, awake: float, wall: float, count: int) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok())) as server:
            await asyncio.gather(post(transport, server.url), post(transport, server.url))
            before = server.connection_count
            clocks.monotonic_now += awake
            clocks.wall_now += wall
            await post(transport, server.url)
            return server.connection_count - before + 1, transport.idle_count

    found, idle_count = run(work, monotonic=clocks.monotonic, wall=clocks.wall)
    assert (found, idle_count) == (count, 2 if count == 1 else 1)


def test_idle_connections_are_closed_in_time_without_anybody_asking(run: Run) -> None:
    clocks = Clocks()

    async def work(transport: Http1Transport) -> int:
        async with RawServer(answers(ok())) as server:
            await asyncio.gather(*(post(transport, server.url) for _ in range(3)))
            assert transport.idle_count == 3
            clocks.monotonic_now += 1.1
            clocks.wall_now += 1.1
            while transport.open_count:
                await asyncio.sleep(0.01)
            return transport.idle_count

    assert run(work, idle_seconds=1.0, monotonic=clocks.monotonic, wall=clocks.wall) == 0


def test_more_idle_connections_than_are_kept_are_closed(run: Run) -> None:
    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(answers(ok())) as server:
            count = MAX_IDLE_PER_ORIGIN + 20
            await asyncio.gather(*(post(transport, server.url) for _ in range(count)))
            return server.connection_count, transport.idle_count

    assert run(work) == (MAX_IDLE_PER_ORIGIN + 20, MAX_IDLE_PER_ORIGIN)


def test_an_idle_connection_that_the_server_closes_is_forgotten(run: Run) -> None:
    async def work(transport: Http1Transport) -> int:
        async with RawServer(answers_and_closes(ok())) as server:
            await whole(await post(transport, server.url))
            while transport.open_count:
                await asyncio.sleep(0)
            return transport.idle_count

    assert run(work) == 0


# --- stale connections ---------------------------------------------------------


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_used_connection_that_dies_unanswered_is_replaced_once(run: Run, how: str) -> None:
    received: list[tuple[int, bytes]] = []

    async def script(talk: Talk) -> None:
        received.append((talk.number, (await talk.hear())[-2:]))
        await talk.say(ok())
        if request := await talk.hear():
            received.append((talk.number, request[-2:]))
            talk.close() if how == "closed" else talk.reset()

    async def work(transport: Http1Transport) -> list[bytes]:
        async with RawServer(script) as server:
            return [await whole(await post(transport, server.url, body)) for body in (b"11", b"22", b"33")]

    assert run(work, monotonic=Clocks().monotonic) == [b"hello"] * 3
    assert received == [(0, b"11"), (0, b"22"), (1, b"22"), (1, b"33"), (2, b"33")]


def test_a_request_that_was_perhaps_worked_on_is_not_sent_again(run: Run) -> None:
    clocks = Clocks()

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(ok())
        await talk.hear()
        clocks.monotonic_now += STALE_SECONDS + 0.1

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            await post(transport, server.url)
            with pytest.raises(Unanswered):
                await post(transport, server.url)
            return server.connection_count

    assert run(work, monotonic=clocks.monotonic) == 1


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_new_connection_that_dies_unanswered_is_a_failure(run: Run, how: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        talk.close() if how == "closed" else talk.reset()

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            with pytest.raises(Unanswered):
                await post(transport, server.url)
            return server.connection_count

    assert run(work) == 1


@pytest.mark.parametrize(
    ("is_used", "closing", "expected"),
    [
        pytest.param(True, "connection: close\r\n", (200, 2), id="closed while idle"),
        pytest.param(True, "Connection: Close\r\n", (200, 2), id="closed while idle, in capitals"),
        pytest.param(True, "", (408, 1), id="an answer, after which the connection stays open"),
        pytest.param(False, "connection: close\r\n", (408, 1), id="an answer on a new connection"),
    ],
)
def test_a_server_may_announce_with_408_that_it_closes_an_idle_connection(
    run: Run, is_used: bool, closing: str, expected: tuple[int, int]
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.9"""

    async def script(talk: Talk) -> None:
        if is_used or talk.number > 0:
            await talk.hear()
            await talk.say(ok())
        await talk.hear()
        await talk.say(f"HTTP/1.1 408 Request Timeout\r\n{closing}content-length: 0\r\n\r\n".encode())

    async def work(transport: Http1Transport) -> tuple[int, int]:
        async with RawServer(script) as server:
            if is_used:
                await post(transport, server.url)
            return (await post(transport, server.url)).status, server.connection_count

    assert run(work, monotonic=Clocks().monotonic) == expected


def test_the_connection_that_replaces_a_stale_one_gets_no_second_chance(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        if talk.number == 0:
            await talk.say(ok())
            await talk.hear()
        talk.close()

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            await post(transport, server.url)
            with pytest.raises(Unanswered):
                await post(transport, server.url)
            return server.connection_count

    assert run(work, monotonic=Clocks().monotonic) == 2


def test_a_used_connection_that_dies_after_some_bytes_is_a_failure(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(ok())
        await talk.hear()
        await talk.say(b"H")
        talk.close()

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            await post(transport, server.url)
            with pytest.raises(ConnectionBroken):
                await post(transport, server.url)
            return server.connection_count

    assert run(work) == 1


# --- the body ------------------------------------------------------------------


def test_events_come_one_by_one_as_the_server_sends_them(run: Run) -> None:
    async def work(transport: Http1Transport) -> list[bytes]:
        taken = asyncio.Semaphore(1)

        async def script(talk: Talk) -> None:
            await talk.hear()
            await talk.say(EVENTS)
            for number in range(5):
                await taken.acquire()
                await talk.say(b"1\r\n%d\r\n" % number)
            await taken.acquire()
            await talk.say(b"0\r\n\r\n")

        chunks = []
        async with RawServer(script) as server:
            async for chunk in (await post(transport, server.url)).chunks():
                chunks.append(chunk)
                taken.release()
        return chunks

    assert run(work) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_server_faster_than_its_reader_has_to_wait(run: Run) -> None:
    size = 64 * 1024 * 1024
    piece = b"x" * 65536

    async def work(transport: Http1Transport) -> tuple[bool, int]:
        sent = 0

        async def script(talk: Talk) -> None:
            nonlocal sent
            await talk.hear()
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // len(piece)):
                await talk.say(piece)
                sent += len(piece)

        async with RawServer(script) as server:
            reply = await post(transport, server.url)
            before = -1
            while sent != before:  # until the server is stuck
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            read = 0
            async for chunk in reply.chunks():
                read += len(chunk)
            return before < size // 2, read

    assert run(work) == (True, size)


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", ConnectionBroken),
        (EVENTS + b"5\r\nhel", ConnectionBroken),
        (EVENTS + b"xx\r\nhel", NotHttp),
        (b"220 mail.example ESMTP\r\n", NotHttp),
    ],
)
def test_a_broken_answer_is_distinguished(run: Run, octets: bytes, kind: type[Exception]) -> None:
    async def work(transport: Http1Transport) -> None:
        async with RawServer(answers_and_closes(octets)) as server:
            with pytest.raises(kind):
                await whole(await post(transport, server.url))

    run(work)


def test_an_answer_that_ends_with_its_connection_is_whole(run: Run) -> None:
    async def work(transport: Http1Transport) -> bytes:
        async with RawServer(answers_and_closes(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000)) as server:
            return await whole(await post(transport, server.url))

    assert run(work) == b"x" * 500_000


def test_a_server_that_refuses_a_large_body_early_is_heard(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear_head()
        await talk.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await talk.left()

    async def work(transport: Http1Transport) -> tuple[int, bytes]:
        async with RawServer(script) as server:
            reply = await post(transport, server.url, b"x" * 30_000_000)
            return reply.status, await whole(reply)

    assert run(work) == (413, b"no")


# --- leaving -------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase", ["while writing", "before the headers", "within the body", "in a full buffer"]
)
def test_the_server_sees_at_once_that_the_client_has_left(run: Run, phase: str) -> None:
    async def work(transport: Http1Transport) -> int:
        loop = asyncio.get_running_loop()
        at: asyncio.Future[None] = loop.create_future()
        gone: asyncio.Future[None] = loop.create_future()

        async def script(talk: Talk) -> None:
            if phase == "while writing":
                await talk.hear_head()
                at.set_result(None)
            else:
                await talk.hear()
            if phase == "before the headers":
                at.set_result(None)
            if phase == "within the body":
                await talk.say(EVENTS + b"1\r\na\r\n")
            if phase == "in a full buffer":
                await talk.say(EVENTS)
                try:
                    while True:
                        await talk.say(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                except ConnectionError:
                    pass
            await talk.left()
            gone.set_result(None)

        async with RawServer(script) as server:
            body = b"x" * (30_000_000 if phase == "while writing" else 2)
            asking = asyncio.create_task(post(transport, server.url, body))
            if phase in ("while writing", "before the headers"):
                await at
                asking.cancel()
                await asyncio.wait([asking])
            else:
                reply = await asking
                await anext(reply.chunks())
                await reply.close()
            await gone
            return transport.open_count

    assert run(work) == 0


def test_closing_the_transport_breaks_what_is_under_way(run: Run) -> None:
    async def work(transport: Http1Transport) -> None:
        async def script(talk: Talk) -> None:
            await talk.hear()
            await talk.say(EVENTS + b"1\r\na\r\n")
            await talk.left()

        async with RawServer(script) as server:
            reply = await post(transport, server.url)
            chunks = reply.chunks()
            assert await anext(chunks) == b"a"
            await transport.close()
            with pytest.raises(ConnectionBroken):
                await anext(chunks)

    run(work)


@pytest.mark.parametrize("seed", range(3))
def test_sixty_four_requests_with_random_leavings_leak_nothing(run: Run, seed: int) -> None:
    dice = random.Random(seed)

    async def script(talk: Talk) -> None:
        while await talk.hear():
            await talk.say(EVENTS)
            for _ in range(dice.randrange(1, 30)):
                await talk.say(b"4\r\nabcd\r\n" * dice.randrange(1, 20))
            if dice.random() < 0.1:
                talk.reset()
                return
            await talk.say(b"0\r\n\r\n")

    async def one(transport: Http1Transport, url: str) -> None:
        try:
            reply = await post(transport, url, b"x" * dice.choice([2, 2000, 300_000]))
            try:
                async for _ in reply.chunks():
                    if dice.random() < 0.05:
                        break
            finally:
                await reply.close()
        except ConnectionBroken:
            return

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script) as server:
            for _ in range(5):
                tasks = [asyncio.create_task(one(transport, server.url)) for _ in range(64)]
                for task in dice.sample(tasks, 20):
                    for _ in range(dice.randrange(30)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.wait(tasks)
            while transport.open_count > transport.idle_count:
                await asyncio.sleep(0)
            return transport.idle_count

    assert 0 <= run(work) <= 64

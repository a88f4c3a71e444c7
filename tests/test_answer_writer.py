"""How responses are written: whole ones in one piece, and only valid HTTP."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from switchyard.connections import Limits, bounded
from switchyard.web.asgi import AsgiApp, AsgiSink, Receive, Scope, Send, departure_of, read_body
from tests.bed.certificates import make_certificates
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.raw_client import cooldown_of

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@contextmanager
def served(app: AsgiApp, **more: Any) -> Iterator[socket.socket]:
    """A connection to a server with this application."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=bounded(Limits()),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("x-common", "yes")],
        **more,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        with socket.create_connection(listener.getsockname(), PATIENCE_SECONDS) as connection:
            yield connection
    finally:
        server.should_exit = True
        thread.join()


def asked(app: AsgiApp, request: bytes = LAST) -> tuple[bytes, bytes]:
    """Headers and body of the response to the last request of a connection."""
    with served(app) as connection:
        connection.sendall(request)
        head, _, body = cooldown_of(connection).partition(b"\r\n\r\n")
    return head.lower(), body


def whole(body: bytes, status: int = 200, *more: tuple[bytes, bytes]) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(body)), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def test_a_whole_answer_comes_in_one_piece() -> None:
    with served(whole(b"Hello")) as connection:
        for _ in range(50):
            connection.sendall(GET)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nHello")
            assert b"x-common: yes\r\n" in answer


@pytest.mark.parametrize("size", [0, 65_536, 65_537, 3_000_000])
def test_a_body_of_any_size_arrives(size: int) -> None:
    head, body = asked(whole(b"b" * size))

    assert body == b"b" * size
    assert b"content-length: %d" % size in head and b"transfer-encoding" not in head
    assert b"connection: close" in head


def test_a_body_that_grows_comes_in_chunks_and_its_head_with_the_first_of_them() -> None:
    gate = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.to_thread(gate.wait, PATIENCE_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})

    with served(app) as connection:
        connection.sendall(LAST)
        first = connection.recv(65536)
        assert first.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        gate.set()
        assert cooldown_of(connection) == b"3\r\ntwo\r\n0\r\n\r\n"


def burst(*pieces: bytes) -> AsgiApp:
    """A response whose chunks follow each other at once, and that does not end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    return app


def test_what_is_held_back_for_company_comes_without_any() -> None:
    with served(burst(b"one", b"two", b"three")) as connection:
        connection.sendall(GET)
        reported = b""
        while not reported.endswith(b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n"):
            reported += connection.recv(65536)


def test_a_burst_of_small_and_large_pieces_leaves_in_order() -> None:
    pieces = [b"%04d" % number * (1 + number % 7 * number % 11 * 200) for number in range(1500)]
    expected = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    with served(burst(*pieces)) as connection:
        connection.sendall(GET)
        reported = b""
        while not reported.endswith(expected[-4000:]):
            reported += connection.recv(1 << 20)

    assert reported.partition(b"\r\n\r\n")[2] == expected


@pytest.mark.parametrize("count", [2, 3, 50])
def test_the_end_takes_along_what_is_held_back(count: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(count):
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"z"})

    assert asked(app)[1] == b"1\r\na\r\n" * count + b"1\r\nz\r\n0\r\n\r\n"


def test_a_client_that_leaves_is_noticed_although_its_next_request_waits() -> None:
    missed = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.Event()
        departure_of(scope).listen(left.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not left.is_set():
                await send({"type": "http.response.body", "body": b"a", "more_body": True})
                await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b"nobody hears this"})
        missed.set()

    with served(app) as connection:
        connection.sendall(GET + GET)
        connection.recv(65536)
        connection.close()
        assert missed.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("crashes", [True, False])
def test_an_answer_without_an_end_keeps_what_was_held_back(crashes: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        if crashes:
            raise ValueError("an internal error")

    assert asked(app, GET)[1] == b"1\r\na\r\n" * 3


def test_a_whole_answer_that_has_been_given_is_not_taken_back_by_a_cancellation() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        await send({"type": "http.response.start", "status": 200, "headers": []})
        asyncio.get_running_loop().call_soon(task.cancel)
        await send({"type": "http.response.body", "body": b"Hello"})

    head, body = asked(app, GET)
    assert head.startswith(b"http/1.1 200") and body == b"5\r\nHello\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)], ids=lambda value: str(value)
)
def test_some_answers_have_no_body(method: bytes, status: int) -> None:
    head, body = asked(whole(b"", status), LAST.replace(b"GET", method))
    assert body == b"" and head.startswith(b"http/1.1 %d" % status)

    async def no_length(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"never sent"})

    head, body = asked(no_length, LAST.replace(b"GET", method))
    assert body == b"" and b"transfer-encoding" not in head


def test_a_client_that_expects_100_continue_gets_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(await read_body(scope, receive, 100))(scope, receive, send)

    with served(app) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"said")
        assert cooldown_of(connection).endswith(b"\r\n\r\nsaid")


def test_an_answer_may_be_the_last_one() -> None:
    with served(whole(b"Hello", 200, (b"connection", b"close"))) as connection:
        connection.sendall(GET)
        reported = cooldown_of(connection)

    assert reported.endswith(b"Hello") and reported.lower().count(b"connection: close") == 1


def test_an_old_client_is_reported_by_the_end_of_the_connection() -> None:
    head, body = asked(whole(b"Hello"), b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")

    assert body == b"Hello" and b"connection: close" in head


def test_an_old_client_gets_a_body_that_grows_without_chunks() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello", "more_body": True})
        await send({"type": "http.response.body", "body": b" again"})

    head, body = asked(app, b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")

    assert b"transfer-encoding" not in head and b"connection: close" in head
    assert body == b"Hello again"


def test_an_old_client_is_not_asked_to_go_on() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(scope, receive, 9) == b"Hi"
        await whole(b"Hello")(scope, receive, send)

    head, body = asked(
        app, b"POST / HTTP/1.0\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nHi"
    )

    assert head.startswith(b"http/1.1 200") and body == b"Hello"


@pytest.mark.parametrize("value", [b"a\r\nx-more: b", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_add_another(value: bytes) -> None:
    head, body = asked(whole(b"Hello", 200, (b"x-odd", value)), GET)

    assert head.startswith(b"http/1.1 500") and body == b"Internal Server Error"
    assert b"x-odd" not in head and b"x-more" not in head


@pytest.mark.parametrize(("reported", "body"), [(b"4", b"Hello"), (b"6", b"Hello")])
def test_a_body_of_another_length_than_reported_ends_the_connection(reported: bytes, body: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", reported)]})
        await send({"type": "http.response.body", "body": body})

    with served(app) as connection:
        connection.sendall(GET + GET)
        assert cooldown_of(connection).count(b"HTTP/1.1") <= 1


async def _no_answer(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def _fault_after_the_head(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("an internal error")


async def _two_heads(scope: Scope, receive: Receive, send: Send) -> None:
    for _ in range(2):
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def _no_head(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"Hello"})


@pytest.mark.parametrize("app", [_no_answer, _fault_after_the_head, _two_heads, _no_head])
def test_a_faulty_application_is_reported_as_an_error(app: AsgiApp) -> None:
    head, _ = asked(app, GET)

    assert head.startswith(b"http/1.1 500")


# --- an answer that is cut -----------------------------------------------------

Tunnel = Callable[[socket.socket], socket.socket]


@pytest.fixture(scope="module", params=["plain HTTP", "TLS"])
def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Tunnel]:
    """The server's options, and the client's actions on its connection before it sends a request."""
    if request.param == "plain HTTP":
        return {}, lambda connection: connection
    folder = tmp_path_factory.mktemp("certificates")
    context = make_certificates(folder).client()
    # an end without the closing TLS alert is an error, as for programs that check it
    options = {"ssl_certfile": folder / "good.pem", "ssl_keyfile": folder / "good.key"}
    return options, lambda connection: context.wrap_socket(
        connection, server_hostname="localhost", suppress_ragged_eofs=False
    )


def cut_after(*pieces: bytes) -> tuple[AsgiApp, list[bool]]:
    """A response that is cut after these chunks, and whether its sink has ended."""
    ended: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sink = AsgiSink(send)
        if pieces:
            await sink.start(200, [])
        for piece in pieces:
            await sink.write(piece)
        await sink.cut()
        await sink.end(b"more")
        ended.append(sink.ended)

    return app, ended


def seen_of(way: tuple[dict[str, Any], Tunnel], app: AsgiApp) -> bytes:
    options, tunnel = way
    with served(app, **options) as plain, tunnel(plain) as connection:
        connection.sendall(GET)
        return cooldown_of(connection)


def test_a_cut_ends_the_connection_without_the_last_chunk(way: tuple[dict[str, Any], Tunnel]) -> None:
    app, ended = cut_after(b"one", b"two")
    head, _, body = seen_of(way, app).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n"
    assert ended == [True]


def test_a_cut_before_the_answer_leaves_the_client_without_a_byte(way: tuple[dict[str, Any], Tunnel]) -> None:
    app, _ = cut_after()
    assert seen_of(way, app) == b""


def test_a_cut_is_no_error_of_the_application(
    way: tuple[dict[str, Any], Tunnel], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        seen_of(way, cut_after(b"one")[0])
        seen_of(way, cut_after()[0])
    assert caplog.messages == []


@pytest.mark.parametrize("pieces", [(), (b"one",), (b"one", b"two")], ids=len)
def test_a_request_that_the_end_of_the_daemon_cancels_is_cut(
    pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sink = AsgiSink(send)
        if pieces:
            await sink.start(200, [])
        for piece in pieces:
            await sink.write(piece)
        task = asyncio.current_task()
        assert task is not None
        task.cancel("the daemon ends at once")
        await asyncio.sleep(PATIENCE_SECONDS)

    with caplog.at_level(logging.WARNING), served(app) as connection:
        connection.sendall(GET)
        body = cooldown_of(connection).partition(b"\r\n\r\n")[2]
    assert body == b"".join(b"3\r\n%b\r\n" % piece for piece in pieces)
    assert caplog.messages == []


def test_a_cut_does_not_wait_for_a_client_that_reads_nothing() -> None:
    done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sink = AsgiSink(send)
        await sink.start(200, [])
        await sink.write(b"l" * 8_000_000)
        await sink.cut()
        done.set()

    with served(app) as connection:
        connection.sendall(GET)
        assert done.wait(PATIENCE_SECONDS)

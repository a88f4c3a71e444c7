"""The limits of a client's connection: a small server with small limits, over real sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchyard.connections import Limits, bounded, sweep
from switchyard.web.asgi import ClientLeft, Receive, Scope, Send, departure_of, header, read_body, respond
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import cooldown_of, leave

LIMITS = Limits(connections=8, head_bytes=4096, sweep_seconds=0.05)
"""with the timeouts of the real daemon, which no slow client misses"""
HURRY = replace(LIMITS, head_seconds=1.0, idle_seconds=3.0, body_seconds=2.0, unread_seconds=1.5)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SLOWLY = 0.02
LARGE = b"l" * 8_000_000
"""more than the system buffers towards a client"""
OPEN_BODY = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


class Server:
    """Answers with the length of the body and of the headers; `/slow` only when it is released.

    `/large` is one large response, `/stream` comes in many chunks. `left`: the client of `/slow` has left.
    """

    def __init__(self, limits: Limits = LIMITS, certificates: Certificates | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # inherited by its connections: with a small buffer the server notices a client's reading sooner
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.address = self._listener.getsockname()
        self.let_go = asyncio.Event()
        self.works = threading.Event()
        self.left = threading.Event()
        folder = certificates.folder if certificates else None
        config = uvicorn.Config(
            self._answer,
            http=bounded(limits),
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            ssl_certfile=folder and folder / "good.pem",
            ssl_keyfile=folder and str(folder / "good.key"),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        sweeping = asyncio.create_task(sweep(self.connections, LIMITS.sweep_seconds))
        await self._server.serve(sockets=[self._listener])
        sweeping.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 10**9)
        if scope["path"] == "/slow":
            departure_of(scope).listen(self.left.set)
            self.works.set()
            await self.let_go.wait()
        if scope["path"] == "/stream":
            await self._stream(send)
            return
        if scope["path"] == "/large":
            await respond(send, 200, [], LARGE)
            return
        reported = f"{len(body)} {len(scope['headers'])} {header(scope, b'x-late')}"
        await respond(send, 200, [], reported.encode())

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for start in range(0, len(LARGE), 65536):
            piece = LARGE[start : start + 65536]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @property
    def connections(self) -> set[Any]:
        return self._server.server_state.connections

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self.let_go.set)

    def stop(self) -> None:
        self.release()
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)

    def connect(self, octets: bytes = b"") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=PATIENCE_SECONDS)
        connection.sendall(octets)
        return connection


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def hurried() -> Iterator[Server]:
    """A server with short timeouts."""
    running = Server(HURRY)
    yield running
    running.stop()


def answer_of(connection: socket.socket) -> bytes:
    """The body of one small response."""
    reported = b""
    while True:
        head, blank, body = reported.partition(b"\r\n\r\n")
        if blank and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            return body
        piece = connection.recv(65536)
        assert piece, reported
        reported += piece


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"G",
        b"\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
        GET + b"G",
        GET + b"\r\n",
    ],
    ids=repr,
)
def test_a_client_that_does_not_send_its_request_is_disconnected(hurried: Server, beginning: bytes) -> None:
    with hurried.connect(beginning) as connection:
        cooldown_of(connection)


@pytest.mark.parametrize(
    "beginning",
    [OPEN_BODY, OPEN_BODY + b"5\r\nab", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1"],
)
def test_a_body_that_never_ends_is_not_waited_for(hurried: Server, beginning: bytes) -> None:
    with hurried.connect(beginning) as connection:
        assert b"200 OK" not in cooldown_of(connection)


def test_a_header_in_drips_is_too_late_however_regular_the_drips(hurried: Server) -> None:
    with hurried.connect(b"GET / HTTP/1.1\r\n") as connection:
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b"x: y\r\n")
                time.sleep(0.05)


ENDLESS = {
    "a path": b"GET /",
    "a header": b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
    "a header's name": b"GET / HTTP/1.1\r\nhost: x\r\n",
    "a trailer": OPEN_BODY + b"0\r\nx: ",
    "a chunk's extension": OPEN_BODY + b"1;x=",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_line_is_not_kept(server: Server, name: str) -> None:
    sent = 0
    with server.connect(ENDLESS[name]) as connection:
        try:
            while sent < 50_000_000:
                sent += connection.send(b"a" * 65536)
        except OSError:
            pass

    assert sent < 20_000_000


def test_large_headers_are_refused_with_a_status(server: Server) -> None:
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"v" * 500) for number in range(20))
    with server.connect(b"GET / HTTP/1.1\r\nhost: x\r\n" + lines[:-2]) as connection:
        assert cooldown_of(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("end", [b"\r\n", b"content-length: 2\r\n\r\nab"])
def test_large_headers_are_refused_even_if_they_come_at_one_go(server: Server, end: bytes) -> None:
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"v" * 500) for number in range(20))
    for beginning in (b"", GET):
        with server.connect(beginning) as connection:
            if beginning:
                assert answer_of(connection) == b"0 1 "
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n" + lines + end)
            assert cooldown_of(connection).startswith(b"HTTP/1.1 431 ")


def test_a_trailer_does_not_become_a_header(server: Server) -> None:
    with server.connect(OPEN_BODY + b"2\r\nab\r\n0\r\nx-late: 1\r\n\r\n") as connection:
        assert answer_of(connection) == b"2 2 "


def test_bodies_in_the_smallest_chunks_are_no_abuse(server: Server) -> None:
    chunks = b"1\r\na\r\n" * 20_000
    with server.connect(OPEN_BODY + chunks + b"0\r\n\r\n") as connection:
        assert answer_of(connection) == b"20000 2 "


def test_a_connection_serves_many_requests_and_pipelined_ones_in_order(server: Server) -> None:
    with server.connect() as connection:
        for size in (3, 5000, 0):
            body = b"b" * size
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + body)
            assert answer_of(connection) == b"%d 2 " % size
        post = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nabcd"
        connection.sendall((GET + post) * 200 + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        reported = cooldown_of(connection)

    assert reported.count(b"HTTP/1.1 200") == 401
    assert reported.count(b"4 2 ") == 200


def test_an_idle_connection_is_kept_for_a_while_and_then_closed(hurried: Server) -> None:
    with hurried.connect(GET) as connection:
        answer_of(connection)
        time.sleep(1.5 * HURRY.head_seconds)
        connection.sendall(GET)
        assert answer_of(connection) == b"0 1 "
        assert cooldown_of(connection) == b""


def test_when_too_many_connect_the_longest_idle_are_closed_and_busy_ones_stay(server: Server) -> None:
    with server.connect(GET.replace(b"/", b"/slow", 1)) as working:
        assert server.works.wait(PATIENCE_SECONDS)
        crowd = [server.connect() for _ in range(5 * LIMITS.connections)]
        with server.connect(GET) as newcomer:
            assert answer_of(newcomer) == b"0 1 "
        assert len(server.connections) <= LIMITS.connections + 1
        server.release()
        assert answer_of(working) == b"0 1 "
        for connection in crowd:
            connection.close()


def test_a_long_answer_is_not_cut_by_the_limits_on_requests(hurried: Server) -> None:
    with hurried.connect(GET.replace(b"/", b"/slow", 1)) as working:
        time.sleep(HURRY.head_seconds + HURRY.body_seconds + 0.2)
        hurried.release()
        assert answer_of(working) == b"0 1 "


# --- clients that do not read -----------------------------------------------------


def connect_narrow(server: Server, octets: bytes) -> socket.socket:
    """A client whose system buffers little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect(server.address)
    connection.sendall(octets)
    return connection


@pytest.mark.parametrize("path", [b"/large", b"/stream"])
def test_a_client_that_does_not_read_is_disconnected(hurried: Server, path: bytes) -> None:
    with connect_narrow(hurried, GET.replace(b"/", path, 1)) as connection:
        assert connection.recv(1, socket.MSG_PEEK), "it is being answered"
        wait_until(lambda: not hurried.connections, "its end")


def test_a_slow_reader_gets_all_of_its_answer(hurried: Server) -> None:
    with connect_narrow(hurried, b"GET /stream HTTP/1.0\r\nhost: x\r\n\r\n") as connection:
        size = pauses = 0
        while piece := connection.recv(65536):
            size, pauses = size + len(piece), pauses + 1
            time.sleep(SLOWLY)

    assert size > len(LARGE)
    assert pauses * SLOWLY > HURRY.unread_seconds


def test_closed_connections_that_are_not_read_count_as_well(server: Server) -> None:
    closing = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    crowd = []
    for _ in range(2 * LIMITS.connections):
        crowd.append(connect_narrow(server, closing))
        assert crowd[-1].recv(1), "it has been answered"
    with server.connect(GET) as newcomer:
        assert answer_of(newcomer) == b"0 1 "
    assert len(server.connections) <= LIMITS.connections + 1
    for connection in crowd:
        connection.close()


# --- requests that ask for another protocol --------------------------------------

UPGRADE = b"host: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
IN_BODY = b"GET /stolen HTTP/1.1\r\nhost: y\r\n\r\n"
FRAMED = {
    "a length": b"content-length: %d\r\n\r\n%b" % (len(IN_BODY), IN_BODY),
    "chunks": b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(IN_BODY), IN_BODY),
}


@pytest.mark.parametrize("framing", FRAMED)
@pytest.mark.parametrize("split", [0, 100, 10_000])
def test_the_body_of_a_request_with_an_upgrade_is_its_body(server: Server, framing: str, split: int) -> None:
    """Java programs request an upgrade to HTTP/2 with every request; the parser takes the rest for another protocol."""
    request = b"POST / HTTP/1.1\r\n" + UPGRADE + FRAMED[framing]
    head = request.index(b"\r\n\r\n") + 4
    with server.connect() as connection:
        for piece in (request[: head - split], request[max(head - split, 0) :]):
            connection.sendall(piece)
            time.sleep(0.05)
        assert answer_of(connection).startswith(b"%d 5 " % len(IN_BODY))
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert cooldown_of(connection).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("upgrade", [b"host: x\r\n", UPGRADE], ids=["plain", "with an upgrade"])
@pytest.mark.parametrize(
    "codings", [b"identity", b"gzip", b"chunked, identity", b"chunked\r\ntransfer-encoding: x"]
)
def test_a_body_whose_end_no_framing_states_is_rejected_at_once(
    server: Server, upgrade: bytes, codings: bytes
) -> None:
    request = b"POST / HTTP/1.1\r\n" + upgrade + b"transfer-encoding: " + codings + b"\r\n\r\n"
    with server.connect(request + b"5\r\nhello\r\n") as connection:
        assert cooldown_of(connection).startswith(b"HTTP/1.1 400 ")


def test_an_upgrade_without_a_body_is_ignored(server: Server) -> None:
    with server.connect(b"GET / HTTP/1.1\r\n" + UPGRADE + b"\r\n" + GET) as connection:
        assert answer_of(connection).startswith(b"0 4 ")


# --- clients that leave -----------------------------------------------------------

SLOW = b"POST /slow HTTP/1.1\r\nhost: x\r\n"


def with_body(head: bytes, size: int) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % size + b"b" * size


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("size", [0, 65_536, 65_537, 150_000, 3_000_000])
def test_a_client_that_leaves_during_its_request_is_noticed(server: Server, size: int, reset: bool) -> None:
    connection = server.connect(with_body(SLOW, size))
    assert server.works.wait(PATIENCE_SECONDS)
    leave(connection, reset=reset)

    assert server.left.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("last_bytes", [0, 1, 70_000])
def test_so_is_one_whose_body_comes_in_two_pieces(server: Server, last_bytes: int) -> None:
    request = with_body(SLOW, 300_000)
    cut = len(request) - last_bytes
    connection = server.connect(request[:cut])
    time.sleep(0.05)
    connection.sendall(request[cut:])
    assert server.works.wait(PATIENCE_SECONDS)
    leave(connection)

    assert server.left.wait(PATIENCE_SECONDS)


def test_so_is_one_behind_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    server = Server(certificates=certificates)
    try:
        for size in (1000, 300_000):
            server.works.clear()
            server.left.clear()
            connection = certificates.client().wrap_socket(server.connect(), server_hostname="localhost")
            connection.sendall(with_body(SLOW, size))
            assert server.works.wait(PATIENCE_SECONDS)
            leave(connection)
            assert server.left.wait(PATIENCE_SECONDS), size
    finally:
        server.stop()


@pytest.mark.parametrize("second", [b"", b"GET / HT", GET, GET * 5, with_body(SLOW, 20_000)], ids=len)
@pytest.mark.parametrize("size", [0, 300_000])
def test_so_is_one_that_has_sent_more_requests(server: Server, size: int, second: bytes) -> None:
    connection = server.connect(with_body(SLOW, size))
    assert server.works.wait(PATIENCE_SECONDS)
    connection.sendall(second)
    time.sleep(0.05)
    leave(connection)

    assert server.left.wait(PATIENCE_SECONDS)


POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
CROWDS = {"many": GET * 1_000_000, "one": with_body(POST, 30_000_000)}
"""much more than the system buffers"""


@pytest.mark.parametrize("crowd", CROWDS)
def test_what_waits_for_the_answer_to_an_earlier_request_is_bounded(server: Server, crowd: str) -> None:
    with server.connect(with_body(SLOW, 0)) as connection:
        assert server.works.wait(PATIENCE_SECONDS)
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.sendall(CROWDS[crowd])
        (one,) = server.connections
        assert 0 < sum(cycle.unread_bytes + len(GET) for cycle in one.pipeline) < 1_000_000


def test_a_request_that_is_not_read_yet_is_not_late(hurried: Server) -> None:
    with hurried.connect(with_body(SLOW, 0) + with_body(SLOW, len(LARGE))[:300_000]) as connection:
        assert hurried.works.wait(PATIENCE_SECONDS)
        time.sleep(HURRY.body_seconds + 0.2)
        hurried.release()
        assert answer_of(connection) == b"0 2 "
        connection.sendall(b"b" * (len(with_body(SLOW, len(LARGE))) - 300_000))
        assert answer_of(connection) == b"%d 2 " % len(LARGE)


def test_large_requests_that_were_sent_early_are_answered_in_their_order(server: Server) -> None:
    sizes = [100_000, 3, 700_000, 70_000, 0, 65_536]
    requests = [with_body(POST, size) for size in sizes]
    closing = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with server.connect() as connection:
        sending = threading.Thread(target=connection.sendall, args=(b"".join([*requests, closing]),))
        sending.start()
        reported = cooldown_of(connection)
        sending.join()

    assert [int(part.split()[0]) for part in reported.split(b"\r\n\r\n")[1:]] == [*sizes, 0]


# --- bodies in pieces -----------------------------------------------------------------


class Wire(asyncio.Transport):
    """Leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.closes = False

    def is_closing(self) -> bool:
        return self.closes

    def close(self) -> None:
        self.closes = True

    def write(self, data: object) -> None: ...

    def writelines(self, list_of_data: object) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


STEPS = 100
"""of the loop, in which a few requests are answered"""


async def bodies_of(pieces: list[bytes]) -> list[bytes]:
    """Of the requests that arrive on one connection in these pieces."""
    found: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientLeft):
            found.append(await read_body(scope, receive, 10**9))
            await respond(send, 200, [], b"")

    config = uvicorn.Config(
        app, http=bounded(LIMITS), ws="none", lifespan="off", interface="asgi3", log_config=None
    )
    config.load()
    state = uvicorn.Server(config).server_state
    protocol: Any = bounded(LIMITS)
    connection = protocol(config=config, server_state=state, app_state={})
    connection.connection_made(Wire())
    for piece in pieces:
        connection.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(STEPS):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return found


LONG_BODY = IN_BODY * 20
FRAMINGS = {
    "a length": b"content-length: %d\r\n\r\n%b" % (len(LONG_BODY), LONG_BODY),
    "chunks": b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(LONG_BODY), LONG_BODY),
    "none": b"\r\n",
}


@given(
    st.lists(st.tuples(st.sampled_from([*FRAMINGS]), st.booleans()), min_size=1, max_size=4),
    st.lists(st.integers(1, 300), min_size=1, max_size=12),
)
def test_a_body_is_the_same_in_whatever_pieces_it_arrives(
    requests: list[tuple[str, bool]], sizes: list[int]
) -> None:
    sent = b"".join(
        b"POST / HTTP/1.1\r\n" + (UPGRADE if asks else b"host: x\r\n") + FRAMINGS[framing]
        for framing, asks in requests
    )
    pieces, lengths = [], cycle(sizes)
    while sent:
        size = next(lengths)
        pieces.append(sent[:size])
        sent = sent[size:]
    expected = [b"" if framing == "none" else LONG_BODY for framing, _ in requests]
    assert asyncio.run(bodies_of(pieces)) == expected


def test_nothing_follows_the_body_of_a_request_that_closes_its_connection() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    pieces = [head + FRAMINGS["a length"][:50], FRAMINGS["a length"][50:90], FRAMINGS["a length"][90:] + GET]
    assert asyncio.run(bodies_of(pieces)) == [LONG_BODY]


CLOSING = b"host: x\r\nconnection: close\r\n"
BEHIND = b"no request\r\n\r\n"


@pytest.mark.parametrize("first", [b"host: x\r\n", UPGRADE], ids=["plain", "with an upgrade"])
def test_what_follows_a_closing_request_costs_no_earlier_one_its_answer(first: bytes) -> None:
    body = FRAMINGS["a length"]
    closing = b"GET / HTTP/1.1\r\n" + CLOSING + b"\r\n"
    pieces = [b"POST / HTTP/1.1\r\n" + first + body[:50], body[50:90], body[90:] + closing + BEHIND]
    assert asyncio.run(bodies_of(pieces)) == [LONG_BODY, b""]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_nothing_that_follows_a_long_closing_request_is_parsed(server: Server, version: bytes) -> None:
    head = b"POST / HTTP/%b\r\n%bcontent-length: %d\r\n\r\n" % (version, CLOSING, len(LARGE))
    with server.connect(head) as connection:
        connection.sendall(LARGE + BEHIND)
        assert answer_of(connection).startswith(b"%d 3 " % len(LARGE))

"""Write the application's response to its connection, with the headers and the first body bytes in one packet.

This saves one packet and one system call, and follows ASGI: a server must not start sending before the first
`http.response.body`. Common headers are encoded once, and small chunks that follow each other quickly are written
together.
"""

import asyncio
import math
from collections.abc import Generator, Iterable
from types import coroutine

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from switchyard.web.asgi import CUT, AsgiApp, Event, Receive, Scope

LARGE_BYTES = 64 * 1024
"""a body of this size is not copied to be sent together with its headers"""
SMALL_BYTES = 4 * 1024
TOGETHER_SECONDS = 0.001
"""small chunks that follow each other faster are sent together; no model is that fast, but a cache or a replay is"""
BODILESS = frozenset({204, 304})

Fields = Iterable[tuple[bytes, bytes]]


class CommonHead:
    """The headers of every response. The server creates a new list of them when the date changes."""

    def __init__(self) -> None:
        self._fields: Fields = ()
        self._written = b""

    def written(self, fields: Fields) -> bytes:
        if fields is not self._fields:
            self._fields, self._written = fields, _lines(fields)
        return self._written


class AnswerWriter:
    """Writes one response in place of the server's own `send`, and keeps the server's state of it up to date."""

    __slots__ = (
        "_app",
        "_common",
        "_cycle",
        "_head",
        "_held",
        "_is_bodiless",
        "_is_chunked",
        "_left",
        "_written_at",
    )

    def __init__(self, app: AsgiApp, cycle: RequestResponseCycle, common: CommonHead) -> None:
        self._app = app
        self._cycle = cycle
        self._common = common
        self._head = b""
        self._left: int | None = None
        """bytes of the body still to be sent; None if its length is not declared"""
        self._is_bodiless = False
        self._is_chunked = False
        self._held: list[bytes] = []
        """chunks to be written together shortly"""
        self._written_at = -math.inf

    async def answer(self, scope: Scope, receive: Receive, _: object) -> None:
        """Run the application with this `send`; however it ends, what it has sent is written."""
        try:
            await self._app(scope, receive, self.send)
        except asyncio.CancelledError:
            # the daemon ends: a client repeats a request whose connection was closed, not one answered with 500
            self._cut()
        finally:
            self._write_held()

    async def send(self, event: Event) -> None:
        """Implements ASGI's `send`. Raises RuntimeError for a response that is not valid HTTP."""
        cycle = self._cycle
        if event["type"] == CUT["type"]:
            self._cut()
            return
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if event["type"] == "http.response.start":
            self._begin(event["status"], event.get("headers", ()))
            return
        body, is_last = event.get("body", b""), not event.get("more_body", False)
        if not (is_last and self._head):
            self._go_on(body, is_last=is_last)
            return
        try:
            await _next_turn()  # whole responses of one loop iteration are written one after the other
        finally:
            # a cancellation comes too late here: the application has sent the response
            if not cycle.disconnected:
                self._go_on(body, is_last=True)

    def _begin(self, status: int, fields: Fields) -> None:
        cycle = self._cycle
        if self._head or cycle.response_started:
            raise RuntimeError("a second response start")
        sent = dict(fields)
        self._is_bodiless = cycle.scope["method"] == "HEAD" or status in BODILESS
        length = sent.get(b"content-length")
        self._left = None if length is None else int(length)
        if b"close" in sent.get(b"connection", b"").lower():
            cycle.keep_alive = False
        pieces = [STATUS_LINE[status], self._common.written(cycle.default_headers), _lines(fields)]
        if not cycle.keep_alive and b"connection" not in sent:
            pieces.append(b"connection: close\r\n")
        # a client of HTTP/1.0 knows no chunks: it reads until the connection closes
        self._is_chunked = length is None and cycle.scope["http_version"] != "1.0"
        if self._is_chunked and not self._is_bodiless:
            pieces.append(b"transfer-encoding: chunked\r\n")
        pieces.append(b"\r\n")
        self._head = b"".join(pieces)
        cycle.waiting_for_100_continue = False

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        cycle = self._cycle
        if cycle.response_complete or not (self._head or cycle.response_started):
            raise RuntimeError("a response body after its end or before its start")
        head, self._head = self._head, b""
        cycle.response_started = True
        if len(body) > LARGE_BYTES:
            self._write_now(head)
            head = b""
        piece = head + self._framed(body, is_last=is_last)
        if is_last or len(piece) > SMALL_BYTES:
            self._write_now(piece)
        elif piece:
            self._write_soon(piece)
        if is_last:
            self._end()

    def _framed(self, body: bytes, *, is_last: bool) -> bytes:
        if self._is_bodiless:
            return b""
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left):
                raise RuntimeError("the response body does not match its content-length")
            return body
        if not self._is_chunked:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + b"0\r\n\r\n" if is_last else chunk

    def _write_soon(self, piece: bytes) -> None:
        """Write at once unless something was just written, so that a burst of small chunks takes one call."""
        loop = asyncio.get_running_loop()
        if self._held:
            self._held.append(piece)
        elif loop.time() - self._written_at >= TOGETHER_SECONDS:
            self._write_now(piece)
            self._written_at = loop.time()
        else:
            self._held.append(piece)
            loop.call_later(TOGETHER_SECONDS, self._write_held)

    def _write_held(self) -> None:
        if self._held and not self._cycle.disconnected:
            self._write_now(b"")
            self._written_at = asyncio.get_running_loop().time()

    def _write_now(self, piece: bytes) -> None:
        if self._held:
            piece = b"".join([*self._held, piece])
            self._held.clear()
        if piece:
            self._cycle.transport.write(piece)

    def _cut(self) -> None:
        """Close the connection after what is written; for the server the client has left."""
        cycle = self._cycle
        self._write_held()
        self._head = b""
        cycle.disconnected = True
        cycle.message_event.set()
        cycle.transport.close()

    def _end(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


@coroutine
def _next_turn() -> Generator[None]:
    """As `asyncio.sleep(0)`, which takes three calls more."""
    yield


def _lines(fields: Fields) -> bytes:
    """Raises RuntimeError for a header that would add further headers."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    written = b"".join(lines)
    if written.count(b"\n") != len(lines) or written.count(b"\r") != len(lines) or b"\0" in written:
        raise RuntimeError("a header holds a line break or a null byte")
    return written

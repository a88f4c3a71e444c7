"""Write the application's response to its connection, with the headers and the first body bytes in one packet.

This saves one packet and one system call, and follows ASGI: a server must not start sending before the first
`http.response.body`. Common headers are encoded once, and small chunks that follow each other quickly are written
together.
"""

import asyncio
import math
from collections.abc import Generator, Iterable
from types import coroutine

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from switchyard.web.asgi import CUT, Event, Scope

LARGE_BYTES = 64 * 1024
"""a body of this size is not copied to be sent together with its headers"""
SMALL_BYTES = 4 * 1024
TOGETHER_SECONDS = 0.001
"""small chunks that follow each other faster are sent together; no model is that fast, but a cache or a replay is"""
BODILESS = frozenset({204, 304})
BREAKS = b"\r\n\0"
INTERNAL_ERROR = b"Internal Server Error"
INTERNAL_ERROR_FIELDS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(INTERNAL_ERROR)),
    (b"connection", b"close"),
)

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
    """Writes the response to one request of a connection, whose server ends it by `keep_alive` and `disconnected`."""

    __slots__ = (
        "_common",
        "_connection",
        "_head",
        "_held",
        "_is_bodiless",
        "_is_chunked",
        "_left",
        "_written_at",
        "disconnected",
        "expects_continue",
        "keep_alive",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(
        self,
        connection: HttpToolsProtocol,
        common: CommonHead,
        scope: Scope,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        """the client sends the body once it gets the status 100"""
        self.disconnected = self.response_started = self.response_complete = False
        self._connection = connection
        self._common = common
        self._head = b""
        self._held: list[bytes] = []
        """chunks to be written together shortly"""
        self._written_at = -math.inf

    def _wake(self) -> None:
        """The response has ended: nothing more of the request is read."""

    async def send(self, event: Event) -> None:
        """Implements ASGI's `send`. Raises RuntimeError for a response that is not valid HTTP."""
        kind = event["type"]
        if kind == CUT["type"]:
            self._cut()
            return
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        if kind == "http.response.start":
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
            if not self.disconnected:
                self._go_on(body, is_last=True)

    def _begin(self, status: int, fields: Fields) -> None:
        if self._head or self.response_started:
            raise RuntimeError("a second response start")
        sent = dict(fields)
        self._is_bodiless = self.scope["method"] == "HEAD" or status in BODILESS
        length = sent.get(b"content-length")
        self._left: int | None = None if length is None else int(length)
        """bytes of the body still to be sent; None if its length is not declared"""
        if b"close" in sent.get(b"connection", b"").lower():
            self.keep_alive = False
        common = self._common.written(self._connection.server_state.default_headers)
        pieces = [STATUS_LINE[status], common, _lines(fields)]
        if not self.keep_alive and b"connection" not in sent:
            pieces.append(b"connection: close\r\n")
        # a client of HTTP/1.0 knows no chunks: it reads until the connection closes
        self._is_chunked = length is None and self.scope["http_version"] != "1.0"
        if self._is_chunked and not self._is_bodiless:
            pieces.append(b"transfer-encoding: chunked\r\n")
        pieces.append(b"\r\n")
        self._head = b"".join(pieces)
        self.expects_continue = False

    def _refuse(self) -> None:
        """Send 500 in place of a response that the application has not sent."""
        self._head = b""
        self._begin(500, INTERNAL_ERROR_FIELDS)
        self._go_on(INTERNAL_ERROR, is_last=True)

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        if self.response_complete or not (self._head or self.response_started):
            raise RuntimeError("a response body after its end or before its start")
        head, self._head = self._head, b""
        self.response_started = True
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
        if self._held and not self.disconnected:
            self._write_now(b"")
            self._written_at = asyncio.get_running_loop().time()

    def _write_now(self, piece: bytes) -> None:
        if self._held:
            piece = b"".join([*self._held, piece])
            self._held.clear()
        if piece:
            self._connection.transport.write(piece)

    def _cut(self) -> None:
        """Close the connection after what is written; for the server the client has left."""
        self._write_held()
        self._head = b""
        self.disconnected = True
        self._wake()
        self._connection.transport.close()

    def _end(self) -> None:
        self.response_complete = True
        self._wake()
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()


@coroutine
def _next_turn() -> Generator[None]:
    """As `asyncio.sleep(0)`, which takes three calls more."""
    yield


def _lines(fields: Fields) -> bytes:
    """Raises RuntimeError for a header that would add further headers."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    written = b"".join(lines)
    if len(written) - len(written.translate(None, BREAKS)) != 2 * len(lines):
        raise RuntimeError("a header holds a line break or a null byte")
    return written

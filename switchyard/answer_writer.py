"""Write the application's answer to its connection: the head leaves together with the first of the body.

That is one packet and one system call in place of two, and what ASGI asks for: a server must not begin to send before
the first `http.response.body`. Headers that every answer carries are put into bytes once, and the small pieces of a
burst leave together.
"""

import asyncio
import math
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from switchyard.web.asgi import CUT, AsgiApp, Event, Receive, Scope

LARGE_BYTES = 64 * 1024
"""so large a body is not copied behind its head"""
SMALL_BYTES = 4 * 1024
TOGETHER_SECONDS = 0.001
"""small pieces that follow each other faster leave together; no model talks that fast, but a cache or a replay does"""
BODILESS = frozenset({204, 304})

Fields = Iterable[tuple[bytes, bytes]]


class CommonHead:
    """The headers of every answer; the server makes a new list of them when the date changes."""

    def __init__(self) -> None:
        self._fields: Fields = ()
        self._written = b""

    def written(self, fields: Fields) -> bytes:
        if fields is not self._fields:
            self._fields, self._written = fields, _lines(fields)
        return self._written


class AnswerWriter:
    """Says one answer, in the place of the server's own `send`; what the server knows of it is kept up to date."""

    __slots__ = ("_app", "_common", "_cycle", "_head", "_held", "_is_bodiless", "_left", "_written_at")

    def __init__(self, app: AsgiApp, cycle: RequestResponseCycle, common: CommonHead) -> None:
        self._app = app
        self._cycle = cycle
        self._common = common
        self._head = b""
        self._left: int | None = None
        """bytes of the body that are still owed; None where its length is not told"""
        self._is_bodiless = False
        self._held: list[bytes] = []
        """what is written together, a moment later"""
        self._written_at = -math.inf

    async def answer(self, scope: Scope, receive: Receive, _: object) -> None:
        """The application, with our `send` for the server's; however it ends, what it has said is written."""
        try:
            await self._app(scope, receive, self.send)
        finally:
            self._write_held()

    async def send(self, event: Event) -> None:
        """As ASGI's `send`. Raises RuntimeError for an answer that would not be HTTP."""
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
            await asyncio.sleep(0)  # the whole answers of one turn of the loop go out one after the other
        finally:
            # a cancellation comes too late: for the application this answer has been given
            if not cycle.disconnected:
                self._go_on(body, is_last=True)

    def _begin(self, status: int, fields: Fields) -> None:
        cycle = self._cycle
        if self._head or cycle.response_started:
            raise RuntimeError("a second head for one answer")
        sent = dict(fields)
        self._is_bodiless = cycle.scope["method"] == "HEAD" or status in BODILESS
        length = sent.get(b"content-length")
        self._left = None if length is None else int(length)
        if b"close" in sent.get(b"connection", b"").lower():
            cycle.keep_alive = False
        pieces = [STATUS_LINE[status], self._common.written(cycle.default_headers), _lines(fields)]
        if not cycle.keep_alive and b"connection" not in sent:
            pieces.append(b"connection: close\r\n")
        if length is None and not self._is_bodiless:
            pieces.append(b"transfer-encoding: chunked\r\n")
        pieces.append(b"\r\n")
        self._head = b"".join(pieces)
        cycle.waiting_for_100_continue = False

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        cycle = self._cycle
        if cycle.response_complete or not (self._head or cycle.response_started):
            raise RuntimeError("more of an answer after its end, or before its head")
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
                raise RuntimeError("the body of an answer has not the length that its head tells")
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + b"0\r\n\r\n" if is_last else chunk

    def _write_soon(self, piece: bytes) -> None:
        """At once, unless something was just written: a burst of small pieces would cost both sides a call for each."""
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
        """Close the connection behind what is written; for the server the client has left."""
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


def _lines(fields: Fields) -> bytes:
    """Raises RuntimeError for what would say more than its fields."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    written = b"".join(lines)
    if written.count(b"\n") != len(lines) or written.count(b"\r") != len(lines) or b"\0" in written:
        raise RuntimeError("a header holds a line break or a null byte")
    return written

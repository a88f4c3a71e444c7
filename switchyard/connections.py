"""Bound what a connection may hold: the bytes of its headers, the time until it has said its request, the number.

The server itself waits for ever for a request that never ends, and keeps headers of any size.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any, cast

import httptools
import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from switchyard.answer_writer import AnswerWriter, CommonHead
from switchyard.web.asgi import DEPARTURE, AsgiApp, Departure, Scope, departure_of

if sys.platform != "win32":
    import resource

MOST_CONNECTIONS = 2500
FEWEST_CONNECTIONS = 8
WANTED_HANDLES = 8192
MOST_QUEUED_BYTES = 64 * 1024
"""received of requests that wait for the answer to an earlier one"""
NO_HTTP = "Invalid HTTP request received."
TOO_LARGE = b"The request's headers are too large."


class Limits(msgspec.Struct, frozen=True):
    connections: int = MOST_CONNECTIONS
    head_bytes: int = 128 * 1024
    head_seconds: float = 30
    idle_seconds: float = 75
    """between two requests"""
    body_seconds: float = 300
    """64 MB within that time is a slow network"""
    unread_seconds: float = 300
    """who takes nothing of its answer for so long has gone, or will not let go of what it holds"""
    sweep_seconds: float = 2


class BoundedConnection(HttpToolsProtocol):
    """One connection of a client. `sweep` must be called now and then for all of them."""

    limits = Limits()
    common_head = CommonHead()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self._phase = "head"
        """what the client still owes: the head of a request, its body, or nothing"""
        self._since = self.loop.time()
        self._surplus = 0
        """bytes that are no body, as far as they are not outweighed by body"""
        self._at_hand = 0
        """bytes of which the head that is being read can consist, at most"""
        self._ended = False
        """a request has ended within what was just received: the rest belongs to another one"""
        self._queued_bytes = 0
        """received since the first of the requests that wait for an earlier answer"""
        self._repeats = False
        """the parser is told again what it knows"""
        self._unread = 0
        self._unread_since = self._since
        self._is_dropped = False
        self._answered: RequestResponseCycle | None = None
        """the request that is or was answered last; `cycle` is the last that came"""
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._ended = False
        self._at_hand = self._surplus + len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLarge):
                self._refuse_head()
            else:
                self.logger.warning(NO_HTTP)
                self.send_400_response(NO_HTTP)
        if self._phase == "" and self.is_idle:
            # not even the beginning of a request: from now on it has the time for one
            self._enter("head")
        if not self._ended:
            self._surplus = max(0, self._surplus + len(data))
            if self._surplus > self.limits.head_bytes and not self.transport.is_closing():
                self._refuse_head()
        self._queued_bytes = self._queued_bytes + len(data) if self.pipeline else 0
        self._read_on()

    def _read_on(self) -> None:
        """Keep reading while a request is answered: only a connection that is read shows that its client has left.

        The server stops reading at 64 KB of a body and when a second request arrives. It continues when the
        application asks for more of the body, which it never does once the body is complete, or after the answer.
        Requests that arrive during an earlier answer are bounded: beyond that nothing is read before it ends, and a
        client that leaves is noticed at the next write.
        """
        if self.transport.is_closing():
            return
        if self._queued_bytes > MOST_QUEUED_BYTES:
            self.flow.pause_reading()
        elif self.pipeline or self._phase != "body":
            self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        answered = self._answered
        if answered is not None and not answered.response_complete:
            answered.disconnected = True
            answered.message_event.set()
            departure_of(cast(Scope, answered.scope)).happen()

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError. The wish for another protocol is ignored, as it may be (RFC 9110, 7.8)."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if framing := self._framing():
                    self._begin_body(framing)

    def _framing(self) -> bytes:
        """The header that says how long the body is; none if there is no body."""
        fields = dict(self.headers)
        if b"transfer-encoding" in fields:
            return b"transfer-encoding: chunked"
        length = fields.get(b"content-length", b"")
        return b"content-length: " + length if length.strip(b"0") else b""

    def _begin_body(self, framing: bytes) -> None:
        """The old parser would take the body for the next request: one that has heard of no upgrade goes on."""
        self.parser = httptools.HttpRequestParser(self)
        self._repeats = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        self._repeats = False

    def on_message_begin(self) -> None:
        if self._repeats:
            return
        super().on_message_begin()
        cast(Scope, self.scope)["extensions"] = {DEPARTURE: Departure()}
        self._surplus = 0
        if self._phase == "":
            self._enter("head")

    def on_url(self, url: bytes) -> None:
        if not self._repeats:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """As the server's own, which would be a second call for each header."""
        # what comes behind a body must not change what was checked before it
        if self._phase == "head":
            name = name.lower()
            self.headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        if self._repeats:
            return
        if self._at_hand > self.limits.head_bytes and self._head_bytes() > self.limits.head_bytes:
            raise _HeadTooLarge
        self._enter("body")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        # the frame of a one-byte chunk takes five bytes more
        self._surplus -= 8 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing():
            return  # so says the parser of what it would leave to another protocol
        self._enter("")
        self._ended = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        writer = AnswerWriter(cast(AsgiApp, app), cycle, self.common_head)
        super()._start_asgi_task(cycle, cast(ASGI3Application, writer.answer))

    def on_response_complete(self) -> None:
        """Without the server's own timer for each answer: `sweep` closes what has been idle for too long."""
        if self.pipeline:
            super().on_response_complete()
            self._queued_bytes = self._queued_bytes if self.pipeline else 0
            self._since = (
                self.loop.time()
            )  # what is missing of the next request may not have been read so far
            self._read_on()
            return
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._since = self.loop.time()
            self.flow.resume_reading()

    @property
    def is_idle(self) -> bool:
        """No request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def owes(self, now: float) -> float:
        """The seconds by which the client is late with its request; negative while it is not."""
        if self.pipeline or (self._phase != "body" and not self.is_idle):
            return -1.0
        limit = {
            "": self.limits.idle_seconds,
            "head": self.limits.head_seconds,
            "body": self.limits.body_seconds,
        }[self._phase]
        return now - self._since - limit

    def resume_writing(self) -> None:
        # what waits may always be of one size, and yet be always something else
        self._unread_since = self.loop.time()
        super().resume_writing()

    def takes_nothing(self, now: float) -> bool:
        """True if what waits for the client has waited too long; to be asked at every sweep."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread < self._unread:
            self._unread_since = now
        self._unread = unread
        return now - self._unread_since > self.limits.unread_seconds

    def drop(self) -> None:
        """A client that reads nothing must not keep what is closed."""
        self._is_dropped = True
        self.transport.abort()

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._since = self.loop.time()

    def _make_room(self) -> None:
        """Lets the connection go that has been idle longest; the new one if none is."""
        known = [
            one for one in self.connections if isinstance(one, BoundedConnection) and not one._is_dropped
        ]
        if len(known) > self.limits.connections:
            idle = [one for one in known if one.is_idle]
            min(idle, key=lambda one: one._since, default=self).drop()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        if self.is_idle:
            lines = [
                STATUS_LINE[431],
                self.common_head.written(self.server_state.default_headers),
                b"content-type: text/plain; charset=utf-8\r\n",
                b"content-length: %d\r\n" % len(TOO_LARGE),
                b"connection: close\r\n\r\n",
                TOO_LARGE,
            ]
            self.transport.write(b"".join(lines))
        self.transport.close()


class _HeadTooLarge(Exception):
    """A whole head that came at one go."""


async def sweep(connections: set[Any], every_seconds: float) -> None:
    """Closes the connections of clients that are late with their requests or do not read, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every_seconds)
        now = loop.time()
        for connection in [one for one in connections if isinstance(one, BoundedConnection)]:
            if connection.takes_nothing(now):
                connection.drop()
            elif connection.owes(now) > 0:
                connection.transport.close()


def prepare_handles() -> int:
    """Asks the system for enough file handles; the number of connections that go well with what it gives."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_HANDLES if hard == resource.RLIM_INFINITY else min(WANTED_HANDLES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    given = WANTED_HANDLES if soft == resource.RLIM_INFINITY else soft
    # one request takes a handle on either side, and files want some
    return max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, given // 3))


def bounded(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for a server that keeps these limits."""
    return cast(type[asyncio.Protocol], type("Connection", (BoundedConnection,), {"limits": limits}))

"""Limit what a connection may use: header bytes, the time to send its request, the number of connections.

The server itself waits without limit for a request that never ends, and accepts headers of any size.
"""

import asyncio
import sys
from collections import deque
from contextlib import suppress
from typing import Any, cast
from urllib.parse import unquote

import httptools
import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from switchyard.answer_writer import CommonHead
from switchyard.request_cycle import RequestCycle
from switchyard.web.asgi import DEPARTURE, Departure, Scope

if sys.platform != "win32":
    import resource

MOST_CONNECTIONS = 2500
FEWEST_CONNECTIONS = 8
WANTED_HANDLES = 8192
MOST_QUEUED_BYTES = 64 * 1024
"""bytes received of requests that wait for the response to an earlier one"""
NO_HTTP = "Invalid HTTP request received."
ASGI = {"version": "3.0", "spec_version": "2.3"}
TOO_LARGE = b"The request's headers are too large."


class Limits(msgspec.Struct, frozen=True):
    connections: int = MOST_CONNECTIONS
    head_bytes: int = 128 * 1024
    head_seconds: float = 30
    idle_seconds: float = 75
    """idle time between two requests"""
    body_seconds: float = 300
    """allows 64 MB over a slow network"""
    unread_seconds: float = 300
    """a client that reads nothing of its response for this long has left, or blocks what the response holds"""
    sweep_seconds: float = 2


class BoundedConnection(HttpToolsProtocol):
    """One client connection. Call `sweep` regularly for all of them."""

    limits = Limits()
    common_head = CommonHead()
    cycle: RequestCycle | None  # type: ignore[assignment]  # in place of the server's own
    pipeline: deque[RequestCycle]  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self._phase = "head"
        """what the client still has to send: the headers of a request, its body, or nothing"""
        self._since = self.loop.time()
        self._surplus = 0
        """bytes that are not body data, as far as body data does not outweigh them"""
        self._at_hand = 0
        """upper limit of the bytes that the headers being read consist of"""
        self._ended = False
        """a request has ended within the data just received: the rest belongs to the next one"""
        self._queued_bytes = 0
        """bytes received since the first request that waits for an earlier response"""
        self._repeats = False
        """the parser is given again what it has parsed before"""
        self._body_bytes = 0
        """received of the body"""
        self._skips = False
        """some of the body was not given to the parser"""
        self._unread = 0
        self._unread_since = self._since
        self._is_dropped = False
        self._answered: RequestCycle | None = None
        """the request being answered, or answered last; `cycle` is the one received last"""
        if len(self.connections) > self.limits.connections:
            self._close_longest_idle()

    def data_received(self, data: bytes) -> None:
        self._ended, before = False, self._phase
        self._at_hand = self._surplus + len(data)
        try:
            if before == "body" and len(data) < self._bytes_left():
                # nothing else is in there, and the parser would only copy it
                self._skips = True
                self.on_body(data)
            else:
                self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLarge):
                self._refuse_head()
            else:
                self.logger.warning(NO_HTTP)
                self.send_400_response(NO_HTTP)
        if self._phase == "" and self.is_idle:
            # nothing of a request has arrived: the time limit for its headers starts now
            self._phase = "head"
        if self._ended or self._phase != before:
            self._since = self.loop.time()
        if not self._ended:
            self._surplus = max(0, self._surplus + len(data))
            if self._surplus > self.limits.head_bytes and not self.transport.is_closing():
                self._refuse_head()
        self._queued_bytes = self._queued_bytes + len(data) if self.pipeline else 0
        self._read_on()

    def _read_on(self) -> None:
        """Keep reading while a request is answered: only a connection that is read shows that its client has left.

        The server stops reading at 64 KB of a body and when a second request arrives. It continues when the
        application asks for more of the body, which it never does once the body is complete, or after the response.
        Requests that arrive during an earlier response are limited: beyond the limit nothing is read before it ends,
        and a client that leaves is noticed at the next write.
        """
        if self.transport.is_closing():
            return
        if self._queued_bytes > MOST_QUEUED_BYTES:
            self.flow.pause_reading()
        elif self.pipeline or self._phase != "body":
            self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        answered, self._answered, self.cycle = self._answered, None, None
        self.pipeline.clear()
        self.parser = None  # type: ignore[assignment]  # as the requests, it refers to the connection
        if answered is not None:
            answered.leave()

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError. A request to upgrade is ignored, as RFC 9110, section 7.8 allows."""
        if self._skips:
            self._skips = False
            self._begin_body(b"content-length: %d" % self._bytes_left())
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if framing := self._framing():
                    self._begin_body(framing)

    def _framing(self) -> bytes:
        """The header that frames the body; empty if there is no body. Raises HttpParserError."""
        fields = dict(self.headers)
        if (codings := fields.get(b"transfer-encoding")) is not None:
            if codings.rpartition(b",")[2].strip().lower() != b"chunked":
                raise httptools.HttpParserError(
                    "the last transfer coding of a request is chunked (RFC 9112, 6.3)"
                )
            return b"transfer-encoding: chunked"
        length = fields.get(b"content-length", b"")
        return b"content-length: " + length if length.strip(b"0") else b""

    def _bytes_left(self) -> int:
        """How much of the body is to come; 0 if its headers do not state that."""
        name, _, length = self._framing().partition(b": ")
        return int(length) - self._body_bytes if name == b"content-length" else 0

    def _begin_body(self, framing: bytes) -> None:
        """Give the body, or its rest, to a new parser: one that has seen an upgrade would take it for a new request."""
        self.parser = httptools.HttpRequestParser(self)
        # as the server's own parser: what follows a request that closes the connection is ignored, and no error
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        closing = b"" if self.cycle is None or self.cycle.keep_alive else b"connection: close\r\n"
        self._repeats = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + closing + framing + b"\r\n\r\n")
        self._repeats = False

    def on_message_begin(self) -> None:
        if self._repeats:
            return
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._surplus = self._body_bytes = 0
        if self._phase == "":
            self._phase = "head"

    def on_url(self, url: bytes) -> None:
        if not self._repeats:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # trailers must not change what was checked before the body
        if self._phase == "head":
            name = name.lower()
            self.headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                # a client of HTTP/1.0 would take it for the response
                self.expect_100_continue = self.parser.get_http_version() != "1.0"

    def on_headers_complete(self) -> None:
        if self._repeats:
            return
        if self._at_hand > self.limits.head_bytes and self._head_bytes() > self.limits.head_bytes:
            raise _HeadTooLarge
        self._phase = "body"
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "extensions": {DEPARTURE: Departure()},
        }
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        cycle = RequestCycle(self, self.common_head, scope, keep_alive, self.expect_100_continue)
        is_first, self.cycle = self.is_idle, cycle
        if is_first:
            self._answer(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.append(cycle)

    def on_body(self, body: bytes) -> None:
        # the framing of a one-byte chunk takes five more bytes
        self._surplus -= 8 * len(body)
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.arrived(body)
            if cycle.unread_bytes > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing():
            return  # the parser reports this where it would hand over to another protocol
        self._phase = ""
        self._ended = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.ended()

    def _answer(self, cycle: RequestCycle) -> None:
        self._answered = cycle
        app: Any = self.app
        task = self.loop.create_task(cycle.run(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Without the server's timer for each response: `sweep` closes connections that are idle for too long."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._since = self.loop.time()  # the rest of the next request may not have been read yet
        self.flow.resume_reading()
        if self.pipeline:
            self._answer(self.pipeline.popleft())
            self._queued_bytes = self._queued_bytes if self.pipeline else 0
            self._read_on()

    @property
    def is_idle(self) -> bool:
        """True while no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def owes(self, now: float) -> float:
        """How many seconds the client is late with its request; negative while it is not late."""
        if self.pipeline or (self._phase != "body" and not self.is_idle):
            return -1.0
        limit = {
            "": self.limits.idle_seconds,
            "head": self.limits.head_seconds,
            "body": self.limits.body_seconds,
        }[self._phase]
        return now - self._since - limit

    def resume_writing(self) -> None:
        # the buffer may keep its size although its content changes
        self._unread_since = self.loop.time()
        super().resume_writing()

    def takes_nothing(self, now: float) -> bool:
        """True if the client has not read for too long; call it at every sweep."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread < self._unread:
            self._unread_since = now
        self._unread = unread
        return now - self._unread_since > self.limits.unread_seconds

    def drop(self) -> None:
        """Abort the connection: a client that reads nothing would keep a closed one open."""
        self._is_dropped = True
        self.transport.abort()

    def _close_longest_idle(self) -> None:
        """Close the longest-idle connection, or the new one if none is idle."""
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
    """Headers that are too large and arrived in one piece."""


async def sweep(connections: set[Any], every_seconds: float) -> None:
    """Close the connections of clients that are late with their requests or do not read, until cancelled."""
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
    """Ask the system for enough file handles; returns the number of connections that they allow."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_HANDLES if hard == resource.RLIM_INFINITY else min(WANTED_HANDLES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    given = WANTED_HANDLES if soft == resource.RLIM_INFINITY else soft
    # a request takes a handle on either side, and files need some
    return max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, given // 3))


def bounded(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for a server that applies these limits."""
    return cast(type[asyncio.Protocol], type("Connection", (BoundedConnection,), {"limits": limits}))

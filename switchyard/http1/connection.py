"""One connection to a server: requests and their answers, one at a time.

httptools parses; it calls the methods and lists named `on_...`. Everything that a server sends is limited.
"""

import asyncio
from typing import Protocol, cast

import httptools

from switchyard.http1.errors import ConnectionBroken, NotHttp, Unanswered
from switchyard.http1.raw_reply import Headers, RawReply
from switchyard.http1.request import Origin

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
MAX_INTERIM_ANSWERS = 32
SMALL_BODY_BYTES = 64 * 1024
SLICE_BYTES = 256 * 1024
NOTHING = b""


class Owner(Protocol):
    """Receives what becomes of a connection."""

    def freed(self, connection: "Connection") -> None:
        """The next request may be sent."""

    def lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Carries one request at a time: its owner sees to that."""

    def __init__(self, origin: Origin, owner: Owner) -> None:
        self.origin = origin
        self.idle_since = (0.0, 0.0)
        """set by the owner: by the monotonic and by the wall clock"""
        self.is_used = False
        """an answer has arrived over it; set by the owner"""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reply: RawReply | None = None
        self._headers: Headers = []
        self._at_hand = 0
        """upper limit of the bytes that the headers being read consist of"""
        self._skips_body = False
        self._received = False
        self._complete = False
        self._stays_open = False
        self._interim_answers = 0
        self._barren_bytes = 0
        self._unsent: bytes | memoryview = NOTHING
        self._full = False
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parser: httptools.HttpResponseParser | None = self._new_parser()

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # some servers end lines with a bare LF or pad their chunk sizes: harmless in an answer
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        return parser

    # --- used by the transport -------------------------------------------------

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def wire(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    async def exchange(self, head: bytes, body: bytes = b"", *, skips_body: bool = False) -> RawReply:
        """The answer once its headers have arrived. `skips_body`: it has none, whatever its headers state.

        Raises Http1Error; the connection is closed then, and on cancellation.
        """
        reply = self._reply = RawReply(self)
        self._skips_body = skips_body
        self._received = self._complete = False
        self._interim_answers = self._barren_bytes = 0
        try:
            self._write(head, body)
            await reply.begun()
        except BaseException:
            self.abort()
            raise
        return reply

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self.is_usable:
            self.wire.pause_reading()

    def resume(self) -> None:
        if self.is_usable:
            self.wire.resume_reading()

    # --- writing ---------------------------------------------------------------

    def _write(self, head: bytes, body: bytes) -> None:
        if not self.is_usable:
            raise Unanswered("closed the connection without an answer")
        if len(body) <= SMALL_BODY_BYTES:
            # together with others in this turn of the loop: a server that reads them wakes up once
            self._unsent = head + body
            self._loop.call_soon(self._write_more)
        else:
            self.wire.write(head)
            self._unsent = memoryview(body)
            self._write_more()

    def _write_more(self) -> None:
        """Slice by slice and without a copy, so that neither encryption nor a slow server delays other requests."""
        transport = self._transport
        if self._unsent and not self._full and transport is not None and not transport.is_closing():
            # an empty rest would keep the whole body as long as the connection is idle
            piece, self._unsent = self._unsent[:SLICE_BYTES], self._unsent[SLICE_BYTES:] or NOTHING
            transport.write(piece)
            if self._unsent and not self._full:
                self._loop.call_soon(self._write_more)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._write_more()

    # --- reading ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's only behave like one

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._parser is None:
            self.abort()  # no request is under way: this is not the answer to the next one
            return
        self._received = True
        self._at_hand = self._barren_bytes + len(data)
        error: NotHttp | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as raised:
            ours = raised.__context__
            error = ours if isinstance(ours, NotHttp) else NotHttp(str(raised))
        if self._complete:
            self._finish(self._reply, clean=error is None)
            return
        if self._pieces:
            self._deliver(self._reply)
            self._barren_bytes = 0
        else:
            self._barren_bytes += len(data)
            if error is None and self._barren_bytes > MAX_HEAD_BYTES:
                error = NotHttp("endless headers")
        if error is not None:
            reply, self._reply = self._reply, None
            reply.fail(error)
            self.abort()

    def _deliver(self, reply: RawReply) -> None:
        """The pieces of one packet become one chunk."""
        reply.push(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
        self._pieces.clear()

    def on_message_begin(self) -> None:
        if self._complete:
            raise NotHttp("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reply is not None and not self._reply.status:  # else it is a trailer
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip()))

    def on_headers_complete(self) -> None:
        assert self._reply is not None and self._parser is not None
        headers, self._headers = self._headers, []
        status = self._parser.get_status_code()
        if status < 200:
            self._interim_answers += 1
            if status < 100 or status == 101 or self._interim_answers > MAX_INTERIM_ANSWERS:
                raise NotHttp(f"unexpected status {status}")
            return
        if not self._parser.get_http_version().startswith("1."):
            raise NotHttp("not version 1.1")
        is_long = self._at_hand > MAX_HEAD_BYTES and _size(headers) > MAX_HEAD_BYTES
        if is_long or len(headers) > MAX_HEADERS:
            raise NotHttp("endless headers")
        self._barren_bytes = 0
        self._reply.begin(status, headers)
        if self._skips_body:
            self._complete = True
            self._stays_open = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        assert self._reply is not None and self._parser is not None
        if self._reply.status and not self._complete:
            self._complete = True
            self._stays_open = self._parser.should_keep_alive()
            if self._pieces:
                self._deliver(self._reply)

    def _finish(self, reply: RawReply, *, clean: bool) -> None:
        """The answer is complete; the connection is reused if its state is clean."""
        self._reply, transport = None, self.wire
        surplus, all_sent = bool(self._pieces), not self._unsent and not transport.get_write_buffer_size()
        self._pieces.clear()
        reply.end()
        if clean and self._stays_open and not surplus and all_sent and not transport.is_closing():
            if self._skips_body:
                self._parser = self._new_parser()  # the old one still expects the body
            self._owner.freed(self)
        else:
            self.abort()

    # --- the end ---------------------------------------------------------------

    def eof_received(self) -> None:
        self._end_reply(None)
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._end_reply(error)
        self._parser = None
        self._owner.lost(self)

    def _end_reply(self, error: Exception | None) -> None:
        """End the answer under way: complete where the end of the connection marks it, else broken."""
        self._unsent = NOTHING
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if error is None and reply.status and _ends_by_close(reply.headers):
            reply.end()
        else:
            reply.fail(self._broken(reply, error))

    def _broken(self, reply: RawReply, error: Exception | None) -> ConnectionBroken:
        if not self._received:
            failure: ConnectionBroken = Unanswered("closed the connection without an answer")
        else:
            where = "before the end of" if reply.status else "within the headers of"
            failure = ConnectionBroken(f"the connection broke {where} the answer")
        failure.__cause__ = error
        return failure


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _ends_by_close(headers: Headers) -> bool:
    fields = dict(headers)
    return "content-length" not in fields and "chunked" not in fields.get("transfer-encoding", "").lower()

"""Fake upstreams: they answer, fail, stall or break off as their mood and the seed decide, and keep a record."""

import asyncio
import errno
import json
import random
import re
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.bed import wire
from tests.simulation.network import End, Network
from tests.simulation.peer import Gone, Peer

Mood = Literal["fine", "flaky", "overloaded", "down", "silent", "broken"]
KEY = re.compile(rb"\r\n(?:authorization: bearer |x-api-key: |api-key: )([^\r\n]*)", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
ERRORS = {
    "flaky": (500, 502, 503, 400, 404),
    "overloaded": (429, 429, 503, 529),
    "broken": (401, 403, 402, 400, 501),
}
SURPLUS = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
PACKED = b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n"
CLOSED = b"connection: close\r\n"
"""the end of the connection is the end of the body"""
FRAMINGS = (CHUNKED, CHUNKED, PACKED, CLOSED)
INTERIM = (b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
PROTOCOL_OF_PATH: dict[bytes, wire.Protocol] = {
    b"messages": "messages",
    b"completions": "chat",
    b"responses": "responses",
}


@dataclass
class Asked:
    """One request as it was sent to a host."""

    number: int
    key: str
    text: str = ""
    """of the whole answer"""


@dataclass
class Books:
    """What all hosts have seen."""

    asked: list[Asked] = field(default_factory=list)
    under_way: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    """by host, key and whether they take slots: requests sent and not over yet, as seen from the daemon's side"""
    begun: Callable[[str, str, int], None] = lambda host, key, count: None
    violations: list[str] = field(default_factory=list)


class FakeHost:
    def __init__(self, name: str, network: Network, books: Books, random: random.Random) -> None:
        self.name = name
        self.mood: Mood = "fine"
        self.books = books
        self.tasks: set[asyncio.Task[None]] = set()
        self.note: Callable[[str], None] = lambda text: None
        self._network, self._random = network, random

    def connecting(self) -> tuple[float, OSError | None]:
        if self.mood == "down":
            return self._random.choice((0.0, 0.01, 1.0)), ConnectionRefusedError(
                errno.ECONNREFUSED, "refused"
            )
        if self.mood == "silent" and self._random.random() < 0.5:
            return 1e6, None
        if self.mood == "flaky" and self._random.random() < 0.1:
            return 0.5, OSError(errno.EHOSTUNREACH, "No route to host")
        return self._random.choice((0.0, 0.001, 0.05, 0.05, 2.0)), None

    def accepted(self, end: End) -> Peer:
        peer = Peer()
        connection = Connection(self, peer, end, self._random)
        task = asyncio.get_running_loop().create_task(connection.run(), name="host")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return peer


class Connection:
    """One connection from the daemon. `near` is the daemon's end, watched for the moments that count."""

    def __init__(self, host: FakeHost, peer: Peer, near: End, random: random.Random) -> None:
        self._host, self._peer, self._random = host, peer, random
        self._near = near
        self._account: tuple[str, str, bool] | None = None
        """of the request that is under way"""
        self._has_answered = False
        self._surplus_bytes = 0
        """that follow the last answer and belong to none"""
        self._stays_open = True
        self._framing = CHUNKED
        self._asked: Asked
        near.on_write, near.on_read, near.on_lost = self._written, self._read_by_daemon, self._over

    # --- what the daemon does ----------------------------------------------------------

    def _written(self, data: bytes) -> None:
        books = self._host.books
        if self._account is not None:
            if data.startswith(b"POST "):
                books.violations.append(
                    f"a second request on a connection to {self._host.name} that is in use"
                )
            return
        found = KEY.search(data)
        name, key = self._host.name, found[1].decode() if found else ""
        # activations and questions about the account wait for no slot
        has_slot = data.startswith(b"POST ") and b'"ping"' not in data
        self._account = (name, key, has_slot)
        self._has_answered = False
        books.under_way[self._account] = books.under_way.get(self._account, 0) + 1
        self._asked = Asked(len(books.asked) + 1, key)
        books.asked.append(self._asked)
        books.begun(name, key, books.under_way[self._account] if has_slot else 0)

    def _read_by_daemon(self) -> None:
        if self._has_answered and self._near._incoming.size <= self._surplus_bytes:
            self._over()

    def _over(self) -> None:
        if self._account is not None:
            self._host.books.under_way[self._account] -= 1
            self._account = None

    # --- what the host does --------------------------------------------------------------

    async def run(self) -> None:
        rest = b""
        try:
            while self._stays_open:
                while (found := _request(rest)) is None:
                    rest += await self._peer.read()
                head, body, rest = found
                await self._answer(head, body)
        except Gone:
            pass
        finally:
            if self._random.random() < 0.3 and not self._peer.end.is_closing():
                self._peer.end.reset()
            else:
                self._peer.end.close()

    async def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0].rpartition(b"/")[2]
        if path not in PROTOCOL_OF_PATH:
            self._finish(_whole_head(404, 2) + b"{}")
            return
        self._protocol = PROTOCOL_OF_PATH[path]
        self._wants_stream = bool(json.loads(body).get("stream"))
        way = self._way()
        number, key = self._asked.number, self._asked.key
        self._host.note(f"{self._host.name} answers request {number} ({key}): {way.__name__}")
        words = " ".join(
            self._random.choices(("one", "two", "three", "four"), k=self._random.choice((1, 3, 30)))
        )
        self._asked.text = f"<{number}|{words}|{number}>"
        await way()

    def _way(self) -> Callable[[], Awaitable[None]]:
        fine: list[Callable[[], Awaitable[None]]] = [
            self._fine,
            self._fine,
            self._fine,
            self._slow,
            self._lingering,
            self._surplus,
            self._closing,
        ]
        flaky: list[Callable[[], Awaitable[None]]] = [
            self._fine,
            self._error,
            self._cut,
            self._broken_stream,
            self._empty,
            self._late,
            self._dropped,
        ]
        by_mood: dict[Mood, list[Callable[[], Awaitable[None]]]] = {
            "fine": fine,
            "flaky": flaky,
            "overloaded": [self._error, self._error, self._broken_stream, self._slow],
            "down": [self._cut],
            "silent": [self._never, self._stalled],
            "broken": [self._error, self._garbage, self._empty, self._cut],
        }
        return self._random.choice(by_mood[self._host.mood])

    # --- ways to answer ---------------------------------------------------------------------

    async def _fine(self) -> None:
        await self._send(self._pieces(), pauses=(0.0, 0.0, 0.01))

    async def _slow(self) -> None:
        await self._send(self._pieces(), pauses=(0.0, 0.3, 1.0, 4.0))

    async def _late(self) -> None:
        await asyncio.sleep(self._random.choice((1.0, 5.0, 19.0, 20.0, 30.0)))
        await self._fine()

    async def _lingering(self) -> None:
        """The answer is complete, but its body is not."""
        *pieces, last = self._pieces()
        await self._send(pieces, ends=False)
        await asyncio.sleep(self._random.choice((0.1, 0.9, 1.0, 1.1, 3.0, 10.0)))
        self._finish(last)

    async def _surplus(self) -> None:
        """Bytes that belong to no request follow."""
        await self._fine()
        self._surplus_bytes = len(SURPLUS)
        self._peer.write(SURPLUS)
        self._stays_open = False

    async def _closing(self) -> None:
        await self._fine()
        await asyncio.sleep(self._random.choice((0.0, 0.001, 1.0)))
        self._stays_open = False

    async def _cut(self) -> None:
        whole = b"".join(self._pieces())
        self._peer.write(whole[: self._random.randrange(len(whole))])
        self._stays_open = False
        await asyncio.sleep(self._random.choice((0.0, 0.001, 1.0)))
        raise Gone

    async def _dropped(self) -> None:
        """As a server closes a connection that was idle, just when the request arrives."""
        raise Gone

    async def _never(self) -> None:
        while True:
            await self._peer.read()

    async def _stalled(self) -> None:
        pieces = self._pieces()
        await self._send(pieces[: self._random.randrange(1, len(pieces))], ends=False)
        await self._never()

    async def _empty(self) -> None:
        self._finish(_whole_head(200, 0))

    async def _garbage(self) -> None:
        text = self._random.choice((b"<html>no</html>", b'{"a":', b"[]", b"data: {}\n\n", b"\x00\xff"))
        self._finish(_whole_head(200, len(text)) + text)

    async def _error(self) -> None:
        status = self._random.choice(ERRORS.get(self._host.mood, (500,)))
        text = self._random.choice(
            ("it failed", "overloaded", f"Incorrect API key provided: {self._asked.key}")
        )
        body = wire.error_body(self._protocol, text)
        hint = self._random.choice(
            (b"", b"", b"retry-after: 1\r\n", b"retry-after: 20\r\n", b"retry-after: 7200\r\n")
        )
        await asyncio.sleep(self._random.choice((0.0, 0.0, 0.5)))
        self._finish(_whole_head(status, len(body), hint) + body)

    async def _broken_stream(self) -> None:
        """A stream that reports an error, before or after content."""
        if not self._wants_stream:
            return await self._error()
        pieces = self._pieces()
        error = [*wire.error_records(self._protocol, "it failed"), b""]
        if self._framing is PACKED:
            self._framing, pieces = CHUNKED, [pieces[0].replace(PACKED, CHUNKED)]
        await self._send([*pieces[: self._random.randrange(1, len(pieces) + 1)], *map(self._framed, error)])

    # --- parts ------------------------------------------------------------------------------------

    def _pieces(self) -> list[bytes]:
        number = self._asked.number
        reply = wire.Reply(
            self._asked.text, usage=wire.Usage(1000 + number, output=10 + number), id=f"a{number}"
        )
        self._framing = self._random.choice(FRAMINGS)
        if self._wants_stream:
            kind, contents = b"text/event-stream", wire.records(self._protocol, reply, piece=16)
        else:
            body = wire.body(self._protocol, reply)
            kind, contents = b"application/json", [body[:20], body[20:]]
            if self._framing is CLOSED:
                self._framing = CHUNKED  # a whole answer that is cut could not be told from a short one
        self._stays_open = self._framing is not CLOSED
        self._gzip = zlib.compressobj(wbits=31)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n" % (kind, self._framing)
        return [self._random.choice(INTERIM) + head, *map(self._framed, contents), self._framed(b"")]

    def _framed(self, data: bytes) -> bytes:
        if self._framing is CLOSED:
            return data
        if self._framing is PACKED:
            if not data:
                return _chunk(self._gzip.flush()) + _chunk(b"")
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        return _chunk(data)

    async def _send(
        self, pieces: list[bytes], *, pauses: tuple[float, ...] = (0.0,), ends: bool = True
    ) -> None:
        *pieces, last = pieces if ends else [*pieces, b""]
        for piece in pieces:
            self._peer.write(piece)
            if seconds := self._random.choice(pauses):
                await asyncio.sleep(seconds)
        if ends:
            self._finish(last)

    def _finish(self, last: bytes) -> None:
        self._has_answered = True
        self._peer.write(last)


def _request(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    length = LENGTH.search(head)
    size = int(length[1]) if length else 0
    return None if len(rest) < size else (head, rest[:size], rest[size:])


def _whole_head(status: int, length: int, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n" % (
        status,
        more,
        length,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

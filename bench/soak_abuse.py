"""Disturb a soak: clients that are slow, hostile or broken, and a hostile upstream."""

import asyncio
import json
import os
import random
import socket
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import repeat

import brotli
import zstandard
from soak_upstream import read_request

from tests.bed.asking import PATHS, question
from tests.bed.wire import PROTOCOLS

MEGABYTE = 1 << 20
AGENT = "abuse"
"""the name of these clients in the journal"""
MODEL = "both"
"""served first by the hostile upstream, then by the others"""
IDLE_CONNECTIONS = 400
SLOW_CONNECTIONS = 20
LIMIT_SECONDS = 45.0
"""the daemon waits 30 s for headers, and checks every 2 s"""
PAUSE_SECONDS = (0.1, 0.6)

REFUSED = frozenset({400, 413, 431})


def _packed(content: bytes) -> dict[str, bytes]:
    return {
        "gzip": zlib.compress(content, 9, wbits=31),
        "br": brotli.compress(content, quality=1),
        "zstd": zstandard.ZstdCompressor().compress(content),
    }


def _json(more: str) -> bytes:
    said = '[{"role":"user","content":"x"}]'
    return f'{{"model":"{MODEL}","max_tokens":5,"messages":{said},"input":{said},{more}}}'.encode()


BODIES = {
    "100,000 levels": _json('"metadata":' + '{"a":' * 100_000 + "1" + "}" * 100_000),
    "a pile of brackets": _json('"metadata":[' + "[]," * 4 * MEGABYTE + "[]]"),
    "not a number": _json('"temperature":NaN'),
    "half a character": _json('"user":"\\ud800"'),
    "a field twice": _json('"max_tokens":7'),
    "wrong types": _json('"tools":5,"system":7,"stop":{},"messages":{"a":1},"input":{"a":1}'),
    "an endless model": _json('"model":"' + "m" * MEGABYTE + '"'),
    "other bytes": bytes(range(256)) * 64,
}
ODD_REQUESTS = {
    "headers of 300 KB": b"GET /api HTTP/1.1\r\nhost: localhost\r\n"
    + b"x: %b\r\n" % (b"y" * 1000) * 300
    + b"\r\n",
    "a header of 300 KB": b"GET /api HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
    "no HTTP": bytes(range(256)) * 10,
    "a length and chunks": b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a foreign host": b"GET /api/state HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "a thousand at once": b"GET /api HTTP/1.1\r\nhost: localhost\r\n\r\n" * 1000
    + b"GET /api HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
}


class Abuse:
    """Runs until cancelled; `done` counts the actions, `wrong` lists failures."""

    def __init__(self, port: int, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.answered = 0
        """requests with a complete response: each must be in the journal"""
        self._port = port
        self._began = time.monotonic()
        self._pick = random.Random(seed)
        self._bombs = _packed(b'{"model":"m","input":"' + bytes(300 * MEGABYTE))

    async def run(self) -> None:
        work = [
            *repeat(self._idle, IDLE_CONNECTIONS),
            *repeat(self._slow_head, SLOW_CONNECTIONS),
            *repeat(self._slow_body, SLOW_CONNECTIONS),
            *repeat(self._reads_nothing, 5),
            self._bomb,
            self._odd_body,
            self._odd_request,
            self._leaves_within_its_body,
            *repeat(self._asks_the_hostile_one, 2),
        ]
        await asyncio.gather(*(self._again(one) for one in work))

    async def _again(self, abuse: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._pick.uniform(*PAUSE_SECONDS))
            with suppress(OSError, asyncio.IncompleteReadError):
                await abuse()

    def _note_late(self, name: str) -> None:
        """With the moment and the load: on an overloaded machine no time is long enough."""
        self.wrong.append(
            f"{name}: not closed within {LIMIT_SECONDS:g} s, {time.monotonic() - self._began:.0f} s after the start, "
            f"load {os.getloadavg()[0]:.0f}"
        )

    # --- slow ------------------------------------------------------------------

    async def _idle(self) -> None:
        """Send nothing until the daemon closes the connection."""
        await self._drip("idle connections", b"", 0)

    async def _slow_head(self) -> None:
        await self._drip("heads in drips", b"GET /api HTTP/1.1\r\nhost: localhost\r\n", 100_000)

    async def _slow_body(self) -> None:
        head = self._head(PATHS["chat"], 100_000)
        _, writer = await self._connect()
        try:
            writer.write(head)
            for _ in range(self._pick.randrange(5, 60)):
                writer.write(b" ")
                await asyncio.sleep(0.5)
            self.done["bodies in drips"] += 1
        finally:
            writer.close()

    async def _drip(self, name: str, head: bytes, drips: int) -> None:
        reader, writer = await self._connect()
        try:
            writer.write(head)
            async with asyncio.timeout(LIMIT_SECONDS):
                closed = asyncio.ensure_future(reader.read())
                for _ in range(drips):
                    if closed.done():
                        break
                    writer.write(b"x: y\r\n")
                    await asyncio.sleep(0.5)
                await closed
            self.done[name] += 1
        except TimeoutError:
            self._note_late(name)
        finally:
            writer.close()

    async def _reads_nothing(self) -> None:
        """Request a stream, and leave after a while without reading a byte."""
        protocol = self._pick.choice(PROTOCOLS)
        _, writer = await self._connect(narrow=True)
        try:
            writer.write(self._request(PATHS[protocol], json.dumps(question(protocol, MODEL)).encode()))
            await asyncio.sleep(self._pick.uniform(0.5, 5))
            self.done["answers that nobody reads"] += 1
        finally:
            writer.transport.abort()

    async def _leaves_within_its_body(self) -> None:
        _, writer = await self._connect()
        writer.write(self._head(PATHS["messages"], 5 * MEGABYTE) + b"a" * self._pick.randrange(2 * MEGABYTE))
        await asyncio.sleep(0.05)
        writer.transport.abort()
        self.done["bodies broken off"] += 1

    # --- odd -------------------------------------------------------------------

    async def _bomb(self) -> None:
        encoding = self._pick.choice(list(self._bombs))
        path = PATHS[self._pick.choice(PROTOCOLS)]
        await self._refused(
            f"{encoding} bombs",
            self._request(path, self._bombs[encoding], f"content-encoding: {encoding}\r\n"),
        )

    async def _odd_body(self) -> None:
        name = self._pick.choice(list(BODIES))
        await self._refused(name, self._request(PATHS[self._pick.choice(PROTOCOLS)], BODIES[name]))

    async def _refused(self, name: str, request: bytes) -> None:
        """Refused, or answered by an upstream; never an internal error."""
        status, body = await self._ask(request)
        self.done[name] += 1
        self._note_fault(name, status, body)
        if name.endswith("bombs") and status not in REFUSED:
            self.wrong.append(f"{name}: {status}")

    async def _odd_request(self) -> None:
        name = self._pick.choice(list(ODD_REQUESTS))
        reader, writer = await self._connect()
        try:
            writer.write(ODD_REQUESTS[name])
            async with asyncio.timeout(LIMIT_SECONDS):
                with suppress(OSError):  # refused while it was still sending
                    await reader.read()
            self.done[name] += 1
        except TimeoutError:
            self._note_late(name)
        finally:
            writer.close()

    async def _asks_the_hostile_one(self) -> None:
        protocol, streams = self._pick.choice(PROTOCOLS), self._pick.random() < 0.5
        body = json.dumps(question(protocol, MODEL, stream=streams)).encode()
        status, answer = await self._ask(self._request(PATHS[protocol], body))
        self.done["questions to the hostile upstream"] += 1
        self.answered += 1
        self._note_fault("through the hostile upstream", status, answer)

    def _note_fault(self, name: str, status: int, answer: bytes) -> None:
        """Errors must be the upstreams' own, not internal ones."""
        if status not in range(200, 600) or b"Switchyard itself failed" in answer:
            self.wrong.append(f"{name}: {status} {answer[:300]!r}")

    # --- on the wire -----------------------------------------------------------

    async def _connect(self, *, narrow: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = socket.socket()
        opened.setblocking(False)
        if narrow:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self._port))
        except OSError:
            opened.close()
            raise
        return await asyncio.open_connection(sock=opened)

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connect()
        try:
            writer.write(request)
            async with asyncio.timeout(LIMIT_SECONDS):
                reported = await reader.read()
            if not reported:
                raise ConnectionResetError
            head, _, body = reported.partition(b"\r\n\r\n")
            return int(head.split()[1]), body
        except TimeoutError:
            return 0, b"no end of an answer in time"
        finally:
            writer.close()

    def _request(self, path: str, body: bytes, more: str = "") -> bytes:
        return self._head(path, len(body), more) + body

    def _head(self, path: str, length: int, more: str = "") -> bytes:
        lines = f"host: localhost\r\nuser-agent: {AGENT}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        return f"POST {path} HTTP/1.1\r\n{lines}{more}content-length: {length}\r\n\r\n".encode()


# --- the upstream ---------------------------------------------------------------

JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
SWELLING = _packed(b'data: {"a":"' + bytes(200 * MEGABYTE))

HARM: dict[str, tuple[bytes, bytes]] = {
    "an endless header": (b"HTTP/1.1 200 OK\r\nx: ", b"a" * 65536),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"x-y: zzzzzzzzzzzzzzzz\r\n" * 1000),
    "endless interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 1000),
    "an endless answer": (JSON + b'\r\n{"a":"', b"a" * MEGABYTE),
    "an endless event": (STREAM + b'\r\ndata: {"a":"', b"a" * MEGABYTE),
    "comments for ever": (STREAM + b"\r\n", b": x\n\n" * 10_000),
    "an endless error": (b"HTTP/1.1 500 X\r\n\r\n{", b"a" * MEGABYTE),
    "an event of brackets": (STREAM + b'\r\ndata: {"choices":[' + b"[]," * 4 * MEGABYTE + b"[]]}\n\n", b""),
    "100,000 levels": (JSON + b"\r\n" + b'{"content":' * 100_000 + b"1" + b"}" * 100_000, b""),
    "other bytes": (STREAM + b"\r\n" + bytes(range(256)) * 100, b""),
    "a length that lies": (JSON + b"content-length: 100000\r\n\r\n{", b""),
    "two lengths": (JSON + b"content-length: 5\r\ncontent-length: 7\r\n\r\n{}", b""),
    "a redirect": (b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n", b""),
    "an upgrade": (b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", b""),
    **{
        f"{name} that swells": (STREAM + f"content-encoding: {name}\r\n\r\n".encode() + packed, b"")
        for name, packed in SWELLING.items()
    },
}
"""the start of each response, and what follows without end"""


class HostileUpstream:
    """Answers each request in one of many hostile ways."""

    def __init__(self, seed: int) -> None:
        self.played: Counter[str] = Counter()
        self.port = 0
        self._pick = random.Random(seed)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await read_request(reader) is not None:
                name = self._pick.choice(list(HARM))
                self.played[name] += 1
                beginning, more = HARM[name]
                writer.write(beginning)
                await writer.drain()
                while more:
                    writer.write(more)
                    await writer.drain()
        with suppress(OSError):
            writer.close()

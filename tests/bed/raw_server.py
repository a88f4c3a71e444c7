"""A server that sends exactly what a test scripts, connection by connection, in the test's own event loop."""

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self


class Talk:
    """One connection, from the server's side."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        """the number of this connection, from 0"""
        self._reader = reader
        self._writer = writer

    async def hear(self) -> bytes:
        """One request, headers and body as received; empty when the client has left."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        return head + await self._reader.readexactly(_length(head))

    async def hear_head(self) -> bytes:
        """The headers of one request; its body stays unread."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def say(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()

    async def left(self) -> None:
        """Returns when the client has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close with a reset."""
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    @property
    def has_resumed(self) -> bool:
        """The TLS session is one of an earlier connection."""
        return bool(self._writer.get_extra_info("ssl_object").session_reused)

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Continue with TLS, as behind a proxy's tunnel."""
        await self._writer.start_tls(context)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


Script = Callable[[Talk], Awaitable[None]]


class RawServer:
    """Plays `script` on each connection, then closes it."""

    def __init__(
        self, script: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._context = context
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection_count = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._context, limit=2**20)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{self._host}:{self.port}/v1/messages"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(self.connection_count, reader, writer)
        self.connection_count += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._script(talk)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client or the test has left
        finally:
            writer.close()


def answers(octets: bytes) -> Script:
    """The same response to every request on the connection."""

    async def script(talk: Talk) -> None:
        while await talk.hear():
            await talk.say(octets)

    return script


def answers_and_closes(octets: bytes) -> Script:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(octets)

    return script


def ok(body: bytes = b"hello", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

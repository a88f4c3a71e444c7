"""The other side of a connection, as a script reads and writes it."""

import asyncio
from collections import deque

from tests.simulation.network import End


class Gone(Exception):
    """The connection has ended."""


class Peer(asyncio.Protocol):
    def __init__(self) -> None:
        self.end: End
        self.has_left = False
        """the daemon has closed the connection, or it is broken"""
        self.was_reset = False
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    # --- a script's side -----------------------------------------------------------

    async def read(self) -> bytes:
        """The next piece. Raises Gone."""
        while not self._pieces:
            if self.has_left:
                raise Gone
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._pieces.popleft()

    def write(self, data: bytes) -> None:
        """Raises Gone."""
        if self.has_left:
            raise Gone
        self.end.write(data)

    # --- the network's side ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, End)
        self.end = transport

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._wake()

    def eof_received(self) -> bool:
        self.has_left = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.has_left = True
        self.was_reset = error is not None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

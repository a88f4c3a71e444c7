"""An answer as it arrives: status and headers, then the body chunk by chunk through a limited buffer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from switchyard.http1.errors import Http1Error

Headers = list[tuple[str, str]]

BUFFER_BYTES = 256 * 1024
"""with more than this unread the connection stops reading, and the server has to wait"""


class Source(Protocol):
    """The connection that an answer comes from."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abort(self) -> None: ...


class RawReply:
    """Its connection fills it, one reader reads it. Close it in every case."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_ended",
        "_error",
        "_paused",
        "_source",
        "_waiter",
        "headers",
        "status",
    )

    def __init__(self, source: Source) -> None:
        self.status = 0
        self.headers: Headers = []
        """names in lower case"""
        self._source: Source | None = source
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._ended = False
        self._error: Http1Error | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- the reader's side -----------------------------------------------------

    async def begun(self) -> None:
        """Returns when status and headers have arrived. Raises Http1Error."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._arrival()

    @property
    def has_ended(self) -> bool:
        """True if the whole body has arrived and been read."""
        return self._ended and not self._chunks

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; after that Http1Error, if the answer is broken."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        # not a generator: the event loop registers each of them, which costs more than a chunk
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._arrival()
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._paused and self._buffered <= BUFFER_BYTES // 2:
            self._resume()
        return chunk

    async def close(self) -> None:
        """An unfinished answer closes its connection at once; a finished one has returned it to the pool."""
        if self._source is not None:
            self._source.abort()
        self._chunks.clear()

    def _arrival(self) -> asyncio.Future[None]:
        """Done when something has arrived."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _resume(self) -> None:
        self._paused = False
        if self._source is not None:
            self._source.resume()

    # --- the connection's side -------------------------------------------------

    def begin(self, status: int, headers: Headers) -> None:
        self.headers = headers
        self.status = status
        self._wake()

    def push(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._buffered += len(chunk)
        if self._buffered > BUFFER_BYTES and not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """The whole answer has arrived: the connection no longer belongs to it."""
        self._ended = True
        if self._paused:
            self._resume()
        self._source = None
        if self._waiter is not None:
            self._wake()

    def fail(self, error: Http1Error) -> None:
        """Nothing more arrives; what has arrived can still be read."""
        self._error = error
        self._source = None
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

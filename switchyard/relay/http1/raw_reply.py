"""An answer on its way: status and headers, then the body chunk by chunk through a bounded buffer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

import httpx

Headers = list[tuple[str, str]]

BUFFER_BYTES = 256 * 1024
"""beyond so much that nobody has read, the server has to wait"""


class Source(Protocol):
    """The connection that an answer comes from."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abort(self) -> None: ...


class RawReply:
    """Filled by its connection, read by one reader. Close it in every case."""

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
        self._error: httpx.HTTPError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- the reader's side -----------------------------------------------------

    async def begun(self) -> None:
        """Returns when status and headers are there. Raises httpx errors."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._news()

    @property
    def has_ended(self) -> bool:
        """True if the whole body has come and been read."""
        return self._ended and not self._chunks

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises httpx errors, after all that came before them."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        # no generator: the event loop registers each of them, which costs more than a chunk
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._news()
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._paused and self._buffered <= BUFFER_BYTES // 2:
            self._flow()
        return chunk

    async def close(self) -> None:
        """An unfinished answer closes its connection at once; a finished one has long given it back."""
        if self._source is not None:
            self._source.abort()
        self._chunks.clear()

    async def _news(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _flow(self) -> None:
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
        self._wake()

    def end(self) -> None:
        """The whole answer has come: the connection no longer belongs to it."""
        self._ended = True
        if self._paused:
            self._flow()
        self._source = None
        self._wake()

    def fail(self, error: httpx.HTTPError) -> None:
        """Nothing more will come; what has come can still be read."""
        self._error = error
        self._source = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

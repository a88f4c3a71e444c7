"""Capture the bodies of requests and answers in memory while the user wants to see them."""

from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

import msgspec

from switchyard.exchange import Exchange
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failover import Relay
from switchyard.relay.headers import Headers
from switchyard.relay.values import ClientRequest, Sink

MAX_EXCHANGES = 50
MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_ANSWER_BYTES = 1024 * 1024


class Captured(msgspec.Struct, frozen=True):
    """`request` is None if its body was too large to keep."""

    request: ClientRequest | None
    answer: bytes
    truncated: bool


class CapturingRelay(Relay):
    """A relay that captures the last bodies while `on`. Switching it off deletes them."""

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._kept: OrderedDict[str, Captured] = OrderedDict()
        self._on = False

    @property
    def on(self) -> bool:
        return self._on

    def switch(self, on: bool) -> None:
        self._on = on
        if not on:
            self._kept.clear()

    def find(self, exchange_id: str) -> Captured | None:
        return self._kept.get(exchange_id)

    def answer(self, request: ClientRequest, sink: Sink) -> Coroutine[Any, Any, Exchange]:
        return self._captured(request, sink) if self._on else super().answer(request, sink)

    async def _captured(self, request: ClientRequest, sink: Sink) -> Exchange:
        recording = _Recording(sink)
        exchange = await super().answer(request, recording)
        self._keep(exchange.id, request, recording)
        return exchange

    def _keep(self, exchange_id: str, request: ClientRequest, recording: "_Recording") -> None:
        if not self._on:
            return
        fits = len(request.body) <= MAX_REQUEST_BYTES
        answer = b"".join(recording.pieces)
        self._kept[exchange_id] = Captured(request if fits else None, answer, recording.truncated or not fits)
        while len(self._kept) > MAX_EXCHANGES:
            self._kept.popitem(last=False)


class _Recording:
    """A sink that keeps the beginning of an answer."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._size = 0
        self.pieces: list[bytes] = []
        self.truncated = False

    @property
    def started(self) -> bool:
        return self._sink.started

    async def start(self, status: int, headers: Headers) -> None:
        await self._sink.start(status, headers)

    async def write(self, data: bytes) -> None:
        self._keep(data)
        await self._sink.write(data)

    async def end(self, data: bytes = b"") -> None:
        self._keep(data)
        await self._sink.end(data)

    async def cut(self) -> None:
        await self._sink.cut()

    def _keep(self, data: bytes) -> None:
        left = MAX_ANSWER_BYTES - self._size
        if left > 0:
            self.pieces.append(data[:left])
        self._size += len(data)
        self.truncated = self._size > MAX_ANSWER_BYTES


class NowhereSink:
    """A sink for answers that no client waits for."""

    def __init__(self) -> None:
        self.started = False

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True

    async def write(self, data: bytes) -> None:
        return None

    async def end(self, data: bytes = b"") -> None:
        return None

    async def cut(self) -> None:
        return None

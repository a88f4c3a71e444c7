"""Capture requests and answers in memory while the user wants to see them."""

from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Literal

from msgspec.structs import replace

from switchyard.exchange import Exchange, Outcome
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failover import Relay
from switchyard.relay.headers import Headers
from switchyard.relay.tape import Tape
from switchyard.relay.values import ClientRequest, Sink

MAX_CAPTURES = 50
MAX_BYTES = 128 * 1024 * 1024
"""of all captures together; the oldest ones are dropped"""

CaptureMode = Literal["off", "next", "errors", "all"]
"""`next`: one request, then off; `errors`: those that fail, or of which an attempt does"""


class CapturingRelay(Relay):
    """A relay that captures requests unless its mode is `off`."""

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._kept: OrderedDict[str, Tape] = OrderedDict()
        self._mode: CaptureMode = "off"
        self._deletions = 0

    @property
    def mode(self) -> CaptureMode:
        return self._mode

    @property
    def captured(self) -> tuple[str, ...]:
        """The ids of the captured requests, the oldest first."""
        return tuple(self._kept)

    def switch(self, mode: CaptureMode) -> None:
        """`off` deletes what is captured, and what is being captured."""
        self._mode = mode
        if mode == "off":
            self._kept.clear()
            self._deletions += 1

    def find(self, exchange_id: str) -> Tape | None:
        return self._kept.get(exchange_id)

    def answer(self, request: ClientRequest, sink: Sink) -> Coroutine[Any, Any, Exchange]:
        return super().answer(request, sink) if self._mode == "off" else self._captured(request, sink)

    async def _captured(self, request: ClientRequest, sink: Sink) -> Exchange:
        dependencies, deletions = self._dependencies, self._deletions
        only_errors = self._mode == "errors"
        if self._mode == "next":
            self._mode = "off"
        tape = Tape(request, dependencies.settings(), dependencies.awake)

        def opened(exchange: Exchange) -> None:
            tape.exchange = exchange
            if not only_errors:
                self._kept[exchange.id] = tape
            dependencies.opened(exchange)

        relay = Relay(replace(dependencies, tape=tape, opened=opened))
        try:
            return await relay.answer(request, _RecordingSink(sink, tape))
        finally:
            exchange = tape.exchange
            if only_errors and deletions == self._deletions and exchange is not None and _is_error(exchange):
                self._kept[exchange.id] = tape
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        while (
            len(self._kept) > MAX_CAPTURES or sum(one.kept_bytes for one in self._kept.values()) > MAX_BYTES
        ):
            self._kept.popitem(last=False)


def _is_error(exchange: Exchange) -> bool:
    has_failed = exchange.outcome in (Outcome.FAILED, Outcome.TRUNCATED)
    return has_failed or any(attempt.failure is not None for attempt in exchange.attempts)


class _RecordingSink:
    """A sink that keeps what passes."""

    def __init__(self, sink: Sink, tape: Tape) -> None:
        self._sink = sink
        self._tape = tape

    @property
    def started(self) -> bool:
        return self._sink.started

    async def start(self, status: int, headers: Headers) -> None:
        self._tape.answer.start(self._tape.seconds(), status, headers)
        await self._sink.start(status, headers)

    async def write(self, data: bytes) -> None:
        self._tape.answer.keep(self._tape.seconds(), data)
        await self._sink.write(data)

    async def end(self, data: bytes = b"") -> None:
        self._tape.answer.keep(self._tape.seconds(), data)
        await self._sink.end(data)

    async def cut(self) -> None:
        await self._sink.cut()


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

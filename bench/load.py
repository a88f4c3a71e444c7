"""A load generator on bare asyncio protocols: requests one after another, or parallel streams."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import msgspec
from traffic import Target, Turns, fresh

STAMPED = re.compile(rb"~(\d{19})")
LAST_CHUNKS = (b"\n0\r\n\r\n", b"0\r\n\r\n")
PATIENCE_SECONDS = 10


@dataclass(slots=True)
class Outcome:
    """The result of a load run; times in milliseconds."""

    answers: int = 0
    errors: int = 0
    events: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """from the request to its complete response, or to the first event of a stream"""
    transits: list[float] = field(default_factory=list)
    """from the upstream's write of an event to its arrival"""

    def latency(self, share: float = 0.5) -> float:
        return quantile(self.latencies, share)

    def transit(self, share: float = 0.5) -> float:
        return quantile(self.transits, share)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


async def ask_again(
    target: Target, clients: int, seconds: float, *, limit: int = 0, size: int = 0
) -> Outcome:
    """Each client sends a request as soon as its response is complete: with `size` a new conversation each time."""
    run = _Run(target, _requests(target, size), seconds, limit)
    return await run.go([_Asker(run) for _ in range(clients)], patience=PATIENCE_SECONDS)


async def stream_again(
    target: Target, clients: int, seconds: float, *, limit: int = 0, size: int = 0
) -> Outcome:
    """Each client streams repeatedly; streams that run at the end are cut off."""
    run = _Run(target, _requests(target, size, stream=True), seconds, limit)
    return await run.go([_Streamer(run) for _ in range(clients)])


async def stream_once(target: Target, clients: int, seconds: float, *, ramp: float = 0.0) -> Outcome:
    """One stamped stream for each client, started evenly over `ramp` seconds."""
    run = _Run(target, _requests(target, stream=True), seconds, limit=1, stamped=True)
    return await run.go([_Streamer(run) for _ in range(clients)], ramp, patience=0.0)


async def later_turns(target: Target, seconds: float, *, limit: int, size: int) -> Outcome:
    """One conversation that grows; the latency of its first turn does not count."""
    run = _Run(target, Turns(target, size).next_request, seconds, limit)
    outcome = await run.go([_Asker(run)], patience=PATIENCE_SECONDS)
    outcome.latencies = outcome.latencies[1:]
    return outcome


def _requests(target: Target, size: int = 0, *, stream: bool = False) -> Callable[[], bytes]:
    request = target.request(stream=stream, size=size)
    return partial(fresh, request) if size else lambda: request


class _Run:
    def __init__(
        self,
        target: Target,
        next_request: Callable[[], bytes],
        seconds: float,
        limit: int,
        *,
        stamped: bool = False,
    ) -> None:
        self.target = target
        self.next_request = next_request
        self.limit = limit
        self.stamped = stamped
        self.outcome = Outcome()
        self.until = time.perf_counter() + seconds
        self._live: set[_Client] = set()
        self._done = asyncio.Event()

    async def go(
        self, clients: Sequence["_Client"], ramp: float = 0.0, patience: float | None = None
    ) -> Outcome:
        """`patience`: how long running responses may continue; without it they are cut off, which is not an error."""
        began = time.perf_counter()
        self._live = set(clients)
        pause = ramp / len(clients)
        opened = [asyncio.create_task(self._open(one, pause * at)) for at, one in enumerate(clients)]
        try:
            await asyncio.wait_for(self._done.wait(), self.until - began + (patience or 0.0))
        except TimeoutError:
            if patience is not None:
                self.outcome.errors += len(self._live)
        for task in opened:
            task.cancel()
        for client in list(self._live):
            self.finished(client)
        self.outcome.seconds = time.perf_counter() - began
        return self.outcome

    def is_over(self, answers: int) -> bool:
        return time.perf_counter() >= self.until or (0 < self.limit <= answers)

    def finished(self, client: "_Client") -> None:
        self._live.discard(client)
        if client.transport is not None:
            client.transport.abort()
        if not self._live:
            self._done.set()

    def lost(self, client: "_Client") -> None:
        if client in self._live:
            self.outcome.errors += 1
            self.finished(client)

    async def _open(self, client: "_Client", pause: float) -> None:
        await asyncio.sleep(pause)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: client, self.target.host, self.target.port)
        except OSError:
            self.lost(client)


class _Client(asyncio.Protocol):
    """Parses just enough of HTTP/1.1 to find the end of a response."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.transport: asyncio.Transport | None = None
        self.answers = 0
        self.asked_at = 0.0
        self._status = 0
        self._unread = b""
        self._left = -1
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        assert self.transport is not None
        request = self.run.next_request()
        self.asked_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            data = self._unread + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._unread = data
                return
            self._read_head(data[:end])
            data = data[end + 4 :]
        if data:
            self.on_body(data)
        if self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._end()
        else:
            self._tail = (self._tail + data[-7:])[-7:]
            if self._tail.endswith(LAST_CHUNKS[0]) or self._tail == LAST_CHUNKS[1]:
                self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.lost(self)

    def on_body(self, data: bytes) -> None:
        """A part of the response body, with its chunk sizes if it has any."""

    def on_answer(self) -> None:
        """A successful response is complete."""

    def _forget(self) -> None:
        self._status = 0
        self._unread = b""
        self._left = -1
        self._tail = b""

    def _read_head(self, head: bytes) -> None:
        self._status = int(head[9:12])
        low = head.lower() + b"\r\n"
        at = low.find(b"content-length:")
        self._left = int(low[at + 15 : low.index(b"\r\n", at)]) if at >= 0 else -1

    def _end(self) -> None:
        self.answers += 1
        if self._status == 200:
            self.run.outcome.answers += 1
            self.on_answer()
        else:
            self.run.outcome.errors += 1
        self._forget()
        if self.run.is_over(self.answers):
            self.run.finished(self)
        else:
            self.ask()


class _Asker(_Client):
    def on_answer(self) -> None:
        self.run.outcome.latencies.append((time.perf_counter() - self.asked_at) * 1000)


class _Streamer(_Client):
    def __init__(self, run: _Run) -> None:
        super().__init__(run)
        self._seen_first = False
        self._carry = b""

    def ask(self) -> None:
        self._seen_first = False
        super().ask()

    def on_body(self, data: bytes) -> None:
        outcome = self.run.outcome
        if self.run.stamped:
            count = self._note_stamps(data)
        else:
            count = data.count(b"~")
        outcome.events += count
        if count and not self._seen_first:
            self._seen_first = True
            outcome.latencies.append((time.perf_counter() - self.asked_at) * 1000)

    def _note_stamps(self, data: bytes) -> int:
        arrived = time.monotonic_ns()
        content = self._carry + data
        stamps = STAMPED.findall(content)
        self.run.outcome.transits += [(arrived - int(stamp)) / 1e6 for stamp in stamps]
        torn = content.rfind(b"~")
        self._carry = content[torn:] if torn >= 0 and len(content) - torn < 20 else b""
        return len(stamps)


async def call(port: int, path: str, method: str = "POST") -> dict[str, Any]:
    """One small control request with a JSON response. Raises OSError or IncompleteReadError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        body = await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
    finally:
        writer.close()
    answer: dict[str, Any] = msgspec.json.decode(body)
    return answer

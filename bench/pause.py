"""Measure the first byte after a pause of 3 minutes, with TLS and 80 ms of round trip: `python bench/pause.py`.

Several conversations are measured at once, each with a host of its own, beside a client that uses the same hosts
without Switchyard. Half of the hosts close connections that have been idle for a minute.
"""

import asyncio
import contextlib
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from loops import run
from results import table
from stage import ROOT, Daemon, Stage, entry
from traffic import Target
from upstream import Connection, Upstream

sys.path.insert(0, str(ROOT))

from tests.bed.certificates import Certificates, make_certificates
from tests.bed.far import FarRelay

ROUND_TRIP_SECONDS = 0.08
PAUSE_SECONDS = 180.0
HOST_IDLE_SECONDS = 60.0
HOSTS = 5
"""of each kind"""
NEVER = 86_400.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Figures:
    """First bytes in seconds."""

    open: list[float] = field(default_factory=list)
    """a client without Switchyard whose connection is still open"""
    new: list[float] = field(default_factory=list)
    """a client without Switchyard whose connection has been closed"""
    through: list[float] = field(default_factory=list)
    """through Switchyard, to hosts that keep connections"""
    through_closing: list[float] = field(default_factory=list)
    """through Switchyard, to hosts that close idle ones"""
    connections_per_hour: int = 0
    """that Switchyard opened to one host while nothing was asked, the highest"""

    @property
    def later_ms(self) -> float:
        """Than a client with an open connection."""
        return 1000 * (statistics.median(self.through) - statistics.median(self.open))

    @property
    def sooner_round_trips(self) -> float:
        """Than a client with a new connection, at hosts of either kind."""
        slower = max(statistics.median(self.through), statistics.median(self.through_closing))
        return (statistics.median(self.new) - slower) / ROUND_TRIP_SECONDS


class _Host(Connection):
    """Closes a connection that has been idle for some time."""

    def __init__(self, upstream: Upstream, idle_seconds: float) -> None:
        super().__init__(upstream)
        self._idle_seconds = idle_seconds
        self._closing: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._wait()
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._closing is not None:
            self._closing.cancel()

    def _wait(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(self._idle_seconds, self.transport.close)


@dataclass
class Pause:
    daemon: Daemon
    certificates: Certificates
    keeping: Sequence[FarRelay]
    closing: Sequence[FarRelay]
    direct: Sequence[FarRelay]
    """to the same hosts as `keeping`, for the client without Switchyard"""
    began: float
    connections: list[Streams]
    """of the client without Switchyard"""

    async def over(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, self.began + seconds - time.monotonic()))

    async def figures(self) -> Figures:
        most = max(far.connection_count for far in (*self.keeping, *self.closing)) - 1
        found = Figures(connections_per_hour=round(most * 3600 / (time.monotonic() - self.began)))
        for number, far in enumerate(self.direct):
            found.through.append(await self.through(f"keeping-{number}"))
            found.through_closing.append(await self.through(f"closing-{number}"))
            found.open.append(await _first_byte(self.connections[number], _request(far.port)))
            began = time.perf_counter()
            opened = await _open(far.port, self.certificates.client())
            await _first_byte(opened, _request(far.port))
            found.new.append(time.perf_counter() - began)
            opened[1].transport.abort()
        return found

    async def through(self, model: str) -> float:
        began = time.perf_counter()
        opened = await asyncio.open_connection("127.0.0.1", self.daemon.port)
        await _first_byte(opened, _request(self.daemon.port, model))
        seconds = time.perf_counter() - began
        opened[1].close()
        return seconds


@contextlib.asynccontextmanager
async def conversations(stage: Stage, idle_seconds: float = HOST_IDLE_SECONDS) -> AsyncIterator[Pause]:
    """Conversations that have just had an answer."""
    folder = stage.folder / "pause"
    folder.mkdir()
    certificates = make_certificates(folder)
    async with contextlib.AsyncExitStack() as stack:
        keeping_port = await _listen(stack, certificates, NEVER)
        closing_port = await _listen(stack, certificates, idle_seconds)
        keeping, closing, direct = [
            [await stack.enter_async_context(FarRelay(port, ROUND_TRIP_SECONDS)) for _ in range(HOSTS)]
            for port in (keeping_port, closing_port, keeping_port)
        ]
        hosts = {f"keeping-{number}": far for number, far in enumerate(keeping)}
        hosts |= {f"closing-{number}": far for number, far in enumerate(closing)}
        entries = [
            entry(name, f"https://127.0.0.1:{far.port}", "messages", [name])
            | {"tls": {"ca": str(folder / "all.pem")}}
            for name, far in hosts.items()
        ]
        daemon = await stage.switchyard({"upstreams": entries}, model="keeping-0")
        stack.callback(daemon.stop)
        opened = [await _open(far.port, certificates.client()) for far in direct]
        stack.callback(_abort, opened)
        pause = Pause(daemon, certificates, keeping, closing, direct, time.monotonic(), opened)
        for far, connection in zip(direct, opened, strict=True):
            await _first_byte(connection, _request(far.port))
        for name in hosts:
            await pause.through(name)
        pause.began = time.monotonic()
        yield pause


async def _listen(stack: contextlib.AsyncExitStack, certificates: Certificates, idle_seconds: float) -> int:
    upstream = Upstream()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Host(upstream, idle_seconds), "127.0.0.1", 0, ssl=certificates.server()
    )
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


async def _open(port: int, context: ssl.SSLContext) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def _first_byte(opened: Streams, request: bytes) -> float:
    """In seconds; reads the whole answer."""
    reader, writer = opened
    began = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    seconds = time.perf_counter() - began
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not answered: {head!r} {await reader.read(2000)!r}")
    at = head.lower().index(b"content-length:") + 15
    await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
    return seconds


def _request(port: int, model: str = "direct") -> bytes:
    request = Target("pause", f"http://127.0.0.1:{port}", model=model).request()
    return request.replace(b"\r\n\r\n", b"\r\nx-claude-code-session-id: %b\r\n\r\n" % model.encode(), 1)


def _abort(opened: Sequence[Streams]) -> None:
    for _, writer in opened:
        writer.transport.abort()


def shown(found: Figures) -> str:
    rows = [
        ("without Switchyard, connection still open", found.open),
        ("without Switchyard, connection closed", found.new),
        ("through Switchyard, host keeps connections", found.through),
        ("through Switchyard, host closes idle ones", found.through_closing),
    ]
    cells = [
        [name, f"{1000 * statistics.median(seconds):.0f}", f"{1000 * max(seconds):.0f}"]
        for name, seconds in rows
    ]
    return table(["First byte after the pause", "median, ms", "slowest, ms"], cells)


async def measured() -> Figures:
    with Stage(pinned=False) as stage:
        async with conversations(stage) as pause:
            await pause.over(PAUSE_SECONDS)
            return await pause.figures()


def main() -> None:
    found = run(measured())
    print(shown(found))
    print(f"\nAt most {found.connections_per_hour} connections per hour to one host.")


if __name__ == "__main__":
    main()

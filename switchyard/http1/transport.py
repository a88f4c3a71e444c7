"""Send requests over pooled connections; a stale connection is never reported as a failure of its server."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from switchyard.http1.addresses import Address, has_address, leads_back
from switchyard.http1.connection import Connection
from switchyard.http1.dial import Dialer, TlsContext
from switchyard.http1.errors import OwnAddress, Unanswered
from switchyard.http1.idle_limits import LONGEST_SECONDS, SHORTEST_SECONDS, IdleLimits, safe_age
from switchyard.http1.raw_reply import RawReply
from switchyard.http1.ready import GAP_SECONDS, LOOK_SECONDS, ReadyConnections
from switchyard.http1.request import Headers, Origin, proxy_of, request_head, target_of
from switchyard.http1.tls import keep_session, tls_context

IDLE_SECONDS = 60.0
MAX_IDLE_PER_ORIGIN = 100
SETTLED_SECONDS = 1.0
"""the network does not change between two requests this close together"""
CLOSING_SECONDS = 1.0
SLEPT_SECONDS = 5.0
"""the wall clock runs ahead of the monotonic one by the time that the machine has slept"""
NO_LIMIT_SECONDS = safe_age(SHORTEST_SECONDS)
"""every known limit of a server is longer"""
STALE_SECONDS = 1.0
"""a stale connection fails within a round trip"""

REQUEST_TIMEOUT = 408

Clock = Callable[[], float]


class Http1Transport:
    """All connections of one path to the network: direct, or through one HTTP proxy."""

    def __init__(
        self,
        proxy: str = "",
        tls: TlsContext = tls_context,
        monotonic: Clock = time.monotonic,
        wall: Clock = time.time,
        idle_seconds: float = IDLE_SECONDS,
        listening: Collection[Address] = (),
    ) -> None:
        self._proxy = proxy_of(proxy) if proxy else None
        self._dialer = Dialer(self._proxy, tls)
        self._monotonic = monotonic
        self._wall = wall
        self._idle_seconds = idle_seconds
        self._listening = listening
        self._open: set[Connection] = set()
        self._idle: dict[Origin, list[Connection]] = {}
        """the longest-idle first; the last one is used first"""
        self._sweep: asyncio.TimerHandle | None = None
        self._all_lost = asyncio.Event()
        self._limits = IdleLimits()
        self.ready = ReadyConnections(self, monotonic, wall)

    def hold(self, url: str, seconds: float, connect_seconds: float) -> None:
        """Keep one connection to this server ready for so long. Raises InvalidUrl."""
        self.ready.hold(target_of(url).origin, seconds, connect_seconds)

    def hold_only(self, urls: Iterable[str]) -> None:
        """Keep no connection ready to other servers than these. Raises InvalidUrl."""
        kept = {target_of(url).origin for url in urls}
        for origin in self.ready.origins():
            if origin not in kept:
                self.ready.release(origin)

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, connect_seconds: float
    ) -> RawReply:
        """The answer once its headers have arrived. Raises Http1Error."""
        target = target_of(url)
        head = request_head(method, target, headers, len(body), self._proxy)
        skips_body = method == "HEAD"
        connection = self._take(target.origin)
        if connection is not None:
            began = self._monotonic()
            try:
                reply = await connection.exchange(head, body, skips_body=skips_body)
                if not (_closes_idle(reply) and self._is_soon(began)):
                    return self._noted(connection, reply)
                await reply.close()
            except Unanswered:
                # closed while idle, noticed too late; after longer the server may have begun to work on the request
                if not self._is_soon(began):
                    raise
        connection = await self._dial(target.origin, connect_seconds)
        return self._noted(connection, await connection.exchange(head, body, skips_body=skips_body))

    def _is_soon(self, began: float) -> bool:
        return self._monotonic() - began <= STALE_SECONDS

    async def _dial(self, origin: Origin, connect_seconds: float) -> Connection:
        connection = await self._dialer.dial(origin, connect_seconds, lambda: Connection(origin, self))
        if leads_back(connection.wire, self._listening):
            # each request would become the next one, until no connection is left
            connection.abort()
            raise OwnAddress
        if connection.is_usable:
            self._open.add(connection)
        return connection

    def _noted(self, connection: Connection, reply: RawReply) -> RawReply:
        if not connection.is_used:
            connection.is_used = True
            self._limits.note_answer(connection.origin, reply.headers)
            keep_session(connection.wire)
        return reply

    @property
    def open_count(self) -> int:
        """Open connections, in use or idle."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        return sum(map(len, self._idle.values()))

    async def close(self) -> None:
        """Close every connection at once."""
        await self.ready.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        for connection in self._open:
            connection.abort()
        if self._open:
            self._all_lost.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_lost.wait(), CLOSING_SECONDS)

    # --- called by connections -------------------------------------------------

    def freed(self, connection: Connection) -> None:
        connection.idle_since = (self._monotonic(), self._wall())
        idle = self._idle.setdefault(connection.origin, [])
        idle.append(connection)
        if len(idle) > MAX_IDLE_PER_ORIGIN:
            idle.pop(0).abort()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_stale)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
            self._note_closed(connection)
        if not self._open:
            self._all_lost.set()

    def _note_closed(self, connection: Connection) -> None:
        """The server has closed an idle connection."""
        seconds, by_wall = self._idle_times(connection)
        if abs(seconds - by_wall) < SLEPT_SECONDS:
            self._limits.note_closed(connection.origin, seconds, is_used=connection.is_used)
        if self.ready.holds(connection.origin):
            asyncio.get_running_loop().call_soon(self.ready.look)

    # --- ready ones ------------------------------------------------------------

    def is_ready(self, origin: Origin) -> bool:
        """An idle connection is there that the server will keep for a while."""
        idle = self._idle.get(origin)
        if not idle:
            return False
        newest = idle[-1]
        limit = self._limit_of(newest)
        soon = self._idle_times(newest)[0] + LOOK_SECONDS
        return newest.is_usable and not self._is_stale(newest) and (soon < limit or limit <= GAP_SECONDS)

    def is_busy(self, origin: Origin) -> bool:
        idle = self._idle.get(origin, [])
        return any(one.origin == origin and one not in idle for one in self._open)

    def drop_idle(self, origin: Origin) -> None:
        for connection in self._idle.pop(origin, []):
            connection.abort()

    async def open_idle(self, origin: Origin, connect_seconds: float) -> None:
        """Raises Http1Error."""
        connection = await self._dial(origin, connect_seconds)
        if connection.is_usable:
            self.freed(connection)

    # --- idle ones -------------------------------------------------------------

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            is_stale = self._is_stale(idle[-1])
            connection = idle.pop()
            if connection.is_usable and not is_stale:
                return connection
            connection.abort()
        return None

    def _is_stale(self, connection: Connection) -> bool:
        """The monotonic clock may stand still while the machine sleeps, the wall clock may be set back.

        A connection of another network would stay silent until the time limit.
        """
        monotonic, wall = self._idle_times(connection)
        longest = max(monotonic, wall)
        if longest < NO_LIMIT_SECONDS <= self._idle_seconds:
            return False
        if longest > self._limit_of(connection) or wall - monotonic > SLEPT_SECONDS:
            return True
        return longest > SETTLED_SECONDS and not has_address(connection.wire.get_extra_info("sockname"))

    def _limit_of(self, connection: Connection) -> float:
        """The server's own limit if it is known. The newest connection to a held server is kept for longer."""
        origin, idle = connection.origin, self._idle.get(connection.origin)
        known = self._limits.of(origin, is_used=connection.is_used)
        is_held = idle is not None and idle[-1:] == [connection] and self.ready.holds(origin)
        longest = LONGEST_SECONDS if is_held else self._idle_seconds
        return longest if known is None else min(longest, safe_age(known))

    def _idle_times(self, connection: Connection) -> tuple[float, float]:
        monotonic, wall = connection.idle_since
        return self._monotonic() - monotonic, self._wall() - wall

    def _close_stale(self) -> None:
        self._sweep = None
        for idle in self._idle.values():
            for connection in [one for one in idle if self._is_stale(one)]:
                idle.remove(connection)
                connection.abort()
        self._idle = {origin: idle for origin, idle in self._idle.items() if idle}
        if self._idle:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds / 2, self._close_stale)


def _closes_idle(reply: RawReply) -> bool:
    """True if it answers no request: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.9"""
    return reply.status == REQUEST_TIMEOUT and dict(reply.headers).get("connection", "").lower() == "close"

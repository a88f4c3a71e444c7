"""A network without sockets: connections whose bytes arrive late, in pieces, or not at all.

What a connection does follows asyncio: `close` sends what is written, `abort` resets, and `connection_lost` comes
once, in a turn of its own.
"""

import asyncio
import errno
import random
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.simulation.loop import SimulatedLoop

SYSTEM_BYTES = (0, 1_000, 20_000, 200_000)
"""what the system takes of a side that writes while the other one does not read"""
END = object()
LOCAL = "127.0.0.1"


class Host(Protocol):
    """A server of the network."""

    def connecting(self) -> tuple[float, OSError | None]:
        """How long a connection takes, and how it fails."""

    def accepted(self, end: "End") -> asyncio.Protocol: ...


class Socket:
    """The part of a socket that the daemon uses."""

    def setsockopt(self, *_: object) -> None: ...
    def close(self) -> None: ...
    def getsockname(self) -> tuple[str, int]:
        return (LOCAL, 5101)

    def getpeername(self) -> tuple[str, int]:
        return (LOCAL, 40_000)


class Pipe:
    """The bytes from one end to the other, in order; one delivery is under way at a time."""

    def __init__(self, loop: SimulatedLoop, random: random.Random, delays: tuple[float, ...]) -> None:
        self._loop, self._random, self._delays = loop, random, delays
        self._queue: deque[Any] = deque()
        self._is_moving = False
        self.size = 0
        self.system_bytes = random.choice(SYSTEM_BYTES)
        self.is_silent = False
        """nothing arrives any more, and nobody is told"""
        self.reader: End
        self.writer: End

    def put(self, piece: Any) -> None:
        if isinstance(piece, bytes):
            self.size += len(piece)
        self._queue.append(piece)
        self.move()

    def drop(self) -> None:
        """What is under way does not arrive."""
        self._queue.clear()
        self.size = 0

    def move(self) -> None:
        if self._queue and not self._is_moving and not self.is_silent:
            self._is_moving = True
            self._loop.outside(self._random.choice(self._delays), self._deliver)

    def _deliver(self) -> None:
        self._is_moving = False
        if not self._queue or self.is_silent:
            return
        first = self._queue[0]
        if isinstance(first, bytes):
            if self.reader.is_paused:
                return  # goes on when it reads again
            piece = self._piece()
            self.writer.sent()
            self.reader.received(piece)
        else:
            self._queue.popleft()
            self.reader.ended(first if isinstance(first, OSError) else None)
        self.move()

    def _piece(self) -> bytes:
        """All that is there, or a part of it that ends anywhere."""
        whole = b"".join(self._take_bytes())
        if len(whole) > 1 and self._random.random() < 0.3:
            cut = self._random.randrange(1, len(whole))
            self._queue.appendleft(whole[cut:])
            whole = whole[:cut]
        self.size -= len(whole)
        return whole

    def _take_bytes(self) -> list[bytes]:
        found = []
        while self._queue and isinstance(self._queue[0], bytes):
            found.append(self._queue.popleft())
        return found


class End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: SimulatedLoop, incoming: Pipe, outgoing: Pipe, names: dict[str, Any]) -> None:
        super().__init__(names)
        self._high_water = int(names["high_water"])
        self._loop, self._incoming, self._outgoing = loop, incoming, outgoing
        self._is_closing = self._is_lost = self._has_ended = self._is_full = False
        self.is_paused = False
        self.protocol: Any = None
        self.on_write: Callable[[bytes], None] = lambda data: None
        self.on_read: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None

    def __hash__(self) -> int:
        return int(self._extra["number"])  # type: ignore[attr-defined]

    # --- a transport of asyncio ----------------------------------------------------

    def write(self, data: Any) -> None:
        if self._is_lost or self._has_ended or not data:
            return
        data = bytes(data)
        self.on_write(data)
        self._outgoing.put(data)
        if self.get_write_buffer_size() > self._high_water and not self._is_full:
            self._is_full = True
            self.protocol.pause_writing()

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        if not self._has_ended and not self._is_lost:
            self._has_ended = True
            self._outgoing.put(END)

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0 if self._is_lost else max(0, self._outgoing.size - self._outgoing.system_bytes)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.write_eof()
        self.on_lost()
        if not self.get_write_buffer_size():
            self._lose(None)

    def abort(self) -> None:
        if not self._is_lost:
            self._outgoing.drop()
            self.reset()

    def reset(self) -> None:
        """Like `abort`, but what is written arrives before."""
        if self._is_lost:
            return
        if not self._is_closing:
            self.on_lost()
        self._is_closing = True
        self._outgoing.put(_reset())
        self._lose(None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        if not self._is_closing:
            self.is_paused = False
            self._incoming.move()

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost, self.is_paused = True, False
            self._loop.call_soon(self.protocol.connection_lost, error)
            self._incoming.move()

    # --- the network's side -----------------------------------------------------------

    def begin(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    def received(self, data: bytes) -> None:
        if self._is_lost:
            self._outgoing.put(_reset())
        elif not self._is_closing:
            self.protocol.data_received(data)
            self.on_read()

    def ended(self, error: OSError | None) -> None:
        if self._is_lost:
            return
        if error is not None:
            if not self._is_closing:
                self.on_lost()
            self._is_closing = True
            self._lose(error)
        elif not self._is_closing and not self.protocol.eof_received():
            self.close()

    def sent(self) -> None:
        """The other end, or the system between, has taken some of what is written."""
        if self._is_lost:
            return
        if self._is_full and self.get_write_buffer_size() <= self._high_water // 4:
            self._is_full = False
            self.protocol.resume_writing()
        if self._is_closing and not self.get_write_buffer_size():
            self._lose(None)


def _reset() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class Network:
    """Names, addresses and who listens there. Host `name` has the address that `address_of` gives."""

    def __init__(self, random: random.Random) -> None:
        self._random = random
        self.high_water = 64 * 1024
        """of a connection: from there on its writer is asked to wait"""
        self.loop: SimulatedLoop
        self.hosts: dict[str, Host] = {}
        self.ends: list[End] = []
        self.is_down = False
        """no name is known and nobody can be reached: a laptop between two networks"""
        self._factory: Callable[[], asyncio.Protocol] | None = None

    # --- what the daemon sees ------------------------------------------------------------

    async def resolve(self, host: str, port: int) -> list[Any]:
        await self._pass(self._random.choice((0.0, 0.001, 0.02, 0.3)))
        if self.is_down or host not in self.hosts:
            raise socket.gaierror(socket.EAI_AGAIN if self.is_down else socket.EAI_NONAME, "unknown")
        count = self._random.choice((1, 1, 2))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))] * count

    async def connect(self, factory: Callable[[], Any], host: str, port: int) -> tuple[End, Any]:
        seconds, error = self.hosts[host].connecting()
        if self.is_down:
            seconds, error = 0.001, OSError(errno.ENETUNREACH, "Network is unreachable")
        await self._pass(seconds)
        if error is not None:
            raise error
        near, far = self._pair((0.0, 0.0, 0.001, 0.01, 0.2), host)
        protocol = factory()
        far.begin(self.hosts[host].accepted(near))
        near.begin(protocol)
        return near, protocol

    def listen(self, factory: Callable[[], asyncio.Protocol]) -> "Listener":
        self._factory = factory
        return Listener(self)

    def stop_listening(self) -> None:
        self._factory = None

    async def _pass(self, seconds: float) -> None:
        arrived = self.loop.create_future()
        self.loop.outside(seconds, lambda: None if arrived.done() else arrived.set_result(None))
        await arrived

    # --- what clients see -------------------------------------------------------------------

    @property
    def is_listening(self) -> bool:
        return self._factory is not None

    def connect_client(self, protocol: asyncio.Protocol) -> End | None:
        """None if nobody listens."""
        if self._factory is None:
            return None
        client, server = self._pair((0.0, 0.0, 0.0, 0.001), "client")
        server.begin(self._factory())
        client.begin(protocol)
        return client

    def _pair(self, delays: tuple[float, ...], host: str) -> tuple[End, End]:
        pipes = [Pipe(self.loop, self._random, delays) for _ in range(2)]
        number = len(self.ends)
        names = {
            "peername": (host, 40_000),
            "sockname": (LOCAL, 5101),
            "socket": Socket(),
            "high_water": self.high_water,
        }
        ends = [
            End(self.loop, pipes[side], pipes[1 - side], names | {"number": number + side})
            for side in range(2)
        ]
        for side, pipe in enumerate(pipes):
            pipe.reader, pipe.writer = ends[side], ends[1 - side]
        self.ends += ends
        return ends[0], ends[1]


class Listener:
    def __init__(self, network: Network) -> None:
        self._network = network

    def close(self) -> None:
        self._network.stop_listening()

    async def wait_closed(self) -> None: ...

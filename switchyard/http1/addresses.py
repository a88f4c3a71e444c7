"""From a host's name to a connection: addresses are tried in parallel, a little apart, and the first to connect wins.

https://www.rfc-editor.org/rfc/rfc8305
"""

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TypeVar

NEXT_ADDRESS_SECONDS = 0.25
SOCKET_OPTIONS = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    # nothing may be sent for minutes: keep the path open, and notice when it is gone
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 60),
    ("IPPROTO_TCP", "TCP_KEEPALIVE", 60),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 30),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 5),
)
"""those that the system knows are set: the idle time has two names"""

Address = tuple[str, int]
Opened = TypeVar("Opened", bound=asyncio.Protocol)


async def addresses_of(host: str, port: int) -> list[Address]:
    """Addresses of both families, alternating. Raises OSError."""
    if any(_is_literal(family, host) for family in (socket.AF_INET, socket.AF_INET6)):
        return [(host, port)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    first = [str(address[0]) for family, *_, address in found if family == found[0][0]]
    others = [str(address[0]) for family, *_, address in found if family != found[0][0]]
    by_turns = chain.from_iterable(zip_longest(first, others))
    return [(address, port) for address in by_turns if address is not None]


def has_address(local: tuple[str, int] | tuple[str, int, int, int]) -> bool:
    """False if this machine has moved to another network and lost the address of a connection's own end."""
    family = socket.AF_INET if len(local) == 2 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((local[0], 0, *local[2:]))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def leads_back(transport: asyncio.BaseTransport, listening: Collection[Address]) -> bool:
    """True if the other end of the connection is one of the addresses on which this program listens."""
    peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return bool(peer and local) and any(
        port == peer[1] and (host == peer[0] or _is_any_of_this_machine(host, peer[0], local[0]))
        for host, port in listening
    )


def _is_any_of_this_machine(listening: str, peer: str, local: str) -> bool:
    if listening not in ("0.0.0.0", "::") or (":" in listening) != (":" in peer):
        return False
    return peer == local or ip_address(peer).is_loopback


def _is_literal(family: socket.AddressFamily, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


async def connect_first(
    addresses: list[Address], new: Callable[[], Opened]
) -> tuple[asyncio.Transport, Opened]:
    """Raises the OSError of the last address if none can be reached."""
    if len(addresses) == 1:
        return await _connect(addresses[0], new)
    waiting = deque(addresses)
    racing: set[asyncio.Task[tuple[asyncio.Transport, Opened]]] = set()
    failure: BaseException | None = None
    try:
        while waiting or racing:
            if waiting:
                racing.add(asyncio.create_task(_connect(waiting.popleft(), new)))
            seconds = NEXT_ADDRESS_SECONDS if waiting else None
            done, _ = await asyncio.wait(racing, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                racing.discard(task)
                failure = task.exception()
                if failure is None:
                    return task.result()
        assert failure is not None
        raise failure
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_close_late_winner)


def _close_late_winner(task: asyncio.Task[tuple[asyncio.Transport, Opened]]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result()[0].abort()


async def _connect(address: Address, new: Callable[[], Opened]) -> tuple[asyncio.Transport, Opened]:
    transport, protocol = await asyncio.get_running_loop().create_connection(new, *address)
    opened = transport.get_extra_info("socket")
    for level, option, value in SOCKET_OPTIONS:
        if hasattr(socket, option):
            with suppress(OSError):  # closed already: the first use fails
                opened.setsockopt(getattr(socket, level), getattr(socket, option), value)
    return transport, protocol

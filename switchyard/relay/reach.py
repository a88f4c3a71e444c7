"""Connect to an upstream step by step: its name, a connection, TLS."""

import asyncio
import os
import socket
import ssl
import time
from urllib.parse import urlsplit

import msgspec

from switchyard.relay.upstream import TlsUnusable, tls_context_of
from switchyard.settings import Tls

MAX_SHOWN = 300
DEFAULT_PORTS = {"https": 443, "http": 80, "socks5": 1080, "socks5h": 1080}


class Step(msgspec.Struct, frozen=True):
    """`name` is resolve, connect, tls, status or answer."""

    name: str
    ok: bool
    seconds: float
    detail: str


async def reach(url: str, proxy: str, connect_seconds: float, tls: Tls) -> tuple[Step, ...]:
    """Name, connection and TLS of the next hop: the upstream itself, or the proxy before it."""
    parts = urlsplit(proxy or url)
    host, secure = parts.hostname or "", urlsplit(url).scheme == "https"
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    found = await _resolve(host, port, bool(proxy), connect_seconds)
    if not found.ok:
        return (found,)
    connected = await _connect(host, port, connect_seconds)
    if not connected.ok or not secure or proxy:
        return found, connected
    return found, connected, await _handshake(host, port, connect_seconds, tls)


async def _resolve(host: str, port: int, is_proxy: bool, connect_seconds: float) -> Step:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(connect_seconds):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Step("resolve", False, time.perf_counter() - began, f"no answer for {host} in time")
    except OSError as error:
        return Step("resolve", False, time.perf_counter() - began, f"{host} is unknown ({_why(error)})")
    addresses = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))
    what = f"proxy {host}: {addresses}" if is_proxy else addresses
    return Step("resolve", True, time.perf_counter() - began, what)


async def _connect(host: str, port: int, connect_seconds: float) -> Step:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(connect_seconds):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except TimeoutError:
        return Step("connect", False, time.perf_counter() - began, f"no connection to port {port} in time")
    except OSError as error:
        return Step("connect", False, time.perf_counter() - began, f"port {port}: {_why(error)}")
    return Step("connect", True, time.perf_counter() - began, f"port {port}")


async def _handshake(host: str, port: int, connect_seconds: float, tls: Tls) -> Step:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(connect_seconds):
            context = await asyncio.to_thread(tls_context_of, tls)
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
    except TimeoutError:
        return Step("tls", False, time.perf_counter() - began, "no handshake in time")
    except ssl.SSLCertVerificationError as error:
        return Step(
            "tls",
            False,
            time.perf_counter() - began,
            f"the certificate is not trusted: {error.verify_message}",
        )
    except (OSError, TlsUnusable) as error:
        return Step("tls", False, time.perf_counter() - began, str(error)[:MAX_SHOWN])
    return Step("tls", True, time.perf_counter() - began, str(version))


def _why(error: OSError) -> str:
    """The system's text: if several addresses were tried, the error itself names only them."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)

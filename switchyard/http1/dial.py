"""Open a connection: names, addresses, TLS, proxies."""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache

import httpx
import msgspec

from switchyard.http1.addresses import Opened, addresses_of, connect_first
from switchyard.http1.connection import Connection
from switchyard.http1.errors import ConnectFailed, ConnectTimeout, in_words
from switchyard.http1.request import Origin, Proxy
from switchyard.http1.tunnel import Tunnel

TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS at this port",
    "HTTP_REQUEST": "the server does not speak TLS at this port",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection",
}

NewConnection = Callable[[], Connection]
TlsContext = Callable[[], ssl.SSLContext]


@cache
def tls_context() -> ssl.SSLContext:
    """Made once, at the first use: it takes 20 ms."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer(msgspec.Struct, frozen=True):
    """Opens connections: direct, or through an HTTP proxy."""

    proxy: Proxy | None
    tls: TlsContext = tls_context

    async def dial(self, origin: Origin, seconds: float, new: NewConnection) -> Connection:
        """An open connection. Raises ConnectTimeout, ConnectFailed, ProxyRefused."""
        try:
            async with asyncio.timeout(seconds):
                if self.proxy is not None and origin.scheme == "https":
                    return await self._through_tunnel(origin, self.proxy, new)
                return await self._reach(origin if self.proxy is None else self.proxy.origin, new)
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection within {seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(f"certificate not accepted: {error.verify_message}") from error
        except ssl.SSLError as error:
            reason = error.reason or "handshake failed"
            raise ConnectFailed(TLS_WORDS.get(reason, reason.lower().replace("_", " "))) from error
        except OSError as error:
            raise ConnectFailed(in_words(error)) from error

    async def _reach(self, origin: Origin, new: Callable[[], Opened]) -> Opened:
        addresses = await addresses_of(origin.host, origin.port)
        if origin.scheme == "http":
            return (await connect_first(addresses, new))[1]
        transport, _ = await connect_first(addresses, asyncio.Protocol)
        return await self._secured(transport, origin.host, new())

    async def _through_tunnel(self, origin: Origin, proxy: Proxy, new: NewConnection) -> Connection:
        tunnel = await self._reach(proxy.origin, Tunnel)
        try:
            await tunnel.open(origin, proxy)
        except BaseException:
            tunnel.wire.abort()
            raise
        return await self._secured(tunnel.wire, origin.host, new())

    async def _secured(self, transport: asyncio.Transport, host: str, protocol: Opened) -> Opened:
        """The protocol over TLS. The transport is closed if the handshake fails."""
        try:
            if transport.is_closing():
                raise ConnectionResetError
            wrapped = await asyncio.get_running_loop().start_tls(
                transport, protocol, self.tls(), server_hostname=host
            )
            if wrapped is None:
                raise ConnectionResetError
        except BaseException:
            transport.abort()
            raise
        protocol.connection_made(wrapped)
        return protocol

"""Open a connection: names, addresses, TLS, proxies."""

import asyncio
import ssl
from collections.abc import Callable

import msgspec

from switchyard.http1.addresses import Opened, addresses_of, connect_first
from switchyard.http1.connection import Connection
from switchyard.http1.errors import ConnectFailed, ConnectTimeout, in_words
from switchyard.http1.request import Origin, Proxy
from switchyard.http1.tls import tls_context
from switchyard.http1.tunnel import Tunnel

TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS at this port",
    "HTTP_REQUEST": "the server does not speak TLS at this port",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection",
}

NewConnection = Callable[[], Connection]
TlsContext = Callable[[], ssl.SSLContext]


class Dialer(msgspec.Struct, frozen=True):
    """Opens connections: direct, or through an HTTP proxy. `tls` is for the origin, not for the proxy."""

    proxy: Proxy | None
    tls: TlsContext = tls_context

    async def dial(self, origin: Origin, seconds: float, new: NewConnection) -> Connection:
        """An open connection. Raises ConnectTimeout, ConnectFailed, ProxyRefused."""
        try:
            async with asyncio.timeout(seconds):
                if self.proxy is not None and origin.scheme == "https":
                    return await self._through_tunnel(origin, self.proxy, new)
                if self.proxy is not None:
                    return await self._reach(self.proxy.origin, new, tls_context)
                return await self._reach(origin, new, self.tls)
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection within {seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(f"certificate not accepted: {error.verify_message}") from error
        except ssl.SSLError as error:
            reason = error.reason or "handshake failed"
            raise ConnectFailed(TLS_WORDS.get(reason, reason.lower().replace("_", " "))) from error
        except OSError as error:
            raise ConnectFailed(in_words(error)) from error

    async def _reach(self, origin: Origin, new: Callable[[], Opened], tls: TlsContext) -> Opened:
        if origin.scheme == "http":
            return (await connect_first(await addresses_of(origin.host, origin.port), new))[1]
        context = await asyncio.to_thread(tls)  # it may read files
        addresses = await addresses_of(origin.host, origin.port)
        transport, _ = await connect_first(addresses, asyncio.Protocol)
        return await _secured(transport, origin.host, new(), context)

    async def _through_tunnel(self, origin: Origin, proxy: Proxy, new: NewConnection) -> Connection:
        context = await asyncio.to_thread(self.tls)
        tunnel = await self._reach(proxy.origin, Tunnel, tls_context)
        try:
            await tunnel.open(origin, proxy)
        except BaseException:
            tunnel.wire.abort()
            raise
        return await _secured(tunnel.wire, origin.host, new(), context)


async def _secured(
    transport: asyncio.Transport, host: str, protocol: Opened, context: ssl.SSLContext
) -> Opened:
    """The protocol over TLS. The transport is closed if the handshake fails."""
    try:
        if transport.is_closing():
            raise ConnectionResetError
        wrapped = await asyncio.get_running_loop().start_tls(
            transport, protocol, context, server_hostname=host
        )
        if wrapped is None:
            raise ConnectionResetError
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(wrapped)
    return protocol

"""Send requests with httpx: to the embedded demo, and through SOCKS. Its errors become those of `switchyard/http1`.

`relay/upstream.py` imports this file with the first such request: httpx takes a tenth of the start and 3 MB.
"""

import ssl
from collections.abc import AsyncIterator

import httpx

from switchyard.http1.errors import (
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    Http1Error,
    InvalidHeader,
    InvalidUrl,
    NotHttp,
    ProxyRefused,
)
from switchyard.relay.asgi_transport import AsgiApp, AsgiTransport
from switchyard.relay.headers import Headers

KEEP_IDLE_SECONDS = 60.0

ERRORS: tuple[tuple[type[Exception], type[Http1Error]], ...] = (
    (httpx.ConnectTimeout, ConnectTimeout),
    (httpx.PoolTimeout, ConnectTimeout),
    (httpx.ConnectError, ConnectFailed),
    (httpx.ProxyError, ProxyRefused),
    (httpx.UnsupportedProtocol, InvalidUrl),
    (httpx.InvalidURL, InvalidUrl),
    (httpx.LocalProtocolError, InvalidHeader),
    (httpx.RemoteProtocolError, NotHttp),
    (httpx.HTTPError, ConnectionBroken),
)
"""what an error before the answer means; later ones mean that the connection broke"""


class HttpxReply:
    """An answer of httpx, with a body as `relay/upstream.py` reads it."""

    def __init__(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: Headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
        ]
        self._stream = response.stream

    @property
    def has_ended(self) -> bool:
        return False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises ConnectionBroken."""
        try:
            async for chunk in self._stream:
                yield chunk
        except httpx.HTTPError as error:
            raise ConnectionBroken from error

    async def close(self) -> None:
        try:
            await self._stream.aclose()
        except httpx.HTTPError as error:
            raise ConnectionBroken from error


class HttpxTransport:
    """To the demo, or through one SOCKS proxy."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, connect_seconds: float
    ) -> HttpxReply:
        """Raises Http1Error."""
        timeout = {"connect": connect_seconds, "pool": None, "read": None, "write": None}
        try:
            request = httpx.Request(
                method, url, headers=headers, content=body, extensions={"timeout": timeout}
            )
            return HttpxReply(await self._transport.handle_async_request(request))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise next(ours for theirs, ours in ERRORS if isinstance(error, theirs)) from error

    async def close(self) -> None:
        await self._transport.aclose()


def to_demo(app: AsgiApp) -> HttpxTransport:
    return HttpxTransport(AsgiTransport(app))


def through_socks(proxy: str, context: ssl.SSLContext) -> HttpxTransport:
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEP_IDLE_SECONDS
    )
    return HttpxTransport(
        httpx.AsyncHTTPTransport(verify=context, proxy=httpx.Proxy(proxy), limits=limits, trust_env=False)
    )

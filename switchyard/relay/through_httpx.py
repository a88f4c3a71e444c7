"""Send requests through SOCKS with httpx. Its errors become those of `switchyard/http1`.

httpx is imported when it is needed: it takes a tenth of the start and 3 MB, and most daemons never use it.
"""

import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

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
from switchyard.relay.headers import Headers

if TYPE_CHECKING:
    import httpx

KEEP_IDLE_SECONDS = 60.0

ERRORS: tuple[tuple[str, type[Http1Error]], ...] = (
    ("ConnectTimeout", ConnectTimeout),
    ("PoolTimeout", ConnectTimeout),
    ("ConnectError", ConnectFailed),
    ("ProxyError", ProxyRefused),
    ("UnsupportedProtocol", InvalidUrl),
    ("InvalidURL", InvalidUrl),
    ("LocalProtocolError", InvalidHeader),
    ("RemoteProtocolError", NotHttp),
    ("HTTPError", ConnectionBroken),
)
"""what an error before the answer means, by its name in httpx; later ones mean that the connection broke"""


class HttpxReply:
    """An answer of httpx, with a body as `relay/upstream.py` reads it."""

    has_ended = False

    def __init__(self, response: "httpx.Response") -> None:
        import httpx

        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: Headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
        ]
        self._stream = response.stream
        self._error = httpx.HTTPError

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises ConnectionBroken."""
        try:
            async for chunk in self._stream:
                yield chunk
        except self._error as error:
            raise ConnectionBroken from error

    async def close(self) -> None:
        try:
            await self._stream.aclose()
        except self._error as error:
            raise ConnectionBroken from error


class HttpxTransport:
    """Through one SOCKS proxy."""

    def __init__(self, proxy: str, context: ssl.SSLContext) -> None:
        import httpx

        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEP_IDLE_SECONDS
        )
        self._transport = httpx.AsyncHTTPTransport(
            verify=context, proxy=httpx.Proxy(proxy), limits=limits, trust_env=False
        )

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, connect_seconds: float
    ) -> HttpxReply:
        """Raises Http1Error."""
        import httpx

        timeout = {"connect": connect_seconds, "pool": None, "read": None, "write": None}
        try:
            request = httpx.Request(
                method, url, headers=headers, content=body, extensions={"timeout": timeout}
            )
            return HttpxReply(await self._transport.handle_async_request(request))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise next(
                ours for theirs, ours in ERRORS if isinstance(error, getattr(httpx, theirs))
            ) from error

    async def close(self) -> None:
        await self._transport.aclose()

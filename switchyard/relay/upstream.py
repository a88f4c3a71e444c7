"""One attempt over the wire: send a request, give back the reply as it comes.

The only place that knows httpx. Every foreign error becomes `AttemptFailed(Failure)` here:

    httpx.ConnectTimeout, PoolTimeout        connect_timeout
    httpx.ConnectError, ProxyError, ...      connect
    httpx.ReadError, WriteError              read
    httpx.RemoteProtocolError, DecodingError protocol
"""

import ipaddress
import logging
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from switchyard.exchange import Failure, FailureKind
from switchyard.relay.decompress import Unpacker, UnpackError
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers

KEEP_IDLE_SECONDS = 60.0
MAX_HEADER_BYTES = 64 * 1024

log = logging.getLogger("switchyard.upstream")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it goes out."""

    url: str
    headers: Headers
    body: bytes
    connect_seconds: float
    proxy: str = ""
    is_demo: bool = False
    upstream: str = ""
    method: str = "POST"


class Reply:
    """The upstream's answer: status and headers are known, the body is to come. Close it in every case."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
        ]
        self._chunks: AsyncIterator[bytes] | None = None

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found == name), "")

    @property
    def content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, unpacked, as it arrives. Raises AttemptFailed. Always the same iterator."""
        if self._chunks is None:
            self._chunks = self._read()
        return self._chunks

    def replace_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        """From now on `chunks` gives these."""
        self._chunks = chunks

    async def _read(self) -> AsyncIterator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            unpacker = Unpacker(self.header("content-encoding"))
            async for chunk in stream:
                yield unpacker.feed(chunk) if unpacker.is_needed else chunk
        except UnpackError as error:
            raise AttemptFailed(network_failure(FailureKind.PROTOCOL, str(error))) from None
        except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
            message = _told("the connection broke before the end of the answer", error)
            raise AttemptFailed(network_failure(FailureKind.READ, message)) from None

    async def read_up_to(self, limit: int) -> bytes:
        """The body up to `limit` bytes; the rest is dropped. Raises AttemptFailed."""
        pieces: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            pieces.append(chunk)
            size += len(chunk)
            if size >= limit:
                break
        return b"".join(pieces)[:limit]

    async def close(self) -> None:
        """Ends the exchange with the upstream at once; an unfinished answer closes its connection."""
        try:
            await self._response.stream.aclose()  # type: ignore[union-attr]
        except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
            log.debug("closing an upstream connection: %s", error)


class Wire:
    """Pooled transports, one for each way to the network."""

    def __init__(self, demo: httpx.AsyncBaseTransport) -> None:
        self._demo = demo
        self._transports: dict[str, httpx.AsyncBaseTransport] = {}

    async def send(self, call: Call) -> Reply:
        """The reply once its headers are there. Raises AttemptFailed."""
        timeout = {"connect": call.connect_seconds, "pool": None, "read": None, "write": None}
        try:
            request = httpx.Request(
                call.method,
                call.url,
                headers=call.headers,
                content=call.body,
                extensions={"timeout": timeout},
            )
            transport = self._demo if call.is_demo else self._transport(call.url, call.proxy)
            return Reply(await transport.handle_async_request(request))
        except Exception as error:
            failure = _as_failure(error)
            if failure is None:
                raise
            raise AttemptFailed(failure) from None

    def _transport(self, url: str, proxy: str) -> httpx.AsyncBaseTransport:
        way = proxy or environment_proxy(url)
        if way not in self._transports:
            self._transports[way] = _socks_transport(way) if way.startswith("socks") else _fast_transport(way)
        return self._transports[way]

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()


def environment_proxy(url: str) -> str:
    """The proxy that the environment names for this address; loopback is always direct."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or _is_loopback(host):
        return ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return "" if not proxy or urllib.request.proxy_bypass(host) else proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fast_transport(proxy: str) -> httpx.AsyncBaseTransport:
    context = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, ssl=context, keepalive_timeout=KEEP_IDLE_SECONDS, ttl_dns_cache=60
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            read_bufsize=256 * 1024,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    return AiohttpTransport(client=session, proxy=httpx.Proxy(proxy) if proxy else None, verify=context)


def _socks_transport(proxy: str) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEP_IDLE_SECONDS
    )
    return httpx.AsyncHTTPTransport(proxy=httpx.Proxy(proxy), limits=limits, trust_env=False)


ERROR_KINDS: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (httpx.PoolTimeout, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (httpx.ConnectError, FailureKind.CONNECT, "cannot connect"),
    (httpx.ProxyError, FailureKind.CONNECT, "proxy refused"),
    (httpx.UnsupportedProtocol, FailureKind.CONNECT, "address cannot be used"),
    (httpx.InvalidURL, FailureKind.CONNECT, "address cannot be used"),
    (httpx.RemoteProtocolError, FailureKind.PROTOCOL, "answer is not HTTP"),
    (httpx.TimeoutException, FailureKind.READ, "timed out"),
    (httpx.HTTPError, FailureKind.READ, "connection broke"),
    (aiohttp.ClientResponseError, FailureKind.PROTOCOL, "answer is not HTTP"),
    (aiohttp.ServerDisconnectedError, FailureKind.READ, "closed the connection without an answer"),
    (aiohttp.ClientError, FailureKind.READ, "connection broke"),
    (ssl.SSLError, FailureKind.CONNECT, "TLS failed"),
    (OSError, FailureKind.CONNECT, "cannot connect"),
    (ValueError, FailureKind.CONNECT, "request cannot be sent"),
)


def _as_failure(error: Exception) -> Failure | None:
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else None
    found = _kind_of(cause) if cause is not None else None
    found = found or _kind_of(error)
    if found is None:
        return None
    kind, text = found
    return network_failure(kind, _told(text, cause or error))


REFINED: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (aiohttp.ConnectionTimeoutError, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (aiohttp.ClientConnectorError, FailureKind.CONNECT, "cannot connect"),
    (aiohttp.ServerDisconnectedError, FailureKind.READ, "closed the connection without an answer"),
    (aiohttp.ClientOSError, FailureKind.READ, "connection broke"),
    (aiohttp.ClientResponseError, FailureKind.PROTOCOL, "answer is not HTTP"),
    (aiohttp.ClientPayloadError, FailureKind.READ, "answer broke off"),
)


def _kind_of(error: Exception) -> tuple[FailureKind, str] | None:
    for table in (REFINED, ERROR_KINDS):
        for kind_of_error, kind, text in table:
            if isinstance(error, kind_of_error):
                return kind, text
    return None


def _told(text: str, error: Exception) -> str:
    """The text with the cause in a few words: no addresses, no names of library classes."""
    system = getattr(error, "os_error", error)
    reason = getattr(system, "strerror", None) or ""
    reason = (
        reason.partition("(")[0].partition("[")[0].strip(" .") if "Connect call failed" not in reason else ""
    )
    number = getattr(system, "errno", None)
    detail = reason or (os.strerror(number) if isinstance(number, int) and number > 0 else "")
    return f"{text} ({detail.lower()})" if detail else text

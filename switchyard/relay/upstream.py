"""One attempt over the wire: send a request, give back the reply as it comes.

Every foreign error becomes `AttemptFailed(Failure)` here, by the tables below:

    httpx.ConnectTimeout, PoolTimeout        connect_timeout
    httpx.ConnectError, ProxyError, ...      connect
    httpx.ReadError, WriteError              read
    httpx.RemoteProtocolError                protocol
"""

import ipaddress
import logging
import socket
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from switchyard.exchange import Failure, FailureCause, FailureKind
from switchyard.relay.decompress import Unpacker, UnpackError
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers
from switchyard.relay.http1.errors import NotHttp, Unanswered, in_words
from switchyard.relay.http1.transport import Http1Transport

KEEP_IDLE_SECONDS = 60.0
PROXY_PERIOD_SECONDS = 30

log = logging.getLogger("switchyard.upstream")


class Call(msgspec.Struct, frozen=True):
    """One request as it goes out."""

    url: str
    headers: Headers
    body: bytes
    connect_seconds: float
    proxy: str = ""
    is_demo: bool = False
    upstream: str = ""
    method: str = "POST"


class Body(Protocol):
    """What a transport gives for the body of an answer."""

    @property
    def has_ended(self) -> bool:
        """True if it is known that no more chunks will come."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises httpx errors."""

    async def close(self) -> None: ...


class Reply:
    """The upstream's answer: status and headers are known, the body is to come. Close it in every case."""

    def __init__(self, status: int, headers: Headers, body: Body) -> None:
        self.status = status
        self.headers = headers
        """names in lower case"""
        self._body = body
        self._chunks: AsyncIterator[bytes] | None = None
        self._is_replaced = False

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found == name), "")

    @property
    def content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, unpacked, as it arrives. Raises AttemptFailed. Always the same iterator."""
        if self._chunks is None:
            self._chunks = _Unpacked(self._body.chunks(), self.header("content-encoding"))
        return self._chunks

    def replace_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        """From now on `chunks` gives these."""
        self._chunks = chunks
        self._is_replaced = True

    @property
    def has_ended(self) -> bool:
        """True if it is known that `chunks` will give no more."""
        return self._body.has_ended and not self._is_replaced

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
            await self._body.close()
        except (httpx.HTTPError, OSError) as error:
            log.debug("closing an upstream connection: %s", error)


NO_PACKING = Unpacker("")


class _Unpacked:
    """The chunks of a body, unpacked, with foreign errors in our words."""

    def __init__(self, chunks: AsyncIterator[bytes], encoding: str) -> None:
        self._chunks = chunks
        self._encoding = encoding
        self._unpacker = None if encoding else NO_PACKING

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._unpacker is None:
                self._unpacker = Unpacker(self._encoding)
            chunk = await anext(self._chunks)
            return self._unpacker.feed(chunk) if self._unpacker.is_needed else chunk
        except UnpackError as error:
            raise AttemptFailed(network_failure(FailureKind.PROTOCOL, str(error))) from None
        except NotHttp as error:
            raise AttemptFailed(
                network_failure(FailureKind.PROTOCOL, _described("answer is not HTTP", error))
            ) from None
        except (httpx.HTTPError, OSError) as error:
            message = _described("the connection broke before the end of the answer", error)
            raise AttemptFailed(network_failure(FailureKind.READ, message)) from None


class Wire:
    """Pooled transports, one for each way to the network."""

    def __init__(self, demo: httpx.AsyncBaseTransport) -> None:
        self._demo = demo
        self._ways: dict[str, Http1Transport] = {}
        self._socks_ways: dict[str, httpx.AsyncBaseTransport] = {}

    async def send(self, call: Call) -> Reply:
        """The reply once its headers are there. Raises AttemptFailed."""
        try:
            if call.is_demo:
                return await _through_httpx(self._demo, call)
            way = call.proxy or environment_proxy(call.url)
            if way.startswith("socks"):
                return await _through_httpx(self._socks_way(way), call)
            raw = await self._way(way).send(
                call.method, call.url, call.headers, call.body, call.connect_seconds
            )
            return Reply(raw.status, raw.headers, raw)
        except Exception as error:
            failure = _as_failure(error)
            if failure is None:
                raise
            raise AttemptFailed(failure) from None

    def _way(self, proxy: str) -> Http1Transport:
        if proxy not in self._ways:
            self._ways[proxy] = Http1Transport(proxy)
        return self._ways[proxy]

    def _socks_way(self, proxy: str) -> httpx.AsyncBaseTransport:
        if proxy not in self._socks_ways:
            limits = httpx.Limits(
                max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEP_IDLE_SECONDS
            )
            self._socks_ways[proxy] = httpx.AsyncHTTPTransport(
                proxy=httpx.Proxy(proxy), limits=limits, trust_env=False
            )
        return self._socks_ways[proxy]

    async def close(self) -> None:
        for way in self._ways.values():
            await way.close()
        for socks_way in self._socks_ways.values():
            await socks_way.aclose()
        self._ways.clear()
        self._socks_ways.clear()


class _HttpxBody:
    """The body of an answer that came through one of httpx's transports."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    @property
    def has_ended(self) -> bool:
        return False

    def chunks(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def close(self) -> None:
        await self._stream.aclose()


async def _through_httpx(transport: httpx.AsyncBaseTransport, call: Call) -> Reply:
    timeout = {"connect": call.connect_seconds, "pool": None, "read": None, "write": None}
    request = httpx.Request(
        call.method, call.url, headers=call.headers, content=call.body, extensions={"timeout": timeout}
    )
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    headers = [
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
    ]
    return Reply(response.status_code, headers, _HttpxBody(response.stream))


def environment_proxy(url: str) -> str:
    """The proxy that the environment names for this address; loopback is always direct."""
    return _environment_proxy(url, int(time.monotonic() / PROXY_PERIOD_SECONDS))


@lru_cache(256)
def _environment_proxy(url: str, period: int) -> str:
    """Asked again in each period: on some systems the user changes it in a dialog."""
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


ERROR_KINDS: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (httpx.PoolTimeout, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (httpx.ConnectError, FailureKind.CONNECT, "cannot connect"),
    (httpx.ProxyError, FailureKind.CONNECT, "the proxy refused"),
    (httpx.UnsupportedProtocol, FailureKind.CONNECT, "address cannot be used"),
    (httpx.InvalidURL, FailureKind.CONNECT, "address cannot be used"),
    (httpx.LocalProtocolError, FailureKind.CONNECT, "request cannot be sent"),
    (httpx.RemoteProtocolError, FailureKind.PROTOCOL, "answer is not HTTP"),
    (httpx.TimeoutException, FailureKind.READ, "timed out"),
    (Unanswered, FailureKind.READ, "closed the connection without an answer"),
    (httpx.HTTPError, FailureKind.READ, "connection broke"),
    (OSError, FailureKind.CONNECT, "cannot connect"),
    (ValueError, FailureKind.CONNECT, "request cannot be sent"),
)


LASTING_ERRORS = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, ValueError)
TLS_MISMATCHES = frozenset(
    {
        "CERTIFICATE_VERIFY_FAILED",
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
    }
)
"""OpenSSL's reasons that name a disagreement, not a broken connection"""


def _as_failure(error: Exception) -> Failure | None:
    for kind_of_error, kind, text in ERROR_KINDS:
        if isinstance(error, kind_of_error):
            return network_failure(kind, _described(text, error), _cause(error))
    return None


def _cause(error: Exception) -> FailureCause:
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ssl.SSLError) and below.reason in TLS_MISMATCHES:
            return "tls"
        if isinstance(below, socket.gaierror):
            # EAI_AGAIN is what a machine without a network says
            return "" if below.errno == socket.EAI_AGAIN else "unknown_host"
        below = below.__cause__ or below.__context__
    return "address" if isinstance(error, LASTING_ERRORS) else ""


def _described(text: str, error: Exception) -> str:
    """The text with the cause in a few words: no addresses, no names of library classes."""
    detail = _detail(error)
    return f"{text} ({detail})" if detail else text


DESCRIPTIVE = (httpx.ConnectError, httpx.ProxyError, httpx.LocalProtocolError, NotHttp)
"""those whose text, if it is our own transport's, is meant to be shown"""


def _detail(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(error, DESCRIPTIVE) and (cause is None or isinstance(cause, OSError)):
        return str(error)
    system = error if isinstance(error, OSError) else cause
    return in_words(system) if isinstance(system, OSError) else ""

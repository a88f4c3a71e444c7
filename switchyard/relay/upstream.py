"""Send one request to an upstream and return its reply as it arrives.

This is the one place where errors of the transports become `AttemptFailed(Failure)`, by ERROR_KINDS.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from importlib import import_module
from typing import Protocol

import msgspec

from switchyard.exchange import Failure, FailureCause, FailureKind
from switchyard.http1.errors import (
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    Http1Error,
    InvalidHeader,
    InvalidUrl,
    NotHttp,
    OwnAddress,
    ProxyRefused,
    Unanswered,
    in_words,
)
from switchyard.http1.errors import TlsUnusable as TlsUnusable
from switchyard.http1.request import target_of
from switchyard.http1.tls import TlsFiles, tls_context
from switchyard.http1.transport import Http1Transport
from switchyard.relay.asgi_transport import AsgiApp, AsgiTransport
from switchyard.relay.decompress import Unpacker, UnpackError
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers
from switchyard.relay.proxies import choose_proxy
from switchyard.relay.through_httpx import HttpxTransport
from switchyard.settings import Tls

log = logging.getLogger("switchyard.upstream")


class Call(msgspec.Struct, frozen=True):
    """One request as it goes out."""

    url: str
    headers: Headers
    body: bytes
    connect_seconds: float
    proxy: str = ""
    tls: Tls = Tls()
    is_demo: bool = False
    upstream: str = ""
    method: str = "POST"


class Destination(msgspec.Struct, frozen=True):
    """Where requests of an upstream go."""

    url: str
    connect_seconds: float
    proxy: str = ""
    tls: Tls = Tls()


class Body(Protocol):
    """The body of an answer, as a transport returns it."""

    @property
    def has_ended(self) -> bool:
        """True if it is known that no more chunks follow."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises TRANSPORT_ERRORS."""

    async def close(self) -> None: ...


class Reply:
    """The upstream's answer: status and headers are known, the body follows. Close it in every case."""

    def __init__(self, status: int, headers: Headers, body: Body) -> None:
        self.status = status
        self.headers = headers
        """names in lower case"""
        self._body = body
        self._chunks: AsyncIterator[bytes] | None = None
        self._is_replaced = False

    def header(self, name: str) -> str:
        for found, value in self.headers:
            if found == name:
                return value
        return ""

    @property
    def content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, unpacked, as it arrives. Raises AttemptFailed. Always the same iterator."""
        if self._chunks is None:
            self._chunks = _Unpacked(self._body.chunks(), self.header("content-encoding"))
        return self._chunks

    def watch(self, seen: Callable[[bytes], None]) -> None:
        """From now on `seen` is called with each chunk that is read."""
        self._chunks = _Watched(self.chunks(), seen)

    def replace_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        """From now on `chunks` returns these."""
        self._chunks = chunks
        self._is_replaced = True

    @property
    def has_ended(self) -> bool:
        """True if it is known that `chunks` has ended."""
        return self._body.has_ended and not self._is_replaced

    async def read_up_to(self, limit: int) -> bytes:
        """The body up to `limit` bytes; what follows is dropped. Raises AttemptFailed."""
        pieces: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            pieces.append(chunk)
            size += len(chunk)
            if size >= limit:
                break
        return b"".join(pieces)[:limit]

    async def close(self) -> None:
        """End the request at once; an unfinished answer closes its connection."""
        try:
            await self._body.close()
        except TRANSPORT_ERRORS as error:
            log.debug("closing an upstream connection: %s", error)


TRANSPORT_ERRORS = (Http1Error, OSError)
NO_PACKING = Unpacker("")


class _Unpacked:
    """The chunks of a body, decompressed; errors of the transport become AttemptFailed."""

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
        except TRANSPORT_ERRORS as error:
            message = _described("the connection broke before the end of the answer", error)
            raise AttemptFailed(network_failure(FailureKind.READ, message)) from None


class _Watched:
    """The same chunks, each shown to `seen`."""

    def __init__(self, chunks: AsyncIterator[bytes], seen: Callable[[bytes], None]) -> None:
        self._chunks = chunks
        self._seen = seen

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        self._seen(chunk)
        return chunk


class Wire:
    """Pooled transports, one for each proxy and one for direct connections."""

    def __init__(self, demo: AsgiApp, listening: Collection[tuple[str, int]] = ()) -> None:
        """`listening`: the addresses of this program, to which no request may go."""
        self._demo = AsgiTransport(demo)
        self._listening = listening
        self._transports: dict[tuple[str, Tls], Http1Transport] = {}
        self._socks_transports: dict[tuple[str, Tls], HttpxTransport] = {}

    async def send(self, call: Call) -> Reply:
        """The reply once its headers have arrived. Raises AttemptFailed."""
        try:
            transport = self._demo if call.is_demo else await self._towards(call)
            raw = await transport.send(call.method, call.url, call.headers, call.body, call.connect_seconds)
            return Reply(raw.status, raw.headers, raw)
        except Exception as error:
            failure = _as_failure(error)
            if failure is None:
                raise
            raise AttemptFailed(failure) from None

    def keep_ready(self, destination: Destination, seconds: float) -> None:
        """Keep one open connection there for so long; not through SOCKS."""
        chosen = choose_proxy(destination.proxy, destination.url)
        if chosen.problem or chosen.url.startswith("socks"):
            return
        with suppress(Http1Error):  # the next request reports it
            self._transport(chosen.url, destination.tls).hold(
                destination.url, seconds, destination.connect_seconds
            )

    def keep_only(self, destinations: Collection[Destination]) -> None:
        """Keep no connection ready to anywhere else."""
        for (proxy, tls), transport in self._transports.items():
            here = [
                one.url
                for one in destinations
                if one.tls == tls and choose_proxy(one.proxy, one.url).url == proxy
            ]
            with suppress(Http1Error):
                transport.hold_only(here)

    @property
    def ready_count(self) -> int:
        """To how many servers a connection is kept ready."""
        return sum(len(transport.ready.origins()) for transport in self._transports.values())

    async def _towards(self, call: Call) -> Http1Transport | HttpxTransport:
        chosen = choose_proxy(call.proxy, call.url)
        if chosen.problem:
            raise AttemptFailed(network_failure(FailureKind.CONNECT, chosen.problem, "address"))
        if chosen.url.startswith("socks"):
            return await self._socks_transport(chosen.url, call.tls)
        return self._transport(chosen.url, call.tls)

    def _transport(self, proxy: str, tls: Tls) -> Http1Transport:
        transport = self._transports.get((proxy, tls))
        if transport is None:
            transport = self._transports[proxy, tls] = Http1Transport(
                proxy, lambda: tls_context_of(tls), listening=self._listening
            )
        return transport

    async def _socks_transport(self, proxy: str, tls: Tls) -> HttpxTransport:
        if (proxy, tls) not in self._socks_transports:
            context = await asyncio.to_thread(tls_context_of, tls)
            self._socks_transports[proxy, tls] = HttpxTransport(proxy, context)
        return self._socks_transports[proxy, tls]

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        for socks_transport in self._socks_transports.values():
            await socks_transport.close()
        self._transports.clear()
        self._socks_transports.clear()


def import_for(url: str, proxy: str) -> None:
    """Import httpx if requests there need it: for a proxy, or for an unusual URL."""
    if choose_proxy(proxy, url).url:
        import_module("httpx")
    else:
        with suppress(Http1Error):  # the next request reports it
            target_of(url)


def tls_context_of(tls: Tls) -> ssl.SSLContext:
    """For connections to an upstream with these settings, where ~ is the user's folder. Reads files.

    Raises TlsUnusable.
    """
    ca, cert, key = map(os.path.expanduser, (tls.ca, tls.cert, tls.key))
    return tls_context(TlsFiles(ca, cert, key, tls.verify))


ERROR_KINDS: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (ConnectTimeout, FailureKind.CONNECT_TIMEOUT, "no connection in time"),
    (ConnectFailed, FailureKind.CONNECT, "cannot connect"),
    (ProxyRefused, FailureKind.CONNECT, "the proxy refused"),
    (InvalidUrl, FailureKind.CONNECT, "address cannot be used"),
    (OwnAddress, FailureKind.CONNECT, "leads back to Switchyard itself; correct `base_url` or `proxy`"),
    (InvalidHeader, FailureKind.CONNECT, "request cannot be sent"),
    (NotHttp, FailureKind.PROTOCOL, "answer is not HTTP"),
    (Unanswered, FailureKind.READ, "closed the connection without an answer"),
    (ConnectionBroken, FailureKind.READ, "connection broke"),
    (OSError, FailureKind.CONNECT, "cannot connect"),
    (ValueError, FailureKind.CONNECT, "request cannot be sent"),
)

LASTING_ERRORS = (InvalidUrl, InvalidHeader, OwnAddress, ValueError)
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
"""OpenSSL's names of errors that mean a disagreement, not a broken connection"""


def _as_failure(error: Exception) -> Failure | None:
    for kind_of_error, kind, text in ERROR_KINDS:
        if isinstance(error, kind_of_error):
            return network_failure(kind, _described(text, error), _cause(error))
    return None


def _cause(error: Exception) -> FailureCause:
    below: BaseException | None = error
    while below is not None:
        is_mismatch = isinstance(below, ssl.SSLError) and below.reason in TLS_MISMATCHES
        if is_mismatch or isinstance(below, TlsUnusable):
            return "tls"
        if isinstance(below, socket.gaierror):
            # a machine without a network returns EAI_AGAIN
            return "" if below.errno == socket.EAI_AGAIN else "unknown_host"
        below = below.__cause__ or below.__context__
    return "address" if isinstance(error, LASTING_ERRORS) else ""


def _described(text: str, error: Exception) -> str:
    """The text with the cause in a few words: no addresses, no names of library classes."""
    detail = _detail(error)
    return f"{text} ({detail})" if detail else text


DESCRIPTIVE = (ConnectFailed, ProxyRefused, InvalidHeader, NotHttp)
"""those whose own message is shown"""


def _detail(error: Exception) -> str:
    if isinstance(error, DESCRIPTIVE):
        return str(error)
    system = error if isinstance(error, OSError) else error.__cause__
    return in_words(system) if isinstance(system, OSError) else ""

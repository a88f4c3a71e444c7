"""Encode a request as the bytes of HTTP/1.1 (https://www.rfc-editor.org/rfc/rfc9112)."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from switchyard.http1.errors import InvalidHeader, InvalidUrl

if TYPE_CHECKING:
    import httpx

Headers = list[tuple[str, str]]
Fields = tuple[tuple[str, str], ...]
Framing = Literal["", "host", "length"]

DEFAULT_PORTS = {"http": 80, "https": 443}
USUAL_URL = re.compile(
    r"(https?)://(127\.0\.0\.1|(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)(?::([1-9][0-9]{0,4}))?"
    r"((?:/[A-Za-z0-9_~-][A-Za-z0-9_~.:-]*)*/?)(\?[A-Za-z0-9_~.:=&-]+)?"
)
"""one that needs no library to read it: no user, and nothing to encode or to normalise"""
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


class Origin(msgspec.Struct, frozen=True):
    """The server that a connection leads to. `host` has no brackets; internationalised names are encoded."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Always with the port, as CONNECT requires it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(msgspec.Struct, frozen=True):
    """The parts of a URL that a request needs."""

    origin: Origin
    path: str
    host: str
    """the value of the `host` header"""


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy; `credentials` is the value of its `proxy-authorization`, or empty."""

    origin: Origin
    credentials: str


@lru_cache(256)
def target_of(url: str) -> Target:
    """Raises InvalidUrl."""
    if usual := USUAL_URL.fullmatch(url):
        return _usual_target(*usual.groups())
    parsed = _parsed(url)
    if parsed.scheme not in DEFAULT_PORTS or not parsed.host:
        raise InvalidUrl("it needs http:// or https:// and a host")
    origin = Origin(parsed.scheme, parsed.raw_host.decode("ascii"), _port(parsed.scheme, parsed.port))
    return Target(origin, parsed.raw_path.decode("ascii"), parsed.netloc.decode("ascii"))


def _usual_target(scheme: str, host: str, port: str | None, path: str, query: str | None) -> Target:
    origin = Origin(scheme, host, _port(scheme, None if port is None else int(port)))
    is_default = origin.port == DEFAULT_PORTS[scheme]
    return Target(origin, (path or "/") + (query or ""), host if is_default else origin.authority)


def _port(scheme: str, port: int | None) -> int:
    port = DEFAULT_PORTS[scheme] if port is None else port
    if not 0 < port < 65536:
        raise InvalidUrl("its port is not between 1 and 65535")
    return port


def _parsed(url: str) -> "httpx.URL":
    import httpx  # which takes a tenth of the start and 3 MB, for URLs that few have

    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidUrl(str(error)) from None


def proxy_of(url: str) -> Proxy:
    """Raises InvalidUrl."""
    target = target_of(url)
    userinfo = unquote_to_bytes(_parsed(url).userinfo)
    return Proxy(target.origin, f"Basic {b64encode(userinfo).decode()}" if userinfo else "")


def request_head(
    method: str, target: Target, headers: Headers, body_length: int, proxy: Proxy | None = None
) -> bytes:
    """Request line and headers: the given ones unchanged and in order, after those that are added here.

    The body is framed here, so a given `content-length` or `transfer-encoding` is left out.
    Raises InvalidHeader.
    """
    begin = _begin_of_head(method, target, tuple(headers), proxy)
    if body_length or method not in METHODS_WITHOUT_BODY:
        return b"%bcontent-length: %d\r\n\r\n" % (begin, body_length)
    return begin + b"\r\n"


@lru_cache(16)
def _begin_of_head(method: str, target: Target, headers: Fields, proxy: Proxy | None) -> bytes:
    """All but the length of the body: the requests of a conversation have the same."""
    via_proxy = proxy is not None and target.origin.scheme == "http"
    target_form = f"http://{target.host}{target.path}" if via_proxy else target.path
    lines = [f"{method} {target_form} HTTP/1.1"]
    names_host = False
    given = []
    for name, value in headers:
        framing = _framing(name)
        if framing != "length":
            given.append(f"{name}: {value}")
        names_host = names_host or framing == "host"
    if not names_host:
        lines.append(f"host: {target.host}")
    lines += given
    if via_proxy and proxy is not None and proxy.credentials:
        lines.append(f"proxy-authorization: {proxy.credentials}")
    return _joined(lines)


def connect_head(origin: Origin, proxy: Proxy) -> bytes:
    """The request to a proxy for a tunnel to the origin."""
    lines = [f"CONNECT {origin.authority} HTTP/1.1", f"host: {origin.authority}"]
    if proxy.credentials:
        lines.append(f"proxy-authorization: {proxy.credentials}")
    return _joined(lines) + b"\r\n"


def _joined(lines: list[str]) -> bytes:
    """The lines, each with its end."""
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head:
        raise InvalidHeader("a header holds a line break or a null byte")
    try:
        return (head + "\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeader("a header holds characters that HTTP cannot carry") from None


@lru_cache(128)
def _framing(name: str) -> Framing:
    if not TOKEN.fullmatch(name):
        raise InvalidHeader("a header has a name that HTTP does not allow")
    lowered = name.lower()
    if lowered in ("content-length", "transfer-encoding"):
        return "length"
    return "host" if lowered == "host" else ""

"""Choose the proxy for an address: the entry's own, the environment's, or the one in the system's settings."""

import ipaddress
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from switchyard.settings import DIRECT, Upstream
from switchyard.settings_validation import is_proxy_url

if sys.platform in ("darwin", "win32"):
    # it reads the settings of these systems, and imports an HTTP client that nothing else needs
    import urllib.request  # noqa: F401

PERIOD_SECONDS = 30
"""so long an address keeps its proxy: on some systems the user changes it in a dialog"""
VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
"""the first that fits the address counts"""
DEFAULT_PORTS = {"https": 443, "http": 80}
SYSTEM = "the system's settings"


class ChosenProxy(msgspec.Struct, frozen=True):
    """`url` is "" for a direct connection; `source` is where it comes from: a variable, the system, or "" for the
    entry itself. With a `problem` the address cannot be reached."""

    url: str = ""
    source: str = ""
    problem: str = ""


DIRECTLY = ChosenProxy()


def choose_proxy(own: str, url: str) -> ChosenProxy:
    """The proxy for this URL of an upstream whose entry names `own`. Loopback addresses need to be named."""
    if own:
        return DIRECTLY if own == DIRECT else ChosenProxy(own)
    return _environment_proxy(url, int(time.monotonic() / PERIOD_SECONDS))


def proxy_text(upstream: Upstream) -> str:
    """Which proxy requests to this upstream go through, without its password; "" for a direct connection."""
    chosen = DIRECTLY if upstream.is_demo else choose_proxy(upstream.proxy, upstream.base_url)
    if chosen.problem or not chosen.url:
        return chosen.problem
    parts = urlsplit(chosen.url)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f"through the proxy {address}{f' ({chosen.source})' if chosen.source else ''}"


@lru_cache(256)
def _environment_proxy(url: str, period: int) -> ChosenProxy:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost" or _is_loopback(host):
        return DIRECTLY
    source, value = _variable(parts.scheme) or (SYSTEM, _system_proxy(parts.scheme, host))
    if not value or _is_exempt(host, parts):
        return DIRECTLY
    named = _with_scheme(value)
    if is_proxy_url(named):
        return ChosenProxy(named, source)
    remedy = "set it to an address such as http://127.0.0.1:7890, or the entry's `proxy` to one, or to direct"
    return ChosenProxy(source=source, problem=f"the proxy in {source} cannot be used; {remedy}")


def _variable(scheme: str) -> tuple[str, str] | None:
    """The variable that names the proxy, and its value."""
    for name in VARIABLES:
        value = os.environ.get(name, "").strip()
        if value and name.lower() in (f"{scheme}_proxy", "all_proxy"):
            return name, value
    return None


def _with_scheme(value: str) -> str:
    """As curl reads it: without a scheme it is an HTTP proxy; `socks` is version 5."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        return f"http://{value}"
    return f"{'socks5' if scheme.lower() == 'socks' else scheme.lower()}://{rest}"


def _is_exempt(host: str, parts: SplitResult) -> bool:
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    port = str(parts.port or DEFAULT_PORTS.get(parts.scheme, 0))
    return any(_exempts(entry, host, port) for entry in listed.replace(",", " ").lower().split())


def _exempts(entry: str, host: str, port: str) -> bool:
    """Whether an entry of NO_PROXY covers the host: `*`, a range, an address, or a name with all names below it."""
    if entry == "*":
        return True
    if "/" in entry:
        return _is_in_range(host, entry)
    name, entry_port = _split_port(entry)
    if entry_port and entry_port != port:
        return False
    name = name.removeprefix("*").strip(".")
    is_below = host.endswith(f".{name}") and _address(host) is None
    return bool(name) and (host == name or is_below)


def _split_port(entry: str) -> tuple[str, str]:
    """`host:port`, `[::1]:port`, or an address alone, which may have colons of its own."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = entry.rpartition(":")
    return (name, port) if colon and ":" not in name else (entry, "")


def _is_in_range(host: str, entry: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _system_proxy(scheme: str, host: str) -> str:
    """ "" if the system names none, or exempts the host."""
    for suffix in ("macosx_sysconf", "registry"):
        proxies: Callable[[], dict[str, str]] | None = _of_this_system(f"getproxies_{suffix}")
        bypass: Callable[[str], Any] | None = _of_this_system(f"proxy_bypass_{suffix}")
        if proxies is not None and bypass is not None:
            found = proxies()
            return "" if bypass(host) else found.get(scheme) or found.get("socks") or ""
    return ""


def _of_this_system(name: str) -> Any:
    return getattr(sys.modules.get("urllib.request"), name, None)

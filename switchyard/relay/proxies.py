"""Which proxy the environment names for an address."""

import ipaddress
import time
import urllib.request
from functools import lru_cache
from urllib.parse import urlsplit

PERIOD_SECONDS = 30
"""so long an address keeps its proxy: on some systems the user changes it in a dialog"""


def environment_proxy(url: str) -> str:
    """The URL of the proxy; "" for a direct connection, as loopback addresses always have."""
    return _environment_proxy(url, int(time.monotonic() / PERIOD_SECONDS))


@lru_cache(256)
def _environment_proxy(url: str, period: int) -> str:
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

"""Decide to which upstreams a connection is kept ready: those of conversations that were active just now."""

from switchyard.relay.upstream import Destination
from switchyard.relay.urls import request_url
from switchyard.settings import Settings, Upstream
from switchyard.timeouts import timeouts_of

ACTIVE_SECONDS = 900.0
"""a conversation whose last answer is longer ago is not active"""
RENEW_SECONDS = 30.0
MAX_KNOWN = 1000


def destination_of(upstream: Upstream, settings: Settings) -> Destination | None:
    """Where a connection is kept ready for this upstream; None if none is wanted."""
    if not settings.warm_connections or not upstream.enabled or upstream.is_demo:
        return None
    if upstream.max_concurrency == 1 or upstream.is_local:
        return None
    url = request_url(upstream, upstream.model or "model")
    return Destination(url, timeouts_of(upstream, settings).connect, upstream.proxy, upstream.tls)


def destinations_of(settings: Settings) -> set[Destination]:
    found = (destination_of(upstream, settings) for upstream in settings.upstreams)
    return {one for one in found if one is not None}


class Renewals:
    """Bounded memory of when each upstream was last active, so that not every request decides anew."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Upstream, float]] = {}

    def is_due(self, upstream: Upstream, now: float) -> bool:
        """`now` in monotonic seconds. An edited entry is due at once."""
        known, at = self._last.get(upstream.account, (None, 0.0))
        if known is upstream and now - at < RENEW_SECONDS:
            return False
        if len(self._last) >= MAX_KNOWN:
            self._last.clear()
        self._last[upstream.account] = upstream, now
        return True

"""The load of each account: running requests, and those of the last minute. Time is an argument."""

from collections import deque

from switchyard.settings import Upstream

WINDOW_SECONDS = 60.0


class Limits:
    """Counts for `max_concurrency` and `requests_per_minute`."""

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}
        self._starts: dict[str, deque[float]] = {}

    def under_way(self, upstream: str) -> int:
        return self._under_way.get(upstream, 0)

    def in_last_minute(self, upstream: str, now: float) -> int:
        """Starts within the window; 0 for upstreams without a rate limit."""
        return len(self._window(upstream, now))

    def is_full(self, upstream: Upstream) -> bool:
        return bool(upstream.max_concurrency) and self.under_way(upstream.account) >= upstream.max_concurrency

    def has_room(self, upstream: Upstream, now: float) -> bool:
        """True if both limits allow a request."""
        return not self.is_full(upstream) and self.free_at(upstream, now) <= now

    def free_at(self, upstream: Upstream, now: float) -> float:
        """When the rate limit allows a request; `now` if it does already."""
        limit = upstream.requests_per_minute
        if not limit:
            return now
        starts = self._window(upstream.account, now)
        return now if len(starts) < limit else starts[len(starts) - limit] + WINDOW_SECONDS

    def _window(self, upstream: str, now: float) -> deque[float]:
        starts = self._starts.get(upstream)
        if starts is None:
            return deque()
        while starts and starts[0] <= now - WINDOW_SECONDS:
            starts.popleft()
        return starts

    def begin(self, upstream: str) -> None:
        """A request starts; each call is followed by one `end`."""
        self._under_way[upstream] = self._under_way.get(upstream, 0) + 1

    def count_start(self, upstream: Upstream, now: float) -> None:
        """Count a start for the rate limit."""
        if upstream.requests_per_minute:
            self._starts.setdefault(upstream.account, deque()).append(now)

    def withdraw_start(self, upstream: str) -> None:
        """Remove the last counted start: the request was not sent."""
        if starts := self._starts.get(upstream):
            starts.pop()

    def end(self, upstream: str) -> None:
        left = self._under_way.get(upstream, 0) - 1
        if left > 0:
            self._under_way[upstream] = left
        else:
            self._under_way.pop(upstream, None)

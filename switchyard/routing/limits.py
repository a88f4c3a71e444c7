"""The load of each account: running requests, and those of the last minute. Time is an argument."""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from switchyard.routing.health import moved
from switchyard.settings import Settings, Upstream

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class _Load:
    running: int = 0
    starts: deque[float] = field(default_factory=deque)

    def add(self, other: "_Load") -> None:
        self.running += other.running
        for start in other.starts:
            insort(self.starts, start)


class Limits:
    """Counts for `max_concurrency` and `requests_per_minute`. Accounts are named by `Upstream.account_id`."""

    def __init__(self) -> None:
        self._loads: dict[str, _Load] = {}
        """a renamed account has one load under both names: its requests go on with the settings they began with"""

    def under_way(self, account: str) -> int:
        load = self._loads.get(account)
        return 0 if load is None else load.running

    def in_last_minute(self, account: str, now: float) -> int:
        """Starts within the window; 0 for upstreams without a rate limit."""
        return len(self._window(account, now))

    def is_full(self, upstream: Upstream) -> bool:
        return (
            bool(upstream.max_concurrency) and self.under_way(upstream.account_id) >= upstream.max_concurrency
        )

    def has_room(self, upstream: Upstream, now: float) -> bool:
        """True if both limits allow a request."""
        return not self.is_full(upstream) and self.free_at(upstream, now) <= now

    def free_at(self, upstream: Upstream, now: float) -> float:
        """When the rate limit allows a request; `now` if it does already."""
        limit = upstream.requests_per_minute
        if not limit:
            return now
        starts = self._window(upstream.account_id, now)
        return now if len(starts) < limit else starts[len(starts) - limit] + WINDOW_SECONDS

    def _window(self, account: str, now: float) -> deque[float]:
        load = self._loads.get(account)
        if load is None:
            return deque()
        starts = load.starts
        while starts and starts[0] <= now - WINDOW_SECONDS:
            starts.popleft()
        return starts

    def begin(self, account: str) -> None:
        """A request starts; each call is followed by one `end`."""
        self._load(account).running += 1

    def count_start(self, upstream: Upstream, now: float) -> None:
        """Count a start for the rate limit."""
        if upstream.requests_per_minute:
            self._load(upstream.account_id).starts.append(now)

    def withdraw_start(self, account: str) -> None:
        """Remove the last counted start: the request was not sent."""
        if starts := self._load(account).starts:
            starts.pop()

    def end(self, account: str) -> None:
        load = self._load(account)
        load.running = max(0, load.running - 1)

    def follow(self, before: Settings, after: Settings) -> None:
        """The settings were edited: an account that is renamed keeps its load."""
        for old, new in moved(before, after).items():
            load, other = self._load(old), self._load(new)
            if other is not load:
                load.add(other)
                self._loads = {name: load if one is other else one for name, one in self._loads.items()}
        known = {one.account_id for settings in (before, after) for one in settings.accounts}
        self._loads = {name: load for name, load in self._loads.items() if load.running or name in known}

    def _load(self, account: str) -> _Load:
        load = self._loads.get(account)
        if load is None:
            load = self._loads[account] = _Load()
        return load

"""Remember how much of its quotas each account has used, and decide when new conversations leave it.

Times are arguments (monotonic seconds).
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping

import msgspec

from switchyard.protocols.retry_hints.quota_windows import QuotaWindow
from switchyard.routing.lineup import Moment
from switchyard.settings import Upstream

PACE_SECONDS = 3600.0
SHORTEST_PACE_SECONDS = 300.0
"""two readings that are closer show no pace"""
SAMPLE_SECONDS = 60.0
MAX_SAMPLES = int(PACE_SECONDS / SAMPLE_SECONDS) + 2
MAX_WINDOWS = 16
NEARLY_FULL_PERCENT = 90
SHORTEST_NOTED_SECONDS = 120.0
"""the limits of a minute fill up and reset all the time"""
RESET_DROP = 0.02
"""a share that has fallen by more belongs to a new window"""


class Quota(msgspec.Struct, frozen=True):
    """One window of an account: the share that is used, from 0 to 1, and its end in monotonic seconds.

    `full_at`: when it is used up at the pace of the last hour, if that is before its end.
    """

    window: str
    used: float
    resets_at: float
    full_at: float | None = None


class Sample(msgspec.Struct, frozen=True):
    at: float
    used: float


class _Track:
    """The readings of one window, the oldest first: one a minute, and the last."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self.resets_at = 0.0

    def note(self, read: QuotaWindow, now: float) -> None:
        samples = self.samples
        if samples and (now >= self.resets_at or read.used < samples[-1].used - RESET_DROP):
            samples.clear()
        if len(samples) > 1 and samples[-1].at - samples[-2].at < SAMPLE_SECONDS:
            samples.pop()
        samples.append(Sample(now, read.used))
        self.resets_at = now + read.seconds

    def quota(self, window: str) -> Quota:
        return Quota(window, self.samples[-1].used, self.resets_at, forecast(self.samples, self.resets_at))


def forecast(samples: Iterable[Sample], resets_at: float) -> float | None:
    """When the window is used up at the pace of the last hour, if that is before its end."""
    kept = list(samples)
    last = kept[-1]
    first = next(one for one in kept if last.at - one.at <= PACE_SECONDS)
    seconds, share = last.at - first.at, last.used - first.used
    if last.used >= 1 or seconds < SHORTEST_PACE_SECONDS or share <= 0:
        return None
    full_at = last.at + (1 - last.used) * seconds / share
    return full_at if full_at < resets_at else None


class Quotas:
    """The quotas of all accounts, as their answers report them."""

    def __init__(self) -> None:
        self._tracks: dict[str, dict[str, _Track]] = {}

    def note(self, account: str, windows: Iterable[QuotaWindow], now: float) -> None:
        """What an answer of this account has reported."""
        for read in windows:
            tracks = self._tracks.setdefault(account, {})
            for name in [name for name, track in tracks.items() if now >= track.resets_at]:
                del tracks[name]
            if read.name in tracks or len(tracks) < MAX_WINDOWS:
                tracks.setdefault(read.name, _Track()).note(read, now)

    def of(self, account: str, now: float) -> tuple[Quota, ...]:
        """The windows that have not ended, the fullest first."""
        tracks = self._tracks.get(account, {})
        found = [track.quota(name) for name, track in tracks.items() if now < track.resets_at]
        return tuple(sorted(found, key=lambda quota: -quota.used))

    def reached(self, account: Upstream, now: float) -> Quota | None:
        """The window of which so much is used that new conversations go elsewhere: the one that ends last."""
        limit = account.leave_at_percent
        if not limit:
            return None
        full = [quota for quota in self.of(account.account, now) if quota.used * 100 >= limit]
        return max(full, key=lambda quota: quota.resets_at, default=None)

    def nearly_full(self, accounts: Iterable[Upstream], now: float) -> dict[tuple[str, str], str]:
        """The windows of which `leave_at_percent` is used, or most of it, by account and window."""
        return {
            (one.account, quota.window): f"{quota.used:.0%} of its {quota.window} quota is used"
            for one in accounts
            for quota in self.of(one.account, now)
            if quota.used * 100 >= (one.leave_at_percent or NEARLY_FULL_PERCENT)
            and quota.resets_at - now >= SHORTEST_NOTED_SECONDS
        }

    def rename(self, names: Mapping[str, str]) -> None:
        """The quotas of renamed accounts stay with them."""
        self._tracks = {names.get(name, name): tracks for name, tracks in self._tracks.items()}

    def keep_only(self, accounts: Collection[str]) -> None:
        """Forget all other accounts: they are removed, or have another key now."""
        for name in [name for name in self._tracks if name not in accounts]:
            del self._tracks[name]


def leave_text(quota: Quota, limit: int, now: Moment) -> str:
    """Why new conversations go elsewhere."""
    used = f"{quota.used:.0%} of its {quota.window} quota is used"
    return f"{used}, new conversations leave at {limit}% until {now.clock_at(quota.resets_at)}"

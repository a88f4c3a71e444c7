"""Decide at which full upstreams a request waits for a slot, and for how long."""

from collections.abc import Collection

from switchyard.routing.lineup import entry_rank
from switchyard.routing.route import Route
from switchyard.routing.steps import QUEUE_REASONS
from switchyard.settings import Settings, Upstream

ROUNDING = 0.001
"""seconds; a timer may fire a little before its time"""


def full_upstreams(route: Route) -> frozenset[str]:
    """The upstreams that nothing but a limit keeps from answering."""
    return frozenset(skip.upstream for skip in route.skipped if skip.reason in QUEUE_REASONS)


def worth_waiting_for(
    settings: Settings, full: Collection[str], *, with_rescues: bool, used: str = ""
) -> list[Upstream]:
    """The full upstreams to wait for, the best first: the one that is used now, if any, then by their entries."""
    wanted = [
        one
        for one in settings.upstreams
        if one.name in full and (with_rescues or one.role != "rescue" or one.name == used)
    ]
    return sorted(wanted, key=lambda one: (one.name != used, entry_rank(one)))


def wait_ends(route: Route, latest: float) -> float:
    """The moment to choose again: a cooldown ends, or the wait is over."""
    cooldowns = [skip.until for skip in route.skipped if skip.reason == "cooldown" and skip.until is not None]
    return min([latest, *(until + ROUNDING for until in cooldowns)])

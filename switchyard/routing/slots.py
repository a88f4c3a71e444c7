"""Decide at which full upstreams a request waits for a slot, and for how long."""

from switchyard.routing.lineup import Candidate
from switchyard.routing.route import Route

ROUNDING = 0.001
"""seconds; a timer may fire a little before its time"""


def worth_waiting_for(route: Route, *, with_rescues: bool) -> list[Candidate]:
    """The full candidates to wait for, in the order of the route."""
    return [one for one in route.full if with_rescues or not one.only_rescues]


def wait_ends(route: Route, latest: float) -> float:
    """The moment to choose again: a cooldown ends, or the wait is over."""
    cooldowns = [skip.until for skip in route.skipped if skip.reason == "cooldown" and skip.until is not None]
    return min([latest, *(until + ROUNDING for until in cooldowns)])

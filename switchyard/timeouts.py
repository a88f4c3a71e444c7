"""Compute how long to wait for upstreams: the timeouts of each, and the time budget for finding one that answers."""

from collections.abc import Iterable

import msgspec

from switchyard.settings import Settings, Upstream

LOCAL_FIRST_BYTE_SECONDS = 600.0
"""local models take minutes to read long prompts, and have to be loaded first"""
SEARCH_SECONDS = 600.0


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The effective timeouts of an upstream, in seconds; the length of a response is not limited."""

    connect: float = 10
    first_byte: float = 120
    idle: float = 300


def timeouts_of(upstream: Upstream, settings: Settings) -> Timeouts:
    """The effective timeouts of this upstream: its own, else those of the file, else the defaults."""
    own, common, default = upstream.timeouts, settings.timeouts, default_timeouts(upstream)
    return Timeouts(
        connect=own.connect or common.connect or default.connect,
        first_byte=own.first_byte or common.first_byte or default.first_byte,
        idle=own.idle or common.idle or default.idle,
    )


def default_timeouts(upstream: Upstream) -> Timeouts:
    """The timeouts if the file sets none."""
    if upstream.is_local:
        return Timeouts(first_byte=LOCAL_FIRST_BYTE_SECONDS)
    return Timeouts()


def search_seconds(upstreams: Iterable[Upstream], settings: Settings) -> float:
    """The time budget for finding one of these upstreams that answers.

    By default: the longest first-byte timeout, plus time for other upstreams and for the hold.
    """
    rules = settings.failover
    if rules.total_seconds is not None:
        return rules.total_seconds
    longest = max((timeouts_of(upstream, settings).first_byte for upstream in upstreams), default=0.0)
    others = max(SEARCH_SECONDS - Timeouts().first_byte, rules.hold_seconds)
    return max(SEARCH_SECONDS, longest + others)

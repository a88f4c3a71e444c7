"""How long a hint may make an upstream wait."""

MAX_SECONDS = 7 * 86400.0
LONG_WINDOW_SECONDS = 600.0
"""A rate limit whose window ends later than this is a quota: waiting for it is no pause."""


def bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(0.0, seconds), MAX_SECONDS)

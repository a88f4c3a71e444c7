"""A time zone in which it is about noon, for what must not depend on the hour at which the tests run."""

from datetime import UTC, datetime


def noon_zone() -> str:
    """A name for `TZ`, for `ZoneInfo` and for a browser."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"

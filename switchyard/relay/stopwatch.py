"""Count the seconds of one request."""

from collections.abc import Callable


class Stopwatch:
    """Seconds since its start, by the given clock."""

    __slots__ = ("_now", "_started")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._started = now()

    def seconds(self) -> float:
        return self._now() - self._started

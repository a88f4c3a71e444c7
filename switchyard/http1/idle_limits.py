"""How long each server keeps an idle connection open: by its own statement, or by when it has closed others."""

import re

from switchyard.http1.raw_reply import Headers
from switchyard.http1.request import Origin

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
MAX_KNOWN = 1000
TIMEOUT = re.compile(r"(?:^|[\s,])timeout\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
ALIKE = 0.1
"""two closes this much apart are one limit; a single one may be a restart of the server"""

Key = tuple[Origin, bool]
"""`True` for connections that have carried a request: servers often close others earlier"""


class IdleLimits:
    def __init__(self) -> None:
        self._known: dict[Key, float] = {}
        self._closed_after: dict[Key, float] = {}

    def of(self, origin: Origin, *, is_used: bool) -> float | None:
        """The seconds after which the server closes an idle connection; None if that is unknown."""
        return self._known.get((origin, is_used))

    def note_answer(self, origin: Origin, headers: Headers) -> None:
        """`Keep-Alive: timeout=75` states the limit."""
        for name, value in headers:
            if name == "keep-alive" and (found := TIMEOUT.search(value)):
                self._learn((origin, True), float(found[1]))

    def note_closed(self, origin: Origin, seconds: float, *, is_used: bool) -> None:
        """The server has closed a connection that was idle for this long."""
        key = origin, is_used
        before = self._closed_after.get(key)
        self._closed_after[key] = seconds
        if before is not None and abs(before - seconds) <= max(1.0, ALIKE * seconds):
            self._learn(key, min(before, seconds))

    def _learn(self, key: Key, seconds: float) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._closed_after.clear()
        self._known[key] = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)


def safe_age(limit: float) -> float:
    """How long a connection may be idle with this limit: a request may not cross the server's close."""
    return limit - max(0.5, 0.05 * limit)

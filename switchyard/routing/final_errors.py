"""Remember final errors for a short time, so that a repeat of the request is answered at once."""

from collections import OrderedDict

import msgspec

from switchyard.protocols.neutral import WireError
from switchyard.settings import Settings

MAX_TURNS = 200
KEEP_SECONDS = 60.0


class _Ended(msgspec.Struct, frozen=True):
    error: WireError
    settings: Settings
    until: float


class FinalErrors:
    """Final errors by turn, each for one repeat. Times in monotonic seconds, always given by the caller."""

    def __init__(self, capacity: int = MAX_TURNS, keep_seconds: float = KEEP_SECONDS) -> None:
        self._ended: OrderedDict[str, _Ended] = OrderedDict()
        self._capacity = capacity
        self._keep_seconds = keep_seconds

    def remember(self, turn: str, error: WireError, settings: Settings, now: float) -> None:
        """Record that the turn has ended with this error under these settings."""
        self._ended[turn] = _Ended(error, settings, now + self._keep_seconds)
        self._ended.move_to_end(turn)
        if len(self._ended) > self._capacity:
            self._ended.popitem(last=False)

    def take(self, turn: str, settings: Settings, now: float) -> WireError | None:
        """Return the final error of the turn, once; None if the settings have changed since."""
        ended = self._ended.pop(turn, None)
        if ended is None or now >= ended.until or ended.settings is not settings:
            return None
        return ended.error

    def __len__(self) -> int:
        return len(self._ended)

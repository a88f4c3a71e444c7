"""Remember how a held request fares at targets that answer others: its failures there may be its own."""

from collections.abc import Collection, Mapping

from switchyard.routing.hold import FIRST_PAUSE_SECONDS, Target, pause_seconds


class Recoveries:
    """One request's record. After each failure where others succeed it pauses, longer each time."""

    def __init__(self) -> None:
        self._recovered: set[Target] = set()
        """targets at which others have succeeded while this request was held for them"""
        self._failures: dict[Target, int] = {}
        self._failures_alone: dict[Target, int] = {}
        self._pause = 0.0

    @property
    def failures_alone(self) -> Mapping[Target, int]:
        """How often the request has failed at a target after a recovery although no other was trying."""
        return self._failures_alone

    def note_recovered(self, targets: Collection[Target]) -> None:
        """Others have succeeded at these targets."""
        self._recovered.update(targets)

    def note_failure(self, target: Target, *, was_alone: bool) -> None:
        """The request has failed at this target."""
        if target not in self._recovered:
            return
        self._recovered.discard(target)
        failures = self._failures[target] = self._failures.get(target, 0) + 1
        self._pause = pause_seconds(failures, jitter=0.0)
        if was_alone:
            self._failures_alone[target] = self._failures_alone.get(target, 0) + 1

    def note_no_slot(self) -> None:
        """The request was to try a target and got no slot there."""
        self._pause = FIRST_PAUSE_SECONDS

    def take_pause(self, at_most: float) -> float:
        """The seconds to pause before the next try; 0 if there is no reason to."""
        pause, self._pause = min(self._pause, at_most), 0.0
        return pause

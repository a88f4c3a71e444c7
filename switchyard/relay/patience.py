"""How long an upstream may take until its answer has content; comments and pings do not count."""

from switchyard.exchange import Failure, FailureKind
from switchyard.relay.failures import network_failure, timeout_failure
from switchyard.relay.idle_timeout import IdleTimeout


class Patience(IdleTimeout):
    """`first_byte` seconds until the model is at work, then `idle` seconds between two chunks; content by `total`.

    A server that is at work may think for long before any content (an open thinking block, a reasoning item): from
    then on everything that it sends resets the idle time. With content the total time no longer counts.
    """

    _work_begun = False

    def __init__(self, first_byte: float, idle: float, total: float) -> None:
        self._first_byte = first_byte if first_byte < total else total
        super().__init__(self._first_byte, total)
        self._idle = idle

    def note(self, work_begun: bool, content_begun: bool) -> None:
        """A chunk was received; what the answer has shown so far."""
        if not work_begun:
            return
        if content_begun:
            self.lift_total()
        if self._work_begun:
            self.touch()
        else:
            self._work_begun = True
            self.restart(self._idle)

    def failure(self, *, has_received: bool) -> Failure:
        """The failure of the upstream once the limit has ended the attempt."""
        kind = FailureKind.IDLE_TIMEOUT if self._work_begun else FailureKind.FIRST_BYTE_TIMEOUT
        if self._work_begun and not self.is_over:
            return timeout_failure(kind, self._idle)
        if self._work_begun or has_received:
            seconds = self._total_seconds if self._work_begun else self._first_byte
            return network_failure(kind, f"showed no content for {seconds:.3g} s")
        return timeout_failure(kind, self._first_byte)

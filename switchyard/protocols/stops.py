"""Stop a reply at stop sequences that were not sent to the upstream."""

from switchyard.protocols import neutral
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.walk import settled


class StopScanner:
    """Feed it the upstream's events, pass on what it gives back; nothing follows a match.

    Only text is scanned, neither reasoning nor arguments. Text that may be the beginning of a stop sequence is
    held back until the next delta decides.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._in_text = self._has_called = False
        self.matched = False

    def feed(self, event: neutral.Event) -> list[neutral.Event]:
        if self.matched:
            return []
        match event:
            case neutral.Delta(text) if self._in_text:
                return self._scanned(self._held + text)
            case neutral.BlockStarted(block):
                self._in_text = isinstance(block, neutral.Text)
                self._has_called = self._has_called or isinstance(block, neutral.ToolCall)
            case neutral.BlockEnded() | neutral.Finished() | neutral.Failed() if self._held:
                held, self._held = self._held, ""
                return [neutral.Delta(held), event]
        return [event]

    def _scanned(self, text: str) -> list[neutral.Event]:
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            # the one complete first ends the text, however it was cut into pieces
            _, at, stop = min(found)
            self.matched, self._held = True, ""
            return [*_delta(text[:at]), neutral.BlockEnded(), self._end(stop)]
        held = max((_length_of_beginning(text, stop) for stop in self._stops), default=0)
        cut = len(text) - held
        self._held = text[cut:]
        return _delta(text[:cut])

    def _end(self, stop: str) -> neutral.Finished:
        reason = settled(StopReason.STOP_SEQUENCE, called=self._has_called)
        return neutral.Finished(reason, stop_sequence=None if self._has_called else stop)


def _length_of_beginning(text: str, stop: str) -> int:
    """How many characters at the end of the text may be the beginning of the stop sequence."""
    longest = min(len(stop) - 1, len(text))
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)


def _delta(text: str) -> list[neutral.Event]:
    return [neutral.Delta(text)] if text else []

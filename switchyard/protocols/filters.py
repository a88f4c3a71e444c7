"""Change an answer on its way to the client: end it at stop sequences, take its text from its reasoning."""

import msgspec

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


class JsonInReasoning:
    """Feed it the upstream's events, pass on what it gives back.

    LM Studio does so with models that reason: the text stays empty, the demanded object is all that was thought.
    """

    def __init__(self) -> None:
        self._thought: list[str] = []
        self._is_thinking = False
        self._has_answer = False

    def feed(self, event: neutral.Event) -> list[neutral.Event]:
        match event:
            case neutral.Delta(text) if self._is_thinking:
                self._thought.append(text)
            case neutral.BlockStarted(block):
                self._is_thinking = isinstance(block, neutral.Thinking)
                self._has_answer = self._has_answer or not self._is_thinking
            case neutral.Finished(StopReason.END_TURN) if not self._has_answer:
                answer = "".join(self._thought).strip()
                if _is_object(answer):
                    opening = neutral.BlockStarted(neutral.Text(""))
                    return [opening, neutral.Delta(answer), neutral.BlockEnded(), event]
        return [event]


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text.encode("utf-8", "replace")), dict)
    except (msgspec.DecodeError, RecursionError):
        return False

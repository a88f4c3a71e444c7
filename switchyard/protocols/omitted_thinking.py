"""Keep the text of thinking from a client that wants none; what is opaque of it still passes."""

from switchyard.protocols import neutral


class OmittedThinking:
    """Sees the events of one answer in their order."""

    __slots__ = ("_is_thinking",)

    def __init__(self) -> None:
        self._is_thinking = False

    def passes(self, event: neutral.Event) -> bool:
        """False for a piece of thinking."""
        if type(event) is neutral.Delta:
            return not self._is_thinking
        if isinstance(event, neutral.BlockStarted):
            self._is_thinking = isinstance(event.block, neutral.Thinking)
        return True


def without_omitted(events: list[neutral.Event], request: neutral.Request) -> list[neutral.Event]:
    """The events of a whole answer for this client."""
    if not request.reasoning.is_omitted:
        return events
    omitted = OmittedThinking()
    return [event for event in events if omitted.passes(event)]

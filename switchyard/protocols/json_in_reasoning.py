"""Find the answer that some servers put into the reasoning when JSON was demanded of them."""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.neutral import StopReason


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

"""Separate thinking from text where a model writes both into one text, between `<think>` and `</think>`."""

from typing import Literal

OPENING = "<think>"
CLOSING = "</think>"

Spoken = list[tuple[Literal["text", "thinking"], str]]


class ThinkTags:
    """Feed it text, take pieces of thinking and text; a tag may come in pieces.

    Tags count only at the start of the answer: further on they may be what the answer is about. `prefilled`:
    the model's template already wrote the opening tag, so the answer begins inside.
    """

    __slots__ = ("_held", "_prefilled", "_state", "_trims")

    def __init__(self, prefilled: bool) -> None:
        self._state: Literal["start", "thinking", "text"] = "start"
        self._prefilled = prefilled
        self._held = ""
        self._trims = False

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def take(self, text: str) -> Spoken:
        spoken: Spoken = []
        self._held += text
        if self._state == "start":
            self._decide()
        if self._state == "thinking":
            self._think(spoken)
        if self._state == "text":
            self._emit("text", self._held, spoken)
            self._held = ""
        return spoken

    def finish(self) -> Spoken:
        """What was held back for a tag that never came."""
        spoken: Spoken = []
        kind: Literal["text", "thinking"] = "thinking" if self._state == "thinking" else "text"
        self._emit(kind, self._held, spoken)
        self._held = ""
        return spoken

    def stand_down(self) -> Spoken:
        """The server separates reasoning itself: tags in the text are text."""
        spoken = self.finish()
        self._state = "text"
        return spoken

    def _decide(self) -> None:
        begun = self._held.lstrip()
        if OPENING.startswith(begun):
            return
        if begun.startswith(OPENING):
            self._enter("thinking", begun.removeprefix(OPENING))
        elif self._prefilled:
            self._enter("thinking", begun)
        else:
            self._state = "text"

    def _think(self, spoken: Spoken) -> None:
        thought, closing, rest = self._held.partition(CLOSING)
        if closing:
            self._emit("thinking", thought, spoken)
            self._enter("text", rest)
            return
        kept = _begun_tag(self._held)
        self._emit("thinking", self._held[: len(self._held) - kept], spoken)
        self._held = self._held[len(self._held) - kept :]

    def _enter(self, state: Literal["thinking", "text"], rest: str) -> None:
        self._state, self._held, self._trims = state, rest, True

    def _emit(self, kind: Literal["text", "thinking"], text: str, spoken: Spoken) -> None:
        if self._trims:
            text = text.lstrip()
            self._trims = not text
        if text:
            spoken.append((kind, text))


def _begun_tag(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    longest = min(len(CLOSING) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if CLOSING.startswith(text[-size:])), 0)

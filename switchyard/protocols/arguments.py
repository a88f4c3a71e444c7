"""Follow the arguments of one tool call as they come in: what each piece adds, and when they are complete."""

import re

from switchyard.protocols.wire import is_json, may_become_json

IN_STRING = re.compile(r'["\\]')
OUTSIDE = re.compile(r'["{}\[\]]')
MAX_BLANK = 500
"""Some models fall into an endless run of whitespace; no honest arguments hold that much."""
EMPTY_OBJECT = "{}"


class EndlessBlank(Exception):
    """The model writes nothing but whitespace."""


class Arguments:
    """The JSON text of a call's arguments, piece by piece.

    `is_complete`: an object with something in it has been closed, so that nothing can follow. A lone `{}` is
    held back: some servers send it as a placeholder before the real arguments. `is_raw`: free text, which is no JSON.
    """

    __slots__ = (
        "_blank",
        "_depth",
        "_escaped",
        "_held",
        "_in_string",
        "_pieces",
        "is_complete",
        "is_raw",
        "size",
    )

    def __init__(self, is_raw: bool = False) -> None:
        self.is_raw = is_raw
        self._pieces: list[str] = []
        self._held = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._blank = 0
        self.size = 0
        self.is_complete = False

    @property
    def text(self) -> str:
        return "".join(self._pieces) or self._held

    @property
    def is_object(self) -> bool:
        """Begins like an object; anything else (a string with JSON inside) makes sense only as a whole."""
        for piece in self._pieces:
            if begun := piece.lstrip():
                return begun.startswith("{")
        return False

    def take(self, piece: str) -> str:
        """What the piece adds. Raises EndlessBlank."""
        if not piece:
            return ""
        if self._in_string and len(piece) < self.size and '"' not in piece and "\\" not in piece:
            # nearly all pieces are these: they only go on with a string
            self._escaped = False
        elif not self.is_raw:
            if piece.isspace():
                self._count_blank(piece)
            else:
                self._blank = 0
            if self.is_complete or not (self.size or self._begins(piece)):
                return ""
            if len(piece) >= self.size >= 2:
                piece = self._news(piece)
            piece = self._scanned(piece)
        self._pieces.append(piece)
        self.size += len(piece)
        return piece

    def is_valid(self) -> bool:
        return self.is_complete or is_json(self.text)

    def rest_of(self, whole: str) -> str:
        """What has not come yet of the whole text; nothing if it is another text."""
        before = self.text if self.size else ""
        return whole[len(before) :] if whole.startswith(before) else ""

    def _begins(self, piece: str) -> bool:
        """True for the first piece with content; a lone `{}` is held back."""
        begun = piece.strip()
        if begun == EMPTY_OBJECT:
            self._held = EMPTY_OBJECT
            return False
        if not begun or (self._held and not begun.startswith("{")):
            return False
        self._held = ""
        return True

    def _news(self, piece: str) -> str:
        """The end of a piece that repeats all that came before: some servers send snapshots."""
        before = self.text
        if piece.startswith(before) and not may_become_json(before + piece):
            return piece[len(before) :]
        return piece

    def _scanned(self, piece: str) -> str:
        """The piece up to the end of the object."""
        if not self.size and piece.endswith("}") and is_json(piece) and self._is_filled_object(piece):
            self.is_complete = True
            return piece
        position = int(self._escaped)
        self._escaped = False
        while sign := (IN_STRING if self._in_string else OUTSIDE).search(piece, position):
            position = sign.end()
            match sign.group():
                case "\\":
                    self._escaped = position == len(piece)
                    position += 1
                case '"':
                    self._in_string = not self._in_string
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0 and self._is_filled_object(piece[:position]):
                        self.is_complete = True
                        return piece[:position]
        return piece

    def _is_filled_object(self, end: str) -> bool:
        if self.size > 64:
            return self.is_object
        whole = ("".join(self._pieces) + end).strip()
        return whole.startswith("{") and whole[1:-1].strip() != ""

    def _count_blank(self, piece: str) -> None:
        self._blank = 0 if self._in_string else self._blank + len(piece)
        if self._blank > MAX_BLANK:
            raise EndlessBlank

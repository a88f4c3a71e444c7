"""What all client files share: their text encoding, and the error for an unreadable file."""

from collections.abc import Callable, Mapping

import msgspec

Path = tuple[str, ...]
"""names from the root to a key: ("env", "ANTHROPIC_BASE_URL")"""
Changes = Mapping[Path, str | None]
"""the new text of the value at each path; None removes the key"""

BYTE_ORDER_MARK = "\ufeff"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Unparsable(Exception):
    """The user's file cannot be parsed and is left unchanged; the message names the position."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
        self.line, self.column = line, column


class Refused(Unparsable):
    """The client itself does not use a file in this form, so no set-up is written; `remedy` is what the user can do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class NeedsModel(Refused):
    """Nothing is wrong with the file, but the client must be told a model."""


def left_unchanged(path: object, error: Unparsable) -> str:
    """The sentence for the user about a file that cannot be edited."""
    if isinstance(error, Refused):
        return f"{path} is left unchanged: {error}. {error.remedy}"
    return f"{path} cannot be read and is left unchanged: {error}"


class Decoded(msgspec.Struct, frozen=True):
    """A decoded text file that can be encoded again byte for byte."""

    text: str
    mark: str

    def encode(self, text: str) -> bytes:
        return (self.mark + text).encode()


def decode(content: bytes) -> Decoded:
    """Raises Unparsable for anything except UTF-8."""
    if content.startswith(UTF_16_MARKS):
        raise Unparsable("UTF-16 text; save it again as UTF-8")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line, column = place_of(content[: error.start].decode(errors="replace"))
        raise Unparsable("not UTF-8 text", line, column) from None
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    return Decoded(text.removeprefix(mark), mark)


def place_of(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def cut(text: str, start: int, end: int, replacement: str = "") -> str:
    return text[:start] + replacement + text[end:]


def changed_one_by_one(
    text: str, changes: Changes, put: Callable[[str, Path, str], str], drop: Callable[[str, Path], str]
) -> str:
    for path, value in changes.items():
        text = drop(text, path) if value is None else put(text, path, value)
    return text

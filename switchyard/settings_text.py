"""Decode the text of the settings file: strict JSON, with line and column for every error.

Comments and trailing commas are refused by name, because saving the file could not keep them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import msgspec

from switchyard.faults import HIDDEN, STEP, Fault, Place, SettingsError, child, names_in, shown
from switchyard.protocols.capabilities import Capabilities
from switchyard.settings import Settings

MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
IN_UTF_16 = "UTF-16; save it again as UTF-8"
ONLY_ZEROS = "only zero bytes, as a power cut may leave them; restore an earlier version"
TOO_DEEP = Fault("$", "JSON", "brackets nested too deeply")

# strings are matched so that comment signs inside them do not count; an address without quotes is no comment either
NOT_STRICT = re.compile(
    rb"""(?P<string>"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?)|(?P<comment>(?<!:)//[^\n]*|/\*.*?(?:\*/|\Z)|\#[^\n]*)"""
    rb"""|(?P<comma>,)(?=(?:\s|//[^\n]*|/\*.*?\*/|\#[^\n]*)*[}\]])""",
    re.DOTALL,
)
COMMENT = '; delete it, or move its text to the field "note" of an upstream'
EXTRA_COMMA = "a comma after the last entry; delete it"
MOST_LISTED = 10
"""the most comments and commas reported for one file"""
SYNTAX_WORDS = {
    "object keys must be strings": "no name in double quotes",
    "trailing characters": "more after the end",
}
"""messages of the JSON library that are not nouns"""
NAMED_BY_USERS = ("models", "prices", "on_status", "on_error")
"""objects whose member names are not secret"""
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass(frozen=True)
class SettingsText:
    """The JSON of a text, with everything removed that strict JSON forbids."""

    document: dict[str, Any]
    content: bytes
    faults: tuple[Fault, ...]
    """comments and trailing commas"""
    duplicates: tuple[Fault, ...]
    """names that occur twice in one object; the last one counts"""

    def place(self, path: str) -> Place | None:
        """Line and column of the value at this path."""
        offset = self._offsets.get(path)
        return None if offset is None else place_of(self.content, offset)

    @cached_property
    def _offsets(self) -> dict[str, int]:
        # only needed for errors, and slow: a tenth of a second for a large text
        return dict(_located(self.content))


def decode_text(content: bytes) -> SettingsText:
    """Raises SettingsError if the text cannot be decoded."""
    if content and not content.strip(b"\0"):
        raise SettingsError((Fault("$", "valid JSON", ONLY_ZEROS),))
    if content.startswith(UTF_16_MARKS) or b"\0" in content[:2]:
        raise SettingsError((Fault("$", "a file in UTF-8", IN_UTF_16),))
    content = content.removeprefix(MARK)
    faults: tuple[Fault, ...] = ()
    try:
        document = _decoded(content)
    except msgspec.DecodeError:
        faults = tuple(_not_strict(content))[:MOST_LISTED]
        content = _without_extras(content)
        document = _decoded_again(content, faults)
    duplicates = tuple(_duplicates(content)) if _has_duplicates(content) else ()
    return SettingsText(document, content, faults, duplicates)


def _decoded(content: bytes) -> dict[str, Any]:
    """The JSON object. Raises SettingsError, and DecodeError for invalid JSON."""
    try:
        content.decode()
        document = msgspec.json.decode(content)
    except UnicodeDecodeError as error:
        raise SettingsError((_at(Fault("$", "UTF-8 text", "other bytes"), content, error.start),)) from None
    except RecursionError:
        raise SettingsError((TOO_DEEP,)) from None
    if not isinstance(document, dict):
        raise SettingsError((Fault("$", "a JSON object", shown(document)),))
    return document


def _decoded_again(content: bytes, faults: tuple[Fault, ...]) -> dict[str, Any]:
    """The JSON object of a text without its comments and trailing commas; `faults` are those. Raises SettingsError."""
    try:
        return _decoded(content)
    except msgspec.DecodeError as error:
        raise SettingsError((*faults, _syntax_fault(content, str(error)))) from None
    except SettingsError as error:
        raise SettingsError((*faults, *error.faults)) from None


# --- errors of syntax ---------------------------------------------------------


def _not_strict(content: bytes) -> Iterator[Fault]:
    for found in NOT_STRICT.finditer(content):
        if found["comment"]:
            sign = "#" if found["comment"].startswith(b"#") else found["comment"][:2].decode()
            fault = Fault("$", "JSON without comments", f"a {sign} comment{COMMENT}")
            yield _at(fault, content, found.start())
        elif found["comma"]:
            yield _at(Fault("$", "valid JSON", EXTRA_COMMA), content, found.start())


def _without_extras(content: bytes) -> bytes:
    """Comments and trailing commas replaced by blanks; everything else keeps its line and column."""
    return NOT_STRICT.sub(lambda found: found["string"] or re.sub(rb"[^\n]", b" ", found[0]), content)


def _syntax_fault(content: bytes, message: str) -> Fault:
    found = re.search(r"byte (\d+)", message)
    offset = min(int(found[1]), len(content)) if found else len(content)
    if "trailing characters" in message:
        offset -= 1  # the library has already read one of them
    what = message.removeprefix("JSON is malformed: ").split(" (byte")[0]
    what = SYNTAX_WORDS.get(what, what.replace("expected ", "something else than "))
    sign = content[offset:].decode(errors="ignore")[:1]
    if not content.strip():
        what = "an empty file"
    elif "out of range" in what:
        return Fault("$", "valid JSON", "a number that is too large")
    elif not found:
        what = "the end of the file, something is not closed"
    elif what == "invalid character" and sign:
        what = f"the unexpected sign {shown(sign)}"
    return _at(Fault("$", "valid JSON", what), content, offset)


def _at(fault: Fault, content: bytes, offset: int) -> Fault:
    """The error with the line and column of a byte."""
    line, column = place_of(content, offset)
    return msgspec.structs.replace(fault, line=line, column=column)


def place_of(content: bytes, offset: int) -> Place:
    """Line and column of a byte, both counted from 1."""
    before = content[:offset]
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return before.count(b"\n") + 1, column


# --- positions of values --------------------------------------------------


def _has_duplicates(content: bytes) -> bool:
    """Whether a name occurs twice in an object of this valid text. Raises SettingsError."""
    found = False

    def noted(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(members)) < len(members)

    try:
        json.loads(content, object_pairs_hook=noted, parse_int=len, parse_float=len)
    except RecursionError:
        raise SettingsError((TOO_DEEP,)) from None
    return found


def _duplicates(content: bytes) -> Iterator[Fault]:
    first: dict[str, int] = {}
    repeated: set[str] = set()
    for path, offset in _located(content):
        if any(path.startswith((f"{other}.", f"{other}[")) for other in repeated):
            continue
        if path in first:
            repeated.add(path)
            yield _duplicate(path, place_of(content, first[path]), place_of(content, offset))
        first[path] = offset


def _duplicate(path: str, first: Place, again: Place) -> Fault:
    return Fault(_shown_path(path), f"each name only once; line {first[0]} has it too", "it again", *again)


def _shown_path(path: str) -> str:
    """The path up to the first unknown name: that may be a key, or be inside a misspelt `client_keys`."""
    shown_path, last = "$", ""
    for step in STEP.findall(path):
        name = step.removeprefix(".")
        if not (step[1:-1].isdecimal() or name in _known_names() or last in NAMED_BY_USERS):
            return child(shown_path, HIDDEN)
        shown_path, last = shown_path + step, name
    return shown_path


@cache
def _known_names() -> frozenset[str]:
    return names_in(Settings) | names_in(Capabilities)


@dataclass(slots=True)
class _Level:
    """An object or list that is not closed yet."""

    path: str
    is_list: bool
    index: int = 0
    current: str = ""
    """the path of the member whose value comes next"""

    def enter(self, token: bytes) -> tuple[str, bool]:
        """The path of this name or value, and whether it is the first with this path."""
        if self.is_list:
            return f"{self.path}[{self.index}]", True
        if self.current:
            path, self.current = self.current, ""
            return path, False
        self.current = child(self.path, msgspec.json.decode(token, type=str))
        return self.current, True


def _located(content: bytes) -> Iterator[tuple[str, int]]:
    """Path and offset of each member and item of a valid text, in order."""
    levels = [_Level("", True)]
    for token in TOKEN.finditer(content):
        sign, level = token[0], levels[-1]
        if sign in (b"}", b"]"):
            levels.pop()
        elif sign == b",":
            level.index += 1
        elif sign != b":":
            path, is_new = ("$", True) if len(levels) == 1 else level.enter(sign)
            if is_new:
                yield path, token.start()
            if sign in (b"{", b"["):
                levels.append(_Level(path, sign == b"["))

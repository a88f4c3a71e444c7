"""Compare a decoded document with its type, and report every error with its JSON path."""

import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

HIDDEN = "(not shown)"
LONGEST_SHOWN = 60
STEP = re.compile(r'\.\w+|\[\d+\]|\["(?:[^"\\]|\\.)*"\]')
"""separators in a path, before a member or an item"""
LAST_STEP = re.compile(f"(?:{STEP.pattern})\\Z")
QUOTED_WORD = re.compile(r'\["(\w+)"\]')


class Fault(msgspec.Struct, frozen=True):
    """One error: its path (`$.upstreams[0].priority`), the expected and the found value."""

    path: str
    expected: str
    found: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = located(self.path, self.line, self.column)
        return f"{where}: expected {self.expected}" + (f", found {self.found}" if self.found else "")


class SettingsError(Exception):
    """The file cannot be used; `faults` holds every error, `warnings` the parts without effect."""

    def __init__(self, faults: tuple[Fault, ...], warnings: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults
        self.warnings = warnings

    def lines(self) -> tuple[str, ...]:
        """Everything that must be corrected, one line each."""
        return (*map(str, self.faults), *(f"note: {warning}" for warning in self.warnings))


Place = tuple[int, int]
"""line and column of a value in the text of the file, both counted from 1"""
Places = Callable[[str], Place | None]
"""the position of a path, in which plain names are not quoted"""


def nowhere(path: str) -> None:
    """The positions of a document that has no text."""


Finding = tuple[str, str, str]
"""the result of a check: the path below its field, the expected and the found value"""
Meaning = Callable[[Any], Iterator[Finding]]


@dataclass(slots=True)
class Inspection:
    """Collects the errors of each value separately, so that one does not hide the next."""

    meanings: Mapping[tuple[type, str], Meaning]
    """checks beyond types, by struct and field; run if the value has the right type"""
    secrets: frozenset[str]
    """names of fields whose values are never shown"""
    places: Places = nowhere
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def struct(self, kind: type[msgspec.Struct], raw: Any, path: str) -> None:
        if not isinstance(raw, dict):
            self._fault(path, "an object", raw)
            return
        fields = fields_of(kind)
        unknown = [name for name in raw if name not in fields and not name.startswith("$")]
        for name in unknown:
            where = self.where(child(path, name))
            hint = nearest(name, fields.keys() - raw.keys())
            self.warnings.append(f"{where}: unknown field, kept without effect{hint}")
        for name, (hint, required) in fields.items():
            place = f"{path}.{name}"
            if name in raw:
                self._field(kind, name, hint, raw[name], place)
            elif required:
                close = get_close_matches(name, unknown, 1)
                found = f'nothing, but the unknown field "{close[0]}"' if close else "nothing"
                self._add(place, described(hint), found)

    def _field(self, kind: type, name: str, hint: Any, raw: Any, path: str) -> None:
        before = len(self.faults)
        if not (_is_plain(hint) and _fits(hint, None, raw)):
            self.value(hint, raw, path)
        meaning = self.meanings.get((kind, name))
        misfit = any(fault.path == path for fault in self.faults[before:])
        if meaning is not None and raw is not None and not misfit:
            self.note(path, meaning(raw))

    def note(self, path: str, findings: Iterable[Finding]) -> None:
        """The findings of a check that concerns several fields."""
        for below, expected, found in findings:
            self._add(path + below, expected, found)

    def value(self, hint: Any, raw: Any, path: str) -> None:
        hint, meta = unwrapped(hint)
        origin = get_origin(hint)
        if hint is Any:
            return
        if origin in (Union, types.UnionType):
            self._union(hint, raw, path)
        elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            self.struct(hint, raw, path)
        elif origin in (list, tuple) and isinstance(raw, list):
            for index, item in enumerate(raw):
                self.value(get_args(hint)[0], item, f"{path}[{index}]")
        elif origin is dict and isinstance(raw, dict):
            self._map(hint, raw, path)
        elif not _fits(hint, meta, raw):
            self._fault(path, _too_long(meta, raw) or described(hint, meta), raw)

    def _union(self, hint: Any, raw: Any, path: str) -> None:
        """Null if allowed; else the member with the value's own JSON type."""
        members = [member for member in get_args(hint) if member is not type(None)]
        if raw is None and len(members) < len(get_args(hint)):
            return
        fitting = [member for member in members if shape(member) is type(raw)]
        if fitting or len(members) == 1:
            self.value((fitting or members)[0], raw, path)
        else:
            self._fault(path, " or ".join(described(member) for member in members), raw)

    def _map(self, hint: Any, raw: dict[str, Any], path: str) -> None:
        key_hint, value_hint = get_args(hint)
        key_hint, meta = unwrapped(key_hint)
        secret = self._is_secret(path)
        for key, item in raw.items():
            place = child(path, HIDDEN if secret else key, quoted=meta is None)
            if not _fits(key_hint, meta, key):
                self._add(place, described(key_hint, meta), f'"{key}"')
            self.value(value_hint, item, place)

    def _fault(self, path: str, expected: str, raw: Any) -> None:
        self._add(path, expected, HIDDEN if self._is_secret(path) else shown(raw))

    def _add(self, path: str, expected: str, found: str) -> None:
        self.faults.append(Fault(path, expected, found, *self._place(path)))

    def where(self, path: str) -> str:
        """The path, with its position in the text of the file."""
        return located(path, *self._place(path))

    def _place(self, path: str) -> Place | tuple[None, None]:
        """The position of the value, else of its parent: it may be missing, or its name be a secret."""
        while path:
            place = self.places(QUOTED_WORD.sub(r".\1", path))
            if place is not None:
                return place
            path = owner_of(path)
        return None, None

    def _is_secret(self, path: str) -> bool:
        return any(re.split(r"[\[]", part)[0] in self.secrets for part in path.split("."))


def owner_of(path: str) -> str:
    """The path of the parent of this member or item; "" for the whole document."""
    owner = LAST_STEP.sub("", path)
    return "" if owner == path else owner


def located(path: str, line: int | None, column: int | None) -> str:
    return f"{path} (line {line}, column {column})" if line else path


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, for the end of a sentence."""
    close = get_close_matches(name, known, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def described(hint: Any, meta: Meta | None = None) -> str:
    """A description of a value of this type, for a user who edits the file."""
    hint, inner = unwrapped(hint)
    meta = meta or inner
    if meta is not None and meta.title:
        return meta.title
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(hint))
    if origin in (Union, types.UnionType):
        return " or ".join(described(member) for member in get_args(hint) if member is not type(None))
    if hint in (int, float):
        return ("a whole number" if hint is int else "a number") + _span(meta)
    if hint is str:
        return "text that is not empty" if meta is not None and meta.min_length else "text"
    return NAMES.get(origin or hint, "an object")


def _too_long(meta: Meta | None, raw: Any) -> str:
    """The limit that a text exceeds; "" if it is not its length that is wrong."""
    limit = None if meta is None or not isinstance(raw, str) else meta.max_length
    return f"text of at most {limit} characters" if limit is not None and len(raw) > limit else ""


NAMES: dict[Any, str] = {bool: "true or false", list: "a list", tuple: "a list", dict: "an object"}


def shown(value: Any) -> str:
    """The value for a message, short."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def child(path: str, name: str, quoted: bool = False) -> str:
    """The path of a member: `.name`, or `["name"]` if the name is the user's own or not a plain word."""
    if not quoted and re.fullmatch(r"\w+", name):
        return f"{path}.{name}"
    return f"{path}[{shown(name)}]"


@cache
def _is_plain(hint: Any) -> bool:
    """True if it contains no struct whose unknown fields must be checked."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return False
    return all(_is_plain(part) for part in get_args(hint) if not isinstance(part, Meta | str))


@cache
def fields_of(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, bool]]:
    """The type of each field by its name in the file, and whether it is required."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.encode_name: (hints[field.name], field.required) for field in msgspec.structs.fields(kind)}


def names_in(hint: Any) -> frozenset[str]:
    """The names of all fields of this type and of the types inside it."""
    hint, _ = unwrapped(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = fields_of(hint)
        return frozenset(fields).union(*(names_in(inner) for inner, _ in fields.values()))
    return frozenset().union(*map(names_in, get_args(hint)))


def _span(meta: Meta | None) -> str:
    if meta is None:
        return ""
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    parts = (
        f"at least {meta.ge}" if meta.ge is not None else "",
        f"above {meta.gt}" if meta.gt is not None else "",
        f"at most {meta.le}" if meta.le is not None else "",
    )
    limits = " and ".join(part for part in parts if part)
    return f" {limits}" if limits else ""


def unwrapped(hint: Any) -> tuple[Any, Meta | None]:
    """The type without its annotations, and the limits among them."""
    if get_origin(hint) is not Annotated:
        return hint, None
    inner, *marks = get_args(hint)
    return inner, next((mark for mark in marks if isinstance(mark, Meta)), None)


def shape(hint: Any) -> Any:
    """The JSON type of a value; list for tuples."""
    hint, _ = unwrapped(hint)
    origin = get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return dict
    return list if origin is tuple else origin


def _fits(hint: Any, meta: Meta | None, raw: Any) -> bool:
    try:
        msgspec.convert(raw, hint if meta is None else Annotated[hint, meta])
    except msgspec.ValidationError:
        return False
    return True

"""Set Switchyard's keys in the text of a client's file, and remove them later, whatever else has changed."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Protocol

import msgspec

from switchyard.clients.texts import Changes, Path, Unparsable


class Dialect(Protocol):
    """The functions of `json_edit`, `toml_edit` and `yaml_edit`."""

    def data(self, text: str) -> dict[str, Any]: ...
    def render(self, value: Any) -> str: ...
    def raw(self, text: str, path: Path) -> str | None: ...
    def edited(self, text: str, changes: Changes) -> str: ...
    def drop_if_empty(self, text: str, path: Path) -> str: ...


class Touched(msgspec.Struct, frozen=True):
    """A key that was set or removed: its text before and after, None if there was or is no such key."""

    path: tuple[str, ...]
    before: str | None
    after: str | None


class Record(msgspec.Struct, frozen=True):
    """What a set-up has changed in a file, kept to undo it."""

    before: str | None = None
    """the file without the set-up; None if there was none"""
    after: str = ""
    keys: tuple[Touched, ...] = ()


class Edited(msgspec.Struct, frozen=True):
    """The new text, the record of the changes, and notes for the user."""

    text: str
    record: Record
    notes: tuple[str, ...] = ()


def apply_edits(
    dialect: Dialect, text: str | None, wanted: Mapping[Path, Any], record: Record | None = None
) -> Edited:
    """Set the wanted keys; None removes a key. Doing it again changes nothing. Raises Unparsable."""
    before = text
    earlier = {touched.path: touched for touched in record.keys} if record else {}
    text = text or ""
    dialect.data(text)
    stale = [touched for path, touched in earlier.items() if path not in wanted]
    text, _ = _revert(dialect, text, stale, record)
    touched = [_touch(dialect, text, path, value, earlier.get(path)) for path, value in wanted.items()]
    keys = tuple(one for one in touched if one is not None)
    text = _set(dialect, text, wanted)
    return Edited(text, Record(_without_setup(dialect, before, record), text, keys))


def undo_edits(dialect: Dialect, text: str, record: Record) -> Edited:
    """Remove Switchyard's keys and restore the earlier values; keys changed since belong to the user and stay."""
    if text == record.after:
        return Edited(record.before or "", Record())
    dialect.data(text)
    text, notes = _revert(dialect, text, record.keys, record)
    return Edited(text, Record(), tuple(notes))


def _without_setup(dialect: Dialect, text: str | None, record: Record | None) -> str | None:
    """The file as it would be without the earlier set-up."""
    if record is None or text is None:
        return text
    return record.before if text == record.after else undo_edits(dialect, text, record).text


def _touch(dialect: Dialect, text: str, path: Path, value: Any, earlier: Touched | None) -> Touched | None:
    """The entry for the record; None if the key has the wanted value already."""
    current = dialect.raw(text, path)
    after = None if value is None else dialect.render(value)
    if earlier is not None and _same_text(dialect, current, earlier.after):
        return Touched(path, earlier.before, after)
    return None if _same_text(dialect, current, after) else Touched(path, current, after)


def _set(dialect: Dialect, text: str, wanted: Mapping[Path, Any]) -> str:
    data = dialect.data(text)
    changes = {
        path: None if value is None else dialect.render(value)
        for path, value in wanted.items()
        if not same(value_at(data, path), value)
    }
    return _changed(dialect, text, changes, wanted)


def _changed(dialect: Dialect, text: str, changes: Changes, values: Mapping[Path, Any]) -> str:
    """The edited text, which has these values; keys are changed one by one only to name the one that fails."""
    if not changes:
        return text
    try:
        return _verified(dialect, text, changes, values)
    except Unparsable:
        if len(changes) == 1:
            raise
    for path, change in changes.items():
        text = _verified(dialect, text, {path: change}, values)
    return text


def _verified(dialect: Dialect, text: str, changes: Changes, values: Mapping[Path, Any]) -> str:
    expected = dialect.data(text)
    for path, change in changes.items():
        expected = without_key(expected, path) if change is None else with_value(expected, path, values[path])
    edited = dialect.edited(text, changes)
    try:
        found = dialect.data(edited)
    except Unparsable:
        found = None
    if found is None or not same(_without_empty(found), _without_empty(expected)):
        name = ".".join(next(iter(changes)))
        raise Unparsable(f"{name} is written in a form that cannot be edited safely; change it by hand")
    return edited


def _revert(
    dialect: Dialect, text: str, keys: "list[Touched] | tuple[Touched, ...]", record: Record | None
) -> tuple[str, list[str]]:
    notes = []
    for (_, is_new), group in groupby(reversed(keys), lambda one: (one.path[:-1], one.before is None)):
        undone: dict[Path, str | None] = {}
        for touched in group:
            current = dialect.raw(text, touched.path)
            if _same_text(dialect, current, touched.after):
                undone[touched.path] = touched.before
            elif current is not None:
                notes.append(f"{'.'.join(touched.path)} has been changed since and is left unchanged")
        values = {path: _decoded(dialect, old) for path, old in undone.items() if old is not None}
        text = _changed(dialect, text, undone, values)
        if is_new and undone:
            text = _without_empty_owners(dialect, text, next(iter(undone)), record)
    return text, notes


def _without_empty_owners(dialect: Dialect, text: str, path: Path, record: Record | None) -> str:
    """Remove tables that the set-up created."""
    before = dialect.data((record.before if record else None) or "")
    for depth in range(len(path) - 1, 0, -1):
        if value_at(before, path[:depth]) is None and value_at(dialect.data(text), path[:depth]) == {}:
            text = dialect.drop_if_empty(text, path[:depth])
    return text


def _same_text(dialect: Dialect, left: str | None, right: str | None) -> bool:
    if left is None or right is None:
        return left is right
    return left == right or same(_decoded(dialect, left), _decoded(dialect, right))


def _decoded(dialect: Dialect, text: str) -> Any:
    return dialect.data(dialect.edited("", {("value",): text}))["value"]


def value_at(data: Any, path: Path) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def with_value(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy with the value at the path. Raises Unparsable if a parent is not a table."""
    name, *inner = path
    if not inner:
        return {**data, name: value}
    owner = data.get(name, {})
    if not isinstance(owner, dict):
        raise Unparsable(f'"{name}" exists, but is not a table')
    return {**data, name: with_value(owner, tuple(inner), value)}


def without_key(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """A copy without the key at the path."""
    name, *inner = path
    if not inner:
        return {key: value for key, value in data.items() if key != name}
    owner = data.get(name)
    return {**data, name: without_key(owner, tuple(inner))} if isinstance(owner, dict) else data


def _without_empty(value: Any) -> Any:
    """Empty tables are ignored: they appear and disappear with their last key."""
    if not isinstance(value, dict):
        return value
    inner = {name: _without_empty(item) for name, item in value.items()}
    return {name: item for name, item in inner.items() if item != {}}


def same(left: Any, right: Any) -> bool:
    """Equality in which nan equals itself, and 1 equals neither true nor 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left == right or (left != left and right != right))

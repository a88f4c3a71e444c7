"""Set our keys in the text of a client's file and take them back later, whatever else has changed meanwhile."""

import copy
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from switchyard.clients.texts import Path, Unparsable


class Dialect(Protocol):
    """What `json_edit` and `toml_edit` offer."""

    def data(self, text: str) -> dict[str, Any]: ...
    def render(self, value: Any) -> str: ...
    def raw(self, text: str, path: Path) -> str | None: ...
    def put(self, text: str, path: Path, value: str) -> str: ...
    def drop(self, text: str, path: Path) -> str: ...
    def drop_if_empty(self, text: str, path: Path) -> str: ...


class Touched(msgspec.Struct, frozen=True):
    """One key we have set or taken out: its text before and after; None where there was or is no such key."""

    path: tuple[str, ...]
    before: str | None
    after: str | None


class Record(msgspec.Struct, frozen=True):
    """What a set-up has done to a file, kept for its undoing."""

    before: str | None = None
    """the file as it would be without us; None if there was none"""
    after: str = ""
    keys: tuple[Touched, ...] = ()


class Edited(msgspec.Struct, frozen=True):
    """The new text, what to remember of it, and what the user should know."""

    text: str
    record: Record
    notes: tuple[str, ...] = ()


def apply_edits(
    dialect: Dialect, text: str | None, wanted: Mapping[Path, Any], record: Record | None = None
) -> Edited:
    """Sets the wanted keys; None takes a key out. ActionsApi it again changes nothing. Raises Unparsable."""
    before = text
    earlier = {touched.path: touched for touched in record.keys} if record else {}
    text = text or ""
    dialect.data(text)
    stale = [touched for path, touched in earlier.items() if path not in wanted]
    text, _ = _revert(dialect, text, stale, record)
    keys = []
    for path, value in wanted.items():
        touched = _touch(dialect, text, path, value, earlier.get(path))
        if touched is not None:
            keys.append(touched)
        text = _set(dialect, text, path, value)
    return Edited(text, Record(_without_us(dialect, before, record), text, tuple(keys)))


def undo_edits(dialect: Dialect, text: str, record: Record) -> Edited:
    """Takes our keys back and restores what they were; keys changed since are the user's and stay."""
    if text == record.after:
        return Edited(record.before or "", Record())
    dialect.data(text)
    text, notes = _revert(dialect, text, record.keys, record)
    return Edited(text, Record(), tuple(notes))


def _without_us(dialect: Dialect, text: str | None, record: Record | None) -> str | None:
    """The file as it would be now had there been no earlier set-up."""
    if record is None or text is None:
        return text
    return record.before if text == record.after else undo_edits(dialect, text, record).text


def _touch(dialect: Dialect, text: str, path: Path, value: Any, earlier: Touched | None) -> Touched | None:
    """The key's entry in the record; None if it is as wanted without our doing."""
    current = dialect.raw(text, path)
    after = None if value is None else dialect.render(value)
    if earlier is not None and _same_text(dialect, current, earlier.after):
        return Touched(path, earlier.before, after)
    return None if _same_text(dialect, current, after) else Touched(path, current, after)


def _set(dialect: Dialect, text: str, path: Path, value: Any) -> str:
    data = dialect.data(text)
    if same(value_at(data, path), value):
        return text
    if value is None:
        return _verified(dialect, dialect.drop(text, path), without_key(data, path), path)
    return _verified(
        dialect, dialect.put(text, path, dialect.render(value)), with_value(data, path, value), path
    )


def _revert(
    dialect: Dialect, text: str, keys: "list[Touched] | tuple[Touched, ...]", record: Record | None
) -> tuple[str, list[str]]:
    notes = []
    for touched in reversed(keys):
        current = dialect.raw(text, touched.path)
        if not _same_text(dialect, current, touched.after):
            if current is not None:
                notes.append(f"{'.'.join(touched.path)} has been changed since and stays as it is")
            continue
        data = dialect.data(text)
        if touched.before is None:
            changed = dialect.drop(text, touched.path)
            text = _verified(dialect, changed, without_key(data, touched.path), touched.path)
            text = _without_empty_owners(dialect, text, touched.path, record)
        else:
            changed = dialect.put(text, touched.path, touched.before)
            old = _decoded(dialect, touched.before)
            text = _verified(dialect, changed, with_value(data, touched.path, old), touched.path)
    return text, notes


def _without_empty_owners(dialect: Dialect, text: str, path: Path, record: Record | None) -> str:
    """Tables that came with our keys go with them."""
    before = dialect.data((record.before if record else None) or "")
    for depth in range(len(path) - 1, 0, -1):
        if value_at(before, path[:depth]) is None and value_at(dialect.data(text), path[:depth]) == {}:
            text = dialect.drop_if_empty(text, path[:depth])
    return text


def _verified(dialect: Dialect, text: str, expected: dict[str, Any], path: Path) -> str:
    try:
        found = dialect.data(text)
    except Unparsable:
        found = None
    if found is None or not same(_without_empty(found), _without_empty(expected)):
        name = ".".join(path)
        raise Unparsable(f"the way {name} is written there cannot be edited safely; please change it by hand")
    return text


def _same_text(dialect: Dialect, left: str | None, right: str | None) -> bool:
    if left is None or right is None:
        return left is right
    return left == right or same(_decoded(dialect, left), _decoded(dialect, right))


def _decoded(dialect: Dialect, text: str) -> Any:
    return dialect.data(dialect.put("", ("value",), text))["value"]


def value_at(data: Any, path: Path) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def with_value(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy with the value at the path. Raises Unparsable if a table is something else."""
    result = copy.deepcopy(data)
    owner: Any = result
    for name in path[:-1]:
        owner = owner.setdefault(name, {})
        if not isinstance(owner, dict):
            raise Unparsable(f'"{name}" is there, but not as a table')
    owner[path[-1]] = value
    return result


def without_key(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """A copy without the key at the path."""
    result = copy.deepcopy(data)
    owner = value_at(result, path[:-1])
    if isinstance(owner, dict):
        owner.pop(path[-1], None)
    return result


def _without_empty(value: Any) -> Any:
    """Tables with nothing in them come and go with their last key."""
    if not isinstance(value, dict):
        return value
    inner = {name: _without_empty(item) for name, item in value.items()}
    return {name: item for name, item in inner.items() if item != {}}


def same(left: Any, right: Any) -> bool:
    """Equality in which nan is itself, and 1 is neither true nor 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left == right or (left != left and right != right))

"""Read and edit single keys of YAML text; every other byte stays as it is.

The items of a list of mappings are addressed by their `name`. What is written in a form that this does not edit, such
as a file in one pair of braces, is found by reading the result again (`edits`).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from switchyard.clients.texts import Path, Unparsable, cut, newline_of

NAME = "name"
MAX_VALUES = 100_000
MAX_DEPTH = 100
"""a file in which an alias stands for what contains it has endlessly many values"""
Node = Any
"""of PyYAML, which is loaded only where a file is read: each start of the daemon imports this module"""


class Member(NamedTuple):
    """Where a key of the file is: the line on which it begins, what stands behind its colon, its value."""

    start: int
    behind: int
    value: Node


def data(text: str) -> dict[str, Any]:
    """The values. Raises Unparsable."""
    import yaml  # type: ignore[import-untyped]

    try:
        loaded = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else ()
        raise Unparsable(error.problem or "not YAML", *place) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unparsable(f"not YAML ({str(error)[:80]})") from None
    if not isinstance(loaded, dict | None):
        raise Unparsable("expected keys with values")
    _require_end(loaded)
    return {name: _by_name(value) for name, value in (loaded or {}).items()}


def render(value: Any) -> str:
    """JSON, which is YAML, too."""
    return msgspec.json.encode(value).decode()


def raw(text: str, path: Path) -> str | None:
    """The text of the value at the path, with the blanks before it; None if there is none."""
    member = _member(text, path[0])
    if member is None:
        return None
    if len(path) == 1:
        return text[member.behind : _end(text, member.value, member.behind)]
    item = _item(text, member.value, path[1])
    if item is None:
        return None
    # on lines of its own, so that it is the value of any key
    lines = "" if item.flow_style else "\n" + " " * item.start_mark.column
    return lines + text[item.start_mark.index : _end(text, item)]


def put(text: str, path: Path, value: str) -> str:
    """Set the value at the path to this text; a missing list is created."""
    member = _member(text, path[0])
    if len(path) == 1:
        spaced = value if value[:1].isspace() or not value else f" {value}"
        if member is None:
            return _appended(text, f"{path[0]}:{spaced}")
        return cut(text, member.behind, _end(text, member.value, member.behind), spaced)
    line = newline_of(text)
    if member is None:
        return _appended(text, f"{path[0]}:{line}  - {_item_text(value, 4, line)}")
    value_node = member.value
    item = _item(text, value_node, path[1])
    if item is not None:
        behind = _item_text(value, item.start_mark.column, line)
        return cut(text, item.start_mark.index, _end(text, item), behind)
    if value_node.id != "sequence":
        return cut(text, member.behind, member.behind, f"{line}  - {_item_text(value, 4, line)}")
    return _inserted(text, value_node, path[1], value, line)


def drop(text: str, path: Path) -> str:
    """Remove the key, or the item of a list, with its lines."""
    while (member := _member(text, path[0])) is not None:
        if len(path) == 1:
            end = _line_end(text, _end(text, member.value, member.behind))
            text = cut(text, member.start, end)
            continue
        item = _item(text, member.value, path[1])
        if item is None:
            break
        text = _without_item(text, member.value, item)
    return text


def drop_if_empty(text: str, path: Path) -> str:
    return drop(text, path) if data(text).get(path[0]) == {} else text


# --- values -------------------------------------------------------------------------


def _require_end(loaded: Any) -> None:
    """Raises Unparsable if aliases make the values endless, or too many to compare."""
    count, found = 0, [(loaded, 0)]
    while found:
        value, depth = found.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise Unparsable("too many values within each other")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        found += [(one, depth + 1) for one in inner]


def _by_name(value: Any) -> Any:
    """A list of mappings as a mapping by their names, and nothing as an empty one."""
    if value is None or value == []:
        return {}
    if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        return value
    named: dict[str, Any] = {}
    for item in value:
        unique = _name_of(item)
        while unique in named:
            unique += " "
        named[unique] = item
    return named


def _name_of(item: dict[Any, Any]) -> str:
    name = item.get(NAME)
    return name if isinstance(name, str) else repr(item)


# --- places -------------------------------------------------------------------------


def _members(text: str) -> Iterator[tuple[str, Member]]:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise Unparsable("not YAML") from None
    if root is None or root.id != "mapping" or root.flow_style:
        return
    for key, value in root.value:
        colon = text.find(":", key.end_mark.index)
        yield str(key.value), Member(key.start_mark.index, colon + 1, value)


def _member(text: str, name: str) -> Member | None:
    """The last one with this name, as readers choose it."""
    return next((member for found, member in reversed(list(_members(text))) if found == name), None)


def _item(text: str, owner: Node, name: str) -> Node | None:
    items = owner.value if owner.id == "sequence" else []
    return next((item for item in items if _item_name(item) == name), None)


def _item_name(item: Node) -> str:
    pairs = item.value if item.id == "mapping" else []
    return next((str(value.value) for key, value in pairs if key.value == NAME), "")


def _end(text: str, node: Node, least: int = 0) -> int:
    """Where the last sign of the value is: for PyYAML a block of lines ends where the next one begins."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last, least)
    end: int = node.end_mark.index
    return max(least, len(text[:end].rstrip()) if node.id == "scalar" and node.style else end)


def _line_end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


# --- editing ------------------------------------------------------------------------


def _appended(text: str, entry: str) -> str:
    line = newline_of(text)
    gap = "" if not text or text.endswith("\n") else line
    return f"{text}{gap}{entry}{line}"


def _item_text(value: str, indent: int, line: str) -> str:
    """A rendered mapping with one key in each line; what a file had before as it was."""
    try:
        members = msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError:
        return value.lstrip()
    return (line + " " * indent).join(f"{name}: {render(member)}" for name, member in members.items())


def _inserted(text: str, owner: Node, name: str, value: str, line: str) -> str:
    """Behind the items whose name begins with the same word, else as the first one: that is the default."""
    family = name.partition(" ")[0]
    behind = [item for item in owner.value if _item_name(item).partition(" ")[0] == family]
    column = owner.start_mark.column
    between = ", " if owner.flow_style else line + " " * column
    entry = value if owner.flow_style else f"- {_item_text(value, column + 2, line)}"
    if behind:
        place = _end(text, behind[-1])
        return cut(text, place, place, between + entry)
    place = owner.start_mark.index + bool(owner.flow_style)
    return cut(text, place, place, entry + between if owner.value else entry)


def _without_item(text: str, owner: Node, item: Node) -> str:
    start, end = item.start_mark.index, _end(text, item)
    items = owner.value
    place = items.index(item)
    if owner.flow_style:
        if place + 1 < len(items):
            return cut(text, start, items[place + 1].start_mark.index)
        return cut(text, _end(text, items[place - 1]) if place else start, end)
    start = text.rfind("\n", 0, start) + 1
    return cut(text, start, _line_end(text, end))

"""Find the values of YAML text, and where each stands; the items of a list of mappings go by their `name`.

PyYAML is loaded only where a file is read: each start of the daemon imports this module. It takes its time, so that
what was read last is kept.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from switchyard.clients.texts import Unparsable

NAME = "name"
MAX_VALUES = 100_000
MAX_DEPTH = 100
"""a file in which an alias stands for what contains it has endlessly many values"""
Node = Any
"""of PyYAML"""


class Member(NamedTuple):
    """Where a key of the file is: the line on which it begins, what stands behind its colon, its value."""

    start: int
    behind: int
    value: Node


@lru_cache(2)
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


@lru_cache(2)
def _members(text: str) -> dict[str, Member]:
    """The last one with a name, as readers choose it."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise Unparsable("not YAML") from None
    if root is None or root.id != "mapping" or root.flow_style:
        return {}
    return {
        str(key.value): Member(key.start_mark.index, text.find(":", key.end_mark.index) + 1, value)
        for key, value in root.value
    }


def member_of(text: str, name: str) -> Member | None:
    return _members(text).get(name)


def items_of(owner: Node) -> list[Node]:
    return owner.value if owner.id == "sequence" else []


def item_of(owner: Node, name: str) -> Node | None:
    return next((item for item in items_of(owner) if item_name(item) == name), None)


def item_name(item: Node) -> str:
    pairs = item.value if item.id == "mapping" else []
    return next((str(value.value) for key, value in pairs if key.value == NAME), "")


def end_of(text: str, node: Node, least: int = 0) -> int:
    """Where the last sign of the value is: for PyYAML a block of lines ends where the next one begins."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        return end_of(text, last[1] if isinstance(last, tuple) else last, least)
    end: int = node.end_mark.index
    return max(least, len(text[:end].rstrip()) if node.id == "scalar" and node.style else end)


def line_end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


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

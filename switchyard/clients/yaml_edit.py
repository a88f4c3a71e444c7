"""Edit single keys of YAML text; every other byte stays as it is.

The items of a list of mappings are addressed by their `name`. What is written in a form that this does not edit, such
as a file in one pair of braces, is found by reading the result again (`edits`).
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from switchyard.clients.texts import Changes, Path, cut, newline_of
from switchyard.clients.yaml_nodes import Node, end_of, item_name, item_of, items_of, line_end, member_of
from switchyard.clients.yaml_nodes import data as data

Cut = tuple[int, int, str]
"""where to cut from and to, and what comes there"""


def render(value: Any) -> str:
    """JSON, which is YAML, too."""
    return msgspec.json.encode(value).decode()


def raw(text: str, path: Path) -> str | None:
    """The text of the value at the path, with the blanks before it; None if there is none."""
    member = member_of(text, path[0])
    if member is None:
        return None
    if len(path) == 1:
        return text[member.behind : end_of(text, member.value, member.behind)]
    item = item_of(member.value, path[1])
    if item is None:
        return None
    # on lines of its own, so that it is the value of any key
    lines = "" if item.flow_style else "\n" + " " * item.start_mark.column
    return lines + text[item.start_mark.index : end_of(text, item)]


def edited(text: str, changes: Changes) -> str:
    """The items of one list are changed at once: to parse a long file again for each of them takes seconds."""
    for (owner, is_dropped), group in groupby(changes.items(), lambda one: (one[0][:-1], one[1] is None)):
        given = {path[-1]: value or "" for path, value in group}
        if owner:
            text = _without_items(text, owner[0], given) if is_dropped else _with_items(text, owner[0], given)
            continue
        for name, value in given.items():
            text = _without_key(text, name) if is_dropped else _with_key(text, name, value)
    return text


def drop_if_empty(text: str, path: Path) -> str:
    return edited(text, {path: None}) if data(text).get(path[0]) == {} else text


def _with_key(text: str, name: str, value: str) -> str:
    member = member_of(text, name)
    spaced = value if value[:1].isspace() or not value else f" {value}"
    if member is None:
        return _appended(text, f"{name}:{spaced}")
    return cut(text, member.behind, end_of(text, member.value, member.behind), spaced)


def _without_key(text: str, name: str) -> str:
    while (member := member_of(text, name)) is not None:
        text = cut(text, member.start, line_end(text, end_of(text, member.value, member.behind)))
    return text


def _with_items(text: str, key: str, values: Mapping[str, str]) -> str:
    """Set the items of the list under this key to these texts; a missing list is created."""
    member, line = member_of(text, key), newline_of(text)
    if member is None:
        return _appended(text, f"{key}:{_new_list(values, line)}")
    owner = member.value
    if owner.id != "sequence":
        return cut(text, member.behind, member.behind, _new_list(values, line))
    present = {name: item for name in values if (item := item_of(owner, name)) is not None}
    cuts = [
        (item.start_mark.index, end_of(text, item), _item_text(values[name], item.start_mark.column, line))
        for name, item in present.items()
    ]
    missing = {name: value for name, value in values.items() if name not in present}
    return _cut_all(text, [*cuts, *_insertions(text, owner, missing, line)])


def _new_list(values: Mapping[str, str], line: str) -> str:
    families = _families({name: f"{line}  - {_item_text(value, 4, line)}" for name, value in values.items()})
    return "".join(entry for entries in reversed(families.values()) for entry in entries)


def _insertions(text: str, owner: Node, values: Mapping[str, str], line: str) -> Iterator[Cut]:
    """Behind the items whose name begins with the same word, else as the first ones: the first one is the default."""
    column = owner.start_mark.column
    between = ", " if owner.flow_style else line + " " * column
    entries = {
        name: value if owner.flow_style else f"- {_item_text(value, column + 2, line)}"
        for name, value in values.items()
    }
    last = {_family(item_name(item)): item for item in owner.value}
    first: list[str] = []
    for family, new in _families(entries).items():
        if family in last:
            place = end_of(text, last[family])
            yield place, place, "".join(between + entry for entry in new)
        else:
            first = new + first
    if first:
        place = owner.start_mark.index + bool(owner.flow_style)
        yield place, place, between.join(first) + (between if owner.value else "")


def _families(entries: Mapping[str, str]) -> dict[str, list[str]]:
    """The entries by the first word of their names."""
    families: dict[str, list[str]] = {}
    for name, entry in entries.items():
        families.setdefault(_family(name), []).append(entry)
    return families


def _family(name: str) -> str:
    return name.partition(" ")[0]


def _without_items(text: str, key: str, names: Iterable[str]) -> str:
    """Remove the items of the list under this key that have these names, with their lines."""
    member = member_of(text, key)
    items = [] if member is None else items_of(member.value)
    dropped = [item for name in names for item in items if item_name(item) == name]
    if member is None or not dropped:
        return text
    if member.value.flow_style:
        return _without_items(_without_flow_item(text, items, dropped[0]), key, names)
    return _cut_all(
        text,
        [
            (text.rfind("\n", 0, item.start_mark.index) + 1, line_end(text, end_of(text, item)), "")
            for item in dropped
        ],
    )


def _without_flow_item(text: str, items: list[Node], item: Node) -> str:
    start, place = item.start_mark.index, items.index(item)
    if place + 1 < len(items):
        return cut(text, start, items[place + 1].start_mark.index)
    return cut(text, end_of(text, items[place - 1]) if place else start, end_of(text, item))


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


def _cut_all(text: str, cuts: Iterable[Cut]) -> str:
    """From the last to the first, so that the places of the others stay."""
    for start, end, replacement in sorted(cuts, reverse=True):
        text = cut(text, start, end, replacement)
    return text

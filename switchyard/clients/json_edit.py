"""Change single keys in the text of a JSON file; every other byte stays: comments, order, indentation.

Comments and trailing commas are accepted, as editors allow them in settings files.
"""

import json
import re
from functools import lru_cache
from typing import Any

import msgspec

from switchyard.clients.texts import Changes, Path, Unparsable, changed_one_by_one, cut, newline_of, place_of
from switchyard.clients.texts import decode as decode_text

TRIVIA = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\n]*?\*/[ \t]*)*(?://[^\n]*?(?=\r?\n|\Z)|/\*[^\n]*?\*/)")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
DEEPEST = 200


class Node(msgspec.Struct, frozen=True):
    """A value and the position of its text; `members` only for objects."""

    start: int
    end: int
    members: "tuple[Member, ...] | None" = None
    items: "tuple[Node, ...] | None" = None


class Member(msgspec.Struct, frozen=True):
    key: str
    key_start: int
    value: Node
    comma: int | None
    """the position of the comma after the value"""


def data(text: str) -> dict[str, Any]:
    """The object in the text. Raises Unparsable."""
    if not text.strip():
        return {}
    found = _value(text, _root(text))
    assert isinstance(found, dict)
    return found


def not_strict(text: str) -> tuple[int, int] | None:
    """Line and column of the first comment or trailing comma, where strict readers fail; None without."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, error.colno
    return None


def decode(content: bytes) -> Any:
    """The JSON value of a file, of any type. Raises Unparsable."""
    text = decode_text(content).text
    return _value(text, _document(text))


def render(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def raw(text: str, path: Path) -> str | None:
    """The text of the value at the path; None if there is none."""
    member = _member(text, path)
    return None if member is None else text[member.value.start : member.value.end]


def edited(text: str, changes: Changes) -> str:
    return changed_one_by_one(text, changes, put, drop)


def put(text: str, path: Path, value: str) -> str:
    """Set the value at the path to this JSON text; missing parent objects are created."""
    if not text.strip():
        text = "{}" + newline_of(text)
    for depth in range(1, len(path)):
        if raw(text, path[:depth]) is None:
            text = _insert(text, path[:depth], "{}")
    member = _member(text, path)
    if member is not None:
        return cut(text, member.value.start, member.value.end, value)
    return _insert(text, path, value)


def drop(text: str, path: Path) -> str:
    """Remove every occurrence of the key, with its comma and blanks."""
    while True:
        owner = _object(text, path[:-1])
        members = (owner and owner.members) or ()
        index = next((place for place, member in enumerate(members) if member.key == path[-1]), None)
        if index is None:
            return text
        text = _without(text, members, index)


def drop_if_empty(text: str, path: Path) -> str:
    node = _object(text, path)
    return drop(text, path) if node is not None and node.members == () else text


# --- editing ------------------------------------------------------------------


def _insert(text: str, path: Path, value: str) -> str:
    owner = _object(text, path[:-1])
    if owner is None or owner.members is None:
        raise Unparsable(f'"{".".join(path[:-1]) or "the file"}" is not an object')
    entry = f"{render(path[-1])}: {value}"
    if not owner.members:
        return _insert_first(text, owner, entry)
    last = owner.members[-1]
    behind = last.value.end if last.comma is None else last.comma + 1
    comment = REST_OF_LINE.match(text, behind)
    place = comment.end() if comment else behind
    blanks = text[_blanks_before(text, last.key_start) : last.key_start]
    if not blanks and ": " in text[last.key_start : last.value.start]:
        blanks = " "
    if comment and "//" in comment[0] and "\n" not in blanks:
        blanks = newline_of(text) + _line_indent(text, owner.start) + "  "
    if last.comma is not None:
        return cut(text, place, place, blanks + entry + ",")
    return cut(cut(text, place, place, blanks + entry), last.value.end, last.value.end, ",")


def _insert_first(text: str, owner: Node, entry: str) -> str:
    blanks = text[owner.start + 1 : owner.end - 1]
    line, indent = newline_of(text), _line_indent(text, owner.start)
    if blanks.strip():
        # only comments inside: the entry goes after them
        place = owner.start + 1 + len(blanks.rstrip())
        return cut(text, place, place, f"{line}{indent}{_unit(text)}{entry}")
    if "\n" not in text.strip() and owner.start != _root(text).start:
        return cut(text, owner.start + 1, owner.end - 1, entry)
    return cut(text, owner.start + 1, owner.end - 1, f"{line}{indent}{_unit(text)}{entry}{line}{indent}")


def _without(text: str, members: tuple[Member, ...], index: int) -> str:
    member = members[index]
    start = _blanks_before(text, member.key_start)
    if member.comma is not None and index == 0 and len(members) > 1:
        behind = member.comma + 1
        if not (text[member.value.end : member.comma] + text[behind : members[1].key_start]).strip():
            return cut(text, member.key_start, members[1].key_start)
    if member.comma is not None:
        return cut(cut(text, member.comma, member.comma + 1), start, member.value.end)
    text = cut(text, start, member.value.end)
    if index:
        comma = members[index - 1].comma
        assert comma is not None
        return cut(text, comma, comma + 1)
    closing = start + len(text[start:]) - len(text[start:].lstrip())
    alone = text[start - 1] == "{" and text[closing] == "}"
    return cut(text, start, closing) if alone else text


def _blanks_before(text: str, position: int) -> int:
    while position and text[position - 1] in " \t\r\n":
        position -= 1
    return position


def _line_indent(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    found = re.compile(r"[ \t]*").match(text, start)
    return found[0] if found else ""


def _unit(text: str) -> str:
    """One step of indentation, taken from the first key of the file."""
    members = _root(text).members
    if members:
        blanks = text[_blanks_before(text, members[0].key_start) : members[0].key_start]
        if "\n" in blanks:
            return blanks.rpartition("\n")[2] or "  "
    return "  "


# --- finding ------------------------------------------------------------------


def _object(text: str, path: Path) -> Node | None:
    if not path:
        return _root(text)
    member = _member(text, path)
    return None if member is None else member.value


def _member(text: str, path: Path) -> Member | None:
    """The last member of that name, as JSON readers choose it."""
    node, found = (_root(text) if text.strip() else Node(0, 0)), None
    for name in path:
        found = next((member for member in reversed(node.members or ()) if member.key == name), None)
        if found is None:
            return None
        node = found.value
    return found


# --- reading ------------------------------------------------------------------


def _root(text: str) -> Node:
    node = _document(text)
    if node.members is None:
        raise _broken(text, node.start, "an object")
    return node


@lru_cache(2)
def _document(text: str) -> Node:
    """The parts of an edit look into the same text several times."""
    node = _node(text, _skip(text, 0), 0)
    end = _skip(text, node.end)
    if end < len(text):
        raise _broken(text, end, "nothing after the end of the value")
    return node


def _node(text: str, start: int, depth: int) -> Node:
    if depth > DEEPEST:
        raise _broken(text, start, "fewer nested brackets")
    match text[start : start + 1]:
        case "{":
            return _object_node(text, start, depth)
        case "[":
            return _array_node(text, start, depth)
        case '"':
            return Node(start, _string_end(text, start))
        case _:
            found = SCALAR.match(text, start)
            if found is None:
                raise _broken(text, start, "a value")
            return Node(start, found.end())


def _object_node(text: str, start: int, depth: int) -> Node:
    members: list[Member] = []
    position = _skip(text, start + 1)
    while text[position : position + 1] != "}":
        if members and members[-1].comma is None:
            raise _broken(text, position, "a comma or }")
        if text[position : position + 1] != '"':
            raise _broken(text, position, 'a name in "" or }')
        key_end = _string_end(text, position)
        colon = _skip(text, key_end)
        if text[colon : colon + 1] != ":":
            raise _broken(text, colon, "a colon")
        value = _node(text, _skip(text, colon + 1), depth + 1)
        after = _skip(text, value.end)
        comma = after if text[after : after + 1] == "," else None
        members.append(Member(_word(text[position:key_end]), position, value, comma))
        position = after if comma is None else _skip(text, comma + 1)
    return Node(start, position + 1, tuple(members))


def _array_node(text: str, start: int, depth: int) -> Node:
    items: list[Node] = []
    position = _skip(text, start + 1)
    separated = True
    while text[position : position + 1] != "]":
        if not separated:
            raise _broken(text, position, "a comma or ]")
        items.append(_node(text, position, depth + 1))
        position = _skip(text, items[-1].end)
        separated = text[position : position + 1] == ","
        if separated:
            position = _skip(text, position + 1)
    return Node(start, position + 1, None, tuple(items))


def _skip(text: str, position: int) -> int:
    found = TRIVIA.match(text, position)
    return found.end() if found else position


def _string_end(text: str, start: int) -> int:
    found = STRING.match(text, start)
    if found is None:
        raise _broken(text, start, "a complete string in one line")
    return found.end()


def _word(quoted: str) -> str:
    try:
        return msgspec.json.decode(quoted, type=str)
    except msgspec.DecodeError:
        # JSON allows a lone surrogate, which is not valid text
        return quoted


def _value(text: str, node: Node) -> Any:
    if node.members is not None:
        return {member.key: _value(text, member.value) for member in node.members}
    if node.items is not None:
        return [_value(text, item) for item in node.items]
    word = text[node.start : node.end]
    return _word(word) if word.startswith('"') else _scalar(word)


def _scalar(word: str) -> Any:
    try:
        return msgspec.json.decode(word)
    except msgspec.ValidationError:
        # too large for a float: infinite in JavaScript, too
        return float(word)


def _broken(text: str, position: int, expected: str) -> Unparsable:
    sign = text[position : position + 1]
    found = render(sign) if sign else "the end of the file"
    return Unparsable(f"expected {expected}, found {found}", *place_of(text[:position]))

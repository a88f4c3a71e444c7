"""Change single keys in the text of a TOML file; every other byte stays. The result is verified by parsing."""

import re
import tomllib
from typing import Any

import msgspec
import tomli_w

from switchyard.clients.texts import Changes, Path, Unparsable, changed_one_by_one, cut, newline_of, place_of

BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
SPACES = re.compile(r"[ \t]*")
KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
DOT = re.compile(r"[ \t]*\.[ \t]*")
STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL
)
REST_OF_LINE = re.compile(r"[^\n]*\n?")
BARE_END = re.compile(r"[#\n\r]|\Z")
INLINE_BARE_END = re.compile(r"[,\]}#\n\r]|\Z")
ERROR_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
ARRAY_MARK = "[]"


class Entry(msgspec.Struct, frozen=True):
    """A key with its value; `table` is the header above it."""

    path: Path
    table: Path
    start: int
    value_start: int
    value_end: int
    end: int
    """after the line; for a member of an inline table after the value"""
    inline: bool = False


class Header(msgspec.Struct, frozen=True):
    path: Path
    start: int
    end: int


def data(text: str) -> dict[str, Any]:
    """The decoded document. Raises Unparsable."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = ERROR_PLACE.search(message)
        place = (int(found[1]), int(found[2])) if found and found[1] else place_of(text)
        raise Unparsable(ERROR_PLACE.sub("", message), *place) from None
    except RecursionError:
        raise Unparsable("brackets nested too deeply") from None


def render(value: Any) -> str:
    """The value in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{render_key(name)} = {render(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(render(item) for item in value) + "]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def render_key(name: str) -> str:
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def raw(text: str, path: Path) -> str | None:
    """The text of the value at the path, joined to one line; None if there is none."""
    entry = _entry(text, path)
    if entry is not None:
        return text[entry.value_start : entry.value_end]
    value = _value_at(data(text), path)
    return None if value is None else render(value)


def edited(text: str, changes: Changes) -> str:
    return changed_one_by_one(text, changes, put, drop)


def put(text: str, path: Path, value: str) -> str:
    """Set the value at the path to this TOML text; a missing table is appended."""
    entry = _entry(text, path)
    if entry is not None:
        return cut(text, entry.value_start, entry.value_end, value)
    if _value_at(data(text), path) is not None:
        text = drop(text, path)
    owner, name = path[:-1], path[-1]
    entries, headers = scan(text)
    own = [entry for entry in entries if entry.table == owner and not entry.inline]
    if not owner:
        return _insert_line(text, own[-1].end if own else 0, own, f"{render_key(name)} = {value}")
    for header in headers:
        if header.path == owner:
            end = own[-1].end if own else header.end
            return _insert_line(text, end, own, f"{render_key(name)} = {value}")
    dependencies = [
        entry for entry in entries if entry.path == path[: len(entry.path)] and text[entry.value_start] == "{"
    ]
    if dependencies:
        deepest = max(dependencies, key=lambda entry: len(entry.path))
        return _insert_inline(text, entries, deepest, path[len(deepest.path) :], value)
    dotted = [entry for entry in entries if entry.path[: len(owner)] == owner and entry.table != owner]
    dotted = [entry for entry in dotted if len(entry.table) < len(owner) and not entry.inline]
    if dotted:
        key = ".".join(map(render_key, path[len(dotted[-1].table) :]))
        return _insert_line(text, dotted[-1].end, dotted, f"{key} = {value}")
    return _append_table(text, owner, f"{render_key(name)} = {value}")


def drop(text: str, path: Path) -> str:
    """Remove the key with its line, or a whole table with its content."""
    entry = _entry(text, path)
    if entry is not None:
        return _without_member(text, entry) if entry.inline else _without_lines(text, entry.start, entry.end)
    while True:
        entries, headers = scan(text)
        found = [entry for entry in entries if entry.path[: len(path)] == path]
        tables = [header for header in headers if header.path[: len(path)] == path]
        if found:
            last = found[-1]
            text = _without_member(text, last) if last.inline else _without_lines(text, last.start, last.end)
        elif tables:
            text = _without_header(text, tables[-1])
        else:
            return text


def drop_if_empty(text: str, path: Path) -> str:
    """Remove the table if it is empty."""
    entries, headers = scan(text)
    used = any(entry.path[: len(path)] == path for entry in entries if entry.path != path)
    used = used or any(header.path[: len(path)] == path and header.path != path for header in headers)
    if used:
        return text
    entry = _entry(text, path)
    if entry is not None and entry.inline and _value_at(data(text), path) == {}:
        return _without_member(text, entry)
    for header in headers:
        if header.path == path:
            return _without_header(text, header)
    return text


# --- editing ------------------------------------------------------------------


def _insert_line(text: str, place: int, neighbours: list[Entry], line: str) -> str:
    """Insert a line after another one with the same indentation; a missing newline at the end of the file stays so."""
    newline = newline_of(text)
    if neighbours:
        line = text[text.rfind("\n", 0, neighbours[-1].start) + 1 : neighbours[-1].start] + line
    if place and not text[:place].endswith("\n"):
        return cut(text, place, place, newline + line)
    return cut(text, place, place, line + newline)


def _insert_inline(text: str, entries: list[Entry], owner: Entry, rest: Path, value: str) -> str:
    line = ".".join(map(render_key, rest)) + " = " + value
    members = [
        entry for entry in entries if entry.inline and owner.value_start < entry.start < owner.value_end
    ]
    if members:
        last = max(entry.end for entry in members)
        return cut(text, last, last, ", " + line)
    return cut(text, owner.value_start + 1, owner.value_end - 1, f" {line} ")


def _append_table(text: str, path: Path, line: str) -> str:
    newline = newline_of(text)
    header = "[" + ".".join(map(render_key, path)) + "]" + newline + line
    if not text:
        return header + newline
    if text.endswith("\n"):
        return text + newline + header + newline
    return text + newline * 2 + header


def _without_lines(text: str, start: int, end: int) -> str:
    start = text.rfind("\n", 0, start) + 1
    if end == len(text) and not text.endswith("\n") and start:
        start -= 2 if text[:start].endswith("\r\n") else 1
    return cut(text, start, end)


def _without_header(text: str, header: Header) -> str:
    """Also remove the blank line before it."""
    start = text.rfind("\n", 0, header.start) + 1
    for blank in ("\r\n", "\n"):
        if text[:start].endswith("\n" + blank):
            start -= len(blank)
            break
    return _without_lines(text, start, header.end)


def _without_member(text: str, entry: Entry) -> str:
    start, end = entry.start, entry.end
    before, after = text[:start].rstrip(" \t"), SPACES.match(text, end)
    assert after is not None
    if before.endswith(","):
        return cut(text, len(before) - 1, end)
    if text[after.end() : after.end() + 1] == ",":
        following = SPACES.match(text, after.end() + 1)
        assert following is not None
        return cut(text, start, following.end())
    return cut(text, len(before), after.end())


# --- finding ------------------------------------------------------------------


def _entry(text: str, path: Path) -> Entry | None:
    entries, _ = scan(text)
    return next((entry for entry in entries if entry.path == path), None)


def _value_at(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def scan(text: str) -> tuple[list[Entry], list[Header]]:
    """Every key and every table header with its position. Raises Unparsable."""
    data(text)  # the code below relies on valid TOML
    entries: list[Entry] = []
    headers: list[Header] = []
    table: Path = ()
    position = _skip(BLANKS, text, 0)
    while position < len(text):
        if text[position] == "[":
            header = _header(text, position, len(headers))
            headers.append(header)
            table, position = header.path, header.end
        else:
            found = _statement(text, position, table)
            entries += found
            position = found[0].end
        position = _skip(BLANKS, text, position)
    return entries, headers


def _header(text: str, start: int, number: int) -> Header:
    is_array = text.startswith("[[", start)
    path, position = _key(text, _skip(SPACES, text, start + (2 if is_array else 1)))
    end = _skip(REST_OF_LINE, text, position)
    # entries of different elements of an array of tables must not look like one table
    return Header((*path, f"{ARRAY_MARK}{number}") if is_array else path, start, end)


def _statement(text: str, start: int, table: Path) -> list[Entry]:
    """The key that starts here, then the members of its value if that is an inline table."""
    path, position = _key(text, start)
    value_start = _skip(SPACES, text, _skip(SPACES, text, position) + 1)
    members: list[Entry] = []
    value_end = _value_end(text, value_start, BARE_END, (*table, *path), members)
    entry = Entry((*table, *path), table, start, value_start, value_end, _skip(REST_OF_LINE, text, value_end))
    return [entry, *members]


def _key(text: str, start: int) -> tuple[Path, int]:
    parts: list[str] = []
    position = start
    while True:
        found = KEY_PART.match(text, position)
        assert found is not None
        parts.append(_unquoted(found[0]))
        position = found.end()
        dot = DOT.match(text, position)
        if dot is None:
            return tuple(parts), position
        position = dot.end()


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    (name,) = tomllib.loads(f"{part} = 0")
    return str(name)


def _value_end(text: str, start: int, bare_end: re.Pattern[str], path: Path, members: list[Entry]) -> int:
    sign = text[start]
    if sign in "\"'":
        return _skip(STRING, text, start)
    if sign == "[":
        return _array_end(text, start)
    if sign == "{":
        return _inline_table_end(text, start, path, members)
    found = bare_end.search(text, start)
    assert found is not None
    return start + len(text[start : found.start()].rstrip())


def _array_end(text: str, start: int) -> int:
    position = _skip(BLANKS, text, start + 1)
    while text[position] != "]":
        position = _value_end(text, position, INLINE_BARE_END, (), [])
        position = _skip(BLANKS, text, position)
        if text[position] == ",":
            position = _skip(BLANKS, text, position + 1)
    return position + 1


def _inline_table_end(text: str, start: int, path: Path, members: list[Entry]) -> int:
    position = _skip(BLANKS, text, start + 1)
    while text[position] != "}":
        key, behind = _key(text, position)
        value_start = _skip(SPACES, text, _skip(SPACES, text, behind) + 1)
        inner: list[Entry] = []
        full = (*path, *key) if path else ()
        value_end = _value_end(text, value_start, INLINE_BARE_END, full, inner)
        if full:
            members.append(Entry(full, path, position, value_start, value_end, value_end, inline=True))
            members += inner
        position = _skip(BLANKS, text, value_end)
        if text[position] == ",":
            position = _skip(BLANKS, text, position + 1)
    return position + 1


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    assert found is not None
    return found.end()

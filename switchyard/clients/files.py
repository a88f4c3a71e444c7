"""Plan the set-up of one file of a client, and its undoing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from switchyard.clients import texts
from switchyard.clients.edits import Dialect, Edited, Record, apply_edits, same, undo_edits, value_at
from switchyard.clients.plan import SECRET_NAME, Plan, change_of, mode_notes, read_record, record_change
from switchyard.store.files import read_or_none

SECRET = re.compile(SECRET_NAME + r"\Z", re.IGNORECASE)
LOGIN = re.compile(r"//[^/@\s]*@")


class Content(msgspec.Struct, frozen=True):
    """A client's file: its bytes (None if there is no file), its text, its values, the record of a set-up."""

    content: bytes | None
    decoded: texts.Decoded
    data: Mapping[str, Any]
    record: Record | None


def read(dialect: Dialect, path: Path) -> Content:
    """Raises Unparsable."""
    content = read_or_none(path)
    decoded = texts.decode(content or b"")
    return Content(content, decoded, dialect.data(decoded.text), read_record(path))


def plan_edits(
    dialect: Dialect, path: Path, found: Content, wanted: Mapping[texts.Path, Any], private: bool
) -> Plan:
    """What setting these keys changes; None removes a key. Raises Unparsable."""
    text = None if found.content is None else found.decoded.text
    edited = apply_edits(dialect, text, wanted, found.record)
    after = found.decoded.encode(edited.text)
    changes = change_of(path, found.content, after, private=private)
    notes = (*replaced(dialect, found.data, wanted, found.record), *mode_notes(changes))
    if found.content != after:
        # written first, so that a crash in between can be undone
        changes = record_change(path, edited.record) + changes
    return Plan(changes, notes)


def without_setup(dialect: Dialect, path: Path) -> dict[str, Any]:
    """The values of the file as they are without Switchyard's set-up. Raises Unparsable."""
    text, record = texts.decode(read_or_none(path) or b"").text, read_record(path)
    return dialect.data(text if record is None else undo_edits(dialect, text, record).text)


def plan_undo(dialect: Dialect, path: Path) -> Plan:
    """What removing Switchyard's keys would change; other edits of the file stay. Raises Unparsable."""
    content, record = read_or_none(path), read_record(path)
    if record is None:
        return Plan(notes=("There is no set-up to undo.",))
    if content is None:
        return Plan(record_change(path, None))
    decoded = texts.decode(content)
    edited: Edited = undo_edits(dialect, decoded.text, record)
    gone = record.before is None and not dialect.data(edited.text)
    after = None if gone else decoded.encode(edited.text)
    return Plan(change_of(path, content, after) + record_change(path, None), edited.notes)


def replaced(
    dialect: Dialect, data: Mapping[str, Any], wanted: Mapping[texts.Path, Any], record: Record | None
) -> tuple[str, ...]:
    """What of the user's a set-up replaces and removes, in words and without secrets; empty if that is nothing."""
    ours = {touched.path: touched.after for touched in record.keys} if record else {}
    parts = []
    for path, value in wanted.items():
        present = value_at(data, path)
        if present is None or same(present, value) or ours.get(path) == dialect.render(present):
            continue
        name = ".".join(path)
        parts.append(f"{name} is removed" if value is None else f"{name} is replaced{_shown(path, present)}")
    return (f"{'; '.join(parts)}. Undoing the set-up restores this.",) if parts else ()


def _shown(path: texts.Path, value: Any) -> str:
    if SECRET.search(path[-1]) or not isinstance(value, str) or not value:
        return ""
    return f" (now {LOGIN.sub('//', value)})"

"""A set-up as a value: each file before and after, shown first and written after confirmation."""

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import unified_diff
from glob import escape
from pathlib import Path

import msgspec

from switchyard.clients.edits import Record
from switchyard.store.files import PRIVATE_FILE, free_name, is_open, read_or_none, target_of, write_whole

RECORD_SUFFIX = ".switchyard-undo.json"
KEPT_BACKUPS = 20
"""of each file"""
STAMPED = re.compile(r"(?P<time>\d{8}-\d{6})(?:-(?P<number>\d+))?")
SECRET_NAME = r"(?:[\w.-]*(?:token(?!s)|secret|password|passwd|api[_-]?key|x-api-key|authorization)[\w.-]*)"
SECRET_LINE = re.compile(rf"""(["']?{SECRET_NAME}["']?\s*[:=]\s*)(["'])(?:\\.|(?!\2).)+\2""", re.IGNORECASE)


class ChangedMeanwhile(Exception):
    """A file has changed since the plan was made; nothing has been written."""


class FileChange(msgspec.Struct, frozen=True):
    """None means that the file does not exist, or will not."""

    path: Path
    before: bytes | None
    after: bytes | None
    ours: bool = False
    """a file that belongs to Switchyard alone: not backed up"""
    private: bool = False
    """the change adds a key: only the owner may read the file, whatever its mode was"""

    @property
    def narrows(self) -> bool:
        """True if other users can read the file now, and will not afterwards."""
        return self.private and is_open(self.path)

    @property
    def is_shown(self) -> bool:
        """False for the record that undoing needs, which is not meant to be read."""
        return not self.path.name.endswith(RECORD_SUFFIX)

    def diff(self) -> str:
        """The change as a unified diff; values that look secret are hidden."""
        lines = unified_diff(_lines(self.before), _lines(self.after), str(self.path), str(self.path))
        return "".join(SECRET_LINE.sub(r"\1\2(not shown)\2", line) for line in lines)


class Endpoint(msgspec.Struct, frozen=True):
    """Where a client sends its requests: base URL, protocol, key ("" if it is not known)."""

    base_url: str
    protocol: str
    key: str = ""


class Plan(msgspec.Struct, frozen=True):
    changes: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()
    previous: Endpoint | None = None
    """the endpoint that the client has used so far, if it can become an upstream"""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def revision(self) -> str:
        """Changes as soon as the plan changes."""
        mark = hashlib.sha256()
        for change in self.changes:
            mark.update(repr((str(change.path), change.before, change.after, change.private)).encode())
        return mark.hexdigest()[:16]

    def diff(self) -> str:
        return "".join(change.diff() for change in self.changes if change.is_shown)


def apply(plan: Plan, stamp: str) -> tuple[Path, ...]:
    """Write the plan; returns the backups. Raises ChangedMeanwhile or OSError."""
    for change in plan.changes:
        if read_or_none(change.path) != change.before:
            raise ChangedMeanwhile(
                f"{change.path} has changed in the meantime. Nothing was written; start again."
            )
    backups = []
    for change in plan.changes:
        if change.before not in (None, change.after) and not change.ours:
            backups.append(free_name(change.path.with_name(f"{change.path.name}.backup-{stamp}")))
            write_whole(backups[-1], change.before)
            _drop_old_backups(change.path, backups[-1])
        if change.after is None:
            target_of(change.path).unlink(missing_ok=True)
        else:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(change.path, change.after, PRIVATE_FILE if change.private else None)
    return tuple(backups)


def change_of(
    path: Path, before: bytes | None, after: bytes | None, ours: bool = False, private: bool = False
) -> tuple[FileChange, ...]:
    """The change as a tuple of one item, or an empty tuple if nothing changes."""
    change = FileChange(path, before, after, ours, private)
    return () if before == after and not change.narrows else (change,)


def mode_notes(changes: Iterable[FileChange]) -> tuple[str, ...]:
    """What the diff does not show: which files other users can no longer read."""
    return tuple(
        f"{change.path} holds a key and can be read by other users of this machine: access is limited to you (0600)."
        for change in changes
        if change.narrows
    )


def record_path(path: Path) -> Path:
    """Beside the client's file, so that any copy of Switchyard finds it."""
    return path.with_name(path.stem + RECORD_SUFFIX)


def read_record(path: Path) -> Record | None:
    """The record of an earlier set-up of this file; None if there was none."""
    content = read_or_none(record_path(path))
    try:
        return None if content is None else msgspec.json.decode(content, type=Record)
    except msgspec.MsgspecError:
        return None


def record_change(path: Path, record: Record | None) -> tuple[FileChange, ...]:
    noted = record_path(path)
    after = None if record is None else msgspec.json.encode(record)
    # it contains the whole file, key included
    return change_of(noted, read_or_none(noted), after, ours=True, private=after is not None)


def _drop_old_backups(path: Path, made: Path) -> None:
    """Keep the newest ones, and the one just made: the clock may have been set back. What only looks like one stays."""
    found = []
    for backup in path.parent.glob(f"{escape(path.name)}.backup-*"):
        stamp = STAMPED.fullmatch(backup.name.removeprefix(f"{path.name}.backup-"))
        if stamp is not None:
            found.append((stamp["time"], int(stamp["number"] or 1), backup))
    older = [backup for _, _, backup in sorted(found)[:-KEPT_BACKUPS] if backup != made]
    for backup in older:
        # one that cannot be removed does no harm
        with suppress(OSError):
            backup.unlink()


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode(errors="replace").replace("\r\n", "\n")
    return [line + "\n" for line in text.removesuffix("\n").split("\n")] if text else []

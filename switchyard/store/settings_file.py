"""Keep the settings current: read from one file, watched for edits, written atomically, with a history.

`SettingsFile.settings` is always valid: an error in the file sets `faults` and keeps the last valid settings.
"""

import asyncio
import hashlib
import os
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from switchyard import importing
from switchyard.default_settings import default_document
from switchyard.faults import Fault, SettingsError
from switchyard.schema import json_schema
from switchyard.settings import Settings
from switchyard.settings_text import SettingsText, decode_text
from switchyard.settings_validation import Parsed, parse
from switchyard.store.files import ensure_folder, make_private, read_or_none, target_of, write_whole

FILE_NAME = "all_configs.json"
SCHEMA_NAME = "all_configs.schema.json"
LEGACY_COPY = "all_configs.legacy"
HISTORY = "history"
KEPT_VERSIONS = 20
VERSION_ID = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}\Z")
POLL_SECONDS = 2.0
SETTLE_SECONDS = 0.15
SETTLE_TRIES = 4
NOT_KEPT = "An earlier version of the file is not in its history"
WITHOUT_SCHEMA = "editors cannot complete the fields of the settings"
MISSING = Fault("$", "the settings file", "no file of that name; the last good settings stay in use")

Signature = tuple[str, int, int, int, int]


class StaleRevision(Exception):
    """The file on disk is newer than the one the change was based on; it is kept."""


class Version(msgspec.Struct, frozen=True):
    """One earlier version of the file."""

    id: str
    time: float
    size: int


class SettingsFile:
    """The settings of one data folder. Methods may be called from any thread."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.settings = Settings()
        self.document: dict[str, Any] = {}
        self.revision = ""
        """of the file behind the current settings"""
        self.disk_revision = ""
        """of the file on disk; differs from `revision` while that file has errors"""
        self.faults: tuple[Fault, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self.is_legacy = False
        self._clock = clock
        self._content = b""
        self._busy = threading.RLock()
        self._announce: Callable[[], None] = _nothing

    def load(self, create: bool = True) -> None:
        """Read the file, after writing the initial one on a first start.

        Raises SettingsError, and OSError if the initial one cannot be written.
        """
        try:
            if create:
                ensure_folder(self.folder)
                make_private(target_of(self.path))
            content = read_or_none(self.path)
        except OSError as error:
            raise SettingsError(_faults_of(error, Path(error.filename or self.path))) from None
        if content is None and not create:
            raise SettingsError((Fault(str(self.path), "a settings file", "no file"),))
        notes = self._write_schema() if create else ()
        if content is None:
            content = encode_document(default_document())
            write_whole(self.path, content)
            if self.history():
                notes += (f"The file was missing and was created anew. {self.earlier_versions}",)
        self.disk_revision = revision_of(content)
        self._adopt(content)
        self.warnings += notes

    @property
    def earlier_versions(self) -> str:
        """Where they are, as a sentence; "" if there are none."""
        return f"Its earlier versions are in {self.folder / HISTORY}." if self.history() else ""

    def save(self, document: dict[str, Any], base_revision: str) -> str:
        """Replace the file; returns its new revision. Raises SettingsError, StaleRevision or OSError."""
        if importing.is_legacy(document):
            document = importing.from_legacy(document).document
        parse(document)
        return self._replace(encode_document(document), base_revision)

    def restore(self, id: str, base_revision: str) -> str:
        """Make an earlier version the current one, in its own format. Raises as `save`, and KeyError."""
        content = self.version(id)
        read_settings(content)
        return self._replace(content, base_revision)

    def history(self) -> list[Version]:
        """The earlier versions, newest first."""
        found = []
        for path in (self.folder / HISTORY).glob("*.json"):
            if VERSION_ID.match(path.stem):
                found.append(Version(path.stem, _time_of(path.stem), path.stat().st_size))
        return sorted(found, key=lambda version: version.id, reverse=True)

    def version(self, id: str) -> bytes:
        """The content of an earlier version. Raises KeyError."""
        content = read_or_none(self._version_path(id)) if VERSION_ID.match(id) else None
        if content is None:
            raise KeyError(id)
        return content

    def replace_in_history(self, key: str, instead: str) -> None:
        """Replace a key that was moved elsewhere, so that no earlier version contains it."""
        with self._busy:
            for version in self.history():
                try:
                    document = decode_text(self.version(version.id)).document
                except (KeyError, SettingsError):
                    continue
                if _replace_key(document, key, instead):
                    write_whole(self._version_path(version.id), encode_document(document))

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Watch the file until cancelled; calls back in this event loop when settings or errors have changed."""
        loop = asyncio.get_running_loop()
        known: Signature | None = None
        self._announce = lambda: _call_soon(loop, on_change)
        try:
            async with aclosing(self._changes()) as changes:
                async for _ in changes:
                    seen = self._signature()
                    if seen != known:
                        known = seen
                        await self._reread()
                    elif self.faults:
                        with self._busy:
                            self._keep_if_possible(self._content)
        finally:
            self._announce = _nothing

    def reread(self) -> None:
        """Use the file on disk now; its errors are in `faults`."""
        self._refresh(final=True)

    # --- reading --------------------------------------------------------------

    def _adopt(self, content: bytes) -> None:
        """Make this content the current settings. Raises SettingsError without changing anything."""
        loaded = read_settings(content)
        self.settings, self.document = loaded.parsed.settings, loaded.document
        self.warnings, self.is_legacy = loaded.parsed.warnings + loaded.notes, loaded.is_legacy
        self.faults = ()
        self.revision = revision_of(content)
        self._content = content

    async def _reread(self) -> None:
        """Use the file on disk; waits a moment for an editor that is still writing."""
        for _ in range(SETTLE_TRIES):
            if self._refresh(final=False):
                return
            await asyncio.sleep(SETTLE_SECONDS)
        self._refresh(final=True)

    def _refresh(self, final: bool) -> bool:
        """Read the file once; False if it cannot be used now but may be complete later."""
        with self._busy:
            before = (self.revision, self.faults, self.warnings)
            previous = self._content
            try:
                content = read_or_none(self.path)
                self.disk_revision = revision_of(content)
                if content is None:
                    raise SettingsError((MISSING,))
                if content != previous or self.faults:
                    self._adopt(content)
                if content != previous:
                    self._keep_if_possible(previous)
            except (SettingsError, OSError) as error:
                if not final:
                    return False
                self.faults = _faults_of(error, self.path)
                self.warnings = error.warnings if isinstance(error, SettingsError) else ()
                # nothing but the memory has the settings in use, and the daemon may end before the file is whole
                self._keep_if_possible(previous)
            changed = before != (self.revision, self.faults, self.warnings)
        if changed:
            self._announce()
        return True

    # --- writing --------------------------------------------------------------

    def _replace(self, content: bytes, base_revision: str) -> str:
        with self._busy:
            on_disk = read_or_none(self.path)
            if on_disk is not None and revision_of(on_disk) != base_revision:
                raise StaleRevision(
                    f"{FILE_NAME} has been changed on disk since it was read. "
                    "Nothing was saved: load it again and repeat the change."
                )
            if on_disk is not None and on_disk != content:
                self._keep_legacy(on_disk)
                self._keep(on_disk)
            write_whole(self.path, content)
            self._adopt(content)
            self.disk_revision = self.revision
        self._announce()
        return self.revision

    def _keep(self, content: bytes) -> None:
        """Add the outgoing content to the history, and drop the oldest version."""
        if not content:
            return
        versions = self.history()
        digest = revision_of(content)[:8]
        if versions and versions[0].id.endswith(digest):
            return
        now = self._clock()
        if versions:
            now = max(now, versions[0].time + 0.001)
        stamp = datetime.fromtimestamp(round(now, 3), UTC)
        ensure_folder(self.folder / HISTORY)
        write_whole(
            self._version_path(f"{stamp:%Y%m%dT%H%M%S}{stamp.microsecond // 1000:03d}Z-{digest}"), content
        )
        for version in self.history()[KEPT_VERSIONS:]:
            self._version_path(version.id).unlink(missing_ok=True)

    def _keep_if_possible(self, content: bytes) -> None:
        """The new settings are in use even if the disk is full."""
        self.warnings = tuple(warning for warning in self.warnings if not warning.startswith(NOT_KEPT))
        try:
            self._keep(content)
        except OSError as error:
            self.warnings += (f"{NOT_KEPT}: {error.strerror or error}",)

    def _keep_legacy(self, content: bytes) -> None:
        """Keep a file in the legacy format forever, as another program may still need it."""
        try:
            if not importing.is_legacy(decode_text(content).document):
                return
        except SettingsError:
            return
        copy = self.folder / f"{LEGACY_COPY}.json"
        number = 1
        while (kept := read_or_none(copy)) is not None and kept != content:
            number += 1
            copy = self.folder / f"{LEGACY_COPY}-{number}.json"
        write_whole(copy, content)

    def _version_path(self, id: str) -> Path:
        return self.folder / HISTORY / f"{id}.json"

    def _write_schema(self) -> tuple[str, ...]:
        """For editors only: the daemon serves without it. Returns the problem, if there is one."""
        schema, path = encode_document(json_schema()), self.folder / SCHEMA_NAME
        try:
            if read_or_none(path) != schema:
                write_whole(path, schema)
        except OSError as error:
            return (f"{path} cannot be written ({error.strerror or error}); {WITHOUT_SCHEMA}.",)
        return ()

    # --- watching -------------------------------------------------------------

    def _signature(self) -> Signature:
        """Changes whenever the file may have changed; cheap enough to be compared often."""
        target = target_of(self.path)
        try:
            status = target.stat()
        except OSError:
            return (str(target), 0, 0, 0, 0)
        # ctime: a file may become readable, or be written with the time of the previous one
        return (str(target), status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)

    async def _changes(self) -> AsyncGenerator[None, None]:
        """Yields at once, at every event near the file, and every two seconds in case no events arrive."""
        yield None
        while True:
            folders = watched_folders(self.path)
            try:
                await asyncio.to_thread(import_module, "watchfiles")  # what it imports delays no start
                yield None
                async with aclosing(_events(folders)) as events:
                    async for _ in events:
                        yield None
                        if watched_folders(self.path) != folders:
                            break
            except (OSError, RuntimeError, ImportError):
                # no inotify watches or file handles left, or a file system without events: polling is enough
                await asyncio.sleep(POLL_SECONDS)
                yield None


class Loaded(msgspec.Struct, frozen=True):
    """The settings of a content, in the current format."""

    document: dict[str, Any]
    parsed: Parsed
    notes: tuple[str, ...] = ()
    is_legacy: bool = False


def read_settings(content: bytes) -> Loaded:
    """The settings in the bytes of a file, in the current or the legacy format. Raises SettingsError."""
    text = decode_text(content)
    if importing.is_legacy(text.document):
        return _read_legacy(text)
    refused = text.faults + text.duplicates
    try:
        parsed = parse(text.document, text.place)
    except SettingsError as error:
        raise SettingsError(_by_place(refused + error.faults), error.warnings) from None
    if refused:
        raise SettingsError(_by_place(refused), parsed.warnings)
    return Loaded(text.document, parsed)


def _by_place(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))


def _read_legacy(text: SettingsText) -> Loaded:
    """A name that occurs twice counts with its last value, as it always did in this format."""
    if text.faults:
        raise SettingsError(text.faults)
    imported = importing.from_legacy(text.document)
    return Loaded(
        imported.document, parse(imported.document), (*imported.notes, *map(str, text.duplicates)), True
    )


def _replace_key(document: dict[str, Any], key: str, instead: str) -> bool:
    """For a document in the current format; True if it contained the key."""
    entries = document.get("upstreams")
    found = False
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        if entry.get("key") == key:
            entry["key"], found = instead, True
        if isinstance(keys := entry.get("keys"), list) and key in keys:
            entry["keys"], found = [instead if one == key else one for one in keys], True
    return found


def encode_document(document: dict[str, Any]) -> bytes:
    """The bytes of a document: indented, in its own order."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def revision_of(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()[:16]


def watched_folders(path: Path) -> frozenset[str]:
    """The folders in which a change can affect `path`: those of each link and of the target."""
    folders = {os.path.realpath(path.parent)}
    for _ in range(40):
        if not path.is_symlink():
            break
        path = path.parent / os.readlink(path)
        folders |= {os.path.realpath(path.parent), os.path.realpath(path.parent.parent)}
    return frozenset(folder for folder in folders if os.path.isdir(folder))


def _events(folders: frozenset[str]) -> AsyncGenerator[object, None]:
    import watchfiles

    return watchfiles.awatch(
        *folders,
        recursive=False,
        debounce=200,
        step=100,  # how often a thread wakes up, even if nothing happens
        rust_timeout=int(POLL_SECONDS * 1000),
        yield_on_timeout=True,
        watch_filter=None,
    )


def _time_of(id: str) -> float:
    stamp = datetime.strptime(id[:15] + id[15:18] + "000", "%Y%m%dT%H%M%S%f")
    return stamp.replace(tzinfo=UTC).timestamp()


def _faults_of(error: SettingsError | OSError, path: Path) -> tuple[Fault, ...]:
    if isinstance(error, SettingsError):
        return error.faults
    return (Fault(str(path), "a file that can be read", error.strerror or str(error)),)


def _call_soon(loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(on_change)


def _nothing() -> None:
    """Used while no one watches."""

"""The settings stay current, and no version of the file is lost."""

import asyncio
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from switchyard.default_settings import default_document
from switchyard.faults import Fault, SettingsError
from switchyard.store import settings_file
from switchyard.store.settings_file import (
    KEPT_VERSIONS,
    SettingsFile,
    StaleRevision,
    encode_document,
    read_settings,
    revision_of,
    watched_folders,
)
from tests.bed.patience import PATIENCE_SECONDS

LEGACY: dict[str, Any] = {
    "api_configs": [
        {"name": "Monday", "base_url": "https://a.example", "key": "sk-1", "time_enabled": [1] * 7}
    ],
    "codex_configs": [{"name": "Monday", "base_url": "https://a.example/openai", "key": "sk-2"}],
}


def document(*names: str, **fields: Any) -> dict[str, Any]:
    entries = [{"name": name, "base_url": f"https://{name}.example", "protocol": "chat"} for name in names]
    return {"upstreams": entries, **fields}


def opened(folder: Path, content: dict[str, Any] | bytes | None = None) -> SettingsFile:
    if content is not None:
        folder.mkdir(exist_ok=True)
        (folder / "all_configs.json").write_bytes(
            content if isinstance(content, bytes) else encode_document(content)
        )
    file = SettingsFile(folder, clock=lambda: 1_700_000_000.0)
    file.load()
    return file


def names_of(file: SettingsFile) -> list[str]:
    return [upstream.name for upstream in file.settings.upstreams]


@contextmanager
def full_disk() -> Iterator[None]:
    """Files can be created and removed, but nothing can be written to them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- loading ------------------------------------------------------------------


def test_a_first_start_writes_the_default_and_its_schema(tmp_path: Path) -> None:
    file = opened(tmp_path / "data")
    assert msgspec.json.decode(file.path.read_bytes()) == default_document() == file.document
    assert names_of(file) == ["demo"]
    assert b'"$defs"' in (tmp_path / "data" / "all_configs.schema.json").read_bytes()
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()} == {
        "all_configs.json": 0o600,
        "all_configs.schema.json": 0o600,
    }


def test_a_check_of_a_missing_file_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no file"):
        SettingsFile(tmp_path / "data").load(create=False)
    assert not (tmp_path / "data").exists()


def test_a_file_with_errors_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        opened(tmp_path, b'{"upstreams": [')
    assert caught.value.faults == (
        Fault("$", "valid JSON", "the end of the file, something is not closed", 1, 16),
    )
    assert (tmp_path / "all_configs.json").read_bytes() == b'{"upstreams": ['


def test_errors_and_unknown_fields_are_reported_together_each_with_its_line() -> None:
    content = b"""{
  "upstreams": [
    {"name": "a", "base_url": "nowhere", // mine
     "protcol": "chat",},
    {"name": "b", "base_url": "https://b", "protocol": "chat",
     "role": "backup", "role": "main"}
  ],
  "failovr": {}
}"""
    with pytest.raises(SettingsError) as caught:
        read_settings(content)
    assert caught.value.lines() == (
        "$.upstreams[0].protocol (line 3, column 5): "
        'expected one of "messages", "chat", "responses", found nothing',
        "$.upstreams[0].base_url (line 3, column 19): "
        'expected an http:// or https:// address, found "nowhere"',
        "$ (line 3, column 42): expected JSON without comments, found a // comment; "
        'delete it, or move its text to the field "note" of an upstream',
        "$ (line 4, column 23): expected valid JSON, found a comma after the last entry; delete it",
        "$.upstreams[1].role (line 6, column 24): "
        "expected each name only once; line 6 has it too, found it again",
        "$.upstreams[1].role (line 6, column 24): "
        'expected one of "primary", "backup", "rescue", found "main"',
        "note: $.failovr (line 8, column 3): unknown field, kept without effect; did you mean `failover`?",
        "note: $.upstreams[0].protcol (line 4, column 6): "
        "unknown field, kept without effect; did you mean `protocol`?",
    )


def test_in_the_legacy_format_a_name_that_occurs_twice_is_only_a_note() -> None:
    loaded = read_settings(
        b'{"api_configs": [{"name": "a", "name": "b", "base_url": "https://b", "key": "k"}]}'
    )
    assert [upstream.name for upstream in loaded.parsed.settings.upstreams] == ["b"]
    assert "each name only once" in loaded.notes[-1]


@pytest.mark.parametrize("fields", [b'"key": "k-1", "key": "k-2"', b'"keys": ["k-1", "k-2"]'])
def test_a_key_is_replaced_in_earlier_versions_that_strict_json_refuses(
    tmp_path: Path, fields: bytes
) -> None:
    file = opened(tmp_path / "data", document("a"))
    file.path.write_bytes(b'{"upstreams": [{"name": "a", ' + fields + b"},]} // k-2")
    file.reread()
    file.save(document("a"), file.disk_revision)
    file.replace_in_history("k-2", "keyring:a")
    assert [b"k-2" in file.version(version.id) for version in file.history()] == [False, False]


def test_an_unusable_folder_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(SettingsError, match="data: expected a file that can be read"):
        SettingsFile(tmp_path / "data").load()


@pytest.mark.parametrize("schema", [b"{}", None], ids=["that of an older version", "missing"])
def test_on_a_full_disk_the_settings_are_loaded_without_their_schema(
    tmp_path: Path, schema: bytes | None
) -> None:
    path = tmp_path / "all_configs.schema.json"
    if schema is not None:
        path.write_bytes(schema)
    (tmp_path / "all_configs.json").write_bytes(encode_document(document("a")))
    with full_disk():
        file = opened(tmp_path)
    assert names_of(file) == ["a"]
    assert file.warnings == (
        f"{path} cannot be written (File too large); editors cannot complete the fields of the settings.",
    )


def test_a_folder_in_the_place_of_the_schema_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / "all_configs.schema.json").mkdir()
    file = opened(tmp_path, document("a"))
    assert names_of(file) == ["a"]
    assert "a folder instead of a file; remove it" in file.warnings[0]


def test_a_first_start_on_a_full_disk_is_no_error_of_the_settings(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large"):
        SettingsFile(tmp_path / "data").load()
    assert not (tmp_path / "data" / "all_configs.json").exists()


def test_the_legacy_file_is_understood_and_not_rewritten(tmp_path: Path) -> None:
    file = opened(tmp_path, LEGACY)
    assert (file.is_legacy, names_of(file)) == (True, ["Monday", "Monday (2)"])
    assert file.warnings == ('codex_configs[0]: renamed from "Monday" to "Monday (2)", names must be unique',)
    assert msgspec.json.decode(file.path.read_bytes()) == LEGACY


def test_a_file_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "all_configs.json").write_bytes(encode_document(document("a")))
    (tmp_path / "all_configs.json").chmod(0o644)
    assert stat.S_IMODE(opened(tmp_path).path.stat().st_mode) == 0o600


# --- saving -------------------------------------------------------------------


def test_a_save_keeps_unknown_fields_and_the_previous_version(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    before = file.path.read_bytes()
    revision = file.save(document("a", "b", mine={"x": 1}), file.revision)
    assert msgspec.json.decode(file.path.read_bytes()) == document("a", "b", mine={"x": 1})
    assert (revision, names_of(file)) == (file.revision, ["a", "b"])
    assert [file.version(version.id) for version in file.history()] == [before]


def test_a_save_based_on_an_older_file_is_refused(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    file.path.write_bytes(encode_document(document("by-hand")))
    with pytest.raises(StaleRevision, match="has been changed on disk"):
        file.save(document("b"), file.revision)
    assert msgspec.json.decode(file.path.read_bytes()) == document("by-hand")


def test_a_save_of_an_invalid_document_changes_nothing(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    with pytest.raises(SettingsError, match="a name of its own"):
        file.save(document("b", "b"), file.revision)
    assert (names_of(file), file.history()) == (["a"], [])


def test_the_first_save_over_the_legacy_file_keeps_a_copy_of_it(tmp_path: Path) -> None:
    file = opened(tmp_path, LEGACY)
    file.save(file.document, file.revision)
    assert msgspec.json.decode((tmp_path / "all_configs.legacy.json").read_bytes()) == LEGACY
    assert (file.is_legacy, names_of(file)) == (False, ["Monday", "Monday (2)"])
    assert "upstreams" in msgspec.json.decode(file.path.read_bytes())


def test_a_document_in_the_legacy_format_is_saved_in_the_new_one(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    file.save(LEGACY, file.revision)
    assert [entry["name"] for entry in file.document["upstreams"]] == ["Monday", "Monday (2)"]


def test_the_last_versions_are_kept_newest_first_and_private(tmp_path: Path) -> None:
    file = opened(tmp_path, document("u0"))
    for number in range(1, KEPT_VERSIONS + 5):
        file.save(document(f"u{number}"), file.revision)
    contents = [msgspec.json.decode(file.version(version.id)) for version in file.history()]
    assert contents == [document(f"u{number}") for number in range(KEPT_VERSIONS + 3, 3, -1)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "history").iterdir()} == {0o600}


def test_a_version_says_when_and_how_large(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    size = file.path.stat().st_size
    file.save(document("b"), file.revision)
    (version,) = file.history()
    assert (version.id[:19], version.time, version.size) == ("20231114T221320000Z", 1_700_000_000.0, size)


def test_an_earlier_version_can_be_restored(tmp_path: Path) -> None:
    file = opened(tmp_path, document("a"))
    file.save(document("b"), file.revision)
    file.restore(file.history()[0].id, file.revision)
    assert (names_of(file), len(file.history())) == (["a"], 2)


@pytest.mark.parametrize("id", ["", "../all_configs", "20231114T221320000Z-00000000"])
def test_a_version_that_is_not_there_is_a_key_error(tmp_path: Path, id: str) -> None:
    with pytest.raises(KeyError):
        opened(tmp_path, document("a")).version(id)


def test_revisions_are_hashes_of_the_bytes() -> None:
    assert revision_of(b"a") == revision_of(b"a") != revision_of(b"b")
    assert revision_of(None) == ""


# --- watching -----------------------------------------------------------------


class Watched:
    """A watched settings file; `change` does something and waits until the watcher has reported it."""

    def __init__(self, file: SettingsFile) -> None:
        self.file = file
        self._said = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Watched":
        self._task = asyncio.create_task(self.file.watch(self._said.set))
        await asyncio.sleep(0)  # lets it begin
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def change(self, act: Callable[[], object]) -> None:
        self._said.clear()
        act()
        await asyncio.wait_for(self._said.wait(), PATIENCE_SECONDS)


def follow(tmp_path: Path, *steps: Callable[[SettingsFile], None]) -> list[tuple[list[str], list[str]]]:
    """Run the steps on a watched file; after each: the names of the upstreams, and the errors."""

    async def run() -> list[tuple[list[str], list[str]]]:
        seen = []
        async with Watched(opened(tmp_path / "data", document("a"))) as watched:
            for step in steps:
                await watched.change(partial(step, watched.file))
                seen.append((names_of(watched.file), [fault.found for fault in watched.file.faults]))
        return seen

    return asyncio.run(run())


def write(*names: str) -> Callable[[SettingsFile], None]:
    return write_raw(encode_document(document(*names)))


def rename_over(*names: str) -> Callable[[SettingsFile], None]:
    def act(file: SettingsFile) -> None:
        aside = file.folder / "editor.tmp"
        aside.write_bytes(encode_document(document(*names)))
        os.replace(aside, file.path)

    return act


def link_to(name: str, *names: str) -> Callable[[SettingsFile], None]:
    """Replaces the file by a link to another folder in one step, as deployment tools do."""

    def act(file: SettingsFile) -> None:
        target = file.folder.parent / name / "settings.json"
        target.parent.mkdir()
        target.write_bytes(encode_document(document(*names)))
        (file.folder / "link.tmp").symlink_to(target)
        os.replace(file.folder / "link.tmp", file.path)

    return act


def write_raw(content: bytes) -> Callable[[SettingsFile], None]:
    def act(file: SettingsFile) -> None:
        file.path.write_bytes(content)

    return act


def test_edits_in_place_renames_and_links_are_followed(tmp_path: Path) -> None:
    seen = follow(tmp_path, write("b"), rename_over("c"), link_to("x", "d"), write("e"), link_to("y", "f"))
    assert seen == [(["b"], []), (["c"], []), (["d"], []), (["e"], []), (["f"], [])]


def with_the_time_of_before(act: Callable[[SettingsFile], None]) -> Callable[[SettingsFile], None]:
    def changed(file: SettingsFile) -> None:
        before = file.path.stat()
        act(file)
        os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return changed


def test_an_edit_of_the_same_size_that_keeps_the_time_of_the_file_is_seen(tmp_path: Path) -> None:
    steps = (write("b"), rename_over("c"), write("d"))
    seen = follow(tmp_path, *map(with_the_time_of_before, steps))
    assert seen == [(["b"], []), (["c"], []), (["d"], [])]


def test_an_edit_is_announced_although_the_previous_version_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "history").write_bytes(b"")
    assert follow(tmp_path, write("b"), rename_over("c")) == [(["b"], []), (["c"], [])]


def test_an_invalid_file_leaves_the_last_good_settings_until_it_is_whole(tmp_path: Path) -> None:
    seen = follow(
        tmp_path, write_raw(b'{"upstreams": ['), write("b"), lambda file: file.path.unlink(), write("c")
    )
    assert seen == [
        (["a"], ["the end of the file, something is not closed"]),
        (["b"], []),
        (["b"], ["no file of that name; the last good settings stay in use"]),
        (["c"], []),
    ]


def test_unknown_fields_are_those_of_the_file_on_disk(tmp_path: Path) -> None:
    file = opened(tmp_path / "data", document("a", kye=1))
    good = file.path.read_bytes()
    first = file.warnings
    file.path.write_bytes(encode_document(document("a", failovr={}, budget=1)))
    file.reread()
    assert (names_of(file), len(file.faults)) == (["a"], 1)
    assert [warning.partition(" (")[0] for warning in file.warnings] == ["$.failovr"]
    file.path.write_bytes(good)
    file.reread()
    assert (file.faults, file.warnings) == ((), first)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), ImportError("watchfiles")])
def test_edits_are_noticed_although_no_events_can_be_had_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tries: list[str] = []

    def import_later(name: str) -> ModuleType:
        tries.append(name)
        if len(tries) == 1:
            raise error
        return import_module(name)

    monkeypatch.setattr(settings_file, "import_module", import_later)
    monkeypatch.setattr(settings_file, "POLL_SECONDS", 0.01)
    assert follow(tmp_path, write("b"), write("c")) == [(["b"], []), (["c"], [])]
    assert tries[:2] == ["watchfiles"] * 2


def test_the_content_an_edit_replaced_is_kept(tmp_path: Path) -> None:
    file = opened(tmp_path / "data", document("a"))

    async def run() -> None:
        async with Watched(file) as watched:
            await watched.change(lambda: write("b")(file))

    asyncio.run(run())
    assert [msgspec.json.decode(file.version(version.id)) for version in file.history()] == [document("a")]


@pytest.mark.parametrize(
    "spoil",
    [write_raw(b""), write_raw(b"{"), lambda file: file.path.unlink()],
    ids=["empty", "broken", "deleted"],
)
def test_the_settings_in_use_are_kept_when_the_file_is_not_usable_any_more(
    tmp_path: Path, spoil: Callable[[SettingsFile], None]
) -> None:
    follow(tmp_path, spoil)
    after_a_restart = SettingsFile(tmp_path / "data")
    versions = after_a_restart.history()
    assert [after_a_restart.version(version.id) for version in versions] == [encode_document(document("a"))]


def test_a_missing_file_is_created_anew_with_a_note_where_its_earlier_versions_are(tmp_path: Path) -> None:
    follow(tmp_path, lambda file: file.path.unlink())
    file = SettingsFile(tmp_path / "data")
    file.load()
    note = f"The file was missing and was created anew. Its earlier versions are in {tmp_path / 'data' / 'history'}."
    assert (names_of(file), file.warnings) == (["demo"], (note,))


def test_a_save_is_announced_like_an_edit(tmp_path: Path) -> None:
    def save(file: SettingsFile) -> None:
        file.save(document("b"), file.revision)

    assert follow(tmp_path, save) == [(["b"], [])]


def test_a_save_is_refused_while_the_file_on_disk_has_errors_unless_based_on_those_bytes(
    tmp_path: Path,
) -> None:
    file = opened(tmp_path / "data", document("a"))

    async def run() -> None:
        async with Watched(file) as watched:
            await watched.change(lambda: file.path.write_bytes(b"{"))
            with pytest.raises(StaleRevision):
                file.save(document("b"), file.revision)
            await watched.change(lambda: file.save(document("b"), file.disk_revision))

    asyncio.run(run())
    assert (names_of(file), file.faults) == (["b"], ())
    earlier = [b"{", encode_document(document("a"))]
    assert [file.version(version.id) for version in file.history()] == earlier


def test_every_folder_on_the_way_of_a_link_is_watched(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "s.json").write_bytes(b"{}")
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "all_configs.json").symlink_to(tmp_path / "current" / "s.json")
    folders = watched_folders(tmp_path / "data" / "all_configs.json")
    assert folders == {str(tmp_path / "data"), str(tmp_path / "v1"), str(tmp_path)}

"""Files are replaced atomically, privately, and without breaking links."""

import os
import stat
from pathlib import Path

import pytest

from switchyard.store.files import ensure_folder, make_private, read_or_none, set_aside, write_whole


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.json", b"x")
    assert ((tmp_path / "a.json").read_bytes(), mode_of(tmp_path / "a.json")) == (b"x", 0o600)


def test_a_file_is_replaced_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_no_temporary_file_stays_behind(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.json", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_mode_of_a_file_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_whole(path, b"new", mode=None)
    assert mode_of(path) == 0o640


def test_a_symbolic_link_stays_one_and_its_target_is_written(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "settings.json"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link = tmp_path / "settings.json"
    link.symlink_to(target)
    write_whole(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")


def test_a_link_to_nothing_creates_its_target(tmp_path: Path) -> None:
    link = tmp_path / "settings.json"
    link.symlink_to(tmp_path / "real.json")
    write_whole(link, b"new")
    assert (tmp_path / "real.json").read_bytes() == b"new"


def test_a_missing_file_reads_as_none(tmp_path: Path) -> None:
    assert read_or_none(tmp_path / "none") is None


def test_folders_are_created_and_closed_to_others(tmp_path: Path) -> None:
    folder = ensure_folder(tmp_path / "a" / "b")
    assert mode_of(folder) == 0o700
    folder.chmod(0o755)
    ensure_folder(folder)
    assert mode_of(folder) == 0o700


def test_a_shared_folder_stays_shared(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(shared, 0o1777)
    make_private(shared, 0o700)
    assert mode_of(shared) == 0o1777


def test_a_bad_file_is_set_aside_under_a_free_name(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        (tmp_path / "stats.json").write_bytes(b"?")
        names.append(set_aside(tmp_path / "stats.json", "20261121").name)
    assert names == ["stats.json.bad-20261121", "stats.json.bad-20261121-2"]

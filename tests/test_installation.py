"""Where this copy is installed and how it is started: in a checkout, installed, or run once."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from switchyard.installation import (
    CHECKOUT,
    InstalledFiles,
    default_data_folder,
    is_checkout,
    is_temporary,
    service_command,
    static_folder,
    user_data_folder,
)

HOME = Path("/home/me")


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "/home/me/.local/share/switchyard"),
        ("linux", {"XDG_DATA_HOME": "/mnt/data"}, "/mnt/data/switchyard"),
        ("linux", {"XDG_DATA_HOME": "relative/path"}, "/home/me/.local/share/switchyard"),
        ("linux", {"XDG_DATA_HOME": ""}, "/home/me/.local/share/switchyard"),
        ("darwin", {"XDG_DATA_HOME": "/mnt/data"}, "/home/me/Library/Application Support/switchyard"),
        ("win32", {"LOCALAPPDATA": "/users/me/local"}, "/users/me/local/switchyard"),
        ("win32", {}, "/home/me/AppData/Local/switchyard"),
        ("freebsd14", {}, "/home/me/.local/share/switchyard"),
    ],
)
def test_an_installed_command_keeps_its_data_where_the_platform_keeps_it(
    platform: str, environment: Mapping[str, str], folder: str
) -> None:
    assert user_data_folder(platform, environment, HOME) == Path(folder)


def test_a_checkout_keeps_everything_beside_app_py() -> None:
    assert (CHECKOUT / "app.py").is_file() and is_checkout()
    assert static_folder() == CHECKOUT / "static"
    assert default_data_folder() == CHECKOUT / "json_data"
    assert service_command() == (sys.executable, str(CHECKOUT / "app.py"))


def test_an_installed_package_has_its_static_files_within(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "switchyard"
    (package / "static").mkdir(parents=True)

    assert not is_checkout(package)
    assert static_folder(package) == package / "static"


@pytest.mark.parametrize(
    ("prefix", "is_in_cache"),
    [("uv/archive-v0/jKoirzx6KoN7tsiK", True), ("pipx/0e49708046bc35b", True), ("tools/switchyard", False)],
)
def test_a_copy_in_a_cache_is_temporary(tmp_path: Path, prefix: str, is_in_cache: bool) -> None:
    """uv and pipx mark their caches, and also each environment."""
    for folder in ("uv", "pipx", prefix):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "CACHEDIR.TAG").touch()

    assert is_temporary(tmp_path / prefix) is is_in_cache


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("first")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a" / "b.py").write_text("another"),
        lambda folder: os.utime(folder / "a" / "b.py", (1, 1)),
        lambda folder: (folder / "a" / "b.py").unlink(),
        lambda folder: written(folder / "new" / "c.py"),
        lambda folder: shutil.rmtree(folder),
    ],
)
def test_a_replaced_removed_or_new_file_is_noticed_for_good(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "package"
    path = written(folder / "a" / "b.py")
    before = path.stat()
    files = InstalledFiles(folder)
    assert not files.have_changed()
    change(folder)
    assert files.have_changed()
    shutil.rmtree(folder, ignore_errors=True)
    os.utime(written(path), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.have_changed()


def test_what_python_file_managers_and_editors_leave_is_no_change(tmp_path: Path) -> None:
    written(tmp_path / "a" / "b.py")
    files = InstalledFiles(tmp_path)
    for left in ("__pycache__/b.cpython-311.pyc", ".DS_Store", ".b.py.swp", ".editor/state"):
        written(tmp_path / "a" / left)
    assert not files.have_changed()

"""Read small files, and write them atomically, so that no reader or power cut leaves half of one."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def read_or_none(path: Path) -> bytes | None:
    """The file's bytes; None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def is_missing(path: Path) -> bool:
    """True if there is no such file; an inaccessible path is not counted as missing."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def target_of(path: Path) -> Path:
    """The file behind symbolic links: dotfiles are often links into a repository."""
    return Path(os.path.realpath(path))


def write_whole(path: Path, content: bytes, mode: int | None = PRIVATE_FILE) -> None:
    """Replace the file in one step. `mode=None` keeps the mode of the file; a new file is private."""
    target = target_of(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
        os.chmod(name, _mode_of(target) if mode is None else mode)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(target.parent)


def ensure_folder(path: Path) -> Path:
    """Create the folder without access for other users."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    make_private(path, PRIVATE_FOLDER)
    return path


def is_open(path: Path) -> bool:
    """True if other users of this machine have access to the file."""
    try:
        return os.name != "nt" and bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def make_private(path: Path, mode: int = PRIVATE_FILE) -> None:
    """Remove the access of other users, if the file belongs to this user."""
    with suppress(OSError):
        now = path.stat()
        # /tmp and the like are shared on purpose
        shared = bool(now.st_mode & stat.S_ISVTX) or path.resolve() == Path(path.anchor or "/")
        if now.st_mode & 0o077 and not shared:
            path.chmod(mode)


def set_aside(path: Path, timestamp: str) -> Path:
    """Rename an unusable file to `name.bad-<timestamp>`; returns the new path."""
    path = target_of(path)
    aside = path.with_name(f"{path.name}.bad-{timestamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.bad-{timestamp}-{number}")
    os.rename(path, aside)
    return aside


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return PRIVATE_FILE


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder, and some network file systems cannot sync one
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove partial files left by a kill: they may hold keys. Call it only while no one else writes."""
    with suppress(OSError):
        for path in (*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")):
            path.unlink(missing_ok=True)

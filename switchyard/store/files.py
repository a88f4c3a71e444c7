"""Read small files, and write them atomically, so that no reader or power cut leaves half of one."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


BINARY = getattr(os, "O_BINARY", 0)
"""without it, Windows would translate line ends"""
AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""a pipe that takes the place of a file at the last moment blocks no one"""
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

NO_PERMISSION = "no permission to write the folder: change its owner or permissions"
REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the folder is read-only: make it writable or choose another one with --data",
    errno.EACCES: NO_PERMISSION,
    errno.EPERM: NO_PERMISSION,
}
"""of a data folder that cannot be written"""


class NotAFile(OSError):
    """A pipe would be read forever and a device without end; `strerror` says what is in the place of the file."""


def open_file(path: Path, flags: int = os.O_RDONLY) -> int:
    """Like `os.open`, but never blocks: raises NotAFile for anything else than a file, and OSError."""
    refuse_others(path)
    return os.open(path, flags | BINARY | AT_ONCE, PRIVATE_FILE)


def refuse_others(path: Path) -> None:
    """Raises NotAFile if the path leads to anything else than a file; a missing one is none."""
    with suppress(FileNotFoundError):
        if kind := KINDS.get(stat.S_IFMT(path.stat().st_mode)):
            raise NotAFile(errno.EINVAL, f"{kind} instead of a file; remove it", str(path))


def remedy_of(error: OSError) -> str:
    """Why the data folder could not be written, with the remedy if it is known."""
    return REMEDIES.get(error.errno or 0, error.strerror or str(error) or type(error).__name__)


def read_or_none(path: Path) -> bytes | None:
    """The file's bytes; None if there is no such file. Raises as `open_file`."""
    try:
        with os.fdopen(open_file(path), "rb") as file:
            return file.read()
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
    """Replace the file in one step; raises OSError. `mode=None` keeps the mode of the file; a new file is private."""
    write_pieces(path, (content,), mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int | None = PRIVATE_FILE) -> None:
    """The same with a content in pieces."""
    target = target_of(path)
    refuse_others(target)  # a link to a device would have the device replaced
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.writelines(pieces)
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


def is_in_place(path: str | Path, handle: int) -> bool:
    """False if the open file was deleted, moved or replaced since."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False


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
    aside = free_name(path.with_name(f"{path.name}.bad-{timestamp}"))
    os.rename(path, aside)
    return aside


def free_name(path: Path, suffix: str = "") -> Path:
    """The path with the suffix, and with a number before it if that name is taken."""
    found, number = path.with_name(path.name + suffix), 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}{suffix}")
    return found


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

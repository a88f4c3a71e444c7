"""Keep a second daemon out of a data folder; the system frees the lock however the first one ends."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from switchyard.store.files import open_file, read_or_none

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = "daemon.lock"
LOCKED_BYTE = 1 << 30  # far after the text, which other processes must be able to read on Windows
HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class LockedError(Exception):
    """Another daemon uses the folder; the message says which one, and what to do."""


class Holder(msgspec.Struct, frozen=True):
    """The daemon that uses a data folder, as far as known."""

    pid: int = 0
    address: str = ""


class DataFolderLock:
    """Held from `acquire` until `release` or the end of the process, even by kill -9."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOCK_NAME
        self._handle: int | None = None

    def acquire(self, address: str = "") -> None:
        """Raises LockedError if another daemon holds it; OSError if the folder cannot be written."""
        handle = open_file(self._path, os.O_RDWR | os.O_CREAT)
        if not _lock(handle):
            os.close(handle)
            raise LockedError(_refusal(self._folder, _read_holder(self._path)))
        self._handle = handle
        self.note(address)

    def note(self, address: str) -> None:
        """Write who holds the lock, for the message of a second daemon; a full disk does not prevent the start."""
        if self._handle is None:
            return
        with suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, msgspec.json.encode({"pid": os.getpid(), "address": address}) + b"\n")

    def release(self) -> None:
        if self._handle is None:
            return
        # the file stays: if it were removed, two daemons could lock two files of the same name
        os.ftruncate(self._handle, 0)
        os.close(self._handle)
        self._handle = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder_of(folder: Path) -> Holder | None:
    """The daemon that uses this data folder now; None if there is none."""
    path = folder / LOCK_NAME
    try:
        handle = open_file(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if _lock(handle) else _read_holder(path)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """True if this process holds the lock now."""
    try:
        if sys.platform == "win32":
            os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        # a file system without locks must not keep the only daemon from starting
        if error.errno not in NO_LOCKS_HERE:
            raise
    return True


def _read_holder(path: Path) -> Holder:
    try:
        return msgspec.json.decode(read_or_none(path) or b"", type=Holder)
    except (OSError, msgspec.MsgspecError):
        return Holder()


def _refusal(folder: Path, holder: Holder) -> str:
    details = ", ".join(
        part for part in (f"process {holder.pid}" if holder.pid else "", holder.address) if part
    )
    other = f"Another Switchyard ({details})" if details else "Another Switchyard"
    return f'{other} already uses the data folder "{folder}". Stop it, or choose another folder with --data.'

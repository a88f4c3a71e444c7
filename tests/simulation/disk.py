"""A disk that becomes full, slow or read-only: real files in memory, and errors and delays in front of them."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tests.simulation.clocks import CLOCKS

State = Literal["fine", "full", "failing", "slow", "torn"]
ERRORS = {"full": errno.ENOSPC, "failing": errno.EIO, "torn": errno.ENOSPC}


class Disk:
    """Its state concerns what is below the folder; everything else works as usual."""

    def __init__(self) -> None:
        self.state: State = "fine"
        self.random = random.Random(0)
        self.folder = "/nowhere/"
        self._is_installed = False

    def reset(self, folder: Path, random: random.Random) -> None:
        self.state, self.folder, self.random = "fine", f"{folder}{os.sep}", random

    def install(self) -> None:
        """Replace the functions of `os` before Switchyard is imported, which binds some of them at import."""
        if self._is_installed:
            return
        self._is_installed = True
        self._write, self._fsync, self._open, self._replace = os.write, os.fsync, os.open, os.replace
        for name in ("write", "fsync", "open", "replace"):
            setattr(os, name, getattr(self, name))

    # --- the functions of `os` ------------------------------------------------------

    def write(self, handle: int, content: Any) -> int:
        if self.state == "torn" and len(content) > 1 and self.random.random() < 0.5:
            return self._write(handle, content[: self.random.randrange(1, len(content))])
        self._meet(is_write=True)
        return self._write(handle, content)

    def fsync(self, handle: int) -> None:
        self._meet(is_write=True)

    def open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        # a full disk still opens the files that it has
        if str(path).startswith(self.folder) and self.state != "torn":
            self._meet(is_write=bool(flags & (os.O_WRONLY | os.O_RDWR)))
        return self._open(path, flags, *arguments, **options)

    def replace(self, source: Any, target: Any, **options: Any) -> None:
        self._meet(is_write=True)
        self._replace(source, target, **options)

    def _meet(self, *, is_write: bool) -> None:
        if self.state == "slow":
            self._pass(self.random.choice((0.0, 0.01, 0.2, 1.5)))
        elif is_write and self.state in ERRORS:
            number = ERRORS[self.state]
            raise OSError(number, os.strerror(number))

    def _pass(self, seconds: float) -> None:
        if CLOCKS.is_in_thread:
            CLOCKS.busy += seconds
        else:
            CLOCKS.awake += seconds


DISK = Disk()


def undisturbed(read: Callable[[], Any]) -> Any:
    """What an onlooker reads, whatever the state."""
    state, DISK.state = DISK.state, "fine"
    try:
        return read()
    finally:
        DISK.state = state

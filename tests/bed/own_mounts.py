"""A daemon with mounts of its own, so that its data folder can become read-only under it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.daemon import Daemon

ENTER = ("nsenter", "--preserve-credentials", "-U", "-m", "-t")


def can_mount() -> bool:
    if not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0


@contextmanager
def own_mounts(daemon: Daemon) -> Iterator[None]:
    """Daemons that start meanwhile do not share their mounts with this process."""
    wrapper = daemon.home / "python"
    wrapper.write_text(f'#!/bin/sh\nexec unshare -rm "{sys.executable}" "$@"\n')
    wrapper.chmod(0o700)
    before, sys.executable = sys.executable, str(wrapper)
    try:
        yield
    finally:
        sys.executable = before


@contextmanager
def read_only(daemon: Daemon) -> Iterator[None]:
    """For the daemon, its data folder looks the same and refuses each write.

    The mount is read-only before it is moved there: it could not become so while the daemon has a file of it open.
    """
    copy = daemon.data.with_name("copy")
    shutil.copytree(daemon.data, copy, ignore=shutil.ignore_patterns("*.tmp"))
    _within(daemon, "mount", "--bind", str(copy), str(copy))
    _within(daemon, "mount", "-o", "remount,bind,ro", str(copy))
    _within(daemon, "mount", "--move", str(copy), str(daemon.data))
    try:
        yield
    finally:
        _within(daemon, "umount", "--lazy", str(daemon.data))


def _within(daemon: Daemon, *command: str) -> None:
    subprocess.run([*ENTER, str(daemon.pid), *command], check=True)

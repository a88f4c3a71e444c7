"""One daemon for one data folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.store.lock import DataFolderLock, Holder, LockedError, holder_of
from tests.bed.patience import PATIENCE_SECONDS

HOLD = """
import sys
from pathlib import Path
from switchyard.store.lock import DataFolderLock
DataFolderLock(Path(sys.argv[1])).acquire("http://127.0.0.1:5101")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_daemon_reports_the_holder_of_the_folder(tmp_path: Path) -> None:
    first = DataFolderLock(tmp_path)
    first.acquire("http://127.0.0.1:5101")
    with pytest.raises(LockedError) as caught:
        DataFolderLock(tmp_path).acquire()
    assert str(caught.value) == (
        f"Another Switchyard (process {os.getpid()}, http://127.0.0.1:5101) already uses the data folder "
        f'"{tmp_path}". Stop it, or choose another folder with --data.'
    )
    first.release()


def test_a_released_folder_is_free(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path):
        assert holder_of(tmp_path) == Holder(os.getpid(), "")
    assert holder_of(tmp_path) is None
    with DataFolderLock(tmp_path):
        pass


def test_a_folder_never_used_has_no_holder(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None


def test_the_address_can_be_noted_later(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path) as lock:
        lock.note("http://localhost:9")
        assert holder_of(tmp_path) == Holder(os.getpid(), "http://localhost:9")


def test_a_killed_daemon_holds_nothing(tmp_path: Path) -> None:
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"held\n"
        assert holder_of(tmp_path) == Holder(holding.pid, "http://127.0.0.1:5101")
        holding.send_signal(signal.SIGKILL)
        holding.wait()
    with DataFolderLock(tmp_path):
        pass


ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from switchyard.store.lock import DataFolderLock, Holder, LockedError, holder_of
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
folder = Path(sys.argv[1])
lock = DataFolderLock(folder)
lock.acquire("http://127.0.0.1:5101")
assert holder_of(folder) == Holder()
try:
    DataFolderLock(folder).acquire()
except LockedError as held:
    sys.stdout.write(str(held))
lock.release()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_full_disk_does_not_prevent_the_lock(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f'Another Switchyard already uses the data folder "{tmp_path}".')

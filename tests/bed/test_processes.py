"""A test that fails while its child still runs must not wait for the child."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.clients import run
from tests.bed.processes import killed_at_end

FOREVER = [sys.executable, "-c", "import time; time.sleep(100_000)"]
LEAVES_A_CHILD = [
    sys.executable,
    "-c",
    f"""
import pathlib, subprocess, time
child = subprocess.Popen({FOREVER!r}, start_new_session=True)
pathlib.Path("child").write_text(str(child.pid))
print("begun", flush=True)
time.sleep(100_000)
""",
]


def test_a_process_is_killed_where_the_test_fails() -> None:
    with pytest.raises(AssertionError), killed_at_end(subprocess.Popen(FOREVER)) as process:
        raise AssertionError
    assert process.returncode not in (0, None)


def test_a_child_in_a_session_of_its_own_is_not_waited_for(tmp_path: Path) -> None:
    """It holds the client's output open; Claude Code and Codex start such children."""
    with pytest.raises(AssertionError, match="took more than 5 s:\nbegun"):
        run(LEAVES_A_CHILD, tmp_path, {}, seconds=5)
    os.kill(int((tmp_path / "work" / "child").read_text()), signal.SIGKILL)

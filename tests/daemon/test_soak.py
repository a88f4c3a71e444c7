"""A short soak: random failures on three upstreams, 32 clients, and nothing lost, leaked or reported wrongly."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads handles and sockets from /proc")


def soak(*arguments: str) -> None:
    command = [sys.executable, str(ROOT / "bench" / "soak.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_fifteen_seconds_of_random_faults_lose_and_leak_nothing() -> None:
    soak("--seconds", "15")


def test_ten_seconds_of_abuse_beside_it_lose_nothing_and_take_no_memory_beyond_the_bound() -> None:
    soak("--seconds", "10", "--abuse")

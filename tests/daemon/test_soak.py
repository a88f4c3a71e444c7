"""A short soak: random faults on three upstreams, 32 clients, and nothing lost, leaked or told wrongly."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads handles and sockets from /proc")


def test_fifteen_seconds_of_random_faults_lose_and_leak_nothing() -> None:
    command = [sys.executable, str(ROOT / "bench" / "soak.py"), "--seconds", "15"]
    soak = subprocess.run(command, capture_output=True, text=True, timeout=120)
    print(soak.stdout)
    assert soak.returncode == 0, soak.stdout[-6000:] + soak.stderr[-2000:]

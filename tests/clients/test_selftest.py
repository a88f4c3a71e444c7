"""The self-test reports no change for the tested versions."""

import os
from pathlib import Path

import pytest

from tests.bed.clients import BIN
from tests.bed.daemon import Daemon
from tests.bed.processes import killed_at_end

pytestmark = pytest.mark.real_clients

SECONDS = 150


def test_the_measured_versions_behave_as_measured(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, environment={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})
    with killed_at_end(daemon.spawn("selftest", "--real-clients")) as process:
        said = process.communicate(timeout=SECONDS)[0].decode()
    assert (process.returncode, said.count("\nok "), "CHANGED" in said) == (0, 19, False), said
    assert not daemon.data.exists()

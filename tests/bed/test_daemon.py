"""The port of a daemon is no other's, whichever test process has made it."""

import itertools
from pathlib import Path

import pytest

from tests.bed import daemon as bed
from tests.bed.daemon import PORTS, Daemon, free_port


def test_another_process_gets_another_port_although_the_daemon_does_not_listen_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(tmp_path)
    monkeypatch.setattr(bed, "_turns", itertools.count(PORTS.index(daemon.port)))

    assert free_port() != daemon.port

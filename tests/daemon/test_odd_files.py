"""A pipe, a device or a folder in the place of each file of the data folder: nothing hangs, one sentence names it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say

if sys.platform == "win32":
    pytest.skip("has no such files", allow_module_level=True)

MONTH = f"usage/{time.strftime('%Y-%m')}.jsonl"


def endless(path: Path) -> None:
    """A device that can be read without end; a link, as only root can make devices."""
    path.symlink_to("/dev/zero")


ODD: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a device": endless,
    "a folder": Path.mkdir,
}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("Served")) as running:
        yield running


@pytest.fixture
def daemon(tmp_path: Path, server: ScriptedUpstream) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, settings(upstream("a", server.url), client_keys={"k": "laptop"}))
    yield daemon
    with suppress(AssertionError):
        daemon.kill()


def put(daemon: Daemon, name: str, kind: str) -> Path:
    path = daemon.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    ODD[kind](path)
    return path


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["all_configs.json", "daemon.lock", "admin_token"])
def test_without_such_a_file_it_does_not_start_and_says_why(daemon: Daemon, name: str, kind: str) -> None:
    path = put(daemon, name, kind)

    code, printed = daemon.command()

    assert (code, "Traceback" in printed) == (1, False)
    assert f"{path}" in printed and f"{kind} instead of a file; remove it" in printed


NEEDLESS = [
    "token_stats.json",
    MONTH,
    "use_now.json",
    "activations.json",
    "price_table.json",
    "logs/switchyard.log",
]


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
@pytest.mark.parametrize("name", NEEDLESS)
def test_without_such_a_file_it_still_serves_and_names_it(daemon: Daemon, name: str, kind: str) -> None:
    path = put(daemon, name, kind)
    device = os.stat("/dev/zero").st_mode

    daemon.start()
    for _ in range(2):
        assert ask(daemon.url, "messages", headers={"x-api-key": "k"}).status == 200
    if (name, kind) != ("logs/switchyard.log", "a device"):  # it takes every line
        wait_until(lambda: path.name in daemon.output, "the sentence")
    daemon.stop()

    assert os.stat("/dev/zero").st_mode == device
    assert not path.is_file(), "it is the user's, and nothing is written over it"


@pytest.mark.parametrize("kind", ODD)
def test_one_that_takes_the_place_of_the_settings_changes_nothing(daemon: Daemon, kind: str) -> None:
    daemon.start()
    path = put(daemon, "all_configs.json", kind)

    wait_until(lambda: daemon.get("/health").json["faults"] > 0, "the error")
    assert ask(daemon.url, "messages", headers={"x-api-key": "k"}).status == 200
    assert f"{kind} instead of a file" in daemon.command("check")[1]
    assert not path.is_file()
    daemon.stop()

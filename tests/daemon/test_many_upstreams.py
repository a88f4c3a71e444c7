"""Ten thousand upstreams: starting, asking, reading the state, saving and reloading all work."""

from collections.abc import Callable, Iterator

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say

COUNT = 10_000
LONG_SECONDS = 4
"""of the daemon, several times what it takes; with a search through all entries for each entry, it took 8 to 19 s"""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("Served")) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, server: ScriptedUpstream) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("many"), many(server)) as running:
        yield running


def many(server: ScriptedUpstream) -> Document:
    """Only the last one serves the model "m"."""
    entries = [upstream(f"u{number}", server.url, models=["other"]) for number in range(COUNT)]
    entries[-1]["models"] = ["m"]
    return settings(*entries)


def test_the_only_one_of_ten_thousand_that_serves_a_model_answers(daemon: Daemon) -> None:
    assert text_of("messages", ask(daemon.url, "messages", "m")) == "Served"
    assert daemon.journal()[-1]["upstream"] == f"u{COUNT - 1}"
    assert len(daemon.get("/api/state").json["upstreams"]) == COUNT


def _took(daemon: Daemon, work: Callable[[], object]) -> float:
    began = daemon.processor_seconds()
    work()
    return daemon.processor_seconds() - began


@pytest.mark.timing
def test_neither_a_reload_nor_a_save_nor_the_request_after_it_takes_long(
    daemon: Daemon, server: ScriptedUpstream
) -> None:
    changed = many(server)
    changed["upstreams"][5]["enabled"] = False
    times = {"reload": _took(daemon, lambda: daemon.change_settings(changed))}
    times["request"] = _took(daemon, lambda: ask(daemon.url, "messages", "m"))
    toggle = {"revision": daemon.get("/health").json["revision"], "name": "u7", "enabled": False}
    times["save"] = _took(daemon, lambda: daemon.post("/api/upstreams/toggle", toggle))

    assert max(times.values()) < LONG_SECONDS, times

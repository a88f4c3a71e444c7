"""A network that is lost without a word: the connections stay open, and nothing arrives."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bed.asking import ask, last_record, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.silent_relay import SilentRelay
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, Step, say, stream
from tests.bed.wire import PROTOCOLS, Protocol, Reply, records

SHORT = {"connect": 2, "first_byte": 2, "idle": 2}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_kept_connection_that_leads_nowhere_costs_one_time_limit(
    tmp_path: Path, protocol: Protocol
) -> None:
    with ScriptedUpstream(say("lost")) as lost, ScriptedUpstream(say("other")) as other:
        with SilentRelay(lost.url) as relay:
            entries = [upstream("a", relay.url, protocol), upstream("b", other.url, protocol)]
            with Daemon(tmp_path, settings(*entries)) as daemon:
                assert text_of(protocol, ask(daemon.url, protocol)) == "lost"
                daemon.change_settings(settings(entries[0] | {"timeouts": SHORT}, entries[1]))
                relay.fall_silent()
                assert text_of(protocol, ask(daemon.url, protocol)) == "other"
                _all_slots_are_free(daemon)
                failed, _ = daemon.journal()[-1]["attempts"]
                assert (failed["upstream"], len(lost.requests)) == ("a", 1), "it is not sent twice"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_that_stops_without_an_end_gets_exactly_one_error(
    tmp_path: Path, protocol: Protocol
) -> None:
    begun, silent = threading.Event(), threading.Event()

    def script(request: Received) -> Script:
        return _interrupted(
            list(stream(records(request.protocol, Reply("A long text " * 9), "m"))), begun, silent
        )

    with ScriptedUpstream(script) as server, SilentRelay(server.url) as relay:
        entry = upstream("a", relay.url, protocol, timeouts=SHORT)
        with Daemon(tmp_path, settings(entry)) as daemon, ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask, daemon.url, protocol)
            assert begun.wait(PATIENCE_SECONDS)
            wait_until(lambda: _has_begun(daemon), "the first byte")
            relay.fall_silent()
            silent.set()
            response = asking.result(PATIENCE_SECONDS)

            last = last_record(response)
            assert "error" in last or last["type"] in ("error", "response.failed"), last
            assert (
                sum("error" in one or one.get("type") == "response.failed" for one in response.records) == 1
            )
            _all_slots_are_free(daemon)
        assert daemon.journal()[-1]["outcome"] != "ok"


def _interrupted(steps: list[Step], begun: threading.Event, until: threading.Event) -> Iterator[Step]:
    yield from steps[: len(steps) // 2]
    begun.set()
    yield Hold(until)
    yield from steps[len(steps) // 2 :]


def _has_begun(daemon: Daemon) -> bool:
    return any(row["first_byte"] is not None for row in daemon.get("/api/state").json["running"])


def _all_slots_are_free(daemon: Daemon) -> None:
    wait_until(lambda: _running(daemon) == 0, "free slots")


def _running(daemon: Daemon) -> int:
    return len(daemon.get("/api/state").json["running"])

"""The daemon is restarted while requests are held: it ends at once, and the sessions continue by themselves."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, holding_settings, upstream
from tests.bed.outage import Outage, OutageUpstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.wire import Protocol
from tests.outage.cases import LONG, MAX_REQUESTS, REAL_CLIENTS, Case, Client, Result, Turn, judge

STOPS_WITHIN = 2.0
SHOWN = {"before anything was sent": 60.0, "after keep-alives": 0.5}
"""When the daemon is restarted, and its keep-alive interval."""


# --- the real clients ----------------------------------------------------------


@dataclass(frozen=True)
class Restarted:
    results: dict[str, Result]
    were_held: bool
    repeated: dict[str, int]
    """how many requests the upstream of each client got after the restart"""


@pytest.fixture(scope="module", params=SHOWN)
def restarted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restarted]:
    """Both clients in parallel. The outage ends once both have reached the new daemon."""
    folder = tmp_path_factory.mktemp("restart")
    turns = [Turn(Case(client, "503", 1, LONG), number, folder) for number, client in enumerate(REAL_CLIENTS)]
    rules = {"keep_alive_seconds": SHOWN[request.param]}
    with turns[0].servers[0], turns[1].servers[0], ThreadPoolExecutor(len(turns)) as pool:
        entries = [entry for turn in turns for entry in turn.entries()]
        with Daemon(folder / "daemon", holding_settings(*entries, failover=rules)) as daemon:
            for turn in turns:
                turn.set_outage()
            runs = [pool.submit(turn.run, daemon.url + turn.case.client.path, 60) for turn in turns]
            try:
                were_held, counts = _restart_while_held(daemon, turns, runs)
            finally:
                _end_outages(turns)
            results = [run.result() for run in runs]
        lines = daemon.journal()
    yield Restarted(
        {
            turn.case.client.name: turn.with_rows(result, lines)
            for turn, result in zip(turns, results, strict=True)
        },
        were_held,
        {turn.case.client.name: count for turn, count in zip(turns, counts, strict=True)},
    )


def _restart_while_held(
    daemon: Daemon, turns: list[Turn], runs: "list[Future[Result]]"
) -> tuple[bool, list[int]]:
    asked = [turn.servers[0].requests for turn in turns]
    wait_until(lambda: min(map(len, asked)) >= 2 or any(run.done() for run in runs), "two tries")
    time.sleep(1)  # the behaviour itself is a duration: keep-alives are due by now, if they come at all
    were_held = not any(run.done() for run in runs)
    daemon.stop()
    before = [len(requests) for requests in asked]
    daemon.start()
    wait_until(
        lambda: (
            all(len(requests) > count for requests, count in zip(asked, before, strict=True))
            or all(run.done() for run in runs)
        ),
        "both clients' repetitions",
    )
    return were_held, [len(requests) - count for requests, count in zip(asked, before, strict=True)]


def _end_outages(turns: list[Turn]) -> None:
    for turn in turns:
        if turn.outage.began is not None:
            turn.outage.end()


@pytest.mark.real_clients
@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", REAL_CLIENTS, ids=lambda client: client.name)
def test_the_session_of_a_real_client_continues_after_the_restart(
    restarted: Restarted, client: Client
) -> None:
    result = restarted.results[client.name]
    assert restarted.were_held, "a client had ended before"
    assert restarted.repeated[client.name] >= 1, f"it did not come back: {result.error or result.text}"
    assert len(result.asked[0]) <= MAX_REQUESTS[LONG]
    judge(result, cut=1)


# --- on the wire ---------------------------------------------------------------

HEADERS: dict[Protocol, dict[str, str]] = {
    "messages": {"user-agent": "claude-cli/2.1.197 (external, cli)", "x-claude-code-session-id": "one"},
    "responses": {"user-agent": "codex_exec/0.169.0", "originator": "codex_exec", "session-id": "two"},
}


@pytest.mark.timing
@pytest.mark.parametrize("keep_alive_seconds", SHOWN.values(), ids=SHOWN)
def test_held_streams_are_cut_at_once_without_a_terminal_event(
    tmp_path: Path, keep_alive_seconds: float
) -> None:
    with OutageUpstream() as server, ThreadPoolExecutor(8) as pool:
        server.set_outage("503", Outage(120))
        entries = [upstream(spoken, server.url, spoken, clients=[spoken]) for spoken in HEADERS]
        rules = {"keep_alive_seconds": keep_alive_seconds}
        with Daemon(tmp_path, holding_settings(*entries, failover=rules)) as daemon:
            answers = [
                pool.submit(ask, daemon.url, spoken, text=f"{number}", headers=HEADERS[spoken])
                for spoken in HEADERS
                for number in range(4)
            ]
            wait_until(lambda: len(server.requests) > len(answers), "a request that is tried again")
            time.sleep(1)  # keep-alives are due by now, if they come at all
            assert not any(answer.done() for answer in answers), "a request was not held"
            began = time.monotonic()
            daemon.stop()
            seconds = time.monotonic() - began
            ends = [type(answer.exception(timeout=PATIENCE_SECONDS)) for answer in answers]

    assert all(end is not None and issubclass(end, OSError) for end in ends), ends
    assert seconds < STOPS_WITHIN

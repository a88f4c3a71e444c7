"""The real Claude Code and Codex while upstreams fail: turns that still finish, and errors without request storms."""

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.bed.clients import Run, run_claude, run_codex
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import (
    FAULTS,
    Answer,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    Wait,
    agent,
    closed_url,
    cut_after_content,
    say,
    status,
    whole,
)
from tests.bed.wire import Call, Protocol, Reply

pytestmark = pytest.mark.real_clients

Client = Literal["claude", "codex"]
CLIENTS: tuple[Client, ...] = ("claude", "codex")
SPEAKS: dict[Client, Protocol] = {"claude": "messages", "codex": "responses"}
AT_A_TIME = 3
COMMAND = "echo once >> done.txt"


def run(client: Client, daemon: Daemon, home: Path, prompt: str, model: str = "") -> Run:
    if client == "claude":
        options = ("--model", model) if model else ()
        return run_claude(f"{daemon.url}/api", home, prompt, *options)
    return run_codex(f"{daemon.url}/openai", home, prompt, model=model or "gpt-5.5")


# --- a turn that finishes ------------------------------------------------------


def turn(request: Received) -> Script:
    """A shell call; when its result is in the history, the closing text."""
    call = {
        "messages": Call("Bash", {"command": COMMAND, "description": "a test"}),
        "responses": Call("exec_command", {"cmd": COMMAND}),
    }
    replies = (Reply("Let me see.", calls=(call[request.protocol],)), Reply("All is done."))
    return agent(*replies)(request)


def then(*answers: Answer) -> Answer:
    """The answers in this order for each protocol; the last one is repeated."""
    counts: dict[Protocol, Iterator[int]] = {"messages": itertools.count(), "responses": itertools.count()}

    def answer(request: Received) -> Script:
        return answers[min(next(counts[request.protocol]), len(answers) - 1)](request)

    return answer


RESET = FAULTS["reset before headers"]
DEATHS: dict[str, Callable[[], Answer]] = {
    "before the first byte": lambda: then(RESET),
    "before any content": lambda: then(FAULTS["opening only, then reset"], RESET),
    "after content": lambda: then(cut_after_content(), RESET),
    "silent after content": lambda: then(cut_after_content([Wait()]), RESET),
    "between two turns": lambda: then(turn, RESET),
    "after content of the second turn": lambda: then(turn, cut_after_content(), RESET),
    "by hanging": lambda: then(FAULTS["silence before headers"]),
    "by hanging in the second turn": lambda: then(turn, FAULTS["headers only, then silence"]),
}
BROKEN = ("after content", "silent after content", "after content of the second turn")
HURRY = {"first_byte": 3, "idle": 3}
"""of the primary only: on a busy machine the backup could miss these"""


@pytest.mark.parametrize("death", DEATHS)
def test_an_agent_turn_survives_the_death_of_the_primary(tmp_path: Path, death: str) -> None:
    with ScriptedUpstream(DEATHS[death]()) as primary, ScriptedUpstream(turn) as backup:
        entries = [
            upstream(
                f"{name} {client}",
                server.url,
                SPEAKS[client],
                clients=[SPEAKS[client]],
                role=name,
                timeouts=timeouts,
            )
            for client in CLIENTS
            for name, server, timeouts in (("primary", primary, HURRY), ("backup", backup, {}))
        ]
        document = settings(*entries, failover={"keep_alive_seconds": 0.3})
        with Daemon(tmp_path, document) as daemon:
            with ThreadPoolExecutor(len(CLIENTS)) as pool:
                runs = dict(
                    zip(
                        CLIENTS,
                        pool.map(lambda client: run(client, daemon, tmp_path / client, "Do it"), CLIENTS),
                        strict=True,
                    )
                )
            lines = daemon.journal()

    for client in CLIENTS:
        mine = [line for line in lines if line["client_protocol"] == SPEAKS[client]]
        outcomes = [line["outcome"] for line in mine]
        assert (runs[client].code, runs[client].text.endswith("All is done.")) == (0, True), runs[client]
        assert (tmp_path / client / "work" / "done.txt").read_text() == "once\n"
        assert outcomes.count("truncated") == (1 if death in BROKEN else 0), mine
        assert outcomes.count("ok") == 2 and len(mine) <= 3, mine
        assert mine[-1]["upstream"] == f"backup {client}"


# --- nothing left --------------------------------------------------------------

BEAT = 0.5
"""seconds between keep-alives, in the daemon whose upstreams fail late"""
LATE = 2.0
"""seconds, by which the client has received keep-alives"""


@dataclass(frozen=True)
class Down:
    """`asked` and `received`: the requests of one prompt that reach the daemon, and the upstream."""

    answer: Answer | None
    cause: str
    asked: int = 1
    received: int = 1


def refusal(code: int, kind: str, message: str) -> Answer:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return lambda _: whole(code, body)


def slowly(answer: Answer) -> Answer:
    return lambda request: [Wait(LATE), *answer(request)]


BAD_KEY = refusal(401, "authentication_error", "this key is not ours")
NO_CREDIT = refusal(402, "billing_error", "the account is empty")
NO_QUOTA = refusal(429, "insufficient_quota", "the quota ends tomorrow")
NO_MODEL = refusal(404, "not_found_error", "the model is unknown")
PICK_ANOTHER = "There's an issue with the selected model"

FOR_BOTH: dict[str, Down] = {
    "bad key": Down(BAD_KEY, "this key is not ours"),
    "no credit": Down(NO_CREDIT, "the account is empty"),
    "quota until tomorrow": Down(NO_QUOTA, "the quota ends tomorrow"),
    "403": Down(status(403, "not for this key"), "not for this key"),
    "404": Down(status(404, "no such thing here"), "no such thing here"),
    "429": Down(status(429, "too many of them"), "too many of them"),
    "429 with retry-after": Down(status(429, "too many of them", {"retry-after": "7"}), "too many of them"),
    "500": Down(status(500, "it broke"), "it broke"),
    "503": Down(status(503, "not now"), "not now"),
    "529": Down(status(529, "too busy"), "too busy"),
    "refused": Down(None, "cannot connect", received=0),
    "hang": Down(FAULTS["silence before headers"], "sent nothing for 6 s"),
    "cut": Down(cut_after_content(), "the connection broke", asked=2, received=2),
}
LATE_ONES = {"bad key": BAD_KEY, "quota until tomorrow": NO_QUOTA, "529": status(529, "too busy")}
"""Claude Code repeats an interrupted stream as a whole request, which is answered from memory."""
DOWN: dict[Client, dict[str, Down]] = {
    "claude": {
        **FOR_BOTH,
        "hang": Down(FAULTS["silence before headers"], "sent nothing for 6 s", asked=2),
        "unknown model": Down(NO_MODEL, PICK_ANOTHER, asked=2),
        "unknown model, late": Down(slowly(NO_MODEL), PICK_ANOTHER, asked=2),
        **{
            f"{name}, late": Down(slowly(LATE_ONES[name]), FOR_BOTH[name].cause, asked=2)
            for name in LATE_ONES
        },
    },
    "codex": {
        **FOR_BOTH,
        "unknown model": Down(NO_MODEL, "the model is unknown"),
        "unknown model, late": Down(slowly(NO_MODEL), "the model is unknown"),
        **{f"{name}, late": Down(slowly(LATE_ONES[name]), FOR_BOTH[name].cause) for name in LATE_ONES},
    },
}
CASES: list[tuple[str, Client]] = [(name, client) for client in CLIENTS for name in DOWN[client]]


@dataclass(frozen=True)
class Storm:
    run: Run
    lines: list[Document]
    received: int


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Client], Storm]:
    """Every client with every failing upstream, a few at a time. Each pair has its own model.

    Two daemons: in one, immediate failures come before any keep-alive, however busy the machine is.
    """
    places = {case: number for number, case in enumerate(CASES)}

    def fail(request: Received) -> Script:
        name, client = CASES[int(request.path.split("/")[1])]
        answer = DOWN[client][name].answer
        assert answer is not None
        return answer(request)

    with ScriptedUpstream(fail) as server:
        entries = [
            upstream(
                f"mine-{places[name, client]}",
                f"{server.url}/{places[name, client]}" if DOWN[client][name].answer else closed_url(),
                SPEAKS[client],
                clients=[SPEAKS[client]],
                models=[model_of(places[name, client])],
            )
            for name, client in CASES
        ]
        folder = tmp_path_factory.mktemp("storms")
        rules, patience = {"keep_alive_seconds": BEAT}, {"first_byte": 6, "idle": 6}
        impatient = settings(*entries, timeouts=patience, failover=rules)
        with (
            Daemon(folder / "at once", settings(*entries)) as at_once,
            Daemon(folder / "late", impatient) as late,
        ):

            def suffer(case: tuple[str, Client]) -> Run:
                (name, client), number = case, places[case]
                daemon = late if name == "hang" or name.endswith(", late") else at_once
                return run(client, daemon, folder / f"home-{number}", "hello", model_of(number))

            with ThreadPoolExecutor(AT_A_TIME) as pool:
                runs = list(pool.map(suffer, CASES))
            lines = at_once.journal() + late.journal()
        asked = [request.path.split("/")[1] for request in server.requests]
    return {
        case: Storm(
            found,
            [line for line in lines if line["model"] == model_of(places[case])],
            asked.count(str(places[case])),
        )
        for case, found in zip(CASES, runs, strict=True)
    }


def model_of(number: int) -> str:
    return f"claude-model-{number}"


@pytest.mark.parametrize(("name", "client"), CASES)
def test_when_all_is_down_a_prompt_costs_the_fewest_requests_and_shows_the_cause(
    storms: dict[tuple[str, Client], Storm], name: str, client: Client
) -> None:
    storm, down = storms[name, client], DOWN[client][name]
    reported = storm.run.output + storm.run.errors
    assert len(storm.lines) == down.asked, (reported, storm.lines)
    assert storm.received == down.received
    assert storm.run.code != 0
    assert down.cause in reported, reported
    if down.cause != PICK_ANOTHER:
        assert storm.lines[0]["attempts"][0]["upstream"] in reported, reported


# --- the client comes back -----------------------------------------------------


def upstream_of(client: Client, server: ScriptedUpstream) -> Document:
    return upstream("mine", server.url, SPEAKS[client])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_turn_that_is_held_no_longer_is_saved_by_the_client_itself(tmp_path: Path, client: Client) -> None:
    """Claude Code repeats a request whose connection is cut; Codex waits as long as the message tells it to."""
    limited = status(429, "too many of them", {"retry-after": "4"})
    with ScriptedUpstream(limited, say("All is done.")) as server:
        rules = {"hold_seconds": 1, "keep_alive_seconds": 0.2}
        with Daemon(tmp_path, settings(upstream_of(client, server), failover=rules)) as daemon:
            found = run(client, daemon, tmp_path / "home", "hello", "claude-model-1")
            lines = daemon.journal()
        gap = server.requests[1].at - server.requests[0].at
    assert (found.code, found.text) == (0, "All is done."), found
    assert [line["outcome"] for line in lines] == ["failed", "ok"]
    assert len(server.requests) == 2
    assert client == "claude" or gap >= 4


@pytest.mark.parametrize("client", CLIENTS)
def test_a_turn_survives_a_restart_of_the_daemon(tmp_path: Path, client: Client) -> None:
    never = threading.Event()
    with ScriptedUpstream(lambda _: [Hold(never)], say("All is done.")) as server:
        daemon = Daemon(tmp_path, settings(upstream_of(client, server), failover={"keep_alive_seconds": 0.2}))
        daemon.start()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run, client, daemon, tmp_path / "home", "hello", "claude-model-1")
            server.wait_for(1)
            os.kill(daemon.pid, signal.SIGTERM)  # the second signal, sent by `stop`, ends it at once
            daemon.restart()
            found = running.result()
        daemon.stop()
        never.set()
    assert (found.code, found.text) == (0, "All is done."), found
    assert len(server.requests) == 2

"""One turn of one client in one outage: the cases, how they are run, and what must be true of each."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.clients import Run, run_claude, run_codex
from tests.bed.daemon import Daemon, Document, holding_settings, upstream
from tests.bed.outage import OUTAGES, REFUSED, Outage, OutageUpstream
from tests.bed.sdks import Question, ask_sdk
from tests.bed.upstream import Answer, Received, agent, answer, offers_tools
from tests.bed.wire import Call, Protocol, Reply, Usage

SHORT, LONG = 8.0, 60.0
"""length of an outage in seconds"""
MAX_REQUESTS = {SHORT: 8, LONG: 16}
"""attempts per upstream, including the successful one"""
NEVER_ANSWERED = 20.0
"""seconds for which a request is held for an entry that has never answered"""
IMPATIENT = {True: {"first_byte": 5}, False: {"first_byte": 5, "idle": 5}}
"""Time-outs for an upstream that hangs, by whether its answers are streamed: whole ones may take the longer of both.

Its answer after the outage has to come within them, on a busy machine as well.
"""
PATIENCE, OWN_PATIENCE = 90.0, 30.0
"""seconds beyond the outage that a client may take, through Switchyard and by itself"""
TEXT = "All is done."
COMMAND = "echo once >> done.txt"
LETTERS = "ab"
OTHER: dict[Protocol, Protocol] = {"messages": "chat", "chat": "responses", "responses": "messages"}
"""The protocol of the second upstream of a case, so that its response has to be converted."""


# --- clients -------------------------------------------------------------------


class TurnFailed(Exception):
    """The client ended with an error."""


@dataclass(frozen=True)
class Visit:
    """Where a client asks, for which model, and for how long it may take."""

    url: str
    model: str
    home: Path
    seconds: float = 60
    retries: int = 0
    is_ready: Callable[[], None] = lambda: None
    """called right before the request; the real clients do not say when that is"""


@dataclass(frozen=True)
class Client:
    """`path` follows the daemon's URL, `own_path` that of an upstream without a daemon."""

    name: str
    protocol: Protocol
    path: str
    own_path: str
    run: Callable[[Visit], str]
    stream: bool = True
    tool: Call | None = None
    """the first call of a turn; only the real clients run it"""

    @property
    def is_real(self) -> bool:
        return self.tool is not None

    @property
    def requests(self) -> int:
        """of one turn"""
        return 2 if self.tool else 1


def _text_of(run: Run) -> str:
    if run.code != 0:
        raise TurnFailed(f"exit code {run.code}: {run.output} {run.errors}")
    return run.text


def _claude(visit: Visit) -> str:
    return _text_of(run_claude(visit.url, visit.home, "Do it", "--model", visit.model, seconds=visit.seconds))


def _codex(visit: Visit) -> str:
    return _text_of(run_codex(visit.url, visit.home, "Do it", model=visit.model, seconds=visit.seconds))


def _sdk(name: str, protocol: Protocol, path: str, own_path: str, stream: bool) -> Client:
    def run(visit: Visit) -> str:
        question = Question(
            visit.url, visit.model, stream, visit.retries, seconds=visit.seconds, is_ready=visit.is_ready
        )
        return ask_sdk(protocol, question)

    return Client(f"{name} {'stream' if stream else 'whole'}", protocol, path, own_path, run, stream)


CLAUDE = Client(
    "claude",
    "messages",
    "/api",
    "",
    _claude,
    tool=Call("Bash", {"command": COMMAND, "description": "a test"}),
)
CODEX = Client("codex", "responses", "/openai", "/v1", _codex, tool=Call("exec_command", {"cmd": COMMAND}))
REAL_CLIENTS = (CLAUDE, CODEX)
SDKS = tuple(
    _sdk(*spelled, stream)
    for spelled in (
        ("anthropic SDK", "messages", "/api", ""),
        ("openai SDK chat", "chat", "/v1", "/v1"),
        ("openai SDK responses", "responses", "/openai", "/v1"),
    )
    for stream in (True, False)
)


# --- cases ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    client: Client
    fault: str
    upstreams: int = 1
    seconds: float = SHORT

    @property
    def name(self) -> str:
        many = "1 upstream" if self.upstreams == 1 else f"{self.upstreams} upstreams"
        return f"{self.client.name}, {self.fault}, {many}, {self.seconds:g} s"


def faults_of(client: Client) -> list[str]:
    """A stream is not a valid response to a request without `stream`."""
    return [fault for fault in OUTAGES if client.stream or fault != "error in a 200 stream"]


def cases_of(clients: Iterable[Client], upstreams: Iterable[int] = (1, 2)) -> list[Case]:
    counts = tuple(upstreams)
    return [
        Case(client, fault, count) for client in clients for fault in faults_of(client) for count in counts
    ]


@dataclass(frozen=True)
class Result:
    """`asked`: the requests of each upstream; `rows`: the turn in the daemon's journal."""

    case: Case
    text: str
    error: str
    seconds: float
    outlasted: bool
    """True if the turn ended after the outage"""
    tool_runs: int
    usage: Usage
    asked: tuple[list[Received], ...]
    answered: tuple[Received, ...]
    rows: tuple[Document, ...]

    @property
    def survived(self) -> bool:
        return not self.error and self.text.endswith(TEXT)


# --- running -------------------------------------------------------------------


class Turn:
    """One case with its upstreams, to be run once."""

    def __init__(self, case: Case, number: int, folder: Path) -> None:
        self.case = case
        self.model = f"claude-outage-{number}"
        self.home = folder / f"home-{number}"
        self.usage = Usage(fresh=1000 + number, cache_read=40, output=20)
        self.servers = [OutageUpstream(self._answer()) for _ in range(case.upstreams)]
        # it is not visible when a real client first meets a closed port: the port closes after the first response
        begins_later = case.fault == REFUSED and case.client.is_real
        self.outage = Outage(case.seconds, answers_before=1 if begins_later else 0)

    def _begin(self) -> None:
        if self.case.fault == REFUSED:
            self.outage.begin()

    def _answer(self) -> Answer:
        last, tool = Reply(TEXT, usage=self.usage), self.case.client.tool
        if tool is None:
            return answer(last)
        return agent(Reply("Let me see.", calls=(tool,), usage=self.usage), last, aside=last)

    @property
    def protocols(self) -> list[Protocol]:
        spoken = self.case.client.protocol
        return [spoken, OTHER[spoken]][: self.case.upstreams]

    def entries(self) -> list[Document]:
        more = {"timeouts": IMPATIENT[self.case.client.stream]} if self.case.fault == "hang" else {}
        return [
            upstream(
                self._entry(letter),
                server.url,
                protocol,
                models=[self.model],
                clients=[self.case.client.protocol],
                **more,
            )
            for letter, server, protocol in zip(LETTERS, self.servers, self.protocols, strict=False)
        ]

    def _entry(self, letter: str) -> str:
        return f"{self.model}-{letter}"

    def let_each_answer_once(self, daemon: Daemon) -> None:
        """An entry that has never answered is held only briefly."""
        spoken = self.case.client.protocol
        for letter, server in zip(LETTERS, self.servers, strict=False):
            reported = ask(daemon.url, spoken, f"{self._entry(letter)},{self.model}", "Are you there?")
            assert (reported.status, len(server.answered)) == (200, 1), reported.text
            server.forget()

    def set_outage(self) -> None:
        for server in self.servers:
            server.set_outage(self.case.fault, self.outage)

    def run(self, url: str, seconds: float, retries: int = 0) -> Result:
        """Let the client run its turn; the journal's record of it is added later."""
        self.home.mkdir(parents=True, exist_ok=True)
        visit = Visit(url, self.model, self.home, self.case.seconds + seconds, retries, self._begin)
        text = error = ""
        began = time.monotonic()
        try:
            text = self.case.client.run(visit)
        except Exception as failed:  # any exception of an SDK is a result
            error = f"{type(failed).__name__}: {failed}"
        ended = time.monotonic()
        outlasted = self.outage.began is not None and ended >= self.outage.ends
        return Result(
            self.case,
            text,
            error,
            ended - began,
            outlasted,
            self._tool_runs(),
            self.usage,
            tuple(list(server.requests) for server in self.servers),
            tuple(request for server in self.servers for request in server.answered),
            (),
        )

    def with_rows(self, result: Result, lines: Iterable[Document]) -> Result:
        return replace(result, rows=tuple(line for line in lines if line["model"] == self.model))

    def _tool_runs(self) -> int:
        done = self.home / "work" / "done.txt"
        return len(done.read_text().splitlines()) if done.exists() else 0


def run_through_switchyard(cases: Sequence[Case], folder: Path, at_a_time: int) -> dict[str, Result]:
    """Run the cases in parallel through one daemon, each with its own upstreams and model."""
    with _turns(cases, folder) as turns:
        entries = [entry for turn in turns for entry in turn.entries()]
        with Daemon(folder / "daemon", holding_settings(*entries)) as daemon:
            for turn in turns:
                if turn.case.seconds > NEVER_ANSWERED:
                    turn.let_each_answer_once(daemon)
                turn.set_outage()
            results = _side_by_side(
                turns, at_a_time, lambda turn: turn.run(daemon.url + turn.case.client.path, PATIENCE)
            )
        lines = daemon.journal()
    return {
        result.case.name: turn.with_rows(result, lines) for turn, result in zip(turns, results, strict=True)
    }


def run_directly(cases: Sequence[Case], folder: Path, at_a_time: int, retries: int = 0) -> dict[str, Result]:
    """Run the cases in parallel with each client pointed directly at its first upstream."""
    with _turns(cases, folder) as turns:
        for turn in turns:
            turn.set_outage()
        results = _side_by_side(
            turns,
            at_a_time,
            lambda turn: turn.run(turn.servers[0].url + turn.case.client.own_path, OWN_PATIENCE, retries),
        )
    return {result.case.name: result for result in results}


@contextmanager
def _turns(cases: Sequence[Case], folder: Path) -> Iterator[list[Turn]]:
    """The longest first, so that they do not run last and alone."""
    in_order = sorted(cases, key=lambda case: -case.seconds)
    turns = [Turn(case, number, folder) for number, case in enumerate(in_order)]
    with ExitStack() as stack:
        for turn in turns:
            for server in turn.servers:
                stack.enter_context(server)
        yield turns


def _side_by_side(turns: Sequence[Turn], at_a_time: int, run: Callable[[Turn], Result]) -> list[Result]:
    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(run, turns))


# --- what must be true ---------------------------------------------------------


def judge(result: Result, cut: int = 0) -> None:
    """Fail the test with all errors. `cut`: how many requests may have been cut by the end of the daemon."""
    if found := problems(result, cut):
        pytest.fail("\n".join([result.case.name, *found]), pytrace=False)


def problems(result: Result, cut: int = 0) -> list[str]:
    """The errors of a turn that should not have noticed its outage; empty if there are none."""
    return [*_turn_problems(result), *_request_problems(result), *_row_problems(result, cut)]


def _turn_problems(result: Result) -> Iterator[str]:
    if result.error:
        yield f"the client failed after {result.seconds:.1f} s: {result.error[:600]}"
    elif not result.survived:
        yield f"the client ended with another text: {result.text[:600]!r}"
    if not result.outlasted:
        yield f"the turn was over before the outage, after {result.seconds:.1f} s"
    if not any(len(row["attempts"]) > 1 for row in result.rows):
        yield "no request met the outage more than once"
    if result.case.client.is_real and result.tool_runs != 1:
        yield f"the tool ran {result.tool_runs} times"


def _request_problems(result: Result) -> Iterator[str]:
    most = MAX_REQUESTS[result.case.seconds]
    tried = Counter(attempt["upstream"][-1] for row in result.rows for attempt in row["attempts"])
    for letter, asked in zip(LETTERS, result.asked, strict=False):
        count = max(len(asked), tried[letter])  # a refused one only appears in the journal
        if count > most:
            yield f"upstream {letter} was asked {count} times, more than {most}"
    turn = [
        request for request in result.answered if offers_tools(request.json) or not result.case.client.tool
    ]
    if len(turn) != result.case.client.requests:
        yield f"{len(turn)} answers were given for {result.case.client.requests} requests of the turn"


def _row_problems(result: Result, cut: int) -> Iterator[str]:
    reported = sorted(str(_row(row)) for row in result.rows if row["outcome"] == "ok" or not cut)
    if len(result.rows) > len(reported) + cut:
        yield f"the journal has {len(result.rows)} rows"
    right = [str(("ok", *_numbers(result.usage)))] * len(result.answered)
    if reported != right:
        yield f"the journal says {reported}, the upstreams {right}"


def _row(row: Document) -> tuple[object, ...]:
    usage = row.get("usage") or {}
    parts = tuple(usage.get(part, 0) for part in ("input", "cache_read", "cache_write_5m", "output"))
    return (row["outcome"], *parts, *(["estimated"] if usage.get("estimated") else []))


def _numbers(usage: Usage) -> tuple[int, ...]:
    return usage.fresh, usage.cache_read, usage.cache_write, usage.output

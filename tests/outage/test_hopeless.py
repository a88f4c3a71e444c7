"""Permanent failures end in one sentence: at once, or within a limit if they may pass soon.

With the SDKs; how the real clients report errors is measured with them.
"""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anthropic
import openai
import pytest

from tests.bed import wire
from tests.bed.daemon import Daemon, Document, holding_settings, upstream
from tests.bed.outage import OUTAGES, OutageUpstream
from tests.bed.sdks import AnswerFailed
from tests.bed.upstream import Answer, ScriptedUpstream, whole
from tests.outage.cases import PATIENCE, SDKS, Client, Visit

pytestmark = pytest.mark.timeout(300)

AT_ONCE = 5.0
"""seconds on the daemon's own clock, without those of the attempts: these last the longer the busier the machine is"""
SLACK = 5.0
AT_A_TIME = 30
UNKNOWN_HOST = 15.0
NEVER_ANSWERED = 20.0


def refusal(code: int, kind: str, message: str) -> Answer:
    return lambda request: whole(code, wire.error_body(request.protocol, message, kind))


@dataclass(frozen=True)
class Hopeless:
    """`answer`: None without an upstream; `says`: part of the sentence that the client gets."""

    answer: Answer | None
    statuses: tuple[int, ...]
    says: str = ""
    within: float = AT_ONCE
    tries: tuple[int, int] = (1, 1)
    """the least and the largest number of attempts"""
    base_url: str = ""
    """if it differs from the server's own; {port} is the server's"""


NETWORK_STATUSES = (500, 502, 503, 504)
ALL: dict[str, Hopeless] = {
    "bad key": Hopeless(refusal(401, "authentication_error", "this key is not ours"), (401,), "not ours"),
    "unknown model": Hopeless(refusal(404, "not_found_error", "model: no such one"), (404,), "no such one"),
    "no credit": Hopeless(
        refusal(402, "billing_error", "your credit is used up"), (402,), "credit is used up"
    ),
    "quota until tomorrow": Hopeless(
        refusal(429, "rate_limit_error", "Daily quota exhausted, resets tomorrow"), (429,), "resets tomorrow"
    ),
    "no channel": Hopeless(
        refusal(503, "new_api_error", "No available channel for model m under group default"),
        (404, 503),
        "No available channel",
    ),
    "no channel, in Chinese": Hopeless(
        refusal(503, "new_api_error", "当前分组 default 下对于模型 m 无可用渠道"), (404, 503), "无可用渠道"
    ),
    "TLS to a plain port": Hopeless(
        None, NETWORK_STATUSES, "does not speak TLS", base_url="https://127.0.0.1:{port}"
    ),
    "unknown host": Hopeless(
        None,
        NETWORK_STATUSES,
        within=UNKNOWN_HOST + SLACK,
        tries=(1, 8),
        base_url="http://no-such-host.invalid",
    ),
    "never answered: 503": Hopeless(
        OUTAGES["503"], (503,), "Service unavailable", within=NEVER_ANSWERED + SLACK, tries=(3, 8)
    ),
    "never answered: reset": Hopeless(
        OUTAGES["reset"], NETWORK_STATUSES, within=NEVER_ANSWERED + SLACK, tries=(3, 8)
    ),
    "never answered: refused": Hopeless(None, NETWORK_STATUSES, within=NEVER_ANSWERED + SLACK, tries=(3, 8)),
}


@dataclass(frozen=True)
class Ending:
    error: Exception | None
    asked: int
    rows: list[Document]

    @property
    def reported(self) -> str:
        body = getattr(self.error, "body", None)
        inside = body.get("error", body) if isinstance(body, dict) else None
        message = inside.get("message") if isinstance(inside, dict) else None
        return str(message or self.error)

    @property
    def attempts(self) -> int:
        return sum(len(row["attempts"]) for row in self.rows)

    @property
    def waited(self) -> float:
        """Seconds of the request that belong to no attempt."""
        (row,) = self.rows
        attempts: float = sum(attempt["ended"] - attempt["started"] for attempt in row["attempts"])
        waited: float = row["duration"] - attempts
        return waited


class PlainServer(ScriptedUpstream):
    """Answers a TLS greeting like a plain server: with an error in plain HTTP."""

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            if connection.recv(65536).startswith(b"\x16"):
                connection.sendall(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
        self._connections.discard(connection)


Case = tuple[str, Client]
CASES: list[Case] = [(name, client) for name in ALL for client in SDKS]
LONGEST_FIRST = sorted(range(len(CASES)), key=lambda number: -ALL[CASES[number][0]].within)


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Ending]]:
    """All of them in parallel through one daemon, each with its own upstream and model."""
    folder = tmp_path_factory.mktemp("hopeless")
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(ALL[name])) for name, _ in CASES]
        entries = [
            upstream(
                _model(number),
                _base_url(ALL[name], server),
                client.protocol,
                models=[_model(number)],
                clients=[client.protocol],
            )
            for number, ((name, client), server) in enumerate(zip(CASES, servers, strict=True))
        ]
        with Daemon(folder, holding_settings(*entries)) as daemon, ThreadPoolExecutor(AT_A_TIME) as pool:
            asking = {
                number: pool.submit(_ask, CASES[number][1], number, daemon, folder)
                for number in LONGEST_FIRST
            }
            errors = [asking[number].result() for number in range(len(CASES))]
        lines = daemon.journal()
    yield {
        case: Ending(
            errors[number],
            len(servers[number].requests),
            [line for line in lines if line["model"] == _model(number)],
        )
        for number, case in enumerate(CASES)
    }


@contextmanager
def _server(hopeless: Hopeless) -> Iterator[ScriptedUpstream]:
    if hopeless.base_url:
        with PlainServer() as server:
            yield server
        return
    with OutageUpstream(hopeless.answer) as server:
        if hopeless.answer is None:
            server.close_port()
        yield server


def _model(number: int) -> str:
    return f"hopeless-{number}"


def _base_url(hopeless: Hopeless, server: ScriptedUpstream) -> str:
    if hopeless.base_url:
        return hopeless.base_url.format(port=server.port)
    return server.url


def _ask(client: Client, number: int, daemon: Daemon, folder: Path) -> Exception | None:
    try:
        client.run(Visit(daemon.url + client.path, _model(number), folder, PATIENCE))
    except (anthropic.APIError, openai.APIError, AnswerFailed) as error:
        return error
    return None


def named(case: Case) -> str:
    return f"{case[0]}, {case[1].name}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_it_ends_in_time_with_one_sentence_and_its_own_status(
    endings: dict[Case, Ending], case: Case
) -> None:
    ending, hopeless = endings[case], ALL[case[0]]
    # an error after keep-alives is part of the stream and has no status
    status = getattr(ending.error, "status_code", None) or 0
    assert ending.error is not None, "it was answered"
    assert status in hopeless.statuses or (hopeless.within > AT_ONCE and case[1].stream), ending.reported
    assert hopeless.says.lower() in ending.reported.lower() and "\n" not in ending.reported, ending.reported
    assert ending.rows[0]["upstream"] in ending.reported, "it does not name the upstream"
    assert ending.waited <= hopeless.within, ending.reported


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_may_pass_is_tried_again_and_nothing_else(endings: dict[Case, Ending], case: Case) -> None:
    ending, hopeless = endings[case], ALL[case[0]]
    least, most = hopeless.tries
    assert least <= ending.attempts <= most
    assert ending.asked == (ending.attempts if hopeless.answer else 0)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_end_is_one_row_of_the_journal_without_tokens(endings: dict[Case, Ending], case: Case) -> None:
    assert [(row["outcome"], row.get("usage")) for row in endings[case].rows] == [("failed", None)]

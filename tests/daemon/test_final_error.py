"""The error that ends a turn, as Claude Code, Codex and other programs receive it over real sockets."""

import itertools
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.bed.asking import PATHS, ask, error_of, last_record, question, watch
from tests.bed.certificates import make_certificates
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import cooldown_of
from tests.bed.upstream import (
    Answer,
    Hold,
    ScriptedUpstream,
    closed_url,
    cut_after_content,
    say,
    status,
    whole,
)
from tests.bed.wire import PROTOCOLS, Protocol

CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.171.0", "session-id": "s", "thread-id": "s"}
BEAT = 0.05
PATIENCE = 60.0
"""seconds: long enough that no keep-alive precedes the response of a scripted upstream"""


def refusal(code: int, kind: str, message: str) -> Answer:
    """An error with a type of its own."""
    body = json.dumps({"error": {"type": kind, "message": message}}).encode()
    return lambda _: whole(code, body)


CAUSES: dict[str, Answer | None] = {
    "bad key": refusal(401, "authentication_error", "this key is not ours"),
    "no such model": refusal(404, "not_found_error", "model m does not exist"),
    "no credit": refusal(402, "billing_error", "the account is empty"),
    "quota until tomorrow": refusal(429, "insufficient_quota", "the quota ends tomorrow"),
    "wrong path": status(404, "no such page"),
    "rate limit": status(429, "too many of them"),
    "overloaded": status(529, "too busy"),
    "unavailable": status(503, "not now"),
    "host that refuses": None,
}
CLAUDE_CODE_GETS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(CAUSES, (503, "api_error")),
    "bad key": (403, "permission_error"),
    "no such model": (404, "not_found_error"),
    "no credit": (402, "billing_error"),
    "quota until tomorrow": (402, "billing_error"),
}
OTHERS_GET: dict[str, int] = {
    "bad key": 401,
    "no such model": 404,
    "no credit": 402,
    "quota until tomorrow": 429,
    "wrong path": 404,
    "rate limit": 429,
    "overloaded": 529,
    "unavailable": 503,
    "host that refuses": 502,
}


@dataclass(frozen=True)
class Bed:
    """One upstream `mine`, new sessions at will."""

    daemon: Daemon
    server: ScriptedUpstream
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    seen: threading.Event = field(default_factory=threading.Event)
    """set once a client has received the beginning of a stream"""

    def script(self, name: str, *, late: bool = False) -> None:
        """The upstream of this cause, and a daemon that has not used it before."""
        answer = CAUSES[name]
        self.server.script(self.slowly(answer or status(500)) if late else answer or status(500))
        self.use(self.server.url if answer else closed_url(), BEAT if late else PATIENCE)

    def slowly(self, answer: Answer) -> Answer:
        """Late enough that the client has received keep-alives."""
        self.seen.clear()
        return lambda received: [Hold(self.seen), *answer(received)]

    def stream(self, protocol: Protocol, headers: dict[str, str] | None = None) -> Response:
        return watch(self.daemon.url, protocol, lambda body: self.seen.set(), headers=headers)

    def use(self, url: str, keep_alive_seconds: float = BEAT) -> None:
        wanted = document(url, next(self.numbers), keep_alive_seconds)
        self.daemon.change_settings(wanted)
        self.daemon.post("/api/upstreams/clear", {})
        self.server.requests.clear()

    def new_session(self) -> dict[str, str]:
        return {"user-agent": "claude-cli/2.1.332", "x-claude-code-session-id": f"s-{next(self.numbers)}"}

    def claude(self, session: dict[str, str]) -> Response:
        return self.stream("messages", session)

    def claude_whole(self, session: dict[str, str], text: str = "Hello") -> Response:
        return ask(self.daemon.url, "messages", text=text, stream=False, headers=session)


def document(url: str, number: int = 0, keep_alive_seconds: float = BEAT) -> Document:
    entries = [upstream(f"mine {one}", url, one, clients=[one], note=str(number)) for one in PROTOCOLS]
    rules = {"keep_alive_seconds": keep_alive_seconds, "error_threshold": 1000}
    return settings(*entries, failover=rules)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with (
        ScriptedUpstream() as server,
        Daemon(tmp_path_factory.mktemp("final"), document(server.url)) as daemon,
    ):
        yield Bed(daemon, server)


# --- at once -------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", CAUSES)
def test_claude_code_gets_a_status_that_it_does_not_repeat(bed: Bed, name: str, stream: bool) -> None:
    bed.script(name)
    response = bed.claude(bed.new_session()) if stream else bed.claude_whole(bed.new_session())
    error = error_of("messages", response)
    assert (response.status, error["type"]) == CLAUDE_CODE_GETS[name]
    assert response.header("x-should-retry") == "false"
    assert 'upstream "mine messages": ' in error["message"]


@pytest.mark.parametrize("name", CAUSES)
def test_codex_gets_a_failed_response_that_it_does_not_repeat(bed: Bed, name: str) -> None:
    bed.script(name)
    response = ask(bed.daemon.url, "responses", headers=CODEX)
    error = last_record(response)["response"]["error"]
    assert (response.status, last_record(response)["type"], error["code"]) == (
        200,
        "response.failed",
        "invalid_prompt",
    )
    assert 'upstream "mine responses": ' in error["message"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CAUSES)
def test_another_program_gets_the_status_of_the_upstream(bed: Bed, name: str, protocol: Protocol) -> None:
    bed.script(name)
    response = ask(bed.daemon.url, protocol)
    assert (response.status, response.header("x-should-retry")) == (OTHERS_GET[name], None)
    assert f'upstream "mine {protocol}": ' in error_of(protocol, response)["message"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_program_is_reported_when_to_come_back(bed: Bed, protocol: Protocol) -> None:
    bed.script("rate limit")
    bed.server.script(status(429, "too many of them", {"retry-after": "30"}))
    assert ask(bed.daemon.url, protocol).header("retry-after") in [str(seconds) for seconds in range(20, 31)]


@pytest.mark.parametrize("code", [400, 401, 429, 500])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_keeps_the_request_id_and_the_limits_of_the_upstream(
    bed: Bed, protocol: Protocol, code: int
) -> None:
    bed.script("rate limit")
    kept = {"request-id": "req_1", "x-request-id": "req_2", "x-ratelimit-remaining-tokens": "0"}
    own = {"x-should-retry": "true", "retry-after-ms": "5", "set-cookie": "a=b"}
    echo = {"openai-processing-ms": f"key sk-of-mine {protocol}"}
    bed.server.script(status(code, "refused", kept | own | echo))
    response = ask(bed.daemon.url, protocol)
    assert {name: response.header(name) for name in (*kept, *own)} == kept | dict.fromkeys(own)
    assert response.header("openai-processing-ms") == "key [key]"


@pytest.mark.parametrize("name", ["bad key", "no credit", "no such model"])
def test_no_time_is_reported_where_no_wait_can_help(bed: Bed, name: str) -> None:
    bed.script(name)
    assert ask(bed.daemon.url, "messages").header("retry-after") is None


def test_an_error_that_the_settings_return_is_not_changed_for_any_client(tmp_path: Path) -> None:
    with ScriptedUpstream(status(503, "as it is")) as server:
        rules = {"on_status": {"503": "return"}}
        with Daemon(tmp_path, settings(upstream("mine", server.url), failover=rules)) as daemon:
            claude = ask(daemon.url, "messages", headers={"user-agent": "claude-cli/2.1.332"})
            other = ask(daemon.url, "messages")
    assert (claude.status, claude.body, claude.header("x-should-retry")) == (503, other.body, None)
    assert error_of("messages", claude)["message"] == "as it is"


# --- after keep-alives ---------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CAUSES if CAUSES[name]])
def test_the_whole_request_after_a_failed_stream_is_answered_without_asking_again(
    bed: Bed, name: str
) -> None:
    bed.script(name, late=True)
    session = bed.new_session()

    streamed = bed.claude(session)
    repeated = bed.claude_whole(session)

    assert (streamed.status, streamed.records[0]["type"]) == (200, "ping")
    ended = last_record(streamed)
    assert (ended["type"], ended["error"]["type"]) == ("error", "api_error")
    error = error_of("messages", repeated)
    assert (repeated.status, error["type"]) == CLAUDE_CODE_GETS[name]
    assert repeated.header("x-should-retry") == "false"
    assert error["message"] == ended["error"]["message"]
    assert len(bed.server.requests) == 1
    assert [len(line.get("attempts", [])) for line in bed.daemon.journal()[-2:]] == [1, 0]


def test_only_one_whole_request_of_the_same_turn_is_answered_from_memory(bed: Bed) -> None:
    bed.script("unavailable", late=True)
    session = bed.new_session()
    bed.claude(session)
    asked = [len(bed.server.requests)]

    def whole_request(session: dict[str, str], text: str = "Hello") -> None:
        bed.claude_whole(session, text)
        asked.append(len(bed.server.requests))

    whole_request(session, "Another turn")
    whole_request(session | {"x-claude-code-agent-id": "a"})
    whole_request(bed.new_session())
    whole_request(session)
    whole_request(session)
    assert asked == [1, 2, 3, 4, 4, 5]


def test_a_stream_of_the_same_turn_is_never_answered_from_memory(bed: Bed) -> None:
    bed.script("unavailable", late=True)
    session = bed.new_session()
    bed.claude(session)
    bed.server.script(say("well again"))
    assert b"well" in bed.claude(session).body


def test_a_changed_entry_is_tried_at_once(bed: Bed) -> None:
    bed.script("unavailable", late=True)
    session = bed.new_session()
    bed.claude(session)
    bed.server.script(say("well again"))
    bed.use(bed.server.url)
    assert bed.claude_whole(session).status == 200


def test_an_unknown_model_costs_one_upstream_request_although_claude_code_asks_twice(bed: Bed) -> None:
    bed.script("no such model")
    session = bed.new_session()
    answered = [asks(session).status for asks in (bed.claude, bed.claude_whole)]
    assert (answered, len(bed.server.requests)) == ([404, 404], 1)


def test_another_program_is_never_answered_from_memory(bed: Bed) -> None:
    bed.script("unavailable", late=True)
    bed.stream("messages")
    ask(bed.daemon.url, "messages", stream=False)
    assert len(bed.server.requests) == 2


def test_an_error_of_the_request_is_repeated_to_the_upstream_that_may_take_it_in_another_form(
    bed: Bed,
) -> None:
    bed.script("unavailable", late=True)
    bed.server.script(bed.slowly(status(400, "this beta is not known")))
    session = bed.new_session()
    streamed = bed.claude(session)
    repeated = bed.claude_whole(session)
    assert last_record(streamed)["error"]["type"] == "invalid_request_error"
    assert (repeated.status, len(bed.server.requests)) == (400, 2)


def test_a_stream_of_codex_that_has_begun_ends_with_the_same_failed_response(bed: Bed) -> None:
    bed.script("quota until tomorrow", late=True)
    response = bed.stream("responses", CODEX)
    assert response.records[0]["type"] == "keepalive"
    assert last_record(response)["response"]["error"]["code"] == "invalid_prompt"


# --- a daemon that ends --------------------------------------------------------

CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332", "x-claude-code-session-id": "s"}


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain HTTP", "TLS"])
@pytest.mark.parametrize(
    ("protocol", "headers"),
    [("messages", CLAUDE_CODE), ("responses", CODEX), ("messages", {}), ("chat", {})],
    ids=["Claude Code", "Codex", "Messages", "Chat"],
)
def test_a_stream_without_content_is_cut_for_programs_that_then_repeat_it(
    tmp_path: Path, protocol: Protocol, headers: dict[str, str], over_tls: bool
) -> None:
    never = threading.Event()
    with ScriptedUpstream(lambda _: [Hold(never)]) as server:
        entry = upstream("mine", server.url, protocol)
        daemon = Daemon(tmp_path, settings(entry, failover={"keep_alive_seconds": BEAT}))
        certificates = make_certificates(tmp_path)
        files = ("--cert", f"{tmp_path}/good.pem", "--cert-key", f"{tmp_path}/good.key")
        daemon.start(*(files if over_tls else ()), wait=False)
        wait_until(lambda: listens(daemon), "the daemon")
        plain = socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_SECONDS)
        with (
            certificates.client().wrap_socket(plain, server_hostname="localhost")
            if over_tls
            else plain as client
        ):
            client.sendall(post(protocol, headers))
            begun = client.recv(65536)
            os.kill(daemon.pid, signal.SIGTERM)
            wait_until(lambda: not listens(daemon), "the closed listener")
            daemon.stop()
            seen = begun + cooldown_of(client)
        never.set()
    is_cut = bool(headers)
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert seen.endswith(b"\r\n0\r\n\r\n") is not is_cut
    assert (b"shutting down" in seen) is not is_cut


def test_a_stream_of_codex_with_content_ends_with_a_code_that_it_repeats(tmp_path: Path) -> None:
    never = threading.Event()
    with ScriptedUpstream(cut_after_content([Hold(never)])) as server, ThreadPoolExecutor(1) as pool:
        daemon = Daemon(tmp_path, settings(upstream("mine", server.url, "responses")))
        daemon.start()
        asking = pool.submit(ask, daemon.url, "responses", headers=CODEX)
        wait_until(lambda: has_content(daemon), "the content")
        os.kill(daemon.pid, signal.SIGTERM)
        wait_until(lambda: not listens(daemon), "the closed listener")
        daemon.stop()
        never.set()
    assert last_record(asking.result())["response"]["error"]["code"] == "server_error"


def has_content(daemon: Daemon) -> bool:
    """A request is being answered."""
    return any(row["first_byte"] for row in daemon.get("/api/state").json["running"])


def listens(daemon: Daemon) -> bool:
    try:
        socket.create_connection(("127.0.0.1", daemon.port), 1).close()
    except OSError:
        return False
    return True


def post(protocol: Protocol, headers: dict[str, str]) -> bytes:
    body = json.dumps(question(protocol, "m")).encode()
    fields = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **headers,
    }
    lines = [f"POST {PATHS[protocol]} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body

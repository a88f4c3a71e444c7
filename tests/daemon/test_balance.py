"""Equal priorities: each session gets a server of its own while there are enough."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, say, status

Servers = list[ScriptedUpstream]


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield [stack.enter_context(ScriptedUpstream(say(f"u{number}"))) for number in range(2)]


def balanced(folder: Path, servers: Servers, *more: dict[str, Any]) -> Daemon:
    own = [*more, *({} for _ in servers)]
    entries = [
        upstream(f"u{number}", server.url, priority=70, **own[number])
        for number, server in enumerate(servers)
    ]
    return Daemon(folder, settings(*entries))


def answering(daemon: Daemon, session: str = "", model: str = "m") -> str:
    headers = {"x-claude-code-session-id": session} if session else {}
    return text_of("messages", ask(daemon.url, "messages", model, headers=headers))


def test_two_sessions_have_a_server_each_whatever_models_they_ask_for(
    tmp_path: Path, servers: Servers
) -> None:
    with balanced(tmp_path, servers) as daemon:
        for _ in range(3):
            for model in ("opus", "haiku"):
                assert (answering(daemon, "a", model), answering(daemon, "b", model)) == ("u0", "u1")


def test_two_sessions_that_begin_at_once_have_a_server_each(tmp_path: Path, servers: Servers) -> None:
    release = threading.Event()

    def slow(number: int) -> Any:
        def script(request: Received) -> Script:
            return [Hold(release), *say(f"u{number}")(request)]

        return script

    for number, server in enumerate(servers):
        server.script(slow(number))
    with balanced(tmp_path, servers) as daemon, ThreadPoolExecutor(8) as pool:
        asked = {
            (session, model): pool.submit(answering, daemon, session, model)
            for session in "ab"
            for model in ("opus", "haiku", "sonnet")
        }
        for server in servers:
            server.wait_for(3)
        release.set()
        found = {key: one.result(PATIENCE_SECONDS) for key, one in asked.items()}
        of_sessions = [{found[key] for key in found if key[0] == session} for session in "ab"]
        assert sorted(of_sessions, key=min) == [{"u0"}, {"u1"}]
        assert (answering(daemon, "a"), answering(daemon, "b")) == (min(of_sessions[0]), min(of_sessions[1]))


def test_requests_without_a_session_are_shared_by_weight(tmp_path: Path, servers: Servers) -> None:
    with balanced(tmp_path, servers, {"weight": 1}, {"weight": 3}) as daemon:
        answers = [answering(daemon) for _ in range(8)]
        assert (answers.count("u0"), answers.count("u1")) == (2, 6)


def test_a_server_that_has_failed_gets_new_sessions_again(tmp_path: Path, servers: Servers) -> None:
    with balanced(tmp_path, servers) as daemon:
        assert answering(daemon, "a") == "u0"
        servers[1].script(status(503))
        assert answering(daemon, "b") == "u0"
        servers[1].script(say("u1"))
        daemon.post("/api/upstreams/clear")
        assert answering(daemon, "c") == "u1"

"""`test NAME` as users run it."""

import re
from pathlib import Path

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, say, status, whole


def lines(said: str) -> list[str]:
    """Without the milliseconds."""
    return [" ".join(re.sub(r"\d+ ms", "# ms", line).split()) for line in said.splitlines()]


def test_an_upstream_that_works(tmp_path: Path) -> None:
    with ScriptedUpstream(say("pong")) as server:
        daemon = Daemon(tmp_path, settings(upstream("Monday key", server.url)))
        code, said = daemon.command("test", "Monday key")
        assert (code, lines(said)) == (
            0,
            [
                "ok resolve # ms 127.0.0.1",
                f"ok connect # ms port {server.port}",
                "ok status # ms 200",
                "ok answer # ms pong",
                f"url {server.url}/v1/messages",
                "model claude-sonnet-4-5-20250929",
                "It works: first answer after # ms.",
            ],
        )
    assert [path.name for path in daemon.data.iterdir()] == ["all_configs.json"]


def test_an_address_that_only_nearly_works(tmp_path: Path) -> None:
    def answer(request: Received) -> Script:
        known = request.path == "/api/v1/messages"
        return say("pong")(request) if known else whole(404, b"page not found", content_type="text/plain")

    with ScriptedUpstream(answer) as server:
        daemon = Daemon(tmp_path, settings(upstream("u", f"{server.url}?key=hidden")))
        code, said = daemon.command("test", "u")
        assert (code, lines(said)[2:]) == (
            1,
            [
                "FAIL status # ms 404 page not found",
                f"url {server.url}/v1/messages?key=***",
                "model claude-sonnet-4-5-20250929",
                "This form of the address works; use it as the entry's base_url: "
                f"{server.url}/api/v1/messages?key=***",
                "It fails.",
            ],
        )


def test_a_model_that_is_named_and_a_terminal_that_is_not_written_to_by_upstreams(tmp_path: Path) -> None:
    with ScriptedUpstream(status(400, "no such\x1b[31m thing")) as server:
        daemon = Daemon(tmp_path, settings(upstream("u", server.url, "chat")))
        code, said = daemon.command("test", "u", "--model", "gpt-mini")
        assert server.requests[0].json["model"] == "gpt-mini"
    assert (code, lines(said)[2]) == (1, "FAIL status # ms 400 no such?[31m thing")


def test_an_unknown_name_reports_the_known_ones(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9"), upstream("b", "demo:")))
    assert daemon.command("test", "c") == (1, 'There is no upstream "c"; there are "a", "b".\n')

"""The token counts of the real clients and of the daemon agree exactly."""

from pathlib import Path

import pytest

from switchyard.store.report import stats_verified
from tests.bed.clients import run_claude, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, agent
from tests.bed.wire import Call, Reply, Usage

pytestmark = pytest.mark.real_clients


def turns(tool: str, argument: str) -> tuple[Reply, ...]:
    call = Call(tool, {argument: "echo verified"}, "call_1")
    return (
        Reply("Let me look.", calls=(call,), usage=Usage(fresh=1200, cache_read=800, output=40), id="one"),
        Reply("It is all done.", usage=Usage(fresh=31, cache_read=1969, output=9), id="two"),
    )


def test_the_clients_own_logs_reconcile_to_the_token(tmp_path: Path) -> None:
    home = tmp_path / "client"
    with (
        ScriptedUpstream(agent(*turns("Bash", "command"))) as messages,
        ScriptedUpstream(agent(*turns("exec_command", "cmd"))) as responses,
    ):
        entries = (
            upstream("claude", messages.url, "messages", clients=["messages"]),
            upstream("codex", responses.url, "responses", clients=["responses"]),
        )
        with Daemon(tmp_path, settings(*entries)) as daemon:
            claude = run_claude(f"{daemon.url}/api", home, "Look around")
            codex = run_codex(f"{daemon.url}/openai", home, "Look around")
            folder = daemon.settings_path.parent
        reported = stats_verified(folder, home / ".claude" / "projects", home / ".codex" / "sessions")

    assert (claude.text, codex.code) == ("It is all done.", 0), (claude, codex)
    assert reported.endswith("The tokens agree.\n"), reported
    assert [reported.count(f"{client}, ") for client in ("Claude Code", "Codex")] == [1, 1], reported
    assert reported.count("requests") == 2

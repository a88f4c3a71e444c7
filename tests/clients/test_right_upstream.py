"""The real Claude Code and Codex side by side, with one key of each vendor and default settings."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bed.clients import run_claude, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, agent
from tests.bed.wire import Call, Reply

pytestmark = pytest.mark.real_clients


def with_tool(name: str, argument: str, end: str) -> tuple[Reply, Reply]:
    return Reply("I look.", calls=(Call(name, {argument: "echo 42"}, "call_1"),)), Reply(end)


def test_neither_vendor_ever_sees_a_prompt_of_the_other_ones_client(tmp_path: Path) -> None:
    of_claude, of_codex = "Claude Code's prompt", "Codex's own prompt"
    claude_turn = with_tool("Bash", "command", "Claude is done.")
    codex_turn = with_tool("exec_command", "cmd", "Codex is done.")
    with (
        ScriptedUpstream(agent(*claude_turn)) as anthropic,
        ScriptedUpstream(agent(*codex_turn)) as openai,
    ):
        entries = [
            upstream("anthropic", "http://api.anthropic.com", "messages", proxy=anthropic.url),
            upstream("openai", "http://api.openai.com/v1", "responses", proxy=openai.url),
        ]
        with Daemon(tmp_path / "data", settings(*entries)) as daemon, ThreadPoolExecutor(2) as pool:
            claude = pool.submit(run_claude, f"{daemon.url}/api", tmp_path / "claude", of_claude)
            codex = pool.submit(run_codex, f"{daemon.url}/openai", tmp_path / "codex", of_codex)
            assert "Claude is done." in claude.result().text
            assert "Codex is done." in codex.result().text
        assert {request.path.rpartition("/")[2] for request in anthropic.requests} == {"messages"}
        assert {request.path.rpartition("/")[2] for request in openai.requests} == {"responses"}
        assert all(of_codex.encode() not in request.body for request in anthropic.requests)
        assert all(of_claude.encode() not in request.body for request in openai.requests)
        assert any(of_claude.encode() in request.body for request in anthropic.requests)

"""Rules with the real clients: a sub-agent and the project are recognized by what they really send."""

from pathlib import Path

import pytest

from tests.bed.clients import run_claude, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, agent, say
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

pytestmark = pytest.mark.real_clients

TASK = {"description": "look", "prompt": "Say what you see", "subagent_type": "general-purpose"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_sub_agent_of_claude_code_runs_on_another_upstream_by_one_rule(
    tmp_path: Path, protocol: Protocol
) -> None:
    turns = Reply("I ask.", calls=(Call("Agent", TASK, "call_1"),), id="one"), Reply("All done.", id="two")
    with ScriptedUpstream(agent(*turns)) as main, ScriptedUpstream(say("I see a lake.")) as local:
        entries = [upstream("main", main.url), upstream("local", local.url, protocol)]
        rule = {"when": {"subagent": True}, "upstreams": ["local"], "model": "qwen3-coder"}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            run = run_claude(
                f"{daemon.url}/api", tmp_path / "client", "Look around", "--allowedTools", "Agent"
            )
            rows = daemon.get("/api/requests").json["requests"]

    assert (run.text, run.code) == ("All done.", 0), run
    assert {received.json["model"] for received in local.requests} == {"qwen3-coder"}
    assert all(b"Say what you see" in received.body for received in local.requests)
    assert b"I see a lake." in main.requests[-1].body
    assert {(row["upstream"], row["rule"]) for row in rows} == {("main", ""), ("local", "1")}
    assert {bool(row["thread"]) for row in rows if row["upstream"] == "local"} == {True}


@pytest.mark.parametrize("client", ["claude-code", "codex"])
def test_the_project_is_the_folder_in_which_the_client_works(tmp_path: Path, client: str) -> None:
    with ScriptedUpstream(agent(Reply("main"))) as main, ScriptedUpstream(agent(Reply("company"))) as company:
        protocol = "messages" if client == "claude-code" else "responses"
        entries = [upstream("main", main.url, protocol), upstream("company", company.url, protocol)]
        project = f"{tmp_path}/client/*"
        rule = {"when": {"client": client, "project": project}, "upstreams": ["company"], "only": True}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            if client == "claude-code":
                run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello")
            else:
                run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello")
            rows = daemon.get("/api/requests").json["requests"]
    assert run.code == 0 and "company" in run.output, run
    assert f"{tmp_path}/client/work" in {row["project"] for row in rows}
    assert not any(b"working directory" in received.body for received in main.requests)

"""Rules with the real clients: each kind of request is recognized by what Claude Code and Codex really send."""

from pathlib import Path

import pytest

from tests.bed.clients import Run, claude_on_a_terminal, run_claude, run_codex
from tests.bed.codex_team import team
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import Received, Script, ScriptedUpstream, agent, answer, say
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

pytestmark = pytest.mark.real_clients

SUMMARY = "All that matters: the shell said 42."
IN_FORM = f"<analysis>Short.</analysis><summary>{SUMMARY}</summary>"
"""Claude Code asks again for a summary without these marks"""
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

    # from 2.1.332 on the parent answers once more when its sub-agent has ended
    assert (run.text.split("\n")[-1], run.code) == ("All done.", 0), run
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


def rules_of(daemon: Daemon) -> set[tuple[str, str]]:
    """The upstream of each request, and the rule that decided."""
    return {(row["upstream"], row["rule"]) for row in daemon.get("/api/requests").json["requests"]}


@pytest.mark.parametrize("protocol", ["chat", "messages"])
def test_a_sub_agent_of_codex_runs_on_another_upstream_by_one_rule(
    tmp_path: Path, protocol: Protocol
) -> None:
    with ScriptedUpstream(team) as main, ScriptedUpstream(team) as local:
        entries = [upstream("main", main.url, protocol), upstream("local", local.url, protocol)]
        rule = {"when": {"subagent": True}, "upstreams": ["local"], "model": "qwen3-coder"}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            url = f"{daemon.url}/openai"
            run = run_codex(url, tmp_path / "client", "Spawn an agent", model="gpt-6-sol")
            assert rules_of(daemon) == {("main", ""), ("local", "1")}

    assert (run.text, run.code) == ("The agent has answered", 0), run
    assert {received.json["model"] for received in local.requests} == {"qwen3-coder"}
    assert all(b"Message Type: NEW_TASK" in received.body for received in local.requests)
    assert not any(b"Message Type: NEW_TASK" in received.body for received in main.requests)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_title_of_a_conversation_is_made_by_the_upstream_of_a_rule(
    tmp_path: Path, protocol: Protocol
) -> None:
    title = say('{"title": "Trains"}')
    with ScriptedUpstream(say("Once upon a time")) as main, ScriptedUpstream(title) as small:
        entries = [upstream("main", main.url), upstream("small", small.url, protocol)]
        rule = {"when": {"background": True}, "upstreams": ["small"], "model": "tiny"}
        with (
            Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon,
            claude_on_a_terminal(f"{daemon.url}/api", tmp_path / "client", "A story about trains"),
        ):
            main.wait_for(1)
            small.wait_for(1)
            wait_until(lambda: rules_of(daemon) == {("main", ""), ("small", "1")}, "an answer of both")

    assert {received.json["model"] for received in small.requests} == {"tiny"}
    assert all(b"Write the title" in received.body for received in small.requests)
    assert not any(b"Write the title" in received.body for received in main.requests)


def test_claude_code_has_its_conversation_compacted_by_the_upstream_of_a_rule(tmp_path: Path) -> None:
    with ScriptedUpstream(say("I answer.")) as main, ScriptedUpstream(say(IN_FORM)) as large:
        entries = [upstream("main", main.url), upstream("large", large.url)]
        rule = {"name": "sums up", "when": {"compaction": True}, "upstreams": ["large"]}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            prompts = (["What is 6 times 7?"], ["Again", "-c"], ["/compact", "-c"], ["Go on", "-c"])
            for prompt, *options in prompts:
                run = run_claude(f"{daemon.url}/api", tmp_path / "client", prompt, *options)
                assert run.code == 0, run
            assert rules_of(daemon) == {("main", ""), ("large", "sums up")}

    assert len(large.requests) == 1
    assert SUMMARY.encode() in main.requests[-1].body
    assert b"What is 6 times 7?" in large.requests[0].body


def test_codex_has_its_conversation_compacted_by_the_upstream_of_a_rule(tmp_path: Path) -> None:
    limit = 20_000
    call = Call("exec_command", {"cmd": "echo 42"}, "call_1")
    full, little = Usage(fresh=limit + 5000, output=10), Usage(fresh=500, output=10)

    def works(request: Received) -> Script:
        if SUMMARY.encode() in request.body:
            return answer(Reply("Went on.", usage=little))(request)
        return answer(Reply("I look.", calls=(call,), usage=full))(request)

    with ScriptedUpstream(works) as main, ScriptedUpstream(answer(Reply(SUMMARY, usage=little))) as large:
        entries = [upstream("main", main.url, "responses"), upstream("large", large.url, "responses")]
        rule = {"name": "sums up", "when": {"compaction": True}, "upstreams": ["large"]}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            limits = ("-c", f"model_auto_compact_token_limit={limit}")
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Look and tell", *limits)
            assert rules_of(daemon) == {("main", ""), ("large", "sums up")}

    assert run.text.endswith("Went on."), run
    assert len(large.requests) == 1
    assert SUMMARY.encode() in main.requests[-1].body


def test_the_web_searches_of_claude_code_run_on_the_upstream_of_a_rule(tmp_path: Path) -> None:
    search = Call("WebSearch", {"query": "weather in Ulm"}, "call_1")
    turns = Reply("I search.", calls=(search,), id="one"), Reply("It is sunny.", id="two")
    with ScriptedUpstream(agent(*turns)) as main, ScriptedUpstream(say("Sunny, says example.com")) as finder:
        entries = [upstream("main", main.url), upstream("finder", finder.url)]
        rule = {"when": {"web_search": True}, "upstreams": ["finder"]}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            options = ("--allowedTools", "WebSearch")
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "How is the weather?", *options)
            assert rules_of(daemon) == {("main", ""), ("finder", "1")}

    assert (run.text, run.code) == ("It is sunny.", 0), run
    assert {len(received.json["tools"]) for received in finder.requests} == {1}
    assert b"Sunny, says example.com" in main.requests[-1].body


def ask_client(client: str, daemon: Daemon, home: Path, prompt: str) -> Run:
    if client == "claude-code":
        return run_claude(f"{daemon.url}/api", home, prompt)
    return run_codex(f"{daemon.url}/openai", home, prompt)


CLIENTS: dict[str, tuple[Protocol, Call]] = {
    "claude-code": ("messages", Call("Bash", {"command": "echo 42"}, "call_1")),
    "codex": ("responses", Call("exec_command", {"cmd": "echo 42"}, "call_1")),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_long_prompt_goes_to_the_second_entry_as_the_first_has_a_small_window(
    tmp_path: Path, client: str
) -> None:
    protocol, _ = CLIENTS[client]
    prompt = "Count the trains. " + "A train has left the station. " * 3500  # 25,000 tokens
    with ScriptedUpstream(say("too small")) as small, ScriptedUpstream(say("Many trains")) as large:
        entries = [
            upstream("small", small.url, protocol, context_window=8000),
            upstream("large", large.url, protocol, context_window=200_000),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = ask_client(client, daemon, tmp_path / "client", prompt)

    assert (run.text.endswith("Many trains"), run.code) == (True, 0), run
    assert small.requests == []


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_used_now_answers_the_next_request_of_a_running_turn(tmp_path: Path, client: str) -> None:
    """The user clicks while the client runs the tool."""
    protocol, call = CLIENTS[client]
    daemons: list[Daemon] = []

    def calls(request: Received) -> Script:
        used: Document = {"upstream": "spare"}
        assert daemons[0].post("/api/use", used).status == 200
        return answer(Reply("I run it.", calls=(call,)))(request)

    with ScriptedUpstream(calls) as main, ScriptedUpstream(say("The spare one goes on.")) as spare:
        entries = [
            upstream("main", main.url, protocol),
            upstream("spare", spare.url, protocol, role="backup"),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            daemons.append(daemon)
            run = ask_client(client, daemon, tmp_path / "client", "Look and tell")
            assert daemon.post("/api/use", {"upstream": None}).status == 200
            main.script(say("The main one is back."))
            again = ask_client(client, daemon, tmp_path / "client", "And again")

    assert run.text.endswith("The spare one goes on."), run
    assert again.text.endswith("The main one is back."), again
    assert b"call_1" in spare.requests[-1].body

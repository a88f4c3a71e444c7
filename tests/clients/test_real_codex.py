"""The real Codex through the daemon: shell calls, freeform patches, exact statistics, invisible failover."""

import json
from pathlib import Path

import pytest

from tests.bed.clients import run_codex
from tests.bed.codex_team import team
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import (
    FAULTS,
    ScriptedUpstream,
    agent,
    cut_after_content,
    fixed,
    say,
    status,
    whole,
)
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

pytestmark = pytest.mark.real_clients

PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+by a patch\n*** End Patch\n"
USAGES = (
    Usage(fresh=1200, output=40, reasoning=12),
    Usage(fresh=130, cache_read=1100, output=55),
    Usage(fresh=150, cache_read=1200, output=60),
    Usage(fresh=70, cache_read=1300, output=9),
)


def shell(id: str, command: str) -> Call:
    return Call("exec_command", {"cmd": command}, id)


def turns(protocol: Protocol) -> tuple[Reply, ...]:
    """A shell call, two parallel ones, a patch, and the closing text. Only Responses has freeform calls."""
    patch: dict[str, str] | str = PATCH if protocol == "responses" else {"input": PATCH}
    return (
        Reply("Let me look.", calls=(shell("call_1", "echo first > first.txt"),), usage=USAGES[0]),
        Reply(calls=(shell("call_2", "cat first.txt"), shell("call_3", "echo second")), usage=USAGES[1]),
        Reply(calls=(Call("apply_patch", patch, "call_4"),), usage=USAGES[2]),
        Reply("It is all done.", usage=USAGES[3]),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_agent_turn_with_calls_parallel_calls_and_a_patch(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(agent(*turns(protocol))) as server:
        with Daemon(tmp_path, settings(upstream("reseller", server.url, protocol))) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Make a file")
            summary = daemon.token_stats()["summary"]

    work = tmp_path / "client" / "work"
    assert (run.text, run.code) == ("It is all done.", 0), run
    assert (work / "first.txt").read_text() == "first\n"
    assert (work / "patched.txt").read_text() == "by a patch\n", run.errors
    assert len(server.requests) == 4
    history = server.requests[-1].body.decode()
    assert "second" in history and "patched.txt" in history
    assert {
        "input": summary["fresh_input_tokens"],
        "read": summary["total_cache_read_tokens"],
        "output": summary["total_output_tokens"],
        "requests": summary["total_requests"],
        "estimated": summary["estimated"],
    } == {
        "input": sum(usage.fresh for usage in USAGES),
        "read": sum(usage.cache_read for usage in USAGES),
        "output": sum(usage.output for usage in USAGES),
        "requests": 4,
        "estimated": 0,
    }


def test_with_no_configuration_the_demo_answers(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello there")
        assert f'base_url = "http://localhost:{daemon.port}/openai"' in daemon.output

    assert run.code == 0, run
    assert "demo" in run.text.lower()
    assert "Hello there" in run.text


def test_the_demo_calls_a_tool_on_request(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        prompt = 'demo: call exec_command {"cmd": "echo called > called.txt"}'
        run = run_codex(f"{daemon.url}/openai", tmp_path / "client", prompt)

    assert run.code == 0, run
    assert (tmp_path / "client" / "work" / "called.txt").read_text() == "called\n"


FAULTS_TO_SURVIVE = (
    "status 401",
    "status 429",
    "status 503",
    "reset before headers",
    "opening only, then closed",
    "error event after the opening",
    "HTML with 200",
)


@pytest.mark.parametrize("fault", FAULTS_TO_SURVIVE)
def test_a_failing_upstream_is_not_noticed(tmp_path: Path, fault: str) -> None:
    with ScriptedUpstream(FAULTS[fault]) as bad, ScriptedUpstream(say("Answered anyway")) as good:
        entries = (upstream("bad", bad.url, "responses"), upstream("good", good.url, "responses"))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello")
            first = daemon.journal()[0]

    assert (run.text, run.code) == ("Answered anyway", 0), run
    assert "ERROR" not in run.errors
    assert [attempt["upstream"] for attempt in first["attempts"]] == ["bad", "good"]


def test_a_break_in_the_middle_is_fixed_by_the_client_at_another_upstream(tmp_path: Path) -> None:
    with ScriptedUpstream(cut_after_content()) as bad, ScriptedUpstream(say("The whole answer")) as good:
        entries = (upstream("bad", bad.url, "responses"), upstream("good", good.url, "responses"))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello")
            outcomes = [(line["upstream"], line["outcome"]) for line in daemon.journal()]

    assert (run.text, run.code) == ("The whole answer", 0), run
    assert outcomes == [("bad", "truncated"), ("good", "ok")]


@pytest.mark.parametrize("code", [401, 429, 500, 503])
def test_when_everything_fails_there_is_no_storm_of_retries(tmp_path: Path, code: int) -> None:
    with ScriptedUpstream(status(code)) as bad:
        with Daemon(tmp_path, settings(upstream("only", bad.url, "responses"))) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello")

    assert run.code != 0
    assert "scripted failure" in run.errors
    assert len(bad.requests) <= 6


def test_an_overflow_reaches_the_client_as_one(tmp_path: Path) -> None:
    reported = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8"},
    }
    with ScriptedUpstream(fixed(whole(400, json.dumps(reported).encode()))) as full:
        with Daemon(tmp_path, settings(upstream("full", full.url, "messages"))) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Hello")

    assert run.code != 0
    assert "context" in run.errors.lower()


def test_without_the_upgrade_to_a_websocket_it_uses_plain_http(tmp_path: Path) -> None:
    with ScriptedUpstream(say("No socket needed")) as server:
        with Daemon(tmp_path, settings(upstream("a", server.url, "responses"))) as daemon:
            run = run_codex(
                f"{daemon.url}/openai", tmp_path / "client", "Hello", settings="supports_websockets = true"
            )

    assert (run.text, run.code) == ("No socket needed", 0), run
    assert len(server.requests) == 1


def test_a_patch_is_applied_though_it_comes_as_the_call_of_a_function(tmp_path: Path) -> None:
    """From a relay that speaks Responses and knows functions only."""
    call = Call("apply_patch", {"input": PATCH}, "call_1")
    with ScriptedUpstream(agent(Reply(calls=(call,)), Reply("It is all done."))) as server:
        with Daemon(tmp_path, settings(upstream("relay", server.url, "responses"))) as daemon:
            run = run_codex(f"{daemon.url}/openai", tmp_path / "client", "Make a file")

    assert (run.text, run.code) == ("It is all done.", 0), run
    assert (tmp_path / "client" / "work" / "patched.txt").read_text() == "by a patch\n", run.errors


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_agent_gets_its_task_and_its_parent_the_answer(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(team) as server:
        entry = upstream("reseller", server.url, protocol)
        if protocol == "responses":
            entry["capabilities"] = {"responses_items": False}
        with Daemon(tmp_path, settings(entry)) as daemon:
            url = f"{daemon.url}/openai"
            run = run_codex(url, tmp_path / "client", "Spawn an agent", model="gpt-6-sol")

    assert (run.text, run.code) == ("The agent has answered", 0), run
    bodies = [request.body.decode() for request in server.requests]
    task = next(body for body in bodies if "Message Type: NEW_TASK" in body)
    assert task.count("Reply with ALPHA.") == 2  # its parent's call, and its own task
    assert "Message Type: FINAL_ANSWER" in bodies[-1]

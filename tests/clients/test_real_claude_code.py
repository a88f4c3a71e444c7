"""The real Claude Code through the daemon: whole agent turns, exact statistics, invisible failover."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from tests.bed.clients import run_claude
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import FAULTS, ScriptedUpstream, agent, cut_after_content, fixed, say, status, whole
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

pytestmark = pytest.mark.real_clients

USAGES = (
    Usage(fresh=1200, cache_read=0, cache_write=900, output=40),
    Usage(fresh=30, cache_read=900, cache_write=70, output=55),
    Usage(fresh=20, cache_read=970, output=9),
)
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAfbLI3wAAAABJRU5ErkJggg=="


def bash(id: str, command: str) -> Call:
    return Call("Bash", {"command": command, "description": "a test"}, id)


def turns() -> tuple[Reply, ...]:
    """A shell call, two parallel ones, and the closing text."""
    return (
        Reply("Let me look.", calls=(bash("call_1", "echo first > first.txt"),), usage=USAGES[0]),
        Reply(calls=(bash("call_2", "cat first.txt"), bash("call_3", "echo second")), usage=USAGES[1]),
        Reply("It is all done.", usage=USAGES[2]),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_agent_turn_with_a_call_and_two_parallel_ones(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(agent(*turns())) as server:
        with Daemon(tmp_path, settings(upstream("reseller", server.url, protocol))) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Make a file")
            statistics = daemon.token_stats()

    assert (run.text, run.code) == ("It is all done.", 0), run
    assert (tmp_path / "client" / "work" / "first.txt").read_text() == "first\n"
    assert len(server.requests) == 3
    assert [result in server.requests[-1].body for result in (b'"first"', b'"second"')] == [True, True]
    summary = statistics["summary"]
    assert {
        "input": summary["fresh_input_tokens"],
        "read": summary["total_cache_read_tokens"],
        "written": summary["total_cache_creation_tokens"],
        "output": summary["total_output_tokens"],
        "requests": summary["total_requests"],
        "estimated": summary["estimated"],
    } == {
        "input": sum(usage.fresh for usage in USAGES),
        "read": sum(usage.cache_read for usage in USAGES),
        "written": sum(usage.cache_write for usage in USAGES),
        "output": sum(usage.output for usage in USAGES),
        "requests": 3,
        "estimated": 0,
    }


def test_with_no_configuration_the_demo_answers(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello there")
        assert f"ANTHROPIC_BASE_URL=http://localhost:{daemon.port}/api" in daemon.output

    assert run.code == 0, run
    assert "demo" in run.text.lower()
    assert "Hello there" in run.text


def test_the_demo_calls_a_tool_on_request(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        prompt = 'demo: call Bash {"command": "echo called > called.txt", "description": "a test"}'
        run = run_claude(f"{daemon.url}/api", tmp_path / "client", prompt)

    assert run.code == 0, run
    assert (tmp_path / "client" / "work" / "called.txt").read_text() == "called\n"


FAULTS_TO_SURVIVE = (
    "status 401",
    "status 429",
    "status 529",
    "reset before headers",
    "opening only, then closed",
    "error event after the opening",
    "HTML with 200",
)


@pytest.mark.parametrize("fault", FAULTS_TO_SURVIVE)
def test_a_failing_upstream_is_not_noticed(tmp_path: Path, fault: str) -> None:
    with ScriptedUpstream(FAULTS[fault]) as bad, ScriptedUpstream(say("Answered anyway")) as good:
        entries = (upstream("bad", bad.url), upstream("good", good.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello")
            first = daemon.journal()[0]

    assert (run.text, run.code) == ("Answered anyway", 0), run
    assert [attempt["upstream"] for attempt in first["attempts"]] == ["bad", "good"]


def test_a_break_in_the_middle_is_fixed_by_the_client_at_another_upstream(tmp_path: Path) -> None:
    with ScriptedUpstream(cut_after_content()) as bad, ScriptedUpstream(say("The whole answer")) as good:
        entries = (upstream("bad", bad.url), upstream("good", good.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello")
            outcomes = [(line["upstream"], line["outcome"]) for line in daemon.journal()]

    assert run.code == 0, run
    assert run.text.endswith("The whole answer")
    assert outcomes == [("bad", "truncated"), ("good", "ok")]


def test_when_everything_fails_it_gives_up_after_few_requests_and_shows_the_reason(tmp_path: Path) -> None:
    with ScriptedUpstream(FAULTS["status 503"]) as bad, ScriptedUpstream(FAULTS["status 401"]) as worse:
        entries = (upstream("first", bad.url), upstream("second", worse.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello")

    assert run.code != 0
    assert "scripted failure" in run.output + run.errors
    assert len(bad.requests) + len(worse.requests) <= 6


def test_an_overflow_reaches_the_client_in_words_it_acts_upon(tmp_path: Path) -> None:
    reported = {
        "error": {
            "message": "This model's maximum context length is 1000 tokens. However, your messages "
            "resulted in 2000 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        }
    }
    with ScriptedUpstream(fixed(whole(400, json.dumps(reported).encode()))) as full:
        with Daemon(tmp_path, settings(upstream("full", full.url, "chat"))) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Hello")

    assert "prompt is too long" in (run.output + run.errors).lower()


def test_a_refused_image_is_left_out(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b64decode(PICTURE))
    played = agent(
        Reply(calls=(Call("Read", {"file_path": str(picture)}, "call_1"),)), Reply("It is all done.")
    )
    refused = status(400, "Unable to process input image. Please retry.")
    with ScriptedUpstream(lambda one: (refused if b"data:image/" in one.body else played)(one)) as server:
        with Daemon(tmp_path, settings(upstream("reseller", server.url, "chat"))) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Look", "--allowedTools", "Read")

    assert (run.text, run.code) == ("It is all done.", 0), run
    assert [b"data:image/" in request.body for request in server.requests] == [False, True, False]

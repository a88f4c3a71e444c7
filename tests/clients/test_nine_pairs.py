"""The real Claude Code and Codex over an upstream of every protocol: text, tools, parallel tools, patches."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.bed.clients import Run, run_claude, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.strict import Strict
from tests.bed.upstream import ScriptedUpstream, agent
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

pytestmark = pytest.mark.real_clients

Client = Literal["claude", "codex"]
Scene = Literal["text", "shell tool", "two parallel tools", "apply_patch"]
SHELL: dict[Client, tuple[str, str]] = {"claude": ("Bash", "command"), "codex": ("exec_command", "cmd")}
PATCH = '*** Begin Patch\n*** Add File: made.txt\n+line with "quotes" and ü\n*** End Patch\n'


@dataclass(frozen=True)
class Turn:
    """The model's responses, request by request, and what it must have received by the end."""

    replies: tuple[Reply, ...]
    results: tuple[str, ...] = ()


def shell(client: Client, command: str, id: str) -> Call:
    name, argument = SHELL[client]
    return Call(name, {argument: command}, id)


def turn_of(scene: Scene, client: Client, protocol: Protocol) -> Turn:
    match scene:
        case "text":
            return Turn((Reply("A plain answer.", usage=Usage(1000, 200, 0, 30, 0)),))
        case "shell tool":
            call = shell(client, "echo tool-$((40+2))", "call_1")
            first = Reply("I look.", thinking="Let me look.", calls=(call,), usage=Usage(100, 20, 0, 30, 0))
            return Turn((first, Reply("Seen: 42.", usage=Usage(50, 160, 0, 9, 0))), ("tool-42",))
        case "two parallel tools":
            calls = (
                shell(client, "echo one-$((1+1))", "call_1"),
                shell(client, "echo two-$((1+2))", "call_2"),
            )
            first = Reply("", thinking="Both at once.", calls=calls, usage=Usage(300, 0, 0, 60, 0))
            return Turn((first, Reply("Both are done.", usage=Usage(70, 300, 0, 8, 0))), ("one-2", "two-3"))
        case "apply_patch":
            patch = Call("apply_patch", PATCH if protocol == "responses" else {"input": PATCH}, "call_1")
            first = Reply("I patch.", calls=(patch,), usage=Usage(500, 0, 0, 80, 0))
            return Turn((first, Reply("Patched.", usage=Usage(20, 570, 0, 4, 0))), ("made.txt",))


SCENES: tuple[tuple[Client, Scene], ...] = (
    ("claude", "text"),
    ("claude", "shell tool"),
    ("claude", "two parallel tools"),
    ("codex", "text"),
    ("codex", "shell tool"),
    ("codex", "two parallel tools"),
    ("codex", "apply_patch"),
)


@dataclass(frozen=True)
class Bed:
    protocol: Protocol
    daemon: Daemon
    server: ScriptedUpstream


@pytest.fixture(scope="module", params=PROTOCOLS)
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    protocol: Protocol = request.param
    with ScriptedUpstream() as server:
        document = settings(upstream(protocol, server.url, protocol))
        with Daemon(tmp_path_factory.mktemp(protocol), document) as daemon:
            yield Bed(protocol, daemon, server)


def run(client: Client, bed: Bed, home: Path, prompt: str) -> Run:
    if client == "claude":
        return run_claude(f"{bed.daemon.url}/api", home, prompt)
    return run_codex(f"{bed.daemon.url}/openai", home, prompt)


COUNTED = ("input_tokens", "cache_read_tokens", "cache_creation_tokens", "output_tokens", "requests")


def counted(bed: Bed) -> dict[str, int]:
    """The upstream's statistics so far."""
    totals = bed.daemon.token_stats()["by_upstream"].get(bed.protocol, {})
    return {name: totals.get(name, 0) for name in COUNTED}


def sum_of(replies: tuple[Reply, ...]) -> dict[str, int]:
    used = [reply.usage for reply in replies]
    parts = [(usage.fresh, usage.cache_read, usage.cache_write, usage.output, 1) for usage in used]
    return dict(zip(COUNTED, map(sum, zip(*parts, strict=True)), strict=True))


def output_of_tools(protocol: Protocol, body: dict[str, Any]) -> str:
    """All results of tools in a request's history."""
    if protocol == "messages":
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        return json.dumps([block for block in blocks if block["type"] == "tool_result"])
    if protocol == "chat":
        return json.dumps([message for message in body["messages"] if message["role"] == "tool"])
    return json.dumps([item for item in body["input"] if item.get("type", "").endswith("_output")])


@pytest.mark.parametrize(("client", "scene"), SCENES)
def test_a_real_agent_turn_runs_over_every_protocol(
    bed: Bed, tmp_path: Path, client: Client, scene: Scene
) -> None:
    rules = Strict(bed.protocol)
    turn = turn_of(scene, client, bed.protocol)
    rules.issued = {reply.seal for reply in turn.replies}
    bed.server.script(rules.guard(agent(*turn.replies)))
    lines_before, counted_before = len(bed.daemon.journal()), counted(bed)

    ended = run(client, bed, tmp_path, f"Please: {scene}")

    assert ended.text.endswith(turn.replies[-1].text), ended
    assert ended.code == 0, ended
    assert rules.broken == []
    assert len(bed.server.requests) == len(turn.replies)
    results = output_of_tools(bed.protocol, bed.server.requests[-1].json)
    assert [result for result in turn.results if result in results] == list(turn.results), results
    if scene == "apply_patch":
        assert (tmp_path / "work" / "made.txt").read_text() == 'line with "quotes" and ü\n'
    now = counted(bed)
    assert {name: now[name] - counted_before[name] for name in COUNTED} == sum_of(turn.replies)
    lines = bed.daemon.journal()[lines_before:]
    assert [line["usage"] for line in lines] == [spelled(reply.usage) for reply in turn.replies]
    assert {line["outcome"] for line in lines} == {"ok"}


def spelled(usage: Usage) -> dict[str, int]:
    """In the form of a journal line, which omits zeros."""
    parts = {
        "input": usage.fresh,
        "cache_read": usage.cache_read,
        "cache_write_5m": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }
    return {name: value for name, value in parts.items() if value}

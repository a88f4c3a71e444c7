"""The Anthropic SDK's tool runner, which adds and removes tools in mid-conversation, over every protocol."""

from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, agent, answer, say
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply


@beta_tool
def first(word: str) -> str:
    """The first tool.

    Args:
        word: any
    """
    return f"first {word}"


@beta_tool
def added(word: str) -> str:
    """The tool that is added.

    Args:
        word: any
    """
    return f"added {word}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mid_system", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_tools_that_are_added_and_removed_reach_the_upstream(
    tmp_path: Path, protocol: Protocol, mid_system: bool, stream: bool
) -> None:
    turns = (
        Reply(calls=(Call("first", {"word": "a"}, "call_1"),)),
        Reply(calls=(Call("added", {"word": "b"}, "call_2"),)),
        Reply("All done."),
    )
    with ScriptedUpstream(agent(*turns)) as server:
        entry = upstream("plain", server.url, protocol, capabilities={"mid_system": mid_system})
        with Daemon(tmp_path, settings(entry)) as daemon:
            # this upstream holds no conversations: of others Switchyard says so itself
            text = run(daemon.url, stream, thread=protocol != "messages")
            losses = [line["losses"] for line in daemon.journal() if line.get("losses")]

    assert (text, losses) == ("All done.", [])
    passes = protocol == "messages" and mid_system
    declared = [sorted(map(str, names(one.json))) for one in server.requests]
    assert declared == ([["first"]] * 3 if passes else [["first"], ["added", "first"], ["added"]])
    assert b"added b" in server.requests[-1].body


@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_conversation_is_compacted_before_the_next_turn(
    tmp_path: Path, protocol: Protocol, stream: bool
) -> None:
    turns = (answer(Reply(calls=(Call("first", {"word": "a"}, "call_1"),))), say("Notes."), say("All done."))
    with (
        ScriptedUpstream(*turns) as server,
        Daemon(tmp_path, settings(upstream("u", server.url, protocol))) as daemon,
    ):
        stops = compacted(daemon.url, stream)

    assert stops == ["tool_use", "compaction", "end_turn"]
    _, summarizing, last = (received.body for received in server.requests)
    assert b"Be short." in summarizing and b"first a" in summarizing and b"tools" not in summarizing
    assert b"Notes." in last and b"first a" not in last


def compacted(url: str, stream: bool) -> list[str | None]:
    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        messages: Any = client.beta.messages
        said = [{"role": "user", "content": "Go"}]
        runner = messages.tool_runner(model="m", max_tokens=1000, messages=said, tools=[first], stream=stream)
        stops = []
        for turn in runner:
            stops.append((turn.get_final_message() if stream else turn).stop_reason)
            if len(stops) == 1:
                runner.compact_before_next_turn({"type": "summarize", "instructions": "Be short."})
        return stops


def names(body: dict[str, list[dict[str, dict[str, str]]]]) -> list[object]:
    return [tool.get("function", tool)["name"] for tool in body["tools"]]


def run(url: str, stream: bool, thread: bool) -> str:
    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        messages: Any = client.beta.messages
        runner = messages.tool_runner(
            model="m",
            max_tokens=1000,
            messages=[{"role": "user", "content": "Go"}],
            tools=[first],
            betas=["inline-tools-2026-09-15"],
            **({} if thread else {"thread": False}),
            stream=stream,
        )
        last = None
        for number, turn in enumerate(runner):
            last = turn.get_final_message() if stream else turn
            if number == 0:
                runner.add_tools(added)
            if number == 1:
                runner.remove_tools(first)
        assert last is not None
        return "".join(block.text for block in last.content if block.type == "text")

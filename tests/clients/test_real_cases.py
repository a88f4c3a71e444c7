"""What broke sessions of the real Claude Code and Codex in the field: efforts, refused fields, summaries, agents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bed.clients import Run, run_claude
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, agent, answer, whole
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

pytestmark = pytest.mark.real_clients

CONVERTED: tuple[Protocol, ...] = ("chat", "responses")
DONE = Reply("It is all done.")
SEARCH = Call("WebSearch", {"query": "cats of the world"}, "call_2")
LOAD = Call("ToolSearch", {"query": "select:WebSearch", "max_results": 5}, "call_1")
SUMMARY = "SUMMARY: the user likes cats."


def bash(id: str, command: str) -> Call:
    return Call("Bash", {"command": command, "description": "a test"}, id)


def is_a_search(received: Received) -> bool:
    """The request of its own that Claude Code sends for a search."""
    return b"Perform a web search for the query" in received.body


def effort_in(body: dict[str, Any]) -> object:
    """The effort of a Chat or Responses request."""
    return body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort"))


def searched(folder: Path, protocol: Protocol) -> list[dict[str, Any]]:
    """The request for the search, and behind it those of the conversation, of an upstream that runs searches."""
    turns = agent(Reply(calls=(LOAD,)), Reply(calls=(SEARCH,)), DONE)
    found = answer(Reply("Cats live here."))
    with ScriptedUpstream(lambda received: (found if is_a_search(received) else turns)(received)) as server:
        models = {"*": "gpt-search-preview"}
        entry = upstream("u", server.url, protocol, models=models, capabilities={"hosted_web_search": True})
        with Daemon(folder, settings(entry)) as daemon:
            options = ("--effort", "high", "--allowedTools", "ToolSearch", "WebSearch")
            run = run_claude(f"{daemon.url}/api", folder / "client", "Look up cats", *options)
    assert (run.text, run.code) == ("It is all done.", 0), run
    return [received.json for received in sorted(server.requests, key=is_a_search, reverse=True)]


def test_a_search_of_claude_code_thinks_no_more_than_it_asks_for(tmp_path: Path) -> None:
    """Older versions turn thinking off for it and leave the effort in place, newer ones send the effort alone."""
    asked, *_ = searched(tmp_path / "messages", "messages")
    turned_off = asked.get("thinking") == {"type": "disabled"}
    assert asked["output_config"] == {"effort": "high"} and (turned_off or "thinking" not in asked)
    for protocol in CONVERTED:
        search, *others = searched(tmp_path / protocol, protocol)
        assert effort_in(search) == ("none" if turned_off else "high")
        assert {effort_in(body) for body in others} == {"high"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_effort_of_claude_code_reaches_the_upstream(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(agent(Reply(calls=(bash("call_1", "true"),)), DONE)) as server:
        with Daemon(tmp_path, settings(upstream("reseller", server.url, protocol))) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Do it", "--effort", "low")

    assert (run.text, run.code) == ("It is all done.", 0), run
    bodies = [received.json for received in server.requests]
    efforts = [(body.get("output_config") or {}).get("effort") or effort_in(body) for body in bodies]
    assert efforts == ["low", "low"]


class Strict:
    """An upstream that refuses one member in the words of Anthropic: the effort inside a message, which newer versions
    repeat there; of older ones the edits of the context."""

    def __init__(self, then: Callable[[Received], Script]) -> None:
        self._then = then
        self.refused: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []

    def __call__(self, received: Received) -> Script:
        body = received.json
        messages = enumerate(body["messages"])
        late = [f"messages.{number}.output_config" for number, one in messages if "output_config" in one]
        is_newer = bool(late) or any("output_config" in str(one["messages"]) for one in self.refused)
        path = (
            late[0] if late else "" if is_newer or "context_management" not in body else "context_management"
        )
        (self.refused if path else self.answered).append(body)
        if not path:
            return self._then(received)
        error = {"type": "invalid_request_error", "message": f"{path}: Extra inputs are not permitted"}
        return whole(400, json.dumps({"type": "error", "error": error}).encode())


def test_a_refused_member_costs_claude_code_nothing_else(tmp_path: Path) -> None:
    strict = Strict(agent(Reply(calls=(bash("call_1", "true"),)), DONE))
    with ScriptedUpstream(strict) as server:
        with Daemon(tmp_path, settings(upstream("strict", server.url))) as daemon:
            run = run_claude(f"{daemon.url}/api", tmp_path / "client", "Do it", "--effort", "high")

    assert (run.text, run.code) == ("It is all done.", 0), run
    (refused,) = strict.refused  # and the second turn is not refused any more
    for body in strict.answered:
        assert (body["thinking"], body["output_config"]) == (refused["thinking"], {"effort": "high"})
    assert len(strict.answered) == 2


def with_summary(home: Path) -> str:
    """The id of the conversation that was just held, after a compaction before its only answer."""
    (log,) = (home / ".claude" / "projects").rglob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        message = line.get("message") or {}
        if message.get("role") == "assistant":
            block = {"type": "compaction", "content": SUMMARY, "encrypted_content": None}
            message["content"].insert(0, block)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return log.stem


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_compacted_conversation_of_claude_code_continues_with_its_summary(
    tmp_path: Path, protocol: Protocol
) -> None:
    home, runs = tmp_path / "client", list[Run]()
    with ScriptedUpstream(agent(DONE)) as server:
        with Daemon(tmp_path, settings(upstream("reseller", server.url, protocol))) as daemon:
            url = f"{daemon.url}/api"
            runs.append(run_claude(url, home, "THE FIRST QUESTION"))
            runs.append(run_claude(url, home, "And now?", "--resume", with_summary(home)))

    assert [(run.text, run.code) for run in runs] == [("It is all done.", 0)] * 2, runs
    sent = server.requests[-1].body.decode()
    assert sent.count(SUMMARY) == 1 and "And now?" in sent
    if protocol != "messages":
        assert "THE FIRST QUESTION" not in sent
        history = server.requests[-1].json["messages" if protocol == "chat" else "input"]
        (told,) = [item for item in history if SUMMARY in str(item)]
        assert told["role"] == "user"

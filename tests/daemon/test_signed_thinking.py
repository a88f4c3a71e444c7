"""Opaque reasoning data returns to the upstream that issued it and to no other, whatever happens in between."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.strict import Strict
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer, status
from tests.bed.wire import Protocol, Reply

NAMES = ("a", "b", "c")


def kept(protocol: Protocol, response: Response, streamed: bool) -> list[Document]:
    """The answer as a client keeps it in its history."""
    if protocol == "responses":
        items = (
            [record["item"] for record in response.records if record["type"] == "response.output_item.done"]
            if streamed
            else response.json["output"]
        )
        return [{name: value for name, value in item.items() if name != "status"} for item in items]
    blocks = _streamed_blocks(response.records) if streamed else response.json["content"]
    return [{"role": "assistant", "content": blocks}]


def _streamed_blocks(records: list[Document]) -> list[Document]:
    blocks: list[Document] = []
    for record in records:
        if record["type"] == "content_block_start":
            blocks.append(dict(record["content_block"]))
        elif record["type"] == "content_block_delta":
            delta = record["delta"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}[
                delta["type"]
            ]
            blocks[-1][name] += delta[name]
    return blocks


@dataclass
class Talk:
    """A client that keeps everything it receives, as the real ones do, over upstreams of which one works at a time."""

    protocol: Protocol
    spoken: tuple[Protocol, ...]
    streamed: bool
    works: str = "a"
    history: list[Document] = field(default_factory=list)
    rules: dict[str, Strict] = field(default_factory=lambda: {name: Strict(name) for name in NAMES})
    received: dict[str, list[Received]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def answers(self, received: Received) -> Script:
        name = received.path.split("/")[1]
        if name != self.works:
            return status(500, "down")(received)
        self.received[name].append(received)
        return self.rules[name].guard(self._answer)(received)

    def _answer(self, received: Received) -> Script:
        rules = self.rules[self.works]
        number = len(rules.issued) + 1
        seal = rules.issue(base64.b64encode(f"sealed by {self.works}, {number}".encode()).decode())
        thinking = f"Thought {number} of {self.works}."
        return answer(Reply(f"Answer {number} of {self.works}.", thinking=thinking, seal=seal))(received)

    def say(self, daemon: Daemon, works: str) -> None:
        self.works = works
        self.history.append({"role": "user", "content": f"To {works}, please"})
        place = "input" if self.protocol == "responses" else "messages"
        body: dict[str, Any] = {"model": "m", place: self.history, "stream": self.streamed}
        if self.protocol == "messages":
            body |= {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
        else:
            body |= {
                "include": ["reasoning.encrypted_content"],
                "store": False,
                "reasoning": {"effort": "high"},
            }
        response = request(daemon.url, "POST", PATHS[self.protocol], body)
        assert response.status == 200, response.text
        self.history += kept(self.protocol, response, self.streamed)


CASES: tuple[tuple[Protocol, tuple[Protocol, ...]], ...] = (
    ("messages", ("messages", "messages", "messages")),
    ("messages", ("messages", "messages", "responses")),
    ("messages", ("messages", "responses", "chat")),
    ("responses", ("responses", "responses", "responses")),
    ("responses", ("responses", "responses", "messages")),
    ("responses", ("responses", "messages", "chat")),
)


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
def streamed(request: pytest.FixtureRequest) -> Iterator[bool]:
    yield request.param


@pytest.mark.parametrize(("protocol", "spoken"), CASES)
def test_seals_return_only_to_their_issuer(
    tmp_path: Path, protocol: Protocol, spoken: tuple[Protocol, ...], streamed: bool
) -> None:
    talk = Talk(protocol, spoken, streamed)
    with ScriptedUpstream(talk.answers) as server:
        entries = [
            upstream(name, f"{server.url}/{name}", kind) for name, kind in zip(NAMES, spoken, strict=True)
        ]
        with Daemon(tmp_path, settings(*entries, failover={"cooldown_seconds": 0})) as daemon:
            for works in ("a", "a", "b", "b", "c", "a", "b", "a"):
                talk.say(daemon, works)
            outcomes = [line["outcome"] for line in daemon.journal()]

    assert [rules.broken for rules in talk.rules.values()] == [[], [], []]
    assert outcomes == ["ok"] * 8
    sealing = [name for name, kind in zip(NAMES, spoken, strict=True) if kind != "chat"]
    # the client has returned everything except the last item, which no request has needed yet
    for name in sealing:
        rules = talk.rules[name]
        last = talk.received[name][-1].body.decode()
        returned = [seal for seal in rules.issued if seal in last]
        asked = len(talk.received[name])
        assert len(returned) == asked - 1, (name, returned, rules.issued)
    assert json.dumps(talk.history).count("Answer") == 8

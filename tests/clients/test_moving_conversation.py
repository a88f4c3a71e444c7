"""Ten prompts with thinking and tools, while the upstreams of three protocols fail in turn: the real clients finish."""

import base64
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.bed.clients import Run, run_claude, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.strict import Strict
from tests.bed.upstream import Answer, Received, Script, ScriptedUpstream, answer, status
from tests.bed.wire import Call, Protocol, Reply

pytestmark = [pytest.mark.real_clients, pytest.mark.timeout(600)]

Phase = Literal["call", "answer"]
SPOKEN: dict[str, Protocol] = {
    "messages": "messages",
    "other messages": "messages",
    "chat": "chat",
    "responses": "responses",
    "other responses": "responses",
}
STEPS = range(1, 11)
MOVES: dict[tuple[int, Phase], str] = {
    (1, "call"): "messages",
    (2, "answer"): "other messages",  # between a tool call and its result
    (3, "answer"): "chat",
    (5, "call"): "responses",
    (6, "answer"): "other responses",
    (8, "answer"): "messages",
    (9, "call"): "chat",
    (9, "answer"): "responses",
    (10, "call"): "other messages",
    (10, "answer"): "messages",
}
"""From now on, only this upstream works; the others are overloaded."""
PROMPT = re.compile(rb"Step (\d+): go on")


def working_at(step: int, phase: Phase) -> str:
    past = [
        owner
        for (since, part), owner in MOVES.items()
        if (since, part == "answer") <= (step, phase == "answer")
    ]
    return past[-1]


def result_of(step: int) -> str:
    return f"result-{step * 7}"


def text_of(step: int) -> str:
    return f"Step {step} is done."


@dataclass
class Model:
    """One model behind three upstreams: it calls a tool for each step, and ends the step after the result."""

    tool: str
    argument: str
    rules: dict[str, Strict] = field(default_factory=lambda: {name: Strict(name) for name in SPOKEN})
    reported: list[tuple[int, Phase, str]] = field(default_factory=list)
    """the upstream of each answer"""

    def behind(self, name: str) -> Answer:
        return self.rules[name].guard(lambda request: self._answer(name, request))

    def _answer(self, name: str, request: Received) -> Script:
        step = int(PROMPT.findall(request.body)[-1])
        phase: Phase = "answer" if result_of(step).encode() in request.body else "call"
        if working_at(step, phase) != name:
            return status(529, "Overloaded")(request)
        self.reported.append((step, phase, name))
        return answer(self._reply(name, step, phase))(request)

    def _reply(self, name: str, step: int, phase: Phase) -> Reply:
        number = len(self.reported)
        seal = self.rules[name].issue(base64.b64encode(f"sealed by {name}, {number}".encode()).decode())
        thinking = f"Thought {number} of {name}."
        if phase == "answer":
            return Reply(text_of(step), thinking=thinking, seal=seal)
        call = Call(self.tool, {self.argument: f"echo result-$(({step}*7))"}, f"call_{number}")
        return Reply("I run it.", thinking=thinking, calls=(call,), seal=seal)


Speak = Callable[[Daemon, Path, int], Run]


def claude_says(daemon: Daemon, home: Path, step: int) -> Run:
    going_on = ["-c"] if step > 1 else []
    return run_claude(f"{daemon.url}/api", home, f"Step {step}: go on", *going_on)


def codex_says(daemon: Daemon, home: Path, step: int) -> Run:
    going_on = ["resume", "--last"] if step > 1 else []
    return run_codex(f"{daemon.url}/openai", home, f"Step {step}: go on", *going_on)


CLIENTS: dict[str, tuple[Speak, str, str]] = {
    "claude": (claude_says, "Bash", "command"),
    "codex": (codex_says, "exec_command", "cmd"),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_moves_between_three_protocols_and_finishes(client: str, tmp_path: Path) -> None:
    say, tool, argument = CLIENTS[client]
    model = Model(tool, argument)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(ScriptedUpstream(model.behind(name))) for name in SPOKEN}
        upstreams = [upstream(name, servers[name].url, spoken) for name, spoken in SPOKEN.items()]
        # without cooldowns the order depends only on the session affinity of the conversation
        document = settings(*upstreams, failover={"cooldown_seconds": 0})
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", document))
        ended = [say(daemon, tmp_path / "home", step) for step in STEPS]
        journal = daemon.journal()

    assert {name: rules.broken for name, rules in model.rules.items()} == {name: [] for name in SPOKEN}
    said = [run.text.endswith(text_of(step)) for step, run in zip(STEPS, ended, strict=True)]
    assert said == [True] * 10, ended
    steps: list[tuple[int, Phase]] = [(step, phase) for step in STEPS for phase in ("call", "answer")]
    assert model.reported == [(step, phase, working_at(step, phase)) for step, phase in steps]
    assert [(line["outcome"], line["upstream"]) for line in journal] == [
        ("ok", name) for *_, name in model.reported
    ]
    last = servers["messages"].requests[-1].body.decode()
    assert [step for step in STEPS if result_of(step) not in last] == []
    assert [step for step in STEPS[:-1] if text_of(step) not in last] == []
    # signed data returns to its upstream, even if others have answered since
    assert [name for name, rules in model.rules.items() if rules.returned] == [
        name for name, spoken in SPOKEN.items() if spoken != "chat"
    ]

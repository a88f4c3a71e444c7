"""The real Codex compacts its conversation over every protocol, by itself or with the upstream, and continues."""

from pathlib import Path

import pytest

from tests.bed.clients import Run, run_codex
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.strict import Strict
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

pytestmark = pytest.mark.real_clients

LIMIT = 20_000
SUMMARY = "All that matters: the shell said result-42."
FULL = Usage(fresh=LIMIT + 5000, output=10)
LITTLE = Usage(fresh=500, output=10)


class Model:
    """Calls a tool in a context that is then full; summarizes on request; continues after its summary."""

    def __init__(self, spoken: Protocol) -> None:
        self.rules = Strict(spoken)
        self.played: list[str] = []

    def answers(self, received: Received) -> Script:
        return self.rules.guard(self._answer)(received)

    def _answer(self, received: Received) -> Script:
        text = received.body.decode()
        if SUMMARY in text:
            return self._play("goes on", Reply("Went on.", usage=LITTLE), received)
        if "CONTEXT CHECKPOINT COMPACTION" in text:
            return self._play("sums up for Codex", Reply(SUMMARY, usage=LITTLE), received)
        if "is about to be cut" in text:
            return self._play("sums up for the daemon", Reply(SUMMARY, usage=LITTLE), received)
        if "result-42" in text:
            return self._play("must have been compacted", Reply("Too much."), received)
        call = Call("exec_command", {"cmd": "echo result-$((6*7))"}, "call_1")
        return self._play("calls", Reply("I look.", calls=(call,), usage=FULL), received)

    def _play(self, part: str, reply: Reply, received: Received) -> Script:
        self.played.append(part)
        return answer(reply)(received)


def run(daemon: Daemon, home: Path, provider_name: str) -> Run:
    return run_codex(
        f"{daemon.url}/openai",
        home,
        "Look and tell",
        "-c",
        f"model_auto_compact_token_limit={LIMIT}",
        "-c",
        f'model_providers.switchyard.name="{provider_name}"',
    )


# Codex assumes that a provider with this name compacts by itself
@pytest.mark.parametrize(
    ("provider_name", "part"),
    [("switchyard", "sums up for Codex"), ("OpenAI", "sums up for the daemon")],
    ids=["local", "remote"],
)
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_codex_compacts_and_continues(
    tmp_path: Path, spoken: Protocol, provider_name: str, part: str
) -> None:
    model = Model(spoken)
    with ScriptedUpstream(model.answers) as server:
        with Daemon(tmp_path / "daemon", settings(upstream(spoken, server.url, spoken))) as daemon:
            ended = run(daemon, tmp_path / "home", provider_name)
            outcomes = [line["outcome"] for line in daemon.journal()]
    assert ended.text.endswith("Went on."), ended
    assert model.rules.broken == []
    assert model.played == ["calls", part, "goes on"]
    assert outcomes == ["ok"] * 3

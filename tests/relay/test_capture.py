"""What is captured: only while wanted, only so many requests, only so much of each."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.message_memory import History, MessageMemory
from switchyard.protocols.passthrough.peek import Members
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay import capture
from switchyard.relay import tape as tapes
from switchyard.relay.capture import CaptureMode, CapturingRelay, NowhereSink
from switchyard.relay.tape import RecordedAnswer, Tape
from switchyard.relay.values import ClientRequest, Sink
from switchyard.settings import Failover, Settings, Upstream
from tests.bed.dependencies import Bed
from tests.bed.upstream import Answer, ScriptedUpstream, say, status

PROMPT = '{"model": "%s", "max_tokens": 9, "messages": [{"role": "user", "content": "%s"}]}'


def entry(server: ScriptedUpstream, name: str = "a", model: str = "m") -> Upstream:
    return Upstream(name=name, base_url=server.url, key="sk-of-a", models={"m": model})


def request_of(prompt: str) -> ClientRequest:
    body = (PROMPT % ("m", prompt)).encode()
    return ClientRequest("messages", body, read_request_summary("messages", body, {}), [])


class Captured:
    """Asks once after each change of the mode."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        *modes: CaptureMode | None,
        prompt: str = "hello",
        sink: Callable[[CapturingRelay], Sink] = lambda _: NowhereSink(),
    ) -> None:
        self._bed = Bed(Settings(upstreams=tuple(upstreams), failover=Failover(hold_seconds=0)))
        self.relay = CapturingRelay(self._bed.dependencies)
        self.ids = asyncio.run(self._ask(modes, request_of(prompt), sink))

    async def _ask(
        self,
        modes: Sequence[CaptureMode | None],
        request: ClientRequest,
        sink: Callable[[CapturingRelay], Sink],
    ) -> list[str]:
        ids = []
        for mode in modes:
            if mode is not None:
                self.relay.switch(mode)
            ids.append((await self.relay.answer(request, sink(self.relay))).id)
        await self._bed.close()
        return ids

    @property
    def tape(self) -> Tape:
        found = self.relay.find(self.ids[0])
        assert found is not None
        return found


def test_nothing_is_captured_unless_wanted() -> None:
    with ScriptedUpstream() as server:
        relay = Captured([entry(server)], None).relay
    assert (relay.mode, relay.captured) == ("off", ())


def test_a_captured_request_has_each_attempt_as_it_was_sent_and_both_answers() -> None:
    with ScriptedUpstream(status(503)) as failing, ScriptedUpstream(say("fine")) as server:
        tape = Captured([entry(failing, "a"), entry(server, "b")], "all").tape
    assert tape.exchange is not None
    assert [one.note for one in tape.requests] == tape.exchange.attempts
    assert [one.body for one in tape.requests] == [server.requests[0].body] * 2
    assert [one.answer.status for one in tape.requests] == [503, 200]
    assert dict(tape.requests[1].headers)["authorization"] == "Bearer sk-of-a"
    assert b"fine" in tape.requests[1].answer.body and b"fine" in tape.answer.body


def test_the_next_request_is_captured_and_no_other() -> None:
    with ScriptedUpstream() as server:
        run = Captured([entry(server)], "next", None)
    assert (run.relay.mode, run.relay.captured) == ("off", (run.ids[0],))


@pytest.mark.parametrize(("answered", "is_kept"), [(status(400), True), (say("hello"), False)])
def test_of_errors_only_the_failed_requests_are_kept(answered: Answer, is_kept: bool) -> None:
    with ScriptedUpstream(answered) as server:
        run = Captured([entry(server)], "errors")
    assert (run.relay.mode, run.relay.captured) == ("errors", tuple(run.ids) if is_kept else ())


def test_an_attempt_that_failed_is_an_error_although_another_upstream_answered() -> None:
    with ScriptedUpstream(status(503)) as failing, ScriptedUpstream() as server:
        run = Captured([entry(failing, "a"), entry(server, "b")], "errors")
    assert run.relay.captured == tuple(run.ids)


class Deleting(NowhereSink):
    """Deletes the captures before its answer ends."""

    def __init__(self, relay: CapturingRelay) -> None:
        super().__init__()
        self._relay = relay

    async def end(self, data: bytes = b"") -> None:
        self._relay.switch("off")


@pytest.mark.parametrize("mode", ["all", "errors"])
def test_off_deletes_what_is_captured_even_of_a_running_request(mode: CaptureMode) -> None:
    with ScriptedUpstream(status(400)) as server:
        assert Captured([entry(server)], mode).relay.captured
        assert not Captured([entry(server)], mode, sink=Deleting).relay.captured


def test_the_oldest_ones_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_CAPTURES", 2)
    with ScriptedUpstream() as server:
        run = Captured([entry(server)], "all", None, None)
        assert run.relay.captured == tuple(run.ids[1:])
        monkeypatch.setattr(capture, "MAX_BYTES", 10_000)
        assert len(Captured([entry(server)], "all", None, prompt="x" * 6000).relay.captured) == 1


def test_a_request_that_is_too_large_is_kept_without_its_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapes, "MAX_REQUEST_BYTES", 1000)
    with ScriptedUpstream() as server:
        tape = Captured([entry(server)], "all", prompt="x" * 1000).tape
    assert (tape.has_body, tape.request.body, tape.requests[0].body) == (False, b"", None)
    assert tape.answer.body


def test_of_many_attempts_the_last_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapes, "MAX_SENT_BYTES", 3000)
    with ScriptedUpstream(status(503)) as server:
        upstreams = [entry(server, name, f"model-{name}") for name in "abcd"]
        tape = Captured(upstreams, "all", prompt="x" * 1000).tape
    assert tape.exchange is not None and len(tape.exchange.attempts) == 4
    assert [one.note.upstream for one in tape.requests] == ["c", "d"]


def test_of_a_long_answer_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapes, "MAX_ANSWER_BYTES", 100)
    answer = RecordedAnswer()
    answer.start(0.0, 200, [])
    for at in range(3):
        answer.keep(float(at), b"x" * 30)
    assert [(piece.at, len(piece.data)) for piece in answer.pieces] == [(0.0, 30), (1.0, 6)]
    assert answer.is_truncated


def test_a_tape_keeps_no_remembered_messages_and_no_view_of_a_body_that_it_does_not_keep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, memory = request_of("x" * 2000), MessageMemory(least=0)
    raw = request.summary.members.messages
    CODECS["messages"].decode_request(request.body, History(memory, raw))
    summary = read_request_summary("messages", request.body, {}, memory)
    assert summary.beginning is not None
    request = replace(request, summary=summary)
    assert Tape(request, Settings(), float).request.summary == replace(summary, beginning=None)
    monkeypatch.setattr(tapes, "MAX_REQUEST_BYTES", 1000)
    assert Tape(request, Settings(), float).request.summary.members == Members()

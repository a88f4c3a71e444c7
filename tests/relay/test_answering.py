import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.answering import Answering
from switchyard.relay.failover import Relay
from switchyard.relay.final_error import FinalError
from switchyard.relay.headers import Headers
from switchyard.relay.reports import Reports
from switchyard.relay.stopwatch import Stopwatch
from switchyard.relay.upstream import Call
from switchyard.relay.upstream import Reply as UpstreamReply
from switchyard.relay.values import ClientRequest
from switchyard.settings import DEMO_URL, Settings, Upstream
from tests.bed import wire
from tests.bed.dependencies import bed_of
from tests.bed.fake_time import run
from tests.bed.stage import Body, Stage

DEMO = Upstream(name="demo", base_url=DEMO_URL)
BODY = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hello"}]}'


@dataclass
class Client:
    started: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False

    async def start(self, status: int, headers: Headers) -> None:
        self.started, self.status, self.headers = True, status, dict(headers)

    async def write(self, data: bytes) -> None:
        self.body += data

    async def end(self, data: bytes = b"") -> None:
        self.body += data

    async def cut(self) -> None:
        self.is_cut = True


def left_during(
    record: Callable[[asyncio.Event, Exchange], Awaitable[None]], client: Client, *reason: str
) -> list[Exchange]:
    """What is recorded of a request that is cancelled, for this reason, while its end is being written down."""
    recorded: list[Exchange] = []

    async def scenario() -> None:
        bed = bed_of(DEMO)
        reached = asyncio.Event()

        async def slowly(exchange: Exchange) -> None:
            recorded.append(exchange)
            await record(reached, exchange)

        relay = Relay(replace(bed.dependencies, record=slowly))
        request = ClientRequest("messages", BODY, read_request_summary("messages", BODY, {}), [])
        asking = asyncio.create_task(relay.answer(request, client))
        await reached.wait()
        asking.cancel(*reason)
        await asyncio.wait([asking])
        assert asking.cancelled() == (not reason)
        assert bed.under_way("demo") == 0
        await bed.close()

    asyncio.run(scenario())
    return recorded


async def never_done(reached: asyncio.Event, _: Exchange) -> None:
    reached.set()
    await asyncio.sleep(60)


def test_an_answer_that_had_ended_when_its_client_left_is_recorded_once_and_stays_what_it_was() -> None:
    (exchange,) = left_during(never_done, Client())
    assert exchange.outcome is Outcome.OK
    assert exchange.usage is not None


def test_a_recorded_answer_that_was_not_sent_yet_is_cut_when_the_daemon_ends_at_once() -> None:
    client = Client()
    (exchange,) = left_during(never_done, client, "the daemon ends at once")
    assert exchange.outcome is Outcome.OK
    assert client.is_cut


# --- the end of an answer ------------------------------------------------------

CONTENT = b"".join(wire.records("messages", wire.Reply("Hello, you"), "m"))
STREAMS = {
    "complete": CONTENT,
    "cut": CONTENT[: CONTENT.index(b"message_delta")],
    "with an error": CONTENT[: CONTENT.index(b"event: message_delta")]
    + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy."}}\n\n',
}


@pytest.mark.parametrize("stream", STREAMS)
def test_the_end_of_a_stream_is_recorded_before_the_client_can_see_it(stream: str) -> None:
    client = Client()
    seen: list[bytes] = []

    async def scenario() -> None:
        async def answer(call: Call) -> UpstreamReply:
            return UpstreamReply(200, [("content-type", "text/event-stream")], Body(STREAMS[stream], 0.5))

        async def record(exchange: Exchange) -> None:
            seen.append(client.body)

        stage = Stage(Settings(upstreams=(Upstream(name="u", base_url="https://u.example"),)), answer)
        stage.dependencies = replace(stage.dependencies, record=record)
        await stage.ask(client, stream=True)

    run(scenario())
    end = b"message_stop" if stream == "complete" else b'"type":"error"'
    assert [end in body for body in (*seen, client.body)] == [False, True]


# --- final errors --------------------------------------------------------------

CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332"}
CODEX = {"originator": "codex_exec"}
RECOVERS = FinalError(WireError(ErrorType.OVERLOADED, "Busy.", 529), recovery_seconds=19.5, hold_used_up=True)


def given(
    final: FinalError, protocol: ProtocolName, headers: dict[str, str], *, stream: bool, begun: bool = False
) -> tuple[Client, Exchange]:
    """What the client sees of a final error, and what is recorded; `begun`: it has had a keep-alive."""
    client = Client()
    part = "input" if protocol == "responses" else "messages"
    body = json.dumps({"model": "m", "stream": stream, part: []}).encode()

    async def scenario() -> Exchange:
        bed = bed_of(DEMO)
        request = ClientRequest(
            protocol, body, read_request_summary(protocol, body, headers), [*headers.items()]
        )
        exchange = Exchange("x_1", 0.0, protocol, "m")
        stopwatch, reports = Stopwatch(bed.dependencies.awake), Reports(bed.dependencies, exchange)
        answering = Answering(bed.dependencies, request, exchange, client, stopwatch, reports)
        if begun:
            await client.start(200, [])
        await answering.return_error(final)
        await bed.close()
        (recorded,) = bed.recorded
        return recorded

    return client, asyncio.run(scenario())


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_claude_code_is_cut_off_when_a_recovery_is_near(stream: bool, begun: bool) -> None:
    client, recorded = given(RECOVERS, "messages", CLAUDE_CODE, stream=stream, begun=begun)
    assert (client.is_cut, client.body, client.started) == (True, b"", begun)
    assert (recorded.outcome, recorded.status, recorded.failure) == (Outcome.FAILED, 529, RECOVERS.error)


@pytest.mark.parametrize("begun", [True, False])
def test_codex_is_sent_to_wait_when_a_recovery_is_near(begun: bool) -> None:
    client, _ = given(RECOVERS, "responses", CODEX, stream=True, begun=begun)
    assert (client.status, client.is_cut) == (200, False)
    assert b'"code":"rate_limit_exceeded","message":"Please try again in 20s. Busy."' in client.body


@pytest.mark.parametrize("protocol", ["messages", "chat", "responses"])
def test_another_program_gets_the_status_and_the_time_of_the_recovery(protocol: ProtocolName) -> None:
    client, _ = given(RECOVERS, protocol, {}, stream=True)
    assert (client.status, client.headers["retry-after"], client.is_cut) == (529, "20", False)
    assert "x-should-retry" not in client.headers


@pytest.mark.parametrize(
    "final",
    [
        replace(RECOVERS, recovery_seconds=61.0),
        replace(RECOVERS, recovery_seconds=None),
        replace(RECOVERS, hold_used_up=False),
    ],
)
def test_a_turn_ends_when_no_recovery_is_near_or_the_client_need_not_wait(final: FinalError) -> None:
    claude, _ = given(final, "messages", CLAUDE_CODE, stream=True)
    assert (claude.status, claude.headers["x-should-retry"], claude.is_cut) == (503, "false", False)
    codex, _ = given(final, "responses", CODEX, stream=True)
    assert b'"code":"invalid_prompt","message":"Busy."' in codex.body

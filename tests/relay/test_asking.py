"""One upstream is asked: what the attempt returns is its own, whatever is asked next."""

import asyncio
import gc
from datetime import UTC, datetime

import msgspec
import pytest

from switchyard.exchange import Exchange
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.asking import Answer, Asking, Refusal
from switchyard.relay.reports import Reports
from switchyard.relay.selection import Selected
from switchyard.relay.upstream import Call, Reply
from switchyard.relay.values import ClientRequest
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import Route
from switchyard.settings import Settings
from tests.bed import wire
from tests.bed.fake_time import run
from tests.bed.stage import BODY, Body, Stage, reply, upstream

STREAMED = BODY.replace(b"{", b'{"stream":true,', 1)


def asking_on(stage: Stage, body: bytes) -> tuple[Asking, Reports, Exchange]:
    request = ClientRequest("messages", body, read_request_summary("messages", body, {}), [])
    exchange = Exchange("x_1", datetime.now(UTC).timestamp(), "messages", "m")
    return (
        Asking(stage.dependencies, request, exchange, stage.bed.settings),
        Reports(stage.dependencies, exchange),
        exchange,
    )


async def ask(stage: Stage, asking: Asking, reports: Reports, name: str) -> Answer | Refusal:
    entry = stage.bed.settings.upstream(name)
    assert entry is not None
    candidate, state = Candidate(entry, f"model-of-{name}"), stage.dependencies.state()
    selected = Selected(candidate, stage.bed.settings, Route((), (), (), ()), state, False)
    return await asking.ask(reports.begin(selected), asking.new_attempt(selected.candidate, 0.0), 60.0)


def test_each_attempt_returns_the_key_and_the_request_that_its_own_upstream_got() -> None:
    async def scenario() -> list[tuple[str, object]]:
        async def answer(call: Call) -> Reply:
            return reply(503, b'{"error":{"message":"busy"}}') if call.upstream == "a" else reply()

        entries = (upstream("a", key="key-of-a"), upstream("b", key="key-of-b"))
        stage = Stage(Settings(upstreams=entries), answer)
        asking, reports, _ = asking_on(stage, BODY)
        refusal = await ask(stage, asking, reports, "a")
        found = await ask(stage, asking, reports, "b")
        assert isinstance(refusal, Refusal) and isinstance(found, Answer) and refusal.outgoing is not None
        return [
            (one.key, msgspec.json.decode(one.prepared.body)["model"])
            for one in (refusal.outgoing, found.outgoing)
        ]

    assert run(scenario()) == [("key-of-a", "model-of-a"), ("key-of-b", "model-of-b")]


@pytest.mark.parametrize("reason", [(), ("given up by the user",)], ids=["client left", "given up"])
def test_reported_usage_is_recorded_when_the_client_leaves_before_any_content(
    reason: tuple[str, ...],
) -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            begins = wire.records("messages", wire.Reply("Hello"), "m")[0]
            return Reply(200, [("content-type", "text/event-stream")], Body(begins, lingers=60.0))

        stage = Stage(Settings(upstreams=(upstream("u"),)), answer)
        asking, reports, exchange = asking_on(stage, STREAMED)
        attempt = asyncio.create_task(ask(stage, asking, reports, "u"))
        await asyncio.sleep(1)
        attempt.cancel(*reason)
        await asyncio.wait([attempt])
        assert attempt.cancelled()
        return exchange.usage is not None

    assert run(scenario()) == (reason == ())


def requests_in_memory() -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, ClientRequest | Asking)]


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "stream"])
def test_the_request_is_freed_with_its_last_user_and_waits_for_no_garbage_collection(body: bytes) -> None:
    async def scenario() -> None:
        async def answer(call: Call) -> Reply:
            if b"stream" not in call.body:
                return reply()
            records = b"".join(wire.records("messages", wire.Reply("Hello"), "m"))
            return Reply(200, [("content-type", "text/event-stream")], Body(records))

        stage = Stage(Settings(upstreams=(upstream("u"),)), answer)
        asking, reports, _ = asking_on(stage, body)
        assert isinstance(await ask(stage, asking, reports, "u"), Answer)

    gc.collect()
    of_others = {id(one) for one in requests_in_memory()}
    gc.disable()
    try:
        run(scenario())
        left = [one for one in requests_in_memory() if id(one) not in of_others]
    finally:
        gc.enable()
    assert left == []

"""The client leaves at any step: no slot, no trial, no connection and no keep-alive is left behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from msgspec.structs import replace

from switchyard.exchange import Exchange, FailureKind, Outcome
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.capture import NowhereSink
from switchyard.relay.failover import Relay
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Call, Reply, Wire
from switchyard.relay.values import ClientRequest
from switchyard.routing.health import Charge
from switchyard.routing.lineup import Moment
from switchyard.routing.route import State
from switchyard.settings import Failover, Settings, Upstream
from tests.bed import wire
from tests.bed.dependencies import Bed
from tests.bed.fake_time import run

RECORDS = wire.records("messages", wire.Reply("Hello, you"), "m")
STREAM: Headers = [("content-type", "text/event-stream")]
RULES = Failover(error_threshold=1, keep_alive_seconds=0.6, on_error={"connect": "retry"}, queue_seconds=30)


class Body:
    """A stream: its opening at once, a record each half second, and half a second until the connection ends."""

    has_ended = False

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        stage.open.add(self)

    async def chunks(self) -> AsyncIterator[bytes]:
        for record in RECORDS:
            yield record
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._stage.open.discard(self)


class Client(NowhereSink):
    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    async def write(self, data: bytes) -> None:
        self.writes += 1


class Stage:
    """`failing` refuses after a second, `trial` and `last` answer after one; `last` has one place, taken until 4 s."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.open: set[Body] = set()
        self.recorded: list[Exchange] = []
        self.client = Client()
        names = {"failing": 2, "trial": 1, "last": 1}
        entries = [
            Upstream(name=name, base_url=f"https://{name}.example", key="k", max_concurrency=places)
            for name, places in names.items()
        ]
        self.bed = Bed(Settings(upstreams=tuple(entries), failover=RULES))
        self.health, self.limits = self.bed.health, self.bed.limits
        state = State(self.health, self.limits)
        self.dependencies = replace(
            self.bed.dependencies,
            state=lambda: state,
            slots=SlotQueue(self.limits, self.loop.time),
            wire=SimulatingWire(cast(Wire, self), self.loop.time),
            record=self._record,
            now=lambda: Moment(self.bed.dependencies.now().wall, self.loop.time()),
            monotonic=self.loop.time,
        )
        self.health.failed("trial", "m", Charge("cooldown", retry_after=1.0), "429", RULES, -5.0)

    async def send(self, call: Call) -> Reply:
        await asyncio.sleep(1)
        if call.upstream == "failing":
            raise AttemptFailed(network_failure(FailureKind.CONNECT, "cannot connect"))
        return Reply(200, STREAM, Body(self))

    async def _record(self, exchange: Exchange) -> None:
        await asyncio.sleep(0.1)
        self.recorded.append(exchange)

    async def ask(self, model: str) -> None:
        body = b'{"model":"%s","max_tokens":9,"stream":true,"messages":[]}' % model.encode()
        request = ClientRequest("messages", body, read_request_summary("messages", body, {}), [])
        await Relay(self.dependencies).answer(request, self.client)


async def left(model: str, seconds: float, steps: int) -> tuple[object, ...]:
    """What remains of a request whose client leaves so many steps after so many seconds."""
    stage = Stage()
    if model == "last,m":
        last = stage.bed.settings.upstreams[2]
        stage.dependencies.slots.enter(last)
        stage.loop.call_later(4, stage.dependencies.slots.leave, last.account_id)
    asking = asyncio.create_task(stage.ask(model))
    await asyncio.sleep(seconds)
    for _ in range(steps):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    # what is on its way to an end may end
    for _ in range(5):
        await asyncio.sleep(0)
    # the body of a complete answer may end in its own time
    tasks = len(asyncio.all_tasks()) - 1 - len(stage.dependencies.draining)
    writes = stage.client.writes
    await asyncio.sleep(10)
    tasks += len(asyncio.all_tasks()) - 1
    under_way = [stage.limits.under_way(one.account_id) for one in stage.bed.settings.upstreams]
    trials = [found.trial_by for found in stage.health.conditions().values() if found.trial_by]
    outcomes = {one.outcome for one in stage.recorded} <= {Outcome.CANCELLED, Outcome.OK}
    left_open = (len(stage.open), tasks, len(stage.dependencies.slots), stage.client.writes - writes)
    return under_way, trials, left_open, len(stage.recorded) <= 1 and outcomes


CLEAN: tuple[object, ...] = ([0, 0, 0], [], (0, 0, 0, 0), True)


@pytest.mark.parametrize("model", ["m", "trial,m", "last,m"])
def test_nothing_is_left_behind_whenever_the_client_leaves(model: str) -> None:
    async def all_moments() -> list[tuple[float, int, tuple[object, ...]]]:
        moments = [(half / 2, steps) for half in range(24) for steps in range(12)]
        return [
            (seconds, steps, found)
            for seconds, steps in moments
            if (found := await left(model, seconds, steps)) != CLEAN
        ]

    assert run(all_moments()) == []

"""The runner of activations: a fake clock, real sockets."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from switchyard.exchange import Activated, ActivationResult, Outcome
from switchyard.relay.activation import Activations, ActivationState
from switchyard.routing.health import Charge
from switchyard.settings import CLAUDE_SONNET, Activation, Settings, Upstream
from tests.bed.dependencies import Bed, bed_of
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, Wait, fixed, say, status

BERLIN = ZoneInfo("Europe/Berlin")
EIGHT = datetime(2026, 11, 21, 8, tzinfo=BERLIN)


class Clock:
    def __init__(self, now: datetime = EIGHT) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Memory:
    """What a daemon remembers, without a disk."""

    def __init__(self) -> None:
        self.known: dict[str, Activated] = {}
        self._changed = asyncio.Event()

    def all(self) -> Mapping[str, Activated]:
        return self.known

    def of(self, upstream: str) -> Activated:
        return self.known.get(upstream, Activated())

    async def put(self, upstream: str, activated: Activated) -> None:
        self.known[upstream] = activated
        self._changed.set()

    async def until(self, holds: Callable[["Memory"], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()


def entry(
    server: ScriptedUpstream, name: str = "u", at: str = "08:00", advance: int = 0, **more: Any
) -> Upstream:
    activation = Activation(at=at, advance_minutes=advance) if at else None
    return Upstream(name=name, base_url=server.url, key="k", activation=activation, **more)


class Run:
    def __init__(self, *upstreams: Upstream, now: datetime = EIGHT) -> None:
        self.bed: Bed = bed_of(*upstreams)
        self.clock = Clock(now)
        self.memory = Memory()
        self.activations = Activations(self.bed.dependencies, self.memory, self.clock)

    def state(self, name: str = "u") -> ActivationState:
        return self.activations.states()[name]

    async def at(self, now: datetime) -> None:
        """The clock shows this now, and the timer goes off."""
        self.clock.now = now
        self.activations.replan()

    async def results(self, count: int, name: str = "u") -> None:
        """Wait until so many tries have been made and told."""
        await self.memory.until(
            lambda memory: (
                memory.of(name).tries >= count
                and (last := memory.of(name).last) is not None
                and last.at >= memory.of(name).tried_at
            )
        )
        await asyncio.sleep(0)


@asynccontextmanager
async def running(*upstreams: Upstream, now: datetime = EIGHT) -> AsyncIterator[Run]:
    run = Run(*upstreams, now=now)
    task = asyncio.create_task(run.activations.run())
    try:
        yield run
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await run.bed.close()


def test_what_is_due_is_sent_once_and_remembered() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server)) as run:
            await run.results(1)
            assert run.memory.known == {
                "u": Activated(
                    day="2026-11-21",
                    succeeded_at=EIGHT.timestamp(),
                    tried_day="2026-11-21",
                    tries=1,
                    tried_at=EIGHT.timestamp(),
                    last=ActivationResult(EIGHT.timestamp(), True, 200, "pong"),
                )
            }
            tomorrow = EIGHT + timedelta(days=1)
            assert run.state() == ActivationState(
                "08:00", tomorrow.timestamp(), "planned for 08:00", EIGHT.timestamp(), True, "pong"
            )
            await run.at(EIGHT + timedelta(hours=1))
            await run.at(tomorrow)
            await run.results(1)
            await run.memory.until(lambda memory: memory.of("u").day == "2026-11-22")
        assert len(server.requests) == 2

    with ScriptedUpstream(say("pong")) as server:
        asyncio.run(scenario(server))


def test_a_failure_is_reported_and_tried_again_a_minute_later() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server)) as run:
            await run.results(1)
            again = EIGHT + timedelta(minutes=1)
            assert run.state() == ActivationState(
                "08:00",
                again.timestamp(),
                "try 2 of 20, planned for 08:00",
                EIGHT.timestamp(),
                False,
                "busy",
            )
            await run.at(again)
            await run.results(2)
            assert (run.state().ok, run.state().detail) == (True, "pong")
            assert run.memory.of("u").day == "2026-11-21"

    with ScriptedUpstream(status(503, "busy"), say("pong")) as server:
        asyncio.run(scenario(server))


def test_the_settings_are_looked_at_anew_when_they_change() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(now=EIGHT) as run:
            run.bed.settings = Settings(upstreams=(entry(server, at="07:30"),))
            run.activations.replan()
            await run.results(1)
            assert run.state().ok

    with ScriptedUpstream(say("pong")) as server:
        asyncio.run(scenario(server))


def test_upstreams_do_not_wait_for_each_other() -> None:
    async def scenario(slow: ScriptedUpstream, quick: ScriptedUpstream) -> None:
        async with running(entry(slow, "slow"), entry(quick, "quick")) as run:
            await run.results(1, "quick")
            assert run.state("slow") == ActivationState("08:00", None, "", None, None, "")
            assert run.state("quick").ok
        assert [exchange.outcome for exchange in run.bed.recorded] == [Outcome.OK, Outcome.CANCELLED]

    with ScriptedUpstream(fixed([Wait()])) as slow, ScriptedUpstream(say("pong")) as quick:
        asyncio.run(scenario(slow, quick))


def test_the_end_of_the_daemon_leaves_nothing_under_way_and_the_try_counted() -> None:
    async def scenario(server: ScriptedUpstream) -> Run:
        async with running(entry(server)) as run:
            await asyncio.to_thread(server.wait_for)
        return run

    with ScriptedUpstream(fixed([Wait()])) as server:
        run = asyncio.run(scenario(server))
        assert server.requests[0].finished.wait(PATIENCE_SECONDS)
        assert server.requests[0].gone_at is not None
    assert (run.memory.of("u").tries, run.memory.of("u").last) == (1, None)
    assert run.bed.under_way("u") == 0


# --- by hand -------------------------------------------------------------------


def test_by_hand_any_upstream_can_be_activated() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        plain = entry(server, at="", enabled=False)
        async with running(plain) as run:
            assert run.activations.states() == {}
            exchange = await run.activations.activate("u")
            assert (exchange.kind, exchange.outcome) == ("activation", Outcome.OK)
            assert run.state() == ActivationState("", None, "", EIGHT.timestamp(), True, "pong")
            with pytest.raises(KeyError):
                await run.activations.activate("unknown")

    with ScriptedUpstream(say("pong")) as server:
        asyncio.run(scenario(server))


def test_by_hand_while_the_next_try_is_waited_for_does_the_days_work_and_moves_the_time() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server, advance=5)) as run:
            await run.results(1)
            run.clock.now = EIGHT + timedelta(seconds=20)
            await run.activations.activate("u")
            assert run.memory.of("u").day == "2026-11-21"
            assert run.state().at == "08:05"
            assert run.state().next == (EIGHT + timedelta(days=1, minutes=5)).timestamp()

    with ScriptedUpstream(status(503), say("pong")) as server:
        asyncio.run(scenario(server))


def test_by_hand_before_the_time_leaves_the_plan_as_it_is() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server), now=EIGHT - timedelta(hours=1)) as run:
            await run.activations.activate("u")
            assert (run.state().ok, run.state().next) == (True, EIGHT.timestamp())

    with ScriptedUpstream(say("pong")) as server:
        asyncio.run(scenario(server))


def test_two_at_once_are_one_request() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server), now=EIGHT - timedelta(hours=1)) as run:
            first, second = await asyncio.gather(run.activations.activate("u"), run.activations.activate("u"))
            assert first is second
        assert len(server.requests) == 1

    with ScriptedUpstream(say("pong")) as server:
        asyncio.run(scenario(server))


def test_a_button_pressed_and_left_alone_ends_its_work_all_the_same() -> None:
    async def scenario(server: ScriptedUpstream, let_go: threading.Event) -> None:
        async with running(entry(server), now=EIGHT - timedelta(hours=1)) as run:
            asked = asyncio.create_task(run.activations.activate("u"))
            await asyncio.to_thread(server.wait_for)
            asked.cancel()
            let_go.set()
            await run.memory.until(lambda memory: memory.of("u").last is not None)
            assert run.bed.recorded[0].outcome is Outcome.OK

    let_go = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(let_go), *say("pong")(request)]

    with ScriptedUpstream(held) as server:
        asyncio.run(scenario(server, let_go))


# --- health --------------------------------------------------------------------


def test_a_success_ends_the_cooldown_of_its_upstream_and_a_failure_begins_none() -> None:
    async def scenario(server: ScriptedUpstream) -> None:
        async with running(entry(server), now=EIGHT - timedelta(hours=1)) as run:
            health, rules = run.bed.health, run.bed.settings.failover
            began = run.bed.dependencies.monotonic()
            health.failed("u", CLAUDE_SONNET, Charge("cooldown"), "quota used up", rules, began)
            await run.activations.activate("u")
            assert health.is_spotless
            await run.activations.activate("u")
            assert (run.state().ok, run.state().detail) == (False, "not for you")
            assert health.is_spotless

    with ScriptedUpstream(say("pong"), status(403, "not for you")) as server:
        asyncio.run(scenario(server))


def test_a_cooldown_that_began_during_an_activation_outlives_its_success() -> None:
    async def scenario(server: ScriptedUpstream, let_go: threading.Event) -> None:
        async with running(entry(server), now=EIGHT - timedelta(hours=1)) as run:
            asked = asyncio.create_task(run.activations.activate("u"))
            await asyncio.to_thread(server.wait_for)
            health, rules, now = run.bed.health, run.bed.settings.failover, run.bed.dependencies.monotonic()
            health.failed("u", CLAUDE_SONNET, Charge("cooldown"), "quota used up", rules, now)
            let_go.set()
            assert (await asked).outcome is Outcome.OK
            assert not health.is_spotless

    let_go = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(let_go), *say("pong")(request)]

    with ScriptedUpstream(held) as server:
        asyncio.run(scenario(server, let_go))

"""What the user edits while requests are held, in fake time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec.structs
import pytest

from switchyard.exchange import Outcome
from switchyard.relay.upstream import Call, Reply
from switchyard.routing.uses import Use
from switchyard.settings import Settings, Upstream
from tests.bed.fake_time import now, run
from tests.bed.stage import Stage, reply, upstream
from tests.relay.test_hold import FAULTS, LASTING, Outage, played


def edit(stage: Stage, *entries: Upstream, **rules: Any) -> None:
    failover = msgspec.structs.replace(stage.bed.settings.failover, **rules)
    stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=entries, failover=failover)
    stage.dependencies.hold.edited()


@pytest.mark.parametrize(
    "entries",
    [(), (upstream("a", enabled=False),), (upstream("a", models=["another"]),)],
    ids=["deleted", "disabled", "without the model"],
)
def test_an_entry_that_may_not_be_tried_any_more_is_no_longer_waited_for(entries: tuple[Upstream]) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        failed = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(8)
        new = asyncio.create_task(stage.ask(stream=True, prompt="another"))  # it is cooling down
        await asyncio.sleep(12)
        edit(stage, *entries)
        exchanges = await asyncio.gather(failed, new)
        return {one.outcome for one in exchanges}, now() < 45, stage.dependencies.hold.held()

    assert played(lambda: Outage(FAULTS["503"], 1e6), act) == ({Outcome.FAILED}, True, ())


def test_an_entry_whose_model_has_another_name_now_is_asked_at_the_same_pace() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(20)
        before = len(outage.asked)
        edit(stage, upstream("a", models={"m": "other"}))
        exchange = await asking
        return exchange.outcome, exchange.attempts[-1].model, len(outage.asked) - before <= 8

    assert played(lambda: Outage(FAULTS["503"], 60.0), act) == (Outcome.OK, "other", True)


def test_a_time_budget_that_is_used_up_by_an_edit_ends_the_request() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(20)
        edit(stage, upstream("a"), total_seconds=10)
        return (await asking).outcome, now()

    assert played(lambda: Outage(FAULTS["503"], 1e6), act) == (Outcome.FAILED, 20.0)


@pytest.mark.parametrize(
    ("rules", "outcome", "until"),
    [
        ({"hold_seconds": 30}, Outcome.FAILED, 30.0),
        ({"hold_seconds": 900}, Outcome.OK, 900.0),
        ({"hold_seconds": 5000, "total_seconds": 350}, Outcome.FAILED, 350.0),
        ({}, Outcome.FAILED, 300.0),
    ],
)
def test_a_changed_hold_time_applies_to_the_requests_that_are_held(
    rules: dict[str, float], outcome: Outcome, until: float
) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(20)
        edit(stage, upstream("a"), **rules)
        await asyncio.sleep(5)
        (held,) = stage.dependencies.hold.held()
        exchange = await asking
        return exchange.outcome, held.until, now() <= until

    assert played(lambda: Outage(FAULTS["503"], 400.0), act) == (outcome, pytest.approx(until), True)


def test_and_ends_them_when_it_is_0() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(20)
        edit(stage, upstream("a"), hold_seconds=0)
        return (await asking).outcome, now()

    assert played(lambda: Outage(FAULTS["503"], 1e6), act) == (Outcome.FAILED, 20.0)


def test_an_edit_while_a_held_request_tries_is_noticed_after_it() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(7)
        edit(stage, upstream("a"), upstream("b"))
        exchange = await asking
        return exchange.outcome, exchange.attempts[-1].upstream, now()

    outage = {"a": 1e6, "b": 0.0}
    assert played(lambda: Outage(FAULTS["503"], outage, takes=5.0), act) == (Outcome.OK, "b", 11.0)


def test_a_held_request_pauses_when_the_queue_for_slots_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        long = asyncio.create_task(stage.ask(stream=True, prompt="long"))
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(2)
        monkeypatch.setattr("switchyard.relay.slot_queue.MAX_WAITING", 0)
        edit(stage, upstream("a", max_concurrency=1))
        exchanges = await asyncio.gather(long, asking)
        return {one.outcome for one in exchanges}

    assert played(lambda: Outage(FAULTS["503"], 2.5, answers=20.0), act) == {Outcome.OK}


def test_after_an_edit_the_error_still_names_what_was_waited_for() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        others = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(10)]
        await asyncio.sleep(5)
        asking = asyncio.create_task(stage.ask(stream=True, prompt="late"))
        await asyncio.sleep(1)
        edit(stage, upstream("a"), upstream("off", enabled=False))
        exchange = await asking
        await asyncio.gather(*others)
        assert exchange.failure is not None
        return exchange.attempts, '"a": ' in exchange.failure.message

    assert played(lambda: Outage(FAULTS["503"], 1e6), act, hold_seconds=20) == ([], True)


@pytest.mark.parametrize("edit", ["corrected", "added"])
def test_an_entry_that_is_edited_late_has_its_whole_time(edit: str) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(25)
        stage.dependencies.answered.discard("a")
        entries = (upstream("a", key="corrected"),) if edit == "corrected" else (upstream("a"), upstream("b"))
        stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=entries)
        stage.dependencies.hold.edited()
        exchange = await asking
        return exchange.outcome, exchange.attempts[-1].upstream, now() < 45

    until = {"corrected": {"a": 35.0}, "added": {"a": 1e6, "b": 35.0}}[edit]
    expected = (Outcome.OK, "a" if edit == "corrected" else "b", True)
    assert played(lambda: Outage(FAULTS["refused"], until), act) == expected


@pytest.mark.parametrize(
    ("fault", "until"),
    [(FAULTS["503"], 11.5), (FAULTS["503"], 20.0), (LASTING["bad key"], 11.5)],
    ids=["correct", "still failing for a while", "had a bad key"],
)
def test_an_entry_with_another_key_is_tried_by_one_held_request_first(
    fault: Callable[[], Reply], until: float
) -> None:
    async def scenario() -> object:
        asked: list[float] = []

        async def answer(call: Call) -> Reply:
            if call.upstream == "b":  # keeps the requests held
                return FAULTS["503"]()
            asked.append(now())
            await asyncio.sleep(1.0)
            return reply() if asked[-1] >= until else fault()

        stage = Stage(Settings(upstreams=(upstream("a"), upstream("b"))), answer)
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(20)]
        await asyncio.sleep(11.5)
        stage.bed.health.end_cooldowns({"a"}, now())
        edit(stage, upstream("a", key="corrected"), upstream("b"))
        exchanges = await asyncio.gather(*asking)
        first = sum(11.5 <= at < 12.5 for at in asked)
        return first, {(one.outcome, one.attempts[-1].upstream) for one in exchanges}, now() < until + 16

    assert run(scenario()) == (1, {(Outcome.OK, "a")}, True)


@pytest.mark.parametrize(
    ("entry", "why"),
    [({"role": "rescue"}, "used now, until you undo it"), ({"weekdays": []}, "used now, until you undo it")],
    ids=["a rescue upstream", "outside its weekdays"],
)
def test_a_held_request_asks_at_once_what_the_user_wants_to_use(entry: dict[str, Any], why: str) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        edit(stage, upstream("a"), upstream("b", **entry))
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(20)
        stage.bed.uses = {"messages": Use("b")}
        stage.dependencies.hold.use(["b"])
        exchange = await asking
        return exchange.outcome, exchange.attempts[-1].upstream, exchange.attempts[-1].why, now()

    assert played(lambda: Outage(FAULTS["503"], {"a": 1e6, "b": 0.0}), act) == (Outcome.OK, "b", why, 20.0)


def test_what_is_used_now_is_tried_at_once_even_if_it_has_been_failing() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(3)]
        await asyncio.sleep(20)
        stage.bed.uses = {"messages": Use("a")}
        stage.dependencies.hold.use(["a"])
        exchanges = await asyncio.gather(*asking)
        return {one.outcome for one in exchanges}, now()

    assert played(lambda: Outage(FAULTS["503"], 19.9), act) == ({Outcome.OK}, 20.0)

import asyncio
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switchyard.relay import slot_queue
from switchyard.relay.slot_queue import SlotQueue
from switchyard.routing.limits import Limits
from switchyard.settings import Upstream
from tests.bed.fake_time import FakeTimeLoop, now, run, settle

ONE = Upstream(name="one", base_url="https://h.example", max_concurrency=1)
TWO = Upstream(name="two", base_url="https://h.example", max_concurrency=2)
RATED = Upstream(name="rated", base_url="https://h.example", requests_per_minute=2)


class Bed:
    """A queue for slots in fake time, and what waits in it."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.queue = SlotQueue(self.limits, asyncio.get_running_loop().time)
        self.served: list[tuple[str, str | None, float]] = []
        """which request got a slot where, and when"""

    def come(self, name: str, *wanted: Upstream, seconds: float = 100.0) -> asyncio.Task[None]:
        return asyncio.create_task(self._wait(name, wanted, seconds, self.queue.draw_ticket()))

    async def _wait(self, name: str, wanted: tuple[Upstream, ...], seconds: float, ticket: int) -> None:
        place = await self.queue.wait(ticket, wanted, seconds)
        self.served.append((name, place, now()))


def test_a_slot_goes_to_the_request_that_has_waited_longest() -> None:
    async def scenario() -> list[str]:
        bed = Bed()
        bed.queue.enter(ONE)
        for name in "abc":
            bed.come(name, ONE)
        await settle()
        for _ in range(3):
            bed.queue.leave("one")
            await settle()
        return [name for name, _, _ in bed.served]

    assert run(scenario()) == ["a", "b", "c"]


def test_a_request_that_waits_for_several_slots_gets_the_first_that_is_free() -> None:
    async def scenario() -> list[tuple[str, str | None, float]]:
        bed = Bed()
        for upstream in (ONE, TWO, TWO):
            bed.queue.enter(upstream)
        bed.come("a", ONE, TWO)
        bed.come("b", ONE)
        bed.come("c", TWO)
        await settle()
        bed.queue.leave("two")
        bed.queue.leave("one")
        bed.queue.leave("two")
        await settle()
        return bed.served

    assert run(scenario()) == [("a", "two", 0.0), ("b", "one", 0.0), ("c", "two", 0.0)]


def test_a_slot_is_free_soon_from_the_end_of_its_answer_until_a_request_waits_for_it_or_it_is_free() -> None:
    async def scenario() -> list[frozenset[str]]:
        bed = Bed()
        for upstream in (ONE, TWO, TWO):
            bed.queue.enter(upstream)
        seen = [bed.queue.free_soon()]
        first, second = bed.queue.leave_after("two"), bed.queue.leave_after("two")
        seen.append(bed.queue.free_soon())
        bed.come("a", ONE, TWO)
        await settle()
        seen.append(bed.queue.free_soon())
        bed.come("b", TWO)
        await settle()
        seen.append(bed.queue.free_soon())
        first()
        second()
        await settle()
        assert sorted(name for name, *_ in bed.served) == ["a", "b"]
        return [*seen, bed.queue.free_soon()]

    none, two = frozenset[str](), frozenset({"two"})
    assert run(scenario()) == [none, two, two, none, none]


def test_a_new_request_does_not_get_a_slot_that_another_waits_for() -> None:
    async def scenario() -> bool:
        bed = Bed()
        bed.queue.enter(ONE)
        bed.come("a", ONE)
        await settle()
        bed.queue.leave("one")
        return bed.limits.is_full(ONE)  # before the one that waited has run at all

    assert run(scenario())


def test_a_request_that_gets_no_slot_leaves_when_the_time_is_up() -> None:
    async def scenario() -> tuple[object, int, int]:
        bed = Bed()
        bed.queue.enter(ONE)
        bed.come("a", ONE, seconds=30.0)
        await asyncio.sleep(31)
        return bed.served, len(bed.queue), bed.limits.under_way("one")

    assert run(scenario()) == ([("a", None, 30.0)], 0, 1)


def test_a_rate_limit_opens_by_itself_for_as_many_as_it_lets_through() -> None:
    async def scenario() -> list[tuple[str, str | None, float]]:
        bed = Bed()
        bed.queue.enter(RATED)
        await asyncio.sleep(10)
        bed.queue.enter(RATED)
        for name in "abc":
            bed.come(name, RATED, seconds=200.0)
        await asyncio.sleep(150)
        return [(name, place, round(at)) for name, place, at in bed.served]

    assert run(scenario()) == [("a", "rated", 60), ("b", "rated", 70), ("c", "rated", 120)]


def test_a_ticket_keeps_its_position_over_several_waits() -> None:
    async def scenario() -> list[str]:
        bed = Bed()
        bed.queue.enter(ONE)
        first = bed.queue.draw_ticket()
        assert await bed.queue.wait(first, [ONE], 1.0) is None
        bed.come("second", ONE)
        await settle()
        again = asyncio.create_task(bed._wait("first", (ONE,), 10.0, first))
        await settle()
        bed.queue.leave("one")
        await again
        bed.queue.leave("one")
        await settle()
        return [name for name, _, _ in bed.served]

    assert run(scenario()) == ["first", "second"]


def test_a_slot_that_is_given_back_goes_to_the_next_request_and_does_not_count_against_the_rate() -> None:
    both = Upstream(name="both", base_url="https://h.example", max_concurrency=1, requests_per_minute=2)

    async def scenario() -> tuple[object, int]:
        bed = Bed()
        bed.queue.enter(both)
        for name in "ab":
            bed.come(name, both)
        await settle()
        bed.queue.leave("both")
        await settle()
        bed.queue.give_back("both")
        await settle()
        return bed.served, bed.limits.in_last_minute("both", 0.0)

    assert run(scenario()) == ([("a", "both", 0.0), ("b", "both", 0.0)], 2)


def test_an_edit_of_the_settings_ends_every_wait_and_takes_no_slot() -> None:
    async def scenario() -> tuple[object, int, int]:
        bed = Bed()
        bed.queue.enter(ONE)
        waiting = [bed.come(name, ONE) for name in ("staying", "leaving")]
        await settle()
        bed.queue.edited()
        waiting[1].cancel()
        await asyncio.wait(waiting)
        return bed.served, bed.limits.under_way("one"), len(bed.queue)

    assert run(scenario()) == ([("staying", "", 0.0)], 1, 0)


PHASES = ("while waiting", "after the grant", "together with the grant", "as the time is up")


@pytest.mark.parametrize("phase", PHASES)
def test_a_client_that_leaves_loses_no_place(phase: str) -> None:
    async def scenario() -> tuple[object, int, int]:
        bed = Bed()
        bed.queue.enter(ONE)
        leaving, staying = bed.come("leaving", ONE, seconds=5.0), bed.come("staying", ONE)
        await settle()
        match phase:
            case "while waiting":
                leaving.cancel()
                await settle()
                bed.queue.leave("one")
            case "after the grant":
                bed.queue.leave("one")
                leaving.cancel()
            case "together with the grant":
                leaving.cancel()
                bed.queue.leave("one")
            case _:
                asyncio.get_running_loop().call_later(5.0, leaving.cancel)
                asyncio.get_running_loop().call_later(5.0, bed.queue.leave, "one")
        await asyncio.wait([leaving, staying])
        return [name for name, _, _ in bed.served], bed.limits.under_way("one"), len(bed.queue)

    assert run(scenario()) == (["staying"], 1, 0)


def test_the_queue_is_limited() -> None:
    async def scenario() -> tuple[bool, bool]:
        bed = Bed()
        bed.queue.enter(ONE)
        tasks = [bed.come(str(number), ONE) for number in range(slot_queue.MAX_WAITING)]
        before = bed.queue.is_at_limit
        await settle()
        after = bed.queue.is_at_limit
        for task in tasks:
            task.cancel()
        return before, after

    assert run(scenario()) == (False, True)


# --- any order of events -------------------------------------------------------


class Visits(RuleBasedStateMachine):
    """Clients come, wait, leave and are served in any order; the model is a list of the slots that each holds."""

    @initialize()
    def begin(self) -> None:
        self.loop = FakeTimeLoop()
        self.limits = Limits()
        self.queue = SlotQueue(self.limits, self.loop.time)
        self.holding: list[str] = []
        self.waiting: list[tuple[int, frozenset[str], asyncio.Task[str | None]]] = []
        self.starts: list[float] = []

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        with closing(self.loop):
            for _, _, task in self.waiting:
                task.cancel()
            self._settle()
            self._do(*(partial(self.queue.leave, name) for name in self.holding))
            assert {name: self.limits.under_way(name) for name in ("one", "two", "rated")} == dict.fromkeys(
                ("one", "two", "rated"), 0
            )
            assert len(self.queue) == 0

    def _do(self, *calls: Callable[[], object]) -> None:
        """In one turn of the loop."""

        async def turn() -> None:
            for call in calls:
                call()

        self.loop.run_until_complete(turn())

    def _settle(self) -> None:
        self.loop.run_until_complete(settle())
        for entry in list(self.waiting):
            task = entry[2]
            if task.done():
                self.waiting.remove(entry)
                if not task.cancelled() and (place := task.result()):
                    self.holding.append(place)

    @rule(upstream=st.sampled_from([ONE, TWO, RATED]))
    def newcomer(self, upstream: Upstream) -> None:
        self._do(self.queue.hand_out)
        if self.limits.has_room(upstream, self.loop.time()):
            self._do(partial(self.queue.enter, upstream))
            self.holding.append(upstream.name)

    @rule(
        wanted=st.lists(
            st.sampled_from([ONE, TWO, RATED]), min_size=1, max_size=3, unique_by=lambda u: u.name
        ),
        seconds=st.floats(0.5, 90.0),
    )
    def wait(self, wanted: list[Upstream], seconds: float) -> None:
        ticket = self.queue.draw_ticket()
        task = self.loop.create_task(self.queue.wait(ticket, wanted, seconds))
        self.waiting.append((ticket, frozenset(one.name for one in wanted), task))
        self._settle()

    @precondition(lambda self: self.holding or self.waiting)
    @rule(data=st.data())
    def some_leave_and_some_give_up_at_once(self, data: Any) -> None:
        calls: list[Callable[[], object]] = []
        place = None
        if self.holding and data.draw(st.booleans()):
            place = data.draw(st.sampled_from(sorted(self.holding)))
            calls.append(partial(self.queue.leave, place))
        if self.waiting and data.draw(st.booleans()):
            calls.append(data.draw(st.sampled_from(self.waiting))[2].cancel)
        if self.waiting and data.draw(st.booleans()):
            calls.append(self.queue.edited)
        ordered = data.draw(st.permutations(calls))
        # only now: the last draw may end the example, and the model must not be ahead of the queue then
        if place is not None:
            self.holding.remove(place)
        self._do(*ordered)

    @rule(seconds=st.floats(0.1, 40.0))
    def time_goes_on(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self._settle()

    @rule()
    def all_settles(self) -> None:
        self._settle()
        for name in ("one", "two", "rated"):
            assert self.limits.under_way(name) == self.holding.count(name)

    @invariant()
    def no_limit_is_exceeded_and_no_free_slot_is_waited_for(self) -> None:
        if not hasattr(self, "loop"):
            return
        assert self.limits.under_way("one") <= 1
        assert self.limits.under_way("two") <= 2
        assert self.limits.in_last_minute("rated", self.loop.time()) <= 2


Visits.TestCase.settings = hypothesis_settings(max_examples=120, stateful_step_count=40)
TestVisits = Visits.TestCase

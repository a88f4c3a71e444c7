"""The slot of an upstream: held while it may count the request, released once, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from random import Random
from typing import Any

import pytest

from switchyard.exchange import FailureKind
from switchyard.relay.draining import LINGER_SECONDS, Draining
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.headers import Headers
from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Failover, Settings
from tests.bed import wire
from tests.bed.fake_time import now, run, settle
from tests.bed.stage import Stage, refused, upstream

LATE = "the rest comes late"
NEVER = "the body never ends"
BREAKS = "the connection breaks"
ENDLESS = "the body goes on and on"


class Body:
    """The rest of a body whose answer is complete."""

    def __init__(self, rest: str, seconds: float = 0.0, has_ended: bool = False) -> None:
        self._rest = rest
        self._seconds = seconds
        self.has_ended = has_ended
        self.closed_at: float | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(self._seconds)
        if self._rest == NEVER:
            await asyncio.sleep(1e9)
        if self._rest == BREAKS:
            raise AttemptFailed(network_failure(FailureKind.READ, "broke"))
        while self._rest == ENDLESS:
            yield bytes(65536)
            await asyncio.sleep(0)
        yield b"\n"

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed_at = now()


def drained(body: Body, meanwhile: Callable[[Draining], Coroutine[Any, Any, None]] | None = None) -> object:
    """When the slot was released, each time, and whether the reply was closed by then."""

    async def scenario() -> object:
        draining = Draining()
        released: list[tuple[float, bool]] = []
        draining.take_over(Reply(200, [], body), lambda: released.append((now(), body.closed_at is not None)))
        if meanwhile is not None:
            await meanwhile(draining)
        await asyncio.sleep(10)
        assert (len(draining), len(asyncio.all_tasks())) == (0, 1)
        return released

    return run(scenario())


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (Body(LATE, 0.2), 0.2),
        (Body(LATE, 2.0), LINGER_SECONDS),
        (Body(NEVER), LINGER_SECONDS),
        (Body(BREAKS, 0.3), 0.3),
        (Body(ENDLESS), 0.0),
    ],
    ids=["late", "too late", "never", "breaks", "endless"],
)
def test_the_slot_is_released_once_the_body_has_ended_or_is_given_up(body: Body, at: float) -> None:
    assert drained(body) == [(at, True)]


def test_the_slot_of_a_body_that_has_ended_is_released_at_once() -> None:
    assert drained(Body(LATE, has_ended=True)) == [(0.0, False)]


@pytest.mark.parametrize("steps", range(6))
def test_a_daemon_that_stops_releases_every_slot(steps: int) -> None:
    async def stop(draining: Draining) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await draining.stop()
        assert len(draining) == 0

    released = drained(Body(NEVER), stop)
    assert released in ([(0.0, True)], [(0.0, False)] if not steps else None)


# --- 200 cases at random ---------------------------------------------------------

RECORDS = wire.records("messages", wire.Reply("Hello, you"), "m")
WHOLE = wire.body("messages", wire.Reply("Hello, you"), "m")
STREAM: Headers = [("content-type", "text/event-stream")]
RULES = Failover(error_threshold=1000, on_error={"default": "retry"}, queue_seconds=600, hold_seconds=30)
ENDS = ("at once", LATE, NEVER, BREAKS, ENDLESS)
FAILS = ("no connection", "refuses", "breaks before content", "breaks after content", "sends nothing")


class RandomBody:
    """An answer at random; its upstream counts it until it has ended or is closed."""

    def __init__(self, pick: Random, gone: Callable[[], None], wants_stream: bool) -> None:
        self._pick = pick
        self._gone = gone
        self._is_whole = not wants_stream and pick.random() < 0.5
        self._fails = pick.choice(FAILS[2:]) if pick.random() < 0.2 else ""
        self._ends_visibly = pick.random() < 0.5
        """that it has ended: not every transport does"""
        self._counted = True
        self.has_ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        records = [WHOLE] if self._is_whole else RECORDS
        if self._fails == "sends nothing":
            await asyncio.sleep(1e9)
        cut = {"breaks before content": 0, "breaks after content": 4}.get(self._fails, len(records))
        for record in records[:cut]:
            await asyncio.sleep(self._pick.choice((0.0, 0.0, 0.3)))
            if record is records[-1]:
                self._maybe_end()
            yield record
        if self._fails:
            raise AttemptFailed(network_failure(FailureKind.READ, "broke"))
        if not self.has_ended:
            async for piece in Body(self._pick.choice(ENDS[1:]), self._pick.uniform(0, 2)).chunks():
                yield piece
        self._end()

    def _maybe_end(self) -> None:
        if self._ends_visibly and self._pick.random() < 0.4:
            self._end()
            self.has_ended = True

    def _end(self) -> None:
        if self._counted:
            self._counted = False
            self._gone()

    async def close(self) -> None:
        self._end()
        if self._pick.random() < 0.5:
            await asyncio.sleep(0)


class Crowd:
    """Three upstreams for one, two and three requests at a time, which count for themselves; and their clients."""

    def __init__(self, pick: Random) -> None:
        self._pick = pick
        slots = {"one": 1, "two": 2, "three": 3}
        entries = tuple(upstream(name, max_concurrency=most) for name, most in slots.items())
        self.stage = Stage(Settings(upstreams=entries, failover=RULES), self._answer)
        self._slots = slots
        self._counted = dict.fromkeys(slots, 0)
        self.wrong: list[str] = []

    async def _answer(self, call: Call) -> Reply:
        name, wants_stream = call.upstream, b'"stream":true' in call.body
        self._count(name, 1)
        try:
            await asyncio.sleep(self._pick.choice((0.0, 0.5)))
            if self._pick.random() < 0.1:
                raise refused()
        except BaseException:
            self._count(name, -1)
            raise
        body = RandomBody(self._pick, lambda: self._count(name, -1), wants_stream)
        return Reply(500 if self._pick.random() < 0.1 else 200, STREAM, body)

    def _count(self, name: str, change: int) -> None:
        self._counted[name] += change
        counted, held = self._counted[name], self.stage.bed.under_way(name)
        if (
            not 0 <= counted <= self._slots[name]
            or held > self._slots[name]
            or (change > 0 and counted > held)
        ):
            self.wrong.append(f"{now()}: {name} counts {counted}, {held} slots are held")

    async def client(self) -> None:
        """Asks one by one, each time as soon as the answer has ended; now and then it leaves."""
        for _ in range(3):
            model = self._pick.choice(("m", "m", "one,m", "two,m"))
            asking = asyncio.create_task(self.stage.ask(stream=self._pick.random() < 0.6, model=model))
            if self._pick.random() < 0.3:
                await asyncio.sleep(self._pick.choice((0.0, 0.3, self._pick.uniform(0, 4))))
                for _ in range(self._pick.randrange(8)):
                    await asyncio.sleep(0)
                asking.cancel()
            await asyncio.wait([asking])

    def left_behind(self) -> list[str]:
        held = [self.stage.bed.under_way(name) for name in self._slots]
        left = (
            *held,
            *self._counted.values(),
            len(self.stage.dependencies.slots),
            len(asyncio.all_tasks()) - 1,
        )
        return [f"left behind: {left}"] if any(left) else []


def test_no_slot_is_lost_or_given_twice_in_200_cases_at_random() -> None:
    async def case(seed: int) -> list[str]:
        crowd = Crowd(Random(seed))
        await asyncio.gather(*(crowd.client() for _ in range(4)))
        await asyncio.sleep(10)
        await settle()
        return crowd.wrong + crowd.left_behind()

    wrong = {seed: found for seed in range(200) if (found := run(case(seed)))}
    assert not wrong, wrong

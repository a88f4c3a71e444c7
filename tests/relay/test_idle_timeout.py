import asyncio
import socket
import sys
import time
from collections.abc import Callable

import pytest

from switchyard.relay.idle_timeout import IdleTimeout
from tests.bed.fake_time import now, run


def ended_at(limit: IdleTimeout, pauses: list[float], paused: bool = False) -> tuple[float, bool]:
    """When a scenario with these seconds between its touches ends, and whether the limit ended it."""

    async def scenario() -> tuple[float, bool]:
        try:
            with limit:
                for seconds in pauses:
                    if paused:
                        limit.pause()
                    await asyncio.sleep(seconds)
                    limit.touch()
        except TimeoutError:
            return now(), True
        return now(), False

    return run(scenario())


@pytest.mark.parametrize(
    ("pauses", "end"),
    [
        ([], (0.0, False)),
        ([9.9], (9.9, False)),
        ([10.1], (10.0, True)),
        ([9.0] * 200, (1800.0, False)),
        ([9.0, 9.0, 11.0], (28.0, True)),
        ([0.001] * 50 + [20.0], (10.05, True)),
    ],
)
def test_only_idle_time_counts_never_the_length(pauses: list[float], end: tuple[float, bool]) -> None:
    assert ended_at(IdleTimeout(10.0), pauses) == end


@pytest.mark.parametrize(
    ("pauses", "end"), [([4.0] * 7, (28.0, False)), ([4.0] * 10, (30.0, True)), ([11.0], (10.0, True))]
)
def test_a_total_time_holds_whatever_is_heard(pauses: list[float], end: tuple[float, bool]) -> None:
    limit = IdleTimeout(10.0, total_seconds=30.0)
    assert ended_at(limit, pauses) == end


def test_time_for_which_it_is_paused_is_not_silence() -> None:
    assert ended_at(IdleTimeout(10.0), [25.0, 9.0, 100.0], paused=True) == (134.0, False)


def test_after_a_pause_idle_time_counts_from_the_next_touch() -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            with IdleTimeout(10.0) as limit:
                limit.pause()
                await asyncio.sleep(12.0)
                limit.touch()
                await asyncio.sleep(60.0)
        return now()

    assert run(scenario()) == 22.0


@pytest.mark.parametrize(("seconds", "end"), [(3.0, 8.0), (50.0, 55.0)])
def test_another_limit_may_follow(seconds: float, end: float) -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            with IdleTimeout(10.0) as limit:
                await asyncio.sleep(5.0)
                limit.restart(seconds)
                await asyncio.sleep(100.0)
        return now()

    assert run(scenario()) == end


def test_several_limits_end_each_at_its_own_time() -> None:
    async def waiting(start: float, seconds: float) -> float:
        await asyncio.sleep(start)
        with pytest.raises(TimeoutError):
            with IdleTimeout(seconds) as limit:
                await asyncio.sleep(1.0)
                limit.touch()
                await asyncio.sleep(100.0)
        return now()

    async def scenario() -> tuple[float, ...]:
        return await asyncio.gather(
            waiting(0.0, 10.0), waiting(1.0, 2.0), waiting(2.0, 30.0), waiting(9.0, 2.0)
        )

    assert tuple(run(scenario())) == (11.0, 4.0, 33.0, 12.0)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def guarded() -> None:
        with IdleTimeout(10.0):
            await asyncio.sleep(100.0)

    async def scenario() -> float:
        task = asyncio.create_task(guarded())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return now()

    assert run(scenario()) == 1.0


def test_a_cancellation_at_the_very_moment_of_the_limit_is_not_lost() -> None:
    async def guarded() -> None:
        with IdleTimeout(10.0):
            await asyncio.sleep(100.0)

    async def scenario() -> bool:
        task = asyncio.create_task(guarded())
        asyncio.get_running_loop().call_later(10.0, task.cancel)
        await asyncio.wait([task])
        return task.cancelled()

    assert run(scenario())


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


@pytest.mark.parametrize("loop", LOOPS)
def test_what_arrived_while_the_machine_was_suspended_is_read_first(loop: str) -> None:
    async def scenario() -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            with theirs:
                with IdleTimeout(0.2) as limit:
                    asyncio.get_running_loop().call_soon(stand_still, theirs)
                    received = await reader.read(100)
                    limit.touch()
                    return received
        finally:
            writer.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(scenario()) == b"sent in time"


def stand_still(theirs: socket.socket) -> None:
    theirs.send(b"sent in time")
    time.sleep(0.5)

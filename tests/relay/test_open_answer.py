"""The slot of an answer is released exactly once, after its connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from switchyard.relay.draining import Draining
from switchyard.relay.open_answer import OpenAnswer
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Reply
from switchyard.routing.limits import Limits
from tests.bed.fake_time import run
from tests.bed.stage import upstream

UPSTREAM = upstream("u")


class LateReply:
    """A reply whose body ends a moment after the answer, and whose connection takes a moment to close."""

    has_ended = False

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.slots_when_closed: list[int] = []

    async def chunks(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.5)
        yield b""

    async def close(self) -> None:
        await asyncio.sleep(0.1)
        self.slots_when_closed.append(self._limits.under_way(UPSTREAM.account_id))


def slots_after(*calls: str) -> tuple[list[int], int]:
    """The slots taken when the connection is closed, and in the end; one is taken by another request."""

    async def scenario() -> tuple[list[int], int]:
        limits = Limits()
        queue, draining = SlotQueue(limits, asyncio.get_running_loop().time), Draining()
        for _ in range(2):
            queue.enter(UPSTREAM)
        reply = LateReply(limits)
        opened = OpenAnswer(cast(Reply, reply), UPSTREAM.account_id, queue, draining)
        for call in calls:
            if call == "drain":
                opened.drain()
                continue
            closing = asyncio.create_task(opened.close())
            if call == "close, cancelled":
                await asyncio.sleep(0.05)
                closing.cancel()
            await asyncio.wait([closing])
        await asyncio.sleep(5)
        return reply.slots_when_closed, limits.under_way(UPSTREAM.account_id)

    return run(scenario())


@pytest.mark.parametrize(
    "calls",
    [
        ("close",),
        ("close", "close"),
        ("close", "drain"),
        ("drain",),
        ("drain", "close"),
        ("drain", "drain", "close", "close"),
    ],
)
def test_the_slot_is_released_once_and_after_the_connection(calls: tuple[str, ...]) -> None:
    assert slots_after(*calls) == ([2], 1)


def test_a_cancelled_close_releases_the_slot_once() -> None:
    assert slots_after("close, cancelled", "close") == ([], 1)

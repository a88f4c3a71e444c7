"""Read what an upstream still sends after the end of its answer, and hold its slot until then."""

import asyncio
from collections.abc import Callable

from switchyard.relay.failures import AttemptFailed
from switchyard.relay.upstream import Reply

LINGER_SECONDS = 1.0
MAX_BYTES = 256 * 1024
"""The connection of an upstream that sends more, or takes longer, is closed: neither belongs to the answer."""

Release = Callable[[], None]


class Draining:
    """Reads replies to their end after the answer is complete, so that no client waits for that.

    An upstream counts a request until its body has ended or its connection is closed.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def take_over(self, reply: Reply, release: Release) -> None:
        """Read the reply to its end and close it. `release` is called exactly once, after that."""
        if reply.has_ended:
            release()
            return
        task = asyncio.create_task(_drain(reply), name="drain")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            release()

        task.add_done_callback(ended)

    def __len__(self) -> int:
        return len(self._tasks)

    async def stop(self) -> None:
        """Close the remaining replies; every slot is free when this returns."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _drain(reply: Reply) -> None:
    """A body read to its end leaves its connection open for the next request."""
    size = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            async for chunk in reply.chunks():
                size += len(chunk)
                if size > MAX_BYTES:
                    return
    except (TimeoutError, AttemptFailed):
        return
    finally:
        await reply.close()

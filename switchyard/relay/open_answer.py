"""Release the connection and the slot of an answer, exactly once."""

from switchyard.relay.draining import Draining
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Reply


class OpenAnswer:
    """Call `drain` when the answer is complete; call `close` in every case. The first call of either counts."""

    def __init__(self, reply: Reply, account: str, queue: SlotQueue, draining: Draining) -> None:
        self._reply = reply
        self._account = account
        self._queue = queue
        self._draining = draining
        self._is_open = True

    def drain(self) -> None:
        """Keep the slot until the body has ended, without waiting for that.

        Call it before the client can see the end: then its next request finds the slot free if the body has ended.
        """
        if self._is_open:
            self._is_open = False
            if self._reply.has_ended:
                self._queue.leave(self._account)
                return
            self._draining.take_over(self._reply, self._queue.leave_after(self._account))

    async def close(self) -> None:
        """Close the connection of an answer that is not complete, and release its slot then."""
        if not self._is_open:
            return
        try:
            await self._reply.close()
        finally:
            self._is_open = False
            self._queue.leave(self._account)

"""Record the end of one request, once, before its client can see that end."""

from collections.abc import Awaitable, Callable

from switchyard.exchange import Exchange
from switchyard.relay.stopwatch import Stopwatch


class EndRecord:
    """`record` writes the journal line."""

    def __init__(
        self, exchange: Exchange, stopwatch: Stopwatch, record: Callable[[Exchange], Awaitable[None]]
    ) -> None:
        self._exchange = exchange
        self._stopwatch = stopwatch
        self._record = record
        self.is_written = False

    def note_content(self) -> None:
        """The first content goes to the client now."""
        self._exchange.first_byte = self._stopwatch.seconds()
        self._exchange.status = 200

    async def write(self) -> None:
        """Outcome, usage and failure are on the exchange. Any further call does nothing."""
        if self.is_written:
            return
        self.is_written = True
        exchange = self._exchange
        exchange.duration = self._stopwatch.seconds()
        if exchange.attempts and exchange.attempts[-1].ended is None:
            exchange.attempts[-1].ended = exchange.duration
        await self._record(exchange)

"""The recent exchanges, in memory, for the dashboard: the running ones and the last 500."""

from collections import deque
from collections.abc import Callable

from switchyard.exchange import Exchange

KEPT = 500


class RecentExchanges:
    """Newest first. Notifies listeners of each exchange that begins or ends."""

    def __init__(self, kept: int = KEPT) -> None:
        self._running: dict[str, Exchange] = {}
        self._ended: deque[Exchange] = deque(maxlen=kept)
        self._listeners: list[Callable[[Exchange], None]] = []

    def begun(self, exchange: Exchange) -> None:
        self._running[exchange.id] = exchange
        if self._listeners:
            self._notify(exchange)

    def ended(self, exchange: Exchange) -> None:
        self._running.pop(exchange.id, None)
        self._ended.appendleft(exchange)
        if self._listeners:
            self._notify(exchange)

    def running(self) -> list[Exchange]:
        return list(self._running.values())[::-1]

    def last(self) -> list[Exchange]:
        """The running ones, then the finished ones."""
        return [*self.running(), *self._ended]

    def find(self, id: str) -> Exchange | None:
        return self._running.get(id) or next((one for one in self._ended if one.id == id), None)

    def listen(self, listener: Callable[[Exchange], None]) -> Callable[[], None]:
        """Call the listener from now on; call the result to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self, exchange: Exchange) -> None:
        for listener in tuple(self._listeners):
            listener(exchange)

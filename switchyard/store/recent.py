"""The exchanges of the last while, in memory, for the dashboard: those under way and the last 500."""

from collections import deque
from collections.abc import Callable

from switchyard.exchange import Exchange

KEPT = 500


class RecentExchanges:
    """Newest first. Tells listeners about each exchange that has begun or ended."""

    def __init__(self, kept: int = KEPT) -> None:
        self._running: dict[str, Exchange] = {}
        self._ended: deque[Exchange] = deque(maxlen=kept)
        self._listeners: list[Callable[[Exchange], None]] = []

    def begun(self, exchange: Exchange) -> None:
        self._running[exchange.id] = exchange
        self._notify(exchange)

    def ended(self, exchange: Exchange) -> None:
        self._running.pop(exchange.id, None)
        self._ended.appendleft(exchange)
        self._notify(exchange)

    def running(self) -> list[Exchange]:
        return list(self._running.values())[::-1]

    def last(self) -> list[Exchange]:
        """Those under way, then the ended ones."""
        return [*self.running(), *self._ended]

    def find(self, id: str) -> Exchange | None:
        return self._running.get(id) or next((one for one in self._ended if one.id == id), None)

    def listen(self, listener: Callable[[Exchange], None]) -> Callable[[], None]:
        """Calls the listener from now on; call the result to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self, exchange: Exchange) -> None:
        for listener in tuple(self._listeners):
            listener(exchange)

"""Live events for the dashboard: changes are sent to every open page, with resume after a break.

Nothing is computed while no page is open.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from switchyard.exchange import Exchange
from switchyard.protocols import sse
from switchyard.store.recent import RecentExchanges
from switchyard.web.answers import Json
from switchyard.web.overview import Overview
from switchyard.web.request_view import exchange_row

TICK_SECONDS = 0.5
ALIVE_SECONDS = 15.0
KEPT_EVENTS = 1000
MAX_READERS = 32
NUMBER = re.compile(r"[0-9]{1,18}")
ALIVE = b": alive\n\n"
RETRY = b"retry: 1000\n\n"
VOLATILE = frozenset({"now"})
"""changes all the time and is not reported"""


class TooManyReaders(Exception):
    """More pages are open than one person can use."""


class LiveEvents:
    """One log of events; each reader has its position in it."""

    def __init__(self, overview: Overview, recent: RecentExchanges) -> None:
        self._overview = overview
        self._recent = recent
        self._events: deque[tuple[int, bytes]] = deque(maxlen=KEPT_EVENTS)
        self._last = 0
        self._news = asyncio.Event()
        self._readers = 0
        self._ticker: asyncio.Task[None] | None = None
        self._state: Json = {}
        self._rows: dict[str, Json] = {}
        """the running requests as they were reported last"""
        self._closed = False

    async def follow(self, resume: str) -> AsyncIterator[bytes]:
        """The events from where the reader stopped, without end. Raises TooManyReaders."""
        if self._readers >= MAX_READERS:
            raise TooManyReaders
        self._readers += 1
        if self._readers == 1:
            self._begin()
        try:
            place = self._place(resume)
            yield RETRY
            if place is None:
                place = self._last
                yield sse.encode(b"{}", "reset") if resume else b""
                yield self._record(place, "state", await self._overview.state())
            while not self._closed:
                news = self._news
                for number, event in list(self._events):
                    if number > place:
                        yield event
                        place = number
                try:
                    async with asyncio.timeout(ALIVE_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield ALIVE
        finally:
            self._readers -= 1
            if self._readers == 0:
                self._end()

    def close(self) -> None:
        """The daemon stops: end every reader, so that none delays it."""
        self._closed = True
        self._news.set()

    def _place(self, resume: str) -> int | None:
        """The number of the last event that a returning reader has seen; None if the next one is lost."""
        boot, _, number = resume.partition("-")
        if boot != self._overview.boot or not NUMBER.fullmatch(number):
            return None
        place = int(number)
        oldest = self._events[0][0] if self._events else self._last + 1
        return place if oldest - 1 <= place <= self._last else None

    # --- writing ---

    def _begin(self) -> None:
        # events without readers were not recorded: returning readers start again
        self._events.clear()
        self._last += 1
        self._state, self._rows = {}, {}
        self._unlisten = self._recent.listen(self._publish_row)
        self._ticker = asyncio.create_task(self._tick())

    def _end(self) -> None:
        self._unlisten()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    async def _tick(self) -> None:
        while True:
            state = await self._overview.state()
            for exchange in self._recent.running():
                if self._rows.get(exchange.id) != exchange_row(exchange):
                    self._publish_row(exchange)
            known = {name: value for name, value in state.items() if name not in VOLATILE}
            known["routes"] = {client: route | {"at": None} for client, route in state["routes"].items()}
            if known != self._state:
                self._state = known
                self._publish("state", state)
            await asyncio.sleep(TICK_SECONDS)

    def _publish_row(self, exchange: Exchange) -> None:
        row = exchange_row(exchange)
        if exchange.duration is None:
            self._rows[exchange.id] = row
        else:
            self._rows.pop(exchange.id, None)
        self._publish("request", row)

    def _publish(self, kind: str, payload: Any) -> None:
        self._last += 1
        self._events.append((self._last, self._record(self._last, kind, payload)))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _record(self, number: int, kind: str, payload: Any) -> bytes:
        head = f"id: {self._overview.boot}-{number}\n".encode()
        return head + sse.encode(msgspec.json.encode(payload), kind)

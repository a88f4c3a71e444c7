"""Watch the daemon while notifications are set up, and send what has happened; no request waits for that."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from switchyard.exchange import Exchange
from switchyard.notifications.events import Event, Limiter, Snapshot, changes, switch_of
from switchyard.notifications.sending import deliver
from switchyard.relay.simulate import SimulatingWire
from switchyard.settings import Notify, Settings

log = logging.getLogger("switchyard.notifications")

LOOK_SECONDS = 1.0
MAX_WAITING = 100
"""events that wait for a slow address; more are dropped"""
TEST = Event("test", "", "This is a test notification.")


class Notifier:
    """`snapshot` reads the state, `now` a monotonic clock, `wall` the time of day."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        snapshot: Callable[[], Snapshot],
        wire: SimulatingWire,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._snapshot = snapshot
        self._wire = wire
        self._now, self._wall = now, wall
        self._limiter = Limiter()
        self._before: Snapshot | None = None
        self._waiting: asyncio.Queue[tuple[Event, float]] = asyncio.Queue(MAX_WAITING)
        self._changed = asyncio.Event()
        self._fault = ""

    def notices(self) -> tuple[str, ...]:
        """For the dashboard: why the last notification did not arrive."""
        is_shown = self._fault and self._is_on
        return (f"The last notification was not delivered: {self._fault}",) if is_shown else ()

    def replan(self) -> None:
        """The settings have changed."""
        self._changed.set()

    def ended(self, exchange: Exchange) -> None:
        """A request has ended."""
        if self._is_on and (event := switch_of(exchange)) is not None:
            self._put(event)

    async def test(self) -> str:
        """Send a test now; returns why it did not arrive, or ""."""
        self._fault = await deliver(self._wire, self._notify, TEST, self._wall())
        return self._fault

    async def run(self) -> None:
        """Until cancelled."""
        sending = asyncio.create_task(self._send())
        try:
            while True:
                self._changed.clear()
                self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if self._is_on else None):
                        await self._changed.wait()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    @property
    def _notify(self) -> Notify:
        return self._settings().notify

    @property
    def _is_on(self) -> bool:
        notify = self._settings().notify
        return bool(notify.url or notify.command)

    def _look(self) -> None:
        """What was so before the first look is not reported."""
        before, self._before = self._before, self._snapshot() if self._is_on else None
        if before is not None and self._before is not None:
            for event in changes(before, self._before):
                self._put(event)

    def _put(self, event: Event) -> None:
        if event.kind in self._notify.on and self._limiter.admits(event, self._now()):
            with suppress(asyncio.QueueFull):
                self._waiting.put_nowait((event, self._wall()))

    async def _send(self) -> None:
        while True:
            event, at = await self._waiting.get()
            self._fault = await deliver(self._wire, self._notify, event, at)
            if self._fault:
                log.warning("a notification was not delivered: %s", self._fault)

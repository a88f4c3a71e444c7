"""Activate upstreams at their time of day: one tiny request each, which starts a reseller's quota window."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from switchyard.exchange import Activated, ActivationResult, Exchange
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.isolated import ProbeResult, ask_isolated
from switchyard.routing.schedule import Occasion, due, ended, minutes_now, plan, tried
from switchyard.settings import Upstream

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 30.0
"""A timer does not run while the machine sleeps, nor follow the wall clock: check at least this often."""
KIND = "activation"

log = logging.getLogger("switchyard.activation")


class Memory(Protocol):
    """What is remembered of each upstream's activations."""

    def all(self) -> Mapping[str, Activated]: ...

    def of(self, upstream: str) -> Activated: ...

    async def put(self, upstream: str, activated: Activated) -> None: ...


class ActivationState(msgspec.Struct, frozen=True):
    """For the dashboard: `at` the time of day that holds now, `next` and `last` in seconds since the epoch.

    `next` is None while a request is under way and where none is planned.
    """

    at: str
    next: float | None
    reason: str
    last: float | None
    ok: bool | None
    detail: str


class Activations:
    """`run` sends what is due; `activate` sends one now. An upstream is never asked twice at the same time."""

    def __init__(self, dependencies: Dependencies, memory: Memory, now: Callable[[], datetime]) -> None:
        self._dependencies = dependencies
        self._memory = memory
        self._now = now
        self._under_way: dict[str, asyncio.Task[Exchange]] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; what is under way then is cancelled too."""
        try:
            while True:
                self._changed.clear()
                for occasion in due(self._dependencies.settings(), self._memory.all(), self._now()):
                    self._begin(occasion)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds_to_next()):
                        await self._changed.wait()
        finally:
            running = list(self._under_way.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def replan(self) -> None:
        """The settings have changed."""
        self._changed.set()

    async def activate(self, name: str) -> Exchange:
        """One activation of each account now, or the end of the one that is under way: the first that has failed, else
        the last. Raises KeyError for an unknown name."""
        upstream = self._dependencies.settings().upstream(name)
        if upstream is None:
            raise KeyError(name)
        started = [self._started(one, self._day_begun(one.account)) for one in upstream.accounts]
        ended = await asyncio.shield(asyncio.gather(*started))
        return next((one for one in ended if one.failure is not None), ended[-1])

    def states(self) -> dict[str, ActivationState]:
        """The state of every account that has a time, or was activated by hand."""
        settings, memory = self._dependencies.settings(), self._memory.all()
        planned = {one.account: one for one in plan(settings, memory, self._now())}
        return {
            one.account: self._state(one, planned.get(one.account))
            for one in settings.accounts
            if one.activation is not None or self._memory.of(one.account).last is not None
        }

    def _state(self, upstream: Upstream, planned: Occasion | None) -> ActivationState:
        memory = self._memory.of(upstream.account)
        minutes = minutes_now(upstream.activation, memory) if upstream.activation is not None else None
        occasion = None if upstream.account in self._under_way else planned
        last = memory.last
        return ActivationState(
            at="" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}",
            next=occasion.at if occasion is not None else None,
            reason=occasion.reason if occasion is not None else "",
            last=last.at if last is not None else None,
            ok=last.ok if last is not None else None,
            detail=last.detail if last is not None else "",
        )

    # --- one activation --------------------------------------------------------

    def _day_begun(self, name: str) -> str:
        """The day whose activation is due or waits for its next try; "" where none is."""
        now, tried_day = self._now(), self._memory.of(name).tried_day
        for occasion in plan(self._dependencies.settings(), self._memory.all(), now):
            if occasion.account == name and (occasion.at <= now.timestamp() or occasion.day == tried_day):
                return occasion.day
        return ""

    def _seconds_to_next(self) -> float:
        now = self._now()
        planned = plan(self._dependencies.settings(), self._memory.all(), now)
        seconds = [one.at - now.timestamp() for one in planned if one.account not in self._under_way]
        return min([LOOK_SECONDS, *(max(wait, 0.0) for wait in seconds)])

    def _begin(self, occasion: Occasion) -> None:
        upstream = self._dependencies.settings().account(occasion.account)
        if upstream is not None and upstream.account not in self._under_way:
            log.info('activating "%s": %s', upstream.account, occasion.reason)
            self._started(upstream, occasion.day)

    def _started(self, upstream: Upstream, day: str) -> asyncio.Task[Exchange]:
        name = upstream.account
        if name not in self._under_way:
            task = asyncio.create_task(self._activated(upstream, day))
            self._under_way[name] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        return self._under_way[name]

    def _ended(self, name: str, task: asyncio.Task[Exchange]) -> None:
        del self._under_way[name]
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error('activating "%s" failed', name, exc_info=error)

    async def _activated(self, upstream: Upstream, day: str) -> Exchange:
        memory, name = self._memory, upstream.account
        if day:
            await memory.put(name, tried(memory.of(name), day, self._now().timestamp()))
        began = self._dependencies.monotonic()
        probed = await ask_isolated(self._dependencies, upstream, KIND, PATIENCE_SECONDS)
        if probed.ok:
            sent = probed.exchange.attempts[-1].model
            self._dependencies.state().health.succeeded(name, sent, began)
        result = self._result(probed)
        await memory.put(name, ended(memory.of(name), upstream.activation, day, result))
        log.info('activation of "%s" %s: %s', name, "succeeded" if result.ok else "failed", result.detail)
        return probed.exchange

    def _result(self, probed: ProbeResult) -> ActivationResult:
        attempts = probed.exchange.attempts
        status = attempts[-1].status if attempts else None
        detail = probed.text.replace("\n", " ")[:200]
        return ActivationResult(self._now().timestamp(), probed.ok, status or 0, detail)

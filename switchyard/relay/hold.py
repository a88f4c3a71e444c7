"""Hold requests while every upstream is failing: each waits here until it may try again, is released or given up."""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from switchyard.exchange import Exchange
from switchyard.routing.hold import Target
from switchyard.routing.probes import Probes
from switchyard.routing.waits import Waited

MAX_HELD = 200
MAX_HELD_BYTES = 256 * 1024 * 1024
CUT = "held when the daemon ended"
"""reason of a cancellation: the connections of clients that then repeat their request are cut"""
GIVEN_UP = "given up by the user"
SHORTEST_TIMER = 0.001

log = logging.getLogger("switchyard.relay")


class Wake(msgspec.Struct, frozen=True):
    """Why a held request continues: it may probe a target, one has recovered, the settings were edited, time is up."""

    reason: Literal["probe", "released", "edited", "time"]
    target: Target = ("", "")


@dataclass(slots=True)
class HeldRequest:
    """One held request. All moments are those of the hold's clock."""

    exchange: Exchange
    task: asyncio.Task[object]
    size: int
    since: float
    until: float
    waits: tuple[Waited, ...] = ()
    unexpected: tuple[Waited, ...] = ()
    """what is tried if it recovers, although its cooldown is longer than the hold"""
    joined: set[Target] = field(default_factory=set)
    """the targets it has waited for: their cooldowns postpone the next try once, as it may become due sooner"""
    wake: asyncio.Future[Wake] | None = None
    recovered: set[Target] | None = None
    """the targets at which others have succeeded during its pause"""
    is_given_up: bool = False

    @property
    def ends_at(self) -> float:
        """The moment at which the hold ends at the latest."""
        return min(self.until, max((waited.until for waited in self.waits), default=math.inf))


class Hold:
    """All held requests, and the probes that they share. `now` stands still while the machine sleeps."""

    def __init__(self, now: Callable[[], float], jitter: Callable[[], float] = random.random) -> None:
        self._now = now
        self._jitter = jitter
        self._probes = Probes()
        self._held: dict[str, HeldRequest] = {}
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    # --- what every attempt reports --------------------------------------------------

    def begin(self, exchange: str, target: Target) -> bool:
        """An attempt starts; True if no other is under way at this target."""
        return self._probes.begin(exchange, target, self._now())

    def end(self, exchange: str, target: Target) -> None:
        """The attempt is over without a result for the target: the client left, or the failure does not pass."""
        self._probes.end(exchange, target)
        if self._held:
            self._hand_out()

    def failed(self, exchange: str, target: Target, began: float, after: float) -> None:
        """The attempt failed in a way that passes; the upstream asks for `after` seconds."""
        self._probes.end(exchange, target)
        self._probes.failed(target, began, self._now(), after, self._jitter())
        if self._held:
            self._hand_out()

    def succeeded(self, exchange: str, target: Target) -> None:
        """The answer has content: all requests that wait for this target continue at once."""
        self._probes.end(exchange, target)
        waiting = self._probes.succeeded(target)
        if waiting is not None:
            self._release(exchange, target, waiting)
        if self._held:
            self._hand_out()

    # --- held requests ------------------------------------------------------------------

    def enter(self, exchange: Exchange, size: int, seconds: float) -> bool:
        """The running task's request is held from now on, for `seconds` at most; False if too many are."""
        task = asyncio.current_task()
        if task is None or len(self._held) >= MAX_HELD or self._bytes + size > MAX_HELD_BYTES:
            return False
        now = self._now()
        self._held[exchange.id] = HeldRequest(exchange, task, size, now, now + seconds)
        self._bytes += size
        return True

    def set_end(self, exchange: Exchange, until: float) -> None:
        """The settings have changed how long the request may be held."""
        self._held[exchange.id].until = until

    def leave(self, exchange: Exchange) -> float:
        """The request is no longer held: returns for how many seconds it was."""
        held = self._held.pop(exchange.id)
        self._bytes -= held.size
        self._probes.leave(exchange.id)
        for waited in held.waits + held.unexpected:
            self._probes.end(exchange.id, waited.target)
        self._hand_out()
        return self._now() - held.since

    async def wait(
        self, exchange: Exchange, waits: Sequence[Waited], seconds: float, unexpected: Sequence[Waited] = ()
    ) -> Wake:
        """Wait for the next try; "time" after so many seconds."""
        held, now = self._held[exchange.id], self._now()
        held.waits, held.unexpected = tuple(waits), tuple(unexpected)
        for waited in held.waits + held.unexpected:
            not_before = 0.0 if waited.target in held.joined else waited.not_before
            self._probes.join(exchange.id, waited.target, now, not_before)
            held.joined.add(waited.target)
        held.wake = asyncio.get_running_loop().create_future()
        self._hand_out()
        try:
            async with asyncio.timeout(seconds if seconds < math.inf else None):
                return await asyncio.shield(held.wake)
        except TimeoutError:
            return held.wake.result() if held.wake.done() else Wake("time")
        finally:
            held.wake = None
            self._probes.leave(exchange.id)

    async def pause(self, exchange: Exchange, seconds: float) -> set[Target]:
        """Wait for so many seconds: returns the targets at which others have succeeded meanwhile."""
        held = self._held[exchange.id]
        recovered = held.recovered = set()
        try:
            await asyncio.sleep(seconds)
        finally:
            held.recovered = None
        return recovered

    def was_given_up(self, exchange: Exchange) -> bool:
        return self._held[exchange.id].is_given_up

    # --- what the user and the daemon do ------------------------------------------------

    def hasten(self, upstreams: Iterable[str] | None = None) -> None:
        """Try these upstreams, or all, now."""
        self._probes.hasten(self._now(), upstreams)
        self._hand_out()

    def use(self, accounts: Sequence[str]) -> None:
        """The user wants the upstream with these accounts to answer: every held request tries it now."""
        for exchange, held in self._held.items():
            if not any(waited.target[0] in accounts for waited in held.waits):
                self._probes.leave(exchange)
                self._wake(exchange, Wake("edited", (accounts[0], "")))
        self.hasten(accounts)

    def keep_only(self, accounts: Collection[str]) -> None:
        """The other accounts were edited or removed; call `edited` afterwards."""
        self._probes.keep_only(accounts)

    def edited(self) -> None:
        """The settings have changed: every held request tries what is new."""
        for exchange in self._held:
            self._probes.leave(exchange)
            self._wake(exchange, Wake("edited"))

    def give_up(self, exchange: str | None = None) -> int:
        """End one held request, or all, with the final error: returns how many."""
        wanted = [held for held in self._held.values() if exchange in (None, held.exchange.id)]
        for held in wanted:
            held.is_given_up = True
            held.task.cancel(GIVEN_UP)
        return len(wanted)

    def cut_all(self) -> None:
        """The daemon ends: the clients of held requests repeat them, after the restart."""
        for held in list(self._held.values()):
            held.task.cancel(CUT)

    def held(self) -> tuple[HeldRequest, ...]:
        """The held requests, the oldest first."""
        return tuple(self._held.values())

    def next_try_at(self, targets: Iterable[Target]) -> float | None:
        """The moment of the next try of these targets, by any request; None while one is under way."""
        return self._probes.next_try_at(targets)

    def is_queued(self, held: HeldRequest) -> bool:
        """True if the target answers again and the request waits for a free slot there."""
        is_waiting = held.wake is not None or held.recovered is not None
        return not is_waiting and not self._probes.is_trying(held.exchange.id)

    # --- handing out ---------------------------------------------------------------------

    def _release(self, exchange: str, target: Target, waiting: Sequence[str]) -> None:
        """All requests that wait for the target continue: this one has found that it answers again."""
        for one in waiting:
            self._wake(one, Wake("released", target))
        for held in self._held.values():
            if held.recovered is not None:
                held.recovered.add(target)
        if waiting or exchange in self._held:
            count = len(waiting)
            others = "1 held request continues" if count == 1 else f"{count} held requests continue"
            log.info('upstream "%s" answers again%s', target[0], f"; {others}" if count else "")

    def _wake(self, exchange: str, wake: Wake) -> None:
        held = self._held.get(exchange)
        if held is not None and held.wake is not None and not held.wake.done():
            held.wake.set_result(wake)

    def _hand_out(self) -> None:
        """Wake the requests whose turn it is, and check again at the next moment of a try."""
        for grant in self._probes.grants(self._now()):
            self._wake(grant.exchange, Wake("probe", grant.target))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_at = self._probes.next_at()
        if self._held and next_at < math.inf:
            seconds = max(next_at - self._now(), SHORTEST_TIMER)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._hand_out)

"""Wait for a slot at a full upstream, first come first served; no slot is ever lost."""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from switchyard.routing.limits import Limits
from switchyard.settings import Upstream

MAX_WAITING = 1000
NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Waiter:
    ticket: int
    wanted: Sequence[Upstream]
    granted: asyncio.Future[str] = field(default_factory=asyncio.Future)
    """the account; "" if the settings were edited meanwhile"""


class SlotQueue:
    """Hands a slot that becomes free to the request that has waited longest for it, never to a new one.

    A slot is counted from the moment it is taken or granted. Each `enter`, and each slot that `wait` has granted,
    must be followed by exactly one `leave`, `give_back` or `leave_after`. Accounts are named by `Upstream.account_id`.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._waiters: list[_Waiter] = []
        self._ending: Counter[str] = Counter()
        self._tickets = count()
        self._alarm: asyncio.TimerHandle | None = None

    def enter(self, upstream: Upstream) -> None:
        """A request takes a slot, without having waited for it."""
        self._limits.begin(upstream.account_id)
        if upstream.requests_per_minute:
            self._limits.count_start(upstream, self._now())

    def leave(self, account: str) -> None:
        """A request has ended: its slot goes to the next one."""
        self._limits.end(account)
        self.hand_out()

    def give_back(self, account: str) -> None:
        """A slot that `wait` has granted is not used after all."""
        self._limits.withdraw_start(account)
        self.leave(account)

    def leave_after(self, account: str) -> Callable[[], None]:
        """An answer is complete but its body may not be: call what is returned once the slot is free."""
        self._ending[account] += 1

        def leave() -> None:
            self._ending[account] -= 1
            if not self._ending[account]:
                del self._ending[account]
            self.leave(account)

        return leave

    def free_soon(self) -> frozenset[str]:
        """The accounts at which a slot is about to become free and no request waits for it yet."""
        if not self._ending or self.is_at_limit:
            return NONE
        open_waits = (waiter.wanted for waiter in self._waiters if not waiter.granted.done())
        awaited = Counter(upstream.account_id for wanted in open_waits for upstream in wanted)
        return frozenset(name for name, count in self._ending.items() if count > awaited[name])

    @property
    def is_at_limit(self) -> bool:
        """True if no further request may wait."""
        return len(self._waiters) >= MAX_WAITING

    def draw_ticket(self) -> int:
        """A position in the queue, valid for any number of `wait`s."""
        return next(self._tickets)

    async def wait(self, ticket: int, wanted: Sequence[Upstream], seconds: float) -> str | None:
        """The account at which the caller now has a slot, the best first; None when there was none in time.

        "" if the settings were edited: what is wanted may be something else now.
        """
        waiter = _Waiter(ticket, wanted)
        insort(self._waiters, waiter, key=lambda one: one.ticket)
        self.hand_out()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiter.granted)
        except TimeoutError:
            return waiter.granted.result() if waiter.granted.done() else None
        except asyncio.CancelledError:
            if waiter.granted.done() and (account := waiter.granted.result()):
                self.give_back(account)
            raise
        finally:
            self._waiters.remove(waiter)
            self._set_alarm()

    def edited(self) -> None:
        """The settings have changed: no request waits any longer for what it wanted by the earlier ones."""
        for waiter in self._waiters:
            if not waiter.granted.done():
                waiter.granted.set_result("")

    def hand_out(self) -> None:
        """Give free slots to the requests that wait for them; call it before a new request looks for one."""
        if not self._waiters:
            return
        now = self._now()
        for waiter in self._waiters:
            if waiter.granted.done():
                continue
            free = next((one for one in waiter.wanted if self._limits.has_room(one, now)), None)
            if free is not None:
                self.enter(free)
                waiter.granted.set_result(free.account_id)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Check again when the next rate limit allows a request; `leave` hands out the other slots."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._now()
        opens = [
            self._limits.free_at(upstream, now)
            for waiter in self._waiters
            if not waiter.granted.done()
            for upstream in waiter.wanted
            if not self._limits.is_full(upstream)
        ]
        if opens:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(min(opens) - now, 0.001), self.hand_out)

    def __len__(self) -> int:
        return len(self._waiters)

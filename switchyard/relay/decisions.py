"""Tool calls that wait until the user releases or refuses them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from switchyard.exchange import Exchange
from switchyard.relay.hold import CUT
from switchyard.suspicion.reasons import Reason

DECISION_SECONDS = 600.0
MAX_WAITING = 100
"""more are refused at once"""
Decision = Literal["released", "refused", "expired"]


@dataclass(slots=True)
class WaitingCall:
    """One call, or those that came together. Moments are those of the registry's clock."""

    exchange: Exchange
    upstream: str
    tool: str
    arguments: str
    reasons: tuple[Reason, ...]
    since: float
    until: float
    task: "asyncio.Task[object] | None"
    decided: "asyncio.Future[Decision]"


class Decisions:
    """All calls that wait, by their ids. `now` stands still while the machine sleeps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: dict[str, WaitingCall] = {}
        self._number = 0

    async def wait(
        self,
        exchange: Exchange,
        upstream: str,
        call: tuple[str, str],
        reasons: tuple[Reason, ...],
        seconds: float,
    ) -> Decision:
        """Wait for the user's decision about a call (tool, arguments), for so many seconds at most."""
        if len(self._waiting) >= MAX_WAITING:
            return "refused"
        seconds = max(0.0, min(seconds, DECISION_SECONDS))
        since, decided = self._now(), asyncio.get_running_loop().create_future()
        self._number += 1
        id = f"{exchange.id}-{self._number}"
        self._waiting[id] = WaitingCall(
            exchange, upstream, *call, reasons, since, since + seconds, asyncio.current_task(), decided
        )
        try:
            async with asyncio.timeout(seconds):
                decision: Decision = await decided
                return decision
        except TimeoutError:
            return "expired"
        finally:
            del self._waiting[id]

    def decide(self, id: str, *, release: bool) -> bool:
        """False if the call does not wait any more."""
        call = self._waiting.get(id)
        if call is None or call.decided.done():
            return False
        call.decided.set_result("released" if release else "refused")
        return True

    def waiting(self) -> dict[str, WaitingCall]:
        """The oldest first."""
        return dict(self._waiting)

    def cut_all(self) -> None:
        """The daemon ends: the clients are told so, and repeat their requests after the restart."""
        for call in self._waiting.values():
            if call.task is not None:
                call.task.cancel(CUT)

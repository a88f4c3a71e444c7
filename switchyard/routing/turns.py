"""How long each turn of a conversation has been held: a repeat of the request gets the rest of the time."""

from collections import OrderedDict

import msgspec

REMEMBERED_SECONDS = 60.0
NOTICED_SECONDS = 1.0
"""a client may repeat its request a moment before it is noticed that it has left"""
MAX_TURNS = 1000
MAX_EACH = 200
"""requests of one turn: programs without sessions may send the same body many times at once"""


class _Spent(msgspec.Struct, frozen=True):
    """How long a request and those that it repeats were held, and when the last one ended."""

    seconds: float
    ended_at: float


class HoldBudgets:
    """Time is an argument. Turns are named by `protocols.turn`.

    A request repeats one that has ended: those that run at the same time have a budget each.
    """

    def __init__(self, capacity: int = MAX_TURNS) -> None:
        self._spent: OrderedDict[str, tuple[_Spent, ...]] = OrderedDict()
        self._capacity = capacity

    def seconds_left(self, turn: str, hold_seconds: float, came_at: float) -> float:
        """The rest of the turn's hold budget for a request that arrived at this time."""
        repeated = self._repeated(turn, came_at)
        return hold_seconds if repeated is None else max(0.0, hold_seconds - repeated.seconds)

    def spend(self, turn: str, seconds: float, came_at: float, now: float) -> None:
        """A request of the turn that arrived at `came_at` was held for this many seconds, until now."""
        repeated = self._repeated(turn, came_at)
        others = tuple(one for one in self._spent.get(turn, ()) if one is not repeated)
        total = seconds if repeated is None else seconds + repeated.seconds
        self._spent[turn] = (*others, _Spent(total, now))[-MAX_EACH:]
        self._spent.move_to_end(turn)
        while len(self._spent) > self._capacity:
            self._spent.popitem(last=False)

    def _repeated(self, turn: str, came_at: float) -> _Spent | None:
        """What a request that arrived at this time repeats."""
        ended = [
            one
            for one in self._spent.get(turn, ())
            if one.ended_at - NOTICED_SECONDS <= came_at <= one.ended_at + REMEMBERED_SECONDS
        ]
        return max(ended, key=lambda one: one.seconds, default=None)

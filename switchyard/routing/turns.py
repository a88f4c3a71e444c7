"""How long each turn of a conversation has been held: a repeat of the request gets the rest of the time."""

from collections import OrderedDict

import msgspec

REMEMBERED_SECONDS = 60.0
MAX_TURNS = 1000


class _Spent(msgspec.Struct, frozen=True):
    seconds: float
    ended_at: float


class HoldBudgets:
    """Time is an argument. Turns are named by `protocols.turn`."""

    def __init__(self, capacity: int = MAX_TURNS) -> None:
        self._spent: OrderedDict[str, _Spent] = OrderedDict()
        self._capacity = capacity

    def seconds_left(self, turn: str, hold_seconds: float, came_at: float) -> float:
        """The rest of the turn's hold budget for a request that arrived at this time."""
        return max(0.0, hold_seconds - self._seconds_spent(turn, came_at))

    def spend(self, turn: str, seconds: float, came_at: float, now: float) -> None:
        """A request of the turn that arrived at `came_at` was held for this many seconds, until now."""
        self._spent[turn] = _Spent(self._seconds_spent(turn, came_at) + seconds, now)
        self._spent.move_to_end(turn)
        while len(self._spent) > self._capacity:
            self._spent.popitem(last=False)

    def _seconds_spent(self, turn: str, came_at: float) -> float:
        spent = self._spent.get(turn)
        if spent is None or came_at - spent.ended_at > REMEMBERED_SECONDS:
            return 0.0
        return spent.seconds

"""A bounded memory of each session's project: titles, searches and compactions do not state it."""

from collections import OrderedDict

MAX_SESSIONS = 10_000


class Projects:
    def __init__(self, capacity: int = MAX_SESSIONS) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()
        self._capacity = capacity

    def note(self, session: str, project: str) -> str:
        """The project of a request: the one that it states, which the session then has, else that of its session."""
        if not session:
            return project
        if not project:
            return self._known.get(session, "")
        self._known[session] = project
        self._known.move_to_end(session)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return project

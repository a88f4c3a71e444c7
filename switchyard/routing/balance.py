"""Spread new conversations over equal upstreams by their load. Time is an argument."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

import msgspec

from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Rank, rank
from switchyard.routing.sessions import Sessions
from switchyard.settings import Upstream


class Load(msgspec.Struct, frozen=True):
    """The load of one upstream, as the request of one session finds it."""

    sessions: int = 0
    """those whose conversations are live there"""
    running: int = 0
    """requests"""
    turn: float = 0.0
    """decides between equal loads: the smallest has had the smallest share of new conversations"""
    has_session: bool = False
    """the request's own session is one of those"""


IDLE = Load()


Place = tuple[bool, float, float]


def by_load(candidates: Iterable[Candidate], loads: Mapping[str, Load]) -> tuple[Candidate, ...]:
    """Candidates that are equal: the one of the request's session, else the one with the least load for its weight.

    Equal are those of one role with the same explicit priority, and the keys of one entry. The others of the role
    keep their positions among them.
    """

    def place(candidate: Candidate) -> Place:
        load = loads.get(candidate.name, IDLE)
        share = (load.sessions + load.running) / candidate.upstream.weight
        return not load.has_session, share, load.turn

    def place_among_all(candidate: Candidate) -> tuple[Rank, Place]:
        return rank(candidate), place(candidate)

    entries = groupby(candidates, key=lambda one: one.upstream.name)
    by_key = sorted((one for _, keys in entries for one in sorted(keys, key=place)), key=rank)
    equal = iter(sorted((one for one in by_key if one.upstream.priority is not None), key=place_among_all))
    return tuple(one if one.upstream.priority is None else next(equal) for one in by_key)


class Balance:
    """Counts what is where, for upstreams that take turns. Each `begin` is followed by one `end`."""

    def __init__(self, sessions: Sessions | None = None) -> None:
        self._sessions = Sessions() if sessions is None else sessions
        self._starting: dict[str, Counter[str]] = {}
        """upstream -> the sessions whose requests have no answer there yet"""
        self._turns: dict[str, float] = {}

    def loads(
        self, upstreams: Iterable[Upstream], session: str, limits: Limits, now: float, keep_seconds: float
    ) -> dict[str, Load]:
        """The load of each upstream for a request of this session, "" if it has none."""
        self._sessions.forget_idle(now, keep_seconds)
        return {one.account: self._load(one, session, limits) for one in upstreams}

    def _load(self, upstream: Upstream, session: str, limits: Limits) -> Load:
        name = upstream.account
        live, starting = self._sessions.sessions_at(name), self._starting.get(name, ())
        sessions = len(live) + sum(1 for one in starting if one not in live)
        has_session = bool(session) and (session in live or session in starting)
        return Load(sessions, limits.under_way(upstream.account_id), self._turn(name), has_session)

    def _turn(self, upstream: str) -> float:
        """A new upstream begins with the share of the one that has had the least."""
        return self._turns.setdefault(upstream, min(self._turns.values(), default=0.0))

    def begin(self, session: str, upstream: Upstream) -> None:
        """A request of the session is sent there."""
        name = upstream.account
        starting = self._starting.setdefault(name, Counter())
        if not (session in starting or session in self._sessions.sessions_at(name)):
            self._turns[name] = self._turn(name) + 1 / upstream.weight
        if session:
            starting[session] += 1

    def end(self, session: str, upstream: str) -> None:
        """It has an answer there, or none."""
        starting = self._starting.get(upstream, Counter())
        starting[session] -= 1
        if starting[session] <= 0:
            del starting[session]

    def keep_only(self, upstreams: Collection[str]) -> None:
        """The others are removed."""
        self._turns = {name: turn for name, turn in self._turns.items() if name in upstreams}

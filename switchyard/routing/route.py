"""Decide which upstreams may answer, in which order, and why the others may not."""

import math

import msgspec
from msgspec.structs import replace

from switchyard.routing.ask import Ask as Ask
from switchyard.routing.ask import State as State
from switchyard.routing.balance import by_load
from switchyard.routing.fit import NO_NEEDS, Overflow
from switchyard.routing.health import Cooldown
from switchyard.routing.lineup import Candidate, Lineup, Moment, Skip, rank
from switchyard.routing.sessions import Affinity
from switchyard.routing.steps import (
    QUEUE_REASONS,
    Standing,
    by_likelihood,
    limit_reached,
    without_exceeded_windows,
    without_full_quotas,
    without_obstacles,
    without_other_protocols,
    without_small_windows,
    without_tried,
    without_unfit,
    without_unlikely,
)
from switchyard.settings import Settings


class Cooling(msgspec.Struct, frozen=True):
    """A regular candidate that could answer if it were not cooling down."""

    candidate: Candidate
    cooldown: Cooldown


class Route(msgspec.Struct, frozen=True):
    """`reasons` is `skipped` as pairs of upstream and text."""

    candidates: tuple[Candidate, ...]
    rescues: tuple[Candidate, ...]
    skipped: tuple[Skip, ...]
    reasons: tuple[tuple[str, str], ...]
    last_resort: bool = False
    """all that are left are cooling down: the one whose cooldown ends first is tried anyway"""
    stays: bool = False
    """the conversation stays with its upstream although a better one could answer"""
    cooling: tuple[Cooling, ...] = ()
    full: tuple[Candidate, ...] = ()
    """those that nothing but a limit keeps from answering, in order; the rescue upstreams too"""
    search_seconds: float = math.inf
    """the time budget for finding an upstream that answers"""
    takes_turns: bool = False
    """some candidates take turns by their load"""
    overflow: Overflow | None = None
    """the prompt exceeds every window: no upstream is asked"""

    def in_order(self, *, rescues_first: bool) -> tuple[Candidate, ...]:
        """The candidates to try; rescue upstreams are tried only where a failure calls for them, and first."""
        return self.rescues + self.candidates if rescues_first else self.candidates


def choose_route(
    settings: Settings, state: State, ask: Ask, now: Moment, affinity: Affinity | None = None
) -> Route:
    """The candidates in the order to try, the rescue upstreams, and every other upstream with the reason to skip it."""
    lineup = state.lineup(settings, ask.protocol, ask.model, now.wall, ask.ruled)
    if _is_plain(lineup, state, ask):  # the common case
        candidates, stays = _with_affinity(lineup.regular, affinity, settings, now)
        return Route(
            candidates,
            lineup.rescues,
            lineup.skipped,
            lineup.reasons,
            stays=stays,
            search_seconds=lineup.search_seconds,
        )
    standing = Standing(by_likelihood(lineup.candidates, state.missing, now))
    standing = without_other_protocols(standing, ask)
    standing = without_exceeded_windows(standing, ask.needs)
    standing = without_tried(standing, ask)
    standing = without_small_windows(standing, ask)
    standing = without_obstacles(standing, state, ask, now)
    standing = without_unfit(standing, state, ask.needs)
    standing = without_unlikely(standing)
    if lineup.leaves_quotas:
        standing = without_full_quotas(standing, state, affinity, now)
    if lineup.takes_turns:
        standing = _taking_turns(standing, state, ask, now, settings.failover.session_seconds)
    return _route(standing, lineup, settings, state, ask, now, affinity)


def _is_plain(lineup: Lineup, state: State, ask: Ask) -> bool:
    """True if the settings alone decide."""
    decides = bool(lineup.regular) and not lineup.limited and not lineup.takes_turns
    decides = decides and not lineup.leaves_quotas and not ask.endpoint
    is_untouched = state.health.is_spotless and state.missing.is_empty
    return decides and is_untouched and not ask.tried and ask.needs == NO_NEEDS


def _route(
    standing: Standing,
    lineup: Lineup,
    settings: Settings,
    state: State,
    ask: Ask,
    now: Moment,
    affinity: Affinity | None,
) -> Route:
    """The route of what is left, with a last resort if nothing is ready."""
    regular = tuple(one for one in standing.ready if not one.only_rescues)
    rescues = tuple(one for one in standing.ready if one.only_rescues)
    resort, waiting = None, list(standing.waiting)
    if not regular and rescues and _is_rescued(waiting, state, ask, now):
        regular, rescues = rescues, ()
    if not regular and ask.may_resort:
        resort, waiting = _last_resort(waiting, state, ask, now)
    kept_out = [(one, skip) for one, skip in waiting if resort is None or one.name != resort.name]
    candidates, stays = _with_affinity((resort,) if resort is not None else regular, affinity, settings, now)
    skipped = standing.left_out + tuple(skip for _, skip in kept_out)
    return Route(
        candidates=candidates,
        rescues=rescues,
        skipped=lineup.skipped + skipped,
        reasons=lineup.reasons + tuple((skip.upstream, skip.text) for skip in skipped),
        last_resort=resort is not None,
        stays=stays,
        cooling=_cooling(waiting, state, ask, now),
        full=tuple(one for one, skip in kept_out if skip.reason in QUEUE_REASONS),
        search_seconds=lineup.search_seconds,
        takes_turns=lineup.takes_turns,
        overflow=standing.overflow,
    )


def _cooling(
    waiting: list[tuple[Candidate, Skip]], state: State, ask: Ask, now: Moment
) -> tuple[Cooling, ...]:
    found = (
        (candidate, state.health.cooldown_of(candidate.name, candidate.model, now.monotonic, ask.exchange))
        for candidate, skip in waiting
        if skip.reason in ("cooldown", "trial") and not candidate.only_rescues
    )
    return tuple(Cooling(candidate, cooldown) for candidate, cooldown in found if cooldown is not None)


def _is_rescued(waiting: list[tuple[Candidate, Skip]], state: State, ask: Ask, now: Moment) -> bool:
    """True if nothing but cooldowns excludes the candidates, and one is of a failure whose action is `rescue`."""
    if any(skip.reason in QUEUE_REASONS for one, skip in waiting if not one.only_rescues):
        return False
    return any(one.cooldown.rescues for one in _cooling(waiting, state, ask, now))


def _last_resort(
    waiting: list[tuple[Candidate, Skip]], state: State, ask: Ask, now: Moment
) -> tuple[Candidate | None, list[tuple[Candidate, Skip]]]:
    """The upstream whose cooldown ends first, if only cooldowns exclude the candidates; and why each one waits.

    Limits apply to a last resort too: at a limit the request waits for a slot.
    """
    regular = [(candidate, skip) for candidate, skip in waiting if not candidate.only_rescues]
    if not regular or any(skip.reason in QUEUE_REASONS for _, skip in regular):
        return None, waiting
    best = min(regular, key=lambda entry: (bool(entry[0].unlikely), entry[1].until or 0.0))[0]
    limit = limit_reached(best, state, ask, now)
    if limit is None:
        return best if best.forced else replace(best, why="last resort: all are cooling down"), waiting
    return None, [(candidate, limit if candidate is best else skip) for candidate, skip in waiting]


def _taking_turns(standing: Standing, state: State, ask: Ask, now: Moment, keep_seconds: float) -> Standing:
    """With equal upstreams in the order of their load."""
    upstreams = [one.upstream for one in standing.ready]
    loads = state.balance.loads(upstreams, ask.session, state.limits, now.monotonic, keep_seconds)
    return replace(standing, ready=by_load(standing.ready, loads))


def _with_affinity(
    candidates: tuple[Candidate, ...], affinity: Affinity | None, settings: Settings, now: Moment
) -> tuple[tuple[Candidate, ...], bool]:
    """The upstream of the conversation comes first, unless one is used now or a better one recovered long ago."""
    if affinity is None or (candidates and candidates[0].is_used):
        return candidates, False
    mine = _named(candidates, affinity.upstream)
    if mine is None or (mine.unlikely and any(not one.unlikely for one in candidates)):
        return candidates, False
    if mine is candidates[0]:
        return (mine.kept, *candidates[1:]), False
    could_do_better = _is_better(candidates[0], mine)
    stay_seconds = settings.failover.return_to_primary_minutes * 60
    stays_since = now.monotonic if affinity.stays_since is None else affinity.stays_since
    if could_do_better and now.monotonic - stays_since >= stay_seconds:
        return candidates, False
    others = [one for one in candidates if one.name != mine.name]
    return (mine.kept, *others), could_do_better


def _named(candidates: tuple[Candidate, ...], name: str) -> Candidate | None:
    for one in candidates:
        if one.name == name:
            return one
    return None


def _is_better(first: Candidate, mine: Candidate) -> bool:
    """False among candidates that take turns: they are equal."""
    is_equal = mine.upstream.priority is not None or first.upstream.name == mine.upstream.name
    return not is_equal or rank(first) != rank(mine)

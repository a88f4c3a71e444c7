"""Decide which upstreams may answer, in which order, and why the others may not."""

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.plural import plural
from switchyard.protocols.names import ProtocolName
from switchyard.routing.fit import (
    NO_NEEDS,
    Needs,
    Overflow,
    learned_lacks,
    unfit_text,
    window_exceeded,
    window_fits,
    window_text,
)
from switchyard.routing.health import Cooldown, Health
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Lineup, Lineups, Moment, Rank, Skip, as_unlikely, rank
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.sessions import Affinity
from switchyard.settings import Settings

QUEUE_REASONS = ("concurrency", "rate")
"""the reasons for waiting for a free slot"""
MISSING = 'it answered "no such model" for {}; set `models` to what it serves'


class Ask(msgspec.Struct, frozen=True):
    """What routing needs to know of a request. `exchange` distinguishes requests without a session.

    `holds` names the upstream where the request already has a slot: its limits do not count. Upstreams in `tried` are
    left out. `may_resort` is false after the last resort has been tried, or if the request is held instead. The
    upstream in `probing` may be cooling down. The prompt did not fit into a window of `exceeded` tokens. Upstreams in
    `free_soon` count as free: the request waits for their slot. `needs` is measured only as far as it matters.
    """

    protocol: ProtocolName
    model: str
    session: str = ""
    exchange: str = ""
    holds: str = ""
    tried: frozenset[str] = frozenset()
    may_resort: bool = True
    probing: str = ""
    exceeded: int = 0
    free_soon: frozenset[str] = frozenset()
    needs: Needs = NO_NEEDS


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
    search_seconds: float = math.inf
    """the time budget for finding an upstream that answers"""
    overflow: Overflow | None = None
    """the prompt exceeds every window: no upstream is asked"""

    def in_order(self, *, rescues_first: bool) -> tuple[Candidate, ...]:
        """The candidates to try; rescue upstreams are tried only where a failure calls for them, and first."""
        return self.rescues + self.candidates if rescues_first else self.candidates


class State(msgspec.Struct, frozen=True):
    """The state of the upstreams, beside the settings."""

    health: Health = msgspec.field(default_factory=Health)
    limits: Limits = msgspec.field(default_factory=Limits)
    spent: Mapping[str, str] = msgspec.field(default_factory=dict)
    """upstream -> why its budget excludes it"""
    lineups: Lineups = msgspec.field(default_factory=Lineups)
    missing: MissingModels = msgspec.field(default_factory=MissingModels)
    learned: Mapping[tuple[str, str], Mapping[str, Any]] = msgspec.field(default_factory=dict)
    """(upstream, model) -> capabilities that refusals have taught"""


def choose_route(
    settings: Settings, state: State, ask: Ask, now: Moment, affinity: Affinity | None = None
) -> Route:
    """The candidates in the order to try, the rescue upstreams, and every other upstream with the reason to skip it."""
    lineup = state.lineups.get(settings, ask.protocol, ask.model, now.wall, state.spent)
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
    standing = Standing(_by_likelihood(lineup.candidates, state.missing, now))
    standing = _without_exceeded_windows(standing, ask.needs)
    standing = _without_tried(standing, ask)
    standing = _without_small_windows(standing, ask)
    standing = _without_obstacles(standing, state, ask, now)
    standing = _without_unfit(standing, state, ask.needs)
    standing = _without_unlikely(standing)
    if lineup.takes_turns:
        standing = replace(standing, ready=_taking_turns(standing.ready, ask))
    return _route(standing, lineup, settings, state, ask, now, affinity)


def _is_plain(lineup: Lineup, state: State, ask: Ask) -> bool:
    """True if the settings alone decide."""
    decides = bool(lineup.regular) and not lineup.limited and not lineup.takes_turns
    is_untouched = state.health.is_spotless and state.missing.is_empty
    return decides and is_untouched and not ask.tried and ask.needs == NO_NEEDS


class Standing(msgspec.Struct, frozen=True):
    """What is left of the candidates after some steps of the decision."""

    ready: tuple[Candidate, ...]
    """in order; the rescue upstreams too"""
    waiting: tuple[tuple[Candidate, Skip], ...] = ()
    """those that cannot answer now, but later"""
    left_out: tuple[Skip, ...] = ()
    overflow: Overflow | None = None

    def leaving_out(self, skips: Mapping[str, Skip]) -> "Standing":
        """Without these upstreams, whether ready or waiting."""
        return Standing(
            tuple(one for one in self.ready if one.name not in skips),
            tuple((one, skip) for one, skip in self.waiting if one.name not in skips),
            self.left_out + tuple(skips.values()),
            self.overflow,
        )

    def not_failing(self) -> list[Candidate]:
        """The regular candidates that can answer now or wait for a slot only."""
        in_queue = [one for one, skip in self.waiting if skip.reason in QUEUE_REASONS]
        return [one for one in (*self.ready, *in_queue) if not one.only_rescues]


def _by_likelihood(
    candidates: tuple[Candidate, ...], missing: MissingModels, now: Moment
) -> tuple[Candidate, ...]:
    """Those that have reported "no such model" come last within their role."""
    if missing.is_empty:
        return candidates
    marked = (
        as_unlikely(one, MISSING.format(one.model))
        if missing.is_missing(one.name, one.model, now.monotonic)
        else one
        for one in candidates
    )
    return tuple(sorted(marked, key=rank))


def _without_exceeded_windows(standing: Standing, needs: Needs) -> Standing:
    """Without the windows that the prompt certainly exceeds; without all if those of all likely upstreams are."""
    windows = {one.name: one.upstream.context_window for one in standing.ready}
    exceeded = {name for name, window in windows.items() if window_exceeded(window, needs.tokens)}
    if not exceeded:
        return standing
    regular = [one for one in standing.ready if not one.only_rescues]
    judges = [one.name for one in regular if not one.unlikely] or [one.name for one in regular]
    skips = {name: Skip(name, "window", window_text(windows[name], needs.tokens)) for name in exceeded}
    if not exceeded.issuperset(judges):
        return standing.leaving_out(skips)
    overflow = Overflow(needs.tokens, max((windows[name] for name in judges), default=0))
    others = {one.name: Skip(one.name, "unlikely", one.unlikely) for one in regular if one.unlikely}
    return replace(standing.leaving_out(others | skips), overflow=overflow)


def _without_unfit(standing: Standing, state: State, needs: Needs) -> Standing:
    """Without those that the request does not fit, while one that it fits is not failing."""
    if needs == NO_NEEDS:
        return standing
    not_failing = standing.not_failing()
    texts = {one.name: _unfit_text(one, state, needs) for one in not_failing}
    fitting = [one for one in not_failing if not texts[one.name]]
    has_likely = any(not one.unlikely for one in fitting)
    return standing.leaving_out(
        {
            one.name: _unfit_skip(one, texts[one.name], needs)
            for one in not_failing
            if texts[one.name] and (has_likely or (fitting and one.unlikely))
        }
    )


def _unfit_text(candidate: Candidate, state: State, needs: Needs) -> str:
    learned = state.learned.get((candidate.name, candidate.model))
    lacks = candidate.lacks | learned_lacks(learned, candidate.upstream) if learned else candidate.lacks
    return unfit_text(candidate.upstream.context_window, lacks, needs)


def _unfit_skip(candidate: Candidate, text: str, needs: Needs) -> Skip:
    is_window = not window_fits(candidate.upstream.context_window, needs.tokens)
    return Skip(candidate.name, "window" if is_window else "capability", text)


def _without_tried(standing: Standing, ask: Ask) -> Standing:
    if not ask.tried:
        return standing
    return replace(standing, ready=tuple(one for one in standing.ready if one.name not in ask.tried))


def _without_small_windows(standing: Standing, ask: Ask) -> Standing:
    """Without the known windows that are not larger than one that the prompt has exceeded."""
    if not ask.exceeded:
        return standing
    return standing.leaving_out(
        {one.name: _window_skip(one) for one in standing.ready if _is_too_small(one, ask)}
    )


def _without_obstacles(standing: Standing, state: State, ask: Ask, now: Moment) -> Standing:
    """Those that are cooling down or at a limit wait."""
    obstacles = [(one, _obstacle(one, state, ask, now)) for one in standing.ready]
    ready = tuple(one for one, obstacle in obstacles if obstacle is None)
    waiting = tuple((one, obstacle) for one, obstacle in obstacles if obstacle is not None)
    return replace(standing, ready=ready, waiting=waiting)


def _without_unlikely(standing: Standing) -> Standing:
    """An unlikely upstream is not asked only because a likely one of its role has no free slot."""
    not_failing = standing.not_failing()
    full = {one.name for one, _ in standing.waiting}
    roles = {one.upstream.role for one in not_failing if not one.unlikely and one.name in full}
    return standing.leaving_out(
        {
            one.name: Skip(one.name, "unlikely", one.unlikely)
            for one in not_failing
            if one.unlikely and one.upstream.role in roles
        }
    )


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
    resort, waiting = None, list(standing.waiting)
    if not regular and ask.may_resort:
        resort, waiting = _last_resort(waiting, state, ask, now)
    kept_out = tuple(skip for one, skip in waiting if resort is None or one.name != resort.name)
    candidates, stays = _with_affinity((resort,) if resort is not None else regular, affinity, settings, now)
    skipped = standing.left_out + kept_out
    return Route(
        candidates=candidates,
        rescues=tuple(one for one in standing.ready if one.only_rescues),
        skipped=lineup.skipped + skipped,
        reasons=lineup.reasons + tuple((skip.upstream, skip.text) for skip in skipped),
        last_resort=resort is not None,
        stays=stays,
        cooling=_cooling(waiting, state, ask, now),
        search_seconds=lineup.search_seconds,
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


def _is_too_small(candidate: Candidate, ask: Ask) -> bool:
    """The entry's window is known, and not larger than one that the prompt has exceeded."""
    return 0 < candidate.upstream.context_window <= ask.exceeded


def _window_skip(candidate: Candidate) -> Skip:
    window = candidate.upstream.context_window
    return Skip(
        candidate.name, "window", f"its context window of {window} tokens is too small for this prompt"
    )


def _obstacle(candidate: Candidate, state: State, ask: Ask, now: Moment) -> Skip | None:
    """The reason why an allowed upstream cannot answer now."""
    name = candidate.name
    cooldown = state.health.cooldown_of(name, candidate.model, now.monotonic, ask.exchange)
    if cooldown is not None and name != ask.probing:
        return Skip(
            name, "trial" if cooldown.on_trial else "cooldown", _cooldown_text(cooldown, now), cooldown.until
        )
    return _limit(candidate, state, ask, now)


def _limit(candidate: Candidate, state: State, ask: Ask, now: Moment) -> Skip | None:
    """The limit that an upstream has reached."""
    name = candidate.name
    if name == ask.holds:
        return None
    if state.limits.is_full(candidate.upstream) and name not in ask.free_soon:
        limit = candidate.upstream.max_concurrency
        return Skip(name, "concurrency", f"at its limit of {plural(limit, 'concurrent request')}")
    free_at = state.limits.free_at(candidate.upstream, now.monotonic)
    if free_at > now.monotonic:
        limit = candidate.upstream.requests_per_minute
        text = f"at its limit of {plural(limit, 'request')} per minute until {now.clock_at(free_at)}"
        return Skip(name, "rate", text, free_at)
    return None


def _cooldown_text(cooldown: Cooldown, now: Moment) -> str:
    what = f"model {cooldown.model} " if cooldown.model else ""
    count = plural(cooldown.errors, "error")
    if cooldown.on_trial:
        return f"{what}on trial by another request after {count}: {cooldown.reason}"
    return f"{what}cooling down until {now.clock_at(cooldown.until)} after {count}: {cooldown.reason}"


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
    limit = _limit(best, state, ask, now)
    if limit is None:
        return best if best.forced else replace(best, why="last resort: all are cooling down"), waiting
    return None, [(candidate, limit if candidate is best else skip) for candidate, skip in waiting]


def _taking_turns(candidates: tuple[Candidate, ...], ask: Ask) -> tuple[Candidate, ...]:
    """Candidates of one role with equal explicit priorities, in an order that depends on the conversation."""
    whose = ask.session or ask.exchange

    def place(entry: tuple[int, Candidate]) -> tuple[Rank, bytes, int]:
        index, candidate = entry
        turn = _turn(whose, candidate.name) if candidate.upstream.priority is not None else b""
        return rank(candidate), turn, index

    return tuple(candidate for _, candidate in sorted(enumerate(candidates), key=place))


def _turn(session: str, name: str) -> bytes:
    return blake2b(f"{session}\0{name}".encode(), digest_size=8).digest()


def _with_affinity(
    candidates: tuple[Candidate, ...], affinity: Affinity | None, settings: Settings, now: Moment
) -> tuple[tuple[Candidate, ...], bool]:
    """The upstream of the conversation comes first, unless a better one has recovered long ago."""
    if affinity is None:
        return candidates, False
    mine = next((one for one in candidates if one.name == affinity.upstream), None)
    if mine is None or (mine.unlikely and any(not one.unlikely for one in candidates)):
        return candidates, False
    could_do_better = _is_better(candidates[0], mine)
    stay_seconds = settings.failover.return_to_primary_minutes * 60
    stays_since = now.monotonic if affinity.stays_since is None else affinity.stays_since
    if could_do_better and now.monotonic - stays_since >= stay_seconds:
        return candidates, False
    others = [one for one in candidates if one.name != mine.name]
    return (replace(mine, why="keeps its conversation"), *others), could_do_better


def _is_better(first: Candidate, mine: Candidate) -> bool:
    """False among candidates that take turns: they are equal."""
    takes_turns = rank(first) == rank(mine) and mine.upstream.priority is not None
    return first.name != mine.name and not takes_turns

"""The steps by which candidates are left out of a route: each takes what is left, and gives its reasons."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from switchyard.plural import plural
from switchyard.routing.ask import Ask, State
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
from switchyard.routing.health import Cooldown
from switchyard.routing.lineup import Candidate, Moment, Skip, as_unlikely, rank
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.quotas import leave_text
from switchyard.routing.sessions import Affinity

QUEUE_REASONS = ("concurrency", "rate")
"""the reasons for waiting for a free slot"""
MISSING = 'it answered "no such model" for {}; set `models` to what it serves'


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


def by_likelihood(
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


def without_exceeded_windows(standing: Standing, needs: Needs) -> Standing:
    """Without the windows that the prompt certainly exceeds; without all if those of all likely upstreams are."""
    windows = {one.name: one.upstream.context_window for one in standing.ready}
    skips = {
        name: Skip(name, "window", window_text(window, needs.tokens))
        for name, window in windows.items()
        if window_exceeded(window, needs.tokens)
    }
    if not skips:
        return standing
    regular = [one for one in standing.ready if not one.only_rescues]
    deciding = [one.name for one in regular if not one.unlikely] or [one.name for one in regular]
    if not deciding or not skips.keys() >= set(deciding):
        return standing.leaving_out(skips)
    overflow = Overflow(needs.tokens, max(windows[name] for name in deciding))
    others = {one.name: Skip(one.name, "unlikely", one.unlikely) for one in regular if one.unlikely}
    return replace(standing.leaving_out(others | skips), overflow=overflow)


def without_unfit(standing: Standing, state: State, needs: Needs) -> Standing:
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


def without_other_protocols(standing: Standing, ask: Ask) -> Standing:
    """A request for an endpoint of its own is not converted."""
    if not ask.endpoint:
        return standing
    return standing.leaving_out(
        {
            one.name: Skip(one.name, "endpoint", _endpoint_text(one, ask))
            for one in standing.ready
            if one.upstream.is_demo or one.upstream.protocol != ask.protocol
        }
    )


def _endpoint_text(candidate: Candidate, ask: Ask) -> str:
    speaks = "is the demo" if candidate.upstream.is_demo else f"speaks {candidate.upstream.protocol}"
    return f"{speaks}; /{ask.endpoint} is passed only to upstreams that speak {ask.protocol}"


def without_tried(standing: Standing, ask: Ask) -> Standing:
    if not ask.tried:
        return standing
    return replace(standing, ready=tuple(one for one in standing.ready if one.name not in ask.tried))


def without_small_windows(standing: Standing, ask: Ask) -> Standing:
    """Without the known windows that are not larger than one that the prompt has exceeded."""
    if not ask.exceeded:
        return standing
    return standing.leaving_out(
        {one.name: _window_skip(one) for one in standing.ready if _is_too_small(one, ask)}
    )


def without_obstacles(standing: Standing, state: State, ask: Ask, now: Moment) -> Standing:
    """Those that are cooling down or at a limit wait."""
    obstacles = [(one, _obstacle(one, state, ask, now)) for one in standing.ready]
    ready = tuple(one for one, obstacle in obstacles if obstacle is None)
    waiting = tuple((one, obstacle) for one, obstacle in obstacles if obstacle is not None)
    return replace(standing, ready=ready, waiting=waiting)


def without_unlikely(standing: Standing) -> Standing:
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


def without_full_quotas(standing: Standing, state: State, affinity: Affinity | None, now: Moment) -> Standing:
    """New conversations leave an account before its quota is used up, while another one can answer."""
    texts = {
        one.name: _quota_text(one, state, now) for one in standing.not_failing() if not _stays(one, affinity)
    }
    others = [one for one in standing.ready if not (one.only_rescues or one.unlikely or texts.get(one.name))]
    if not others:
        return standing
    return standing.leaving_out({name: Skip(name, "quota", *text) for name, text in texts.items() if text})


def _quota_text(candidate: Candidate, state: State, now: Moment) -> tuple[str, float] | None:
    """Why a new conversation should leave it, and until when."""
    quota = state.quotas.reached(candidate.upstream, now.monotonic)
    if quota is None:
        return None
    return leave_text(quota, candidate.upstream.leave_at_percent, now), quota.resets_at


def _stays(candidate: Candidate, affinity: Affinity | None) -> bool:
    is_own = affinity is not None and affinity.upstream == candidate.name
    return is_own or candidate.forced or candidate.is_used


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
    return limit_reached(candidate, state, ask, now)


def limit_reached(candidate: Candidate, state: State, ask: Ask, now: Moment) -> Skip | None:
    """The limit that an upstream has reached."""
    name, account = candidate.name, candidate.upstream.account_id
    if account == ask.holds:
        return None
    if state.limits.is_full(candidate.upstream) and account not in ask.free_soon:
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

"""Decide which upstreams may answer, in which order, and why the others may not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal

from switchyard.protocols.names import ModelName, ProtocolName, is_glob, matches
from switchyard.routing.health import Health, Rest
from switchyard.routing.limits import Limits
from switchyard.routing.sessions import Seat
from switchyard.settings import WEEKDAYS, ModelRule, Settings, Upstream, hours_span

DEFAULT_PRIORITY = 50
ROLE_ORDER = {"primary": 0, "backup": 1, "rescue": 2}

SkipReason = Literal[
    "disabled",
    "client",
    "demo",
    "not_forced",
    "model",
    "weekday",
    "hours",
    "budget",
    "resting",
    "trial",
    "concurrency",
    "rate",
]


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice: `wall` in local time for calendars, `monotonic` seconds for waiting."""

    wall: datetime
    monotonic: float

    def clock_at(self, monotonic: float) -> str:
        """The local time of day of a coming monotonic moment, as hh:mm."""
        return (self.wall + timedelta(seconds=monotonic - self.monotonic)).strftime("%H:%M")


@dataclass(frozen=True, slots=True)
class Ask:
    """What routing needs to know of a request. `exchange` tells requests without a session apart."""

    protocol: ProtocolName
    model: str
    session: str = ""
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One upstream that may answer, with everything an attempt needs; `why` says how it came to its place."""

    upstream: Upstream
    model: str
    thinking: bool = False
    why: str = ""

    @property
    def name(self) -> str:
        return self.upstream.name


@dataclass(frozen=True, slots=True)
class Skip:
    """`until`: the monotonic moment from which this reason no longer holds, where it is known."""

    upstream: str
    reason: SkipReason
    text: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    candidates: tuple[Candidate, ...]
    rescues: tuple[Candidate, ...]
    skipped: tuple[Skip, ...]
    last_resort: bool = False
    """every candidate rests: the one whose rest ends first is tried all the same"""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of the upstreams beside the settings."""

    health: Health = field(default_factory=Health)
    limits: Limits = field(default_factory=Limits)
    spent: Mapping[str, str] = field(default_factory=dict)
    """upstream -> why its budget forbids it"""


def choose_route(settings: Settings, state: State, ask: Ask, now: Moment, seat: Seat | None = None) -> Route:
    """The candidates in the order to try, the rescue upstreams, and every other upstream with its reason."""
    asked = ModelName.read(ask.model)
    allowed: list[Candidate] = []
    skipped: list[Skip] = []
    for upstream in settings.upstreams:
        found = _allowed(upstream, settings, state, ask, asked, now)
        if isinstance(found, Skip):
            skipped.append(found)
        else:
            allowed.append(found)
    ready: list[Candidate] = []
    waiting: list[tuple[Candidate, Skip]] = []
    for candidate in allowed:
        obstacle = _obstacle(candidate, state, ask, now)
        if obstacle is None:
            ready.append(candidate)
        else:
            waiting.append((candidate, obstacle))
    regular = [candidate for candidate in ready if candidate.upstream.role != "rescue"]
    rescues = [candidate for candidate in ready if candidate.upstream.role == "rescue"]
    resort = _last_resort(waiting) if not regular else None
    if resort is not None:
        regular = [resort]
    skipped += [skip for candidate, skip in waiting if resort is None or candidate.name != resort.name]
    return Route(
        candidates=_seated(_ordered(regular, ask), seat, settings, now),
        rescues=tuple(_ordered(rescues, ask)),
        skipped=tuple(skipped),
        last_resort=resort is not None,
    )


def _allowed(
    upstream: Upstream, settings: Settings, state: State, ask: Ask, asked: ModelName, now: Moment
) -> Candidate | Skip:
    """What the user's wishes say, before anybody asks how the upstream is doing."""

    def skip(reason: SkipReason, text: str) -> Skip:
        return Skip(upstream.name, reason, text)

    if not upstream.enabled:
        return skip("disabled", "disabled")
    if ask.protocol not in upstream.clients:
        return skip("client", f"does not serve {ask.protocol} clients")
    if upstream.is_demo and not demo_serves(settings, ask.protocol):
        return skip("demo", "demo not needed: another upstream is configured")
    if asked.upstream and asked.upstream.lower() != upstream.name.lower():
        return skip("not_forced", f'the model name asks for upstream "{asked.upstream}"')
    served = served_model(settings.model_rules, upstream, ask.protocol, asked)
    if served is None:
        return skip("model", f'model "{asked.model}" not served')
    if WEEKDAYS[now.wall.weekday()] not in upstream.weekdays:
        return skip("weekday", f"not today ({', '.join(upstream.weekdays) or 'no day'} only)")
    if not within_hours(upstream.hours, now.wall):
        return skip("hours", f"outside its hours {upstream.hours}")
    if upstream.name in state.spent:
        return skip("budget", state.spent[upstream.name])
    return Candidate(upstream, served.model, served.thinking, upstream.role)


def demo_serves(settings: Settings, protocol: ProtocolName) -> bool:
    """True while no real upstream is configured for these clients; a real one that is down still counts."""
    return not any(
        upstream.enabled and not upstream.is_demo and protocol in upstream.clients
        for upstream in settings.upstreams
    )


def within_hours(hours: str, wall: datetime) -> bool:
    span = hours_span(hours)
    if span is None:
        return True
    start, end = span
    minute = wall.hour * 60 + wall.minute
    if start == end:
        return True
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def served_model(
    rules: tuple[ModelRule, ...], upstream: Upstream, protocol: ProtocolName, asked: ModelName
) -> ModelName | None:
    """The name to send to this upstream; a `-thinking` suffix is understood unless the full name is listed.

    No name at all stands for any model: the question is then only who would answer.
    """
    if not asked.model:
        return asked
    bare = asked.without_thinking()
    if bare is None or _is_listed(rules, upstream, asked.model):
        sent = upstream.model_for(ruled_model(rules, upstream, protocol, asked.model))
        return None if sent is None else replace(asked, model=sent)
    sent = upstream.model_for(ruled_model(rules, upstream, protocol, bare.model))
    return None if sent is None else replace(bare, model=sent)


def _is_listed(rules: tuple[ModelRule, ...], upstream: Upstream, model: str) -> bool:
    patterns = [*upstream.models, *(rule.source for rule in rules)]
    return any(not is_glob(pattern) and matches(pattern, model) for pattern in patterns)


def ruled_model(rules: tuple[ModelRule, ...], upstream: Upstream, protocol: ProtocolName, model: str) -> str:
    """The model after the first fitting rule; one step, no chaining."""
    for rule in rules:
        if protocol in rule.clients and upstream.protocol in rule.protocols and matches(rule.source, model):
            return rule.to
    return model


def _obstacle(candidate: Candidate, state: State, ask: Ask, now: Moment) -> Skip | None:
    """What keeps an allowed upstream from answering just now."""
    name = candidate.name
    rest = state.health.rest_of(name, candidate.model, now.monotonic, ask.exchange)
    if rest is not None:
        return Skip(name, "trial" if rest.on_trial else "resting", _rest_text(rest, now), rest.until)
    if state.limits.is_full(candidate.upstream):
        limit = candidate.upstream.max_concurrency
        return Skip(name, "concurrency", f"at its limit of {limit} concurrent requests")
    free_at = state.limits.free_at(candidate.upstream, now.monotonic)
    if free_at > now.monotonic:
        limit = candidate.upstream.requests_per_minute
        text = f"at its limit of {limit} requests a minute until {now.clock_at(free_at)}"
        return Skip(name, "rate", text, free_at)
    return None


def _rest_text(rest: Rest, now: Moment) -> str:
    what = f"model {rest.model} " if rest.model else ""
    count = f"{rest.errors} error{'s' if rest.errors != 1 else ''}"
    if rest.on_trial:
        return f"{what}on trial by another request after {count}: {rest.reason}"
    return f"{what}resting until {now.clock_at(rest.until)} after {count}: {rest.reason}"


def _last_resort(waiting: list[tuple[Candidate, Skip]]) -> Candidate | None:
    """The upstream whose rest ends first, if rests are what keeps the candidates away."""
    resting = [
        (skip.until or 0.0, candidate)
        for candidate, skip in waiting
        if skip.reason in ("resting", "trial") and candidate.upstream.role != "rescue"
    ]
    limited = any(
        skip.reason in ("concurrency", "rate") and candidate.upstream.role != "rescue"
        for candidate, skip in waiting
    )
    if not resting or limited:
        return None
    best = min(resting, key=lambda entry: entry[0])[1]
    return replace(best, why="last resort: all are resting")


def _ordered(candidates: list[Candidate], ask: Ask) -> list[Candidate]:
    """Role, then priority, then the order of the file; equal explicit priorities take turns by session."""

    def place(entry: tuple[int, Candidate]) -> tuple[int, int, bytes, int]:
        index, candidate = entry
        upstream = candidate.upstream
        turn = _turn(ask.session or ask.exchange, upstream.name) if _has_twin(upstream, candidates) else b""
        return ROLE_ORDER[upstream.role], -(upstream.priority or DEFAULT_PRIORITY), turn, index

    return [candidate for _, candidate in sorted(enumerate(candidates), key=place)]


def _has_twin(upstream: Upstream, candidates: list[Candidate]) -> bool:
    if upstream.priority is None:
        return False
    alike = sum(
        other.upstream.role == upstream.role and other.upstream.priority == upstream.priority
        for other in candidates
    )
    return alike > 1


def _turn(session: str, name: str) -> bytes:
    return blake2b(f"{session}\0{name}".encode(), digest_size=8).digest()


def _seated(
    candidates: list[Candidate], seat: Seat | None, settings: Settings, now: Moment
) -> tuple[Candidate, ...]:
    """The upstream that the conversation is with comes first, unless a better role has long recovered."""
    mine = next((one for one in candidates if seat is not None and one.name == seat.upstream), None)
    if mine is None or seat is None:
        return tuple(candidates)
    better = candidates[0].upstream.role != mine.upstream.role
    stay_seconds = settings.failover.return_to_primary_minutes * 60
    if better and now.monotonic - seat.since > stay_seconds:
        return tuple(candidates)
    others = [one for one in candidates if one.name != mine.name]
    return (replace(mine, why="keeps its conversation"), *others)

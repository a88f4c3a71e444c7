"""Order the upstreams by the settings alone: which may answer a model at a minute, and why not the others."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import msgspec
from msgspec.structs import replace

from switchyard.protocols.names import ModelName, ProtocolName, is_glob, matches
from switchyard.routing.calendar import on_weekday, within_hours
from switchyard.routing.families import REMEDY, states_use, unlikely_reason
from switchyard.routing.fit import Part, lacks_of
from switchyard.routing.rules import Ruled
from switchyard.routing.uses import Use
from switchyard.settings import ModelRule, Settings, Upstream
from switchyard.timeouts import search_seconds

DEFAULT_PRIORITY = 50
ROLE_ORDER = {"primary": 0, "backup": 1, "rescue": 2}
UNRULED = 1_000_000
"""the position of those that no rule names"""
MAX_LINEUPS = 512
DAY_SECONDS = 86400

SkipReason = Literal[
    "disabled",
    "client",
    "demo",
    "not_forced",
    "model",
    "weekday",
    "hours",
    "budget",
    "quota",
    "cooldown",
    "trial",
    "concurrency",
    "rate",
    "time",
    "window",
    "unlikely",
    "capability",
    "rule",
    "endpoint",
]


class Moment(msgspec.Struct, frozen=True):
    """The current time, twice: `wall` in local time for calendars, `monotonic` in seconds for waiting."""

    wall: datetime
    monotonic: float

    def clock_at(self, monotonic: float) -> str:
        """The local time of day of a future monotonic time, as hh:mm; with its date if that is a day away."""
        seconds = monotonic - self.monotonic
        form = "%H:%M" if seconds < DAY_SECONDS else "%Y-%m-%d %H:%M"
        return (self.wall + timedelta(seconds=seconds)).strftime(form)


class Candidate(msgspec.Struct, frozen=True, dict=True):
    """One account that may answer, with everything an attempt needs; `why` is the reason for its position."""

    upstream: Upstream
    model: str
    thinking: bool = False
    why: str = ""
    forced: bool = False
    """the request names it: role, calendar and cooldown do not apply"""
    is_used: bool = False
    """the user wants it to answer first now: role and calendar do not apply"""
    unlikely: str = ""
    """why it probably does not serve this model; "" if it may"""
    is_unstated: bool = False
    """it does not speak the client's protocol, and its entry does not say that it is for such requests"""
    lacks: frozenset[Part] = frozenset()
    """what the model does not take, by the settings"""
    ruled: Ruled | None = None
    """the rule that decides where it stands, and what is changed for it"""

    @cached_property
    def name(self) -> str:
        """That of the account: the entry's, with its key if it has several."""
        return self.upstream.account

    @cached_property
    def kept(self) -> "Candidate":
        """The same for a conversation that stays with it; each of its requests gets the same object."""
        return replace(self, why="keeps its conversation")

    @property
    def only_rescues(self) -> bool:
        return self.upstream.role == "rescue" and not (self.forced or self.is_used or self.is_named)

    @property
    def is_named(self) -> bool:
        """A rule names it: its role does not matter."""
        return self.ruled is not None and self.upstream.name in self.ruled.rule.upstreams


class Skip(msgspec.Struct, frozen=True):
    """`until`: the monotonic time at which this reason ends, if known."""

    upstream: str
    reason: SkipReason
    text: str
    until: float | None = None


class Lineup(msgspec.Struct, frozen=True):
    """Candidates in order, rescue upstreams last. `reasons` is `skipped` as pairs of upstream and text."""

    candidates: tuple[Candidate, ...]
    regular: tuple[Candidate, ...]
    rescues: tuple[Candidate, ...]
    skipped: tuple[Skip, ...]
    reasons: tuple[tuple[str, str], ...]
    takes_turns: bool
    """some candidates of one role have the same explicit priority, or are keys of one entry"""
    limited: bool
    """some candidate has a concurrency or rate limit"""
    leaves_quotas: bool
    """some candidate has a share of its quota at which new conversations leave"""
    search_seconds: float
    """the time budget for finding an upstream that answers"""
    smallest_window: int = 0
    """of the known ones; 0 if none is known"""
    lacks: frozenset[Part] = frozenset()
    """what some candidate does not take"""


class Lineups:
    """Caches lineups while their inputs are unchanged: the cost of a request does not grow with the upstreams."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._wall: datetime | None = None
        self._minute: datetime | None = None
        self._spent: Mapping[str, str] = {}
        self._known: dict[tuple[ProtocolName, str, Use | None, int], Lineup] = {}

    def get(
        self,
        settings: Settings,
        protocol: ProtocolName,
        model: str,
        wall: datetime,
        spent: Mapping[str, str],
        use: Use | None = None,
        ruled: Ruled | None = None,
    ) -> Lineup:
        """Same as `line_up`."""
        if wall is not self._wall or settings is not self._settings or spent != self._spent:
            self._keep_up(settings, wall, spent)
        key = protocol, model, use, 0 if ruled is None else ruled.number
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_LINEUPS:
                self._known.clear()
            found = self._known[key] = line_up(settings, protocol, model, wall, spent, use, ruled)
        return found

    def _keep_up(self, settings: Settings, wall: datetime, spent: Mapping[str, str]) -> None:
        self._wall = wall
        minute = wall.replace(second=0, microsecond=0)
        if settings is not self._settings or minute != self._minute or spent != self._spent:
            self._settings, self._minute, self._spent = settings, minute, spent
            self._known.clear()


def line_up(
    settings: Settings,
    protocol: ProtocolName,
    model: str,
    wall: datetime,
    spent: Mapping[str, str],
    use: Use | None = None,
    ruled: Ruled | None = None,
) -> Lineup:
    """Which upstreams may answer by the settings and what the user uses now, before their health is considered."""
    requested = ModelName.read(model)
    rules = settings.model_rules
    if ruled is None or not ruled.rule.model:
        rules = rules_concerning(rules, requested)
    candidates: list[Candidate] = []
    skipped: list[Skip] = []
    for upstream in settings.upstreams:
        used = use if use is not None and use.upstream == upstream.name else None
        found = _allowed(upstream, settings, rules, spent, protocol, requested, wall, used, ruled)
        if isinstance(found, Skip):
            skipped.append(found)
        else:
            accounts = _accounts(upstream, requested.upstream)
            candidates += [found if one is upstream else replace(found, upstream=one) for one in accounts]
    ordered = _with_reasons(tuple(sorted(candidates, key=rank)), protocol)
    explicit = [rank(one) for one in candidates if one.upstream.priority is not None]
    return Lineup(
        candidates=ordered,
        regular=tuple(candidate for candidate in ordered if not candidate.only_rescues),
        rescues=tuple(candidate for candidate in ordered if candidate.only_rescues),
        skipped=tuple(skipped),
        reasons=tuple((skip.upstream, skip.text) for skip in skipped),
        takes_turns=len(set(explicit)) < len(explicit) or any(one.upstream.keys for one in candidates),
        limited=any(one.upstream.max_concurrency or one.upstream.requests_per_minute for one in candidates),
        leaves_quotas=any(one.upstream.leave_at_percent for one in candidates),
        search_seconds=search_seconds((one.upstream for one in candidates), settings),
        smallest_window=min(
            (window for one in candidates if (window := one.upstream.context_window)), default=0
        ),
        lacks=frozenset[Part]().union(*(one.lacks for one in candidates)),
    )


def rules_concerning(rules: tuple[ModelRule, ...], requested: ModelName) -> tuple[ModelRule, ...]:
    """Those that match the model, so that the others are not compared with it again for each upstream."""
    bare = requested.without_thinking()
    names = [requested.model] if bare is None else [requested.model, bare.model]
    return tuple(rule for rule in rules if any(matches(rule.source, name) for name in names))


def _with_reasons(ordered: tuple[Candidate, ...], protocol: ProtocolName) -> tuple[Candidate, ...]:
    """Those that come after others because of their protocol say so."""
    if not any(one.is_unstated for one in ordered):
        return ordered
    before = {rank(one)[:-1] for one in ordered if not one.is_unstated}
    return tuple(
        replace(one, why=f"{one.why}, after those that speak {protocol}; to change this, {REMEDY}")
        if one.is_unstated and not one.unlikely and rank(one)[:-1] in before
        else one
        for one in ordered
    )


Rank = tuple[bool, int, int, bool, int, bool]


def rank(candidate: Candidate) -> Rank:
    """What is used now, then by a rule, then role, then the likely, then priority, then those that are for such
    requests; smaller comes first."""
    role, priority = entry_rank(candidate.upstream)
    is_unlikely, by_rule = bool(candidate.unlikely), _place_by_rule(candidate)
    return not candidate.is_used, by_rule, role, is_unlikely, priority, candidate.is_unstated


def _place_by_rule(candidate: Candidate) -> int:
    """The position that a rule gives it, unless it lacks the model."""
    ruled = candidate.ruled
    return UNRULED if ruled is None or candidate.unlikely else ruled.place_of(candidate.upstream.name)


def entry_rank(upstream: Upstream) -> tuple[int, int]:
    """Role, then priority; smaller comes first."""
    return ROLE_ORDER[upstream.role], -(upstream.priority or DEFAULT_PRIORITY)


def as_unlikely(candidate: Candidate, reason: str) -> Candidate:
    """The candidate with the reason why it probably does not serve the model; the first reason stays."""
    if candidate.unlikely or candidate.forced:
        return candidate
    why = f"{candidate.upstream.role}, unlikely: {reason}"
    return replace(candidate, unlikely=reason, why=why, is_used=False)


def _allowed(
    upstream: Upstream,
    settings: Settings,
    rules: tuple[ModelRule, ...],
    spent: Mapping[str, str],
    protocol: ProtocolName,
    requested: ModelName,
    wall: datetime,
    use: Use | None,
    ruled: Ruled | None,
) -> Candidate | Skip:
    def skip(reason: SkipReason, text: str) -> Skip:
        return Skip(upstream.name, reason, text)

    if not upstream.enabled:
        return skip("disabled", "disabled")
    if protocol not in upstream.clients:
        return skip("client", f"does not serve {protocol} clients")
    if upstream.is_demo and not demo_serves(settings, protocol):
        return skip("demo", "demo not needed: another upstream is configured")
    if requested.upstream and not _accounts(upstream, requested.upstream):
        return skip("not_forced", f'the model name selects upstream "{requested.upstream}"')
    if ruled is not None and ruled.rule.only and upstream.name not in ruled.rule.upstreams:
        return skip("rule", f"{ruled.text} allows only {', '.join(ruled.rule.upstreams)}")
    ruled = ruled if ruled is not None and ruled.concerns(upstream.name) else None
    served = served_by_rule(rules, upstream, protocol, requested, ruled)
    if served is None:
        return skip("model", f'model "{requested.model}" not served')
    forced = bool(requested.upstream)
    is_used = use is not None and not forced and not unlikely_reason(upstream, served.model)
    is_wanted = forced or is_used
    if not is_wanted and not on_weekday(upstream.weekdays, wall):
        days = ", ".join(upstream.weekdays)
        return skip("weekday", f"not today ({days} only)" if days else "not today: `weekdays` names no day")
    if not is_wanted and not within_hours(upstream.hours, wall):
        return skip("hours", f"outside its hours {upstream.hours}")
    if upstream.name in spent:
        return skip("budget", spent[upstream.name])
    why: str = "selected by name" if forced else upstream.role
    if use is not None and is_used:
        why = use.text(wall)
    if ruled is not None:
        why = f"{why}, {ruled.text}"
    lacks = lacks_of(upstream)
    found = Candidate(upstream, served.model, served.thinking, why, forced, is_used, lacks=lacks, ruled=ruled)
    return found if is_wanted or found.is_named else _placed(found, protocol)


def _accounts(upstream: Upstream, selected: str) -> tuple[Upstream, ...]:
    """The accounts of an entry; with a selected name, which is that of the entry or of one account, only those."""
    wanted = selected.lower()
    if not wanted or wanted == upstream.name.lower():
        return upstream.accounts
    return tuple(one for one in upstream.accounts if one.account.lower() == wanted)


def served_by_rule(
    rules: tuple[ModelRule, ...],
    upstream: Upstream,
    protocol: ProtocolName,
    requested: ModelName,
    ruled: Ruled | None,
) -> ModelName | None:
    """As `served_model`; a rule that names the upstream may also name a model of which the entry says nothing."""
    if ruled is None or not ruled.rule.model:
        return served_model(rules, upstream, protocol, requested)
    wanted = ModelName.read(ruled.rule.model)
    served = served_model(rules, upstream, protocol, wanted)
    if served is None and upstream.name in ruled.rule.upstreams:
        return wanted.without_thinking() or wanted
    return served


def _placed(candidate: Candidate, protocol: ProtocolName) -> Candidate:
    """With the reasons that put it behind others of its role."""
    upstream = candidate.upstream
    if reason := unlikely_reason(upstream, candidate.model):
        candidate = as_unlikely(candidate, reason)
    if upstream.is_demo or upstream.protocol == protocol or states_use(upstream):
        return candidate
    return replace(candidate, is_unstated=True)


def demo_serves(settings: Settings, protocol: ProtocolName) -> bool:
    """True while no real upstream is configured for these clients; one that is down counts as configured."""
    return not any(
        upstream.enabled and not upstream.is_demo and protocol in upstream.clients
        for upstream in settings.upstreams
    )


def served_model(
    rules: tuple[ModelRule, ...], upstream: Upstream, protocol: ProtocolName, requested: ModelName
) -> ModelName | None:
    """The name to send to this upstream; a `-thinking` suffix is removed unless the full name is listed.

    An empty name stands for any model: then only the upstream is looked for.
    """
    if not requested.model:
        return requested
    bare = requested.without_thinking()
    if bare is None or _is_listed(rules, upstream, requested.model):
        sent = upstream.model_for(ruled_model(rules, upstream, protocol, requested.model))
        return None if sent is None else replace(requested, model=sent)
    sent = upstream.model_for(ruled_model(rules, upstream, protocol, bare.model))
    return None if sent is None else replace(bare, model=sent)


def _is_listed(rules: tuple[ModelRule, ...], upstream: Upstream, model: str) -> bool:
    patterns = [*upstream.models, *(rule.source for rule in rules)]
    return any(not is_glob(pattern) and matches(pattern, model) for pattern in patterns)


def ruled_model(rules: tuple[ModelRule, ...], upstream: Upstream, protocol: ProtocolName, model: str) -> str:
    """The model after the first matching rule; one step, no chaining."""
    for rule in rules:
        if protocol in rule.clients and upstream.protocol in rule.protocols and matches(rule.source, model):
            return rule.to
    return model

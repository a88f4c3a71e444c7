"""Keep the facts of the last requests by upstream and model, and examine them."""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence

import msgspec

from switchyard.audit.cache import Record, cache_loss, checkable, is_miss, record_of
from switchyard.audit.fact import Fact, median
from switchyard.audit.findings import Finding, lost_cache, more_tokens, other_model, slower
from switchyard.audit.models import same_model
from switchyard.audit.speed import HOUR, MEASURES, WINDOW, Times, slowdown
from switchyard.audit.tokens import inflation

MAX_PAIRS = 100
MAX_FACTS = 150
SHOWN_CHANGES = 5

Pair = tuple[str, str]
"""upstream, upstream model"""


class Change(msgspec.Struct, frozen=True):
    """A request of a conversation whose prompt no longer began like the one before: the client changed it."""

    id: str
    at: float
    changed_in: str
    changed_at: int
    tokens: int
    """of the previous request that could no longer be read from the cache"""
    cost: float | None


class Examined(msgspec.Struct, frozen=True):
    """The report on one upstream and model. Numbers are None where nothing is known."""

    upstream: str
    model: str
    requests: int
    since: float
    until: float
    answered: Mapping[str, int]
    """how often the answers named which model"""
    cache_checked: int
    cache_missed: int
    changes: tuple[Change, ...]
    seconds_per_1000_tokens: float | None
    first_token: float | None
    findings: tuple[Finding, ...]


class Known:
    """What is kept of one upstream and model."""

    def __init__(self) -> None:
        self.facts: deque[Fact] = deque(maxlen=MAX_FACTS)
        self.times: dict[str, Times] = {name: Times() for name in MEASURES}
        self.count = 0
        """of all facts ever added"""

    def add(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.count += 1
        if not fact.stream:
            return
        for name, measure in MEASURES.items():
            value = measure(fact)
            if value is not None:
                self.times[name].add(fact.at, value)


class Facts:
    """Bounded: of the pairs the one that was used longest ago makes way, of the facts the oldest. Holds no clock."""

    def __init__(self, max_pairs: int = MAX_PAIRS) -> None:
        self._known: OrderedDict[Pair, Known] = OrderedDict()
        self._max_pairs = max_pairs

    def add(self, fact: Fact) -> None:
        pair = fact.upstream, fact.model
        known = self._known.get(pair)
        if known is None:
            known = self._known[pair] = Known()
        known.add(fact)
        self._known.move_to_end(pair)
        while len(self._known) > self._max_pairs:
            self._known.popitem(last=False)

    def pairs(self) -> list[Pair]:
        return sorted(self._known)

    def related(self, pair: Pair) -> int:
        """Changes whenever this pair, or another of the same model, has a new fact."""
        return sum(known.count for other, known in self._known.items() if _is_same(pair[1], other[1]))

    def examine(self, pair: Pair, hosts: Mapping[str, str]) -> Examined:
        """The report. `hosts` of the upstreams: two entries of one host are no second source for each other."""
        known = self._known[pair]
        facts = list(known.facts)
        others = self._others(pair, hosts)
        record = record_of(facts)
        findings = (
            self._other_model(facts, others),
            self._more_tokens(facts, others),
            _lost_cache(facts, others),
            *self._slower(pair, hosts),
        )
        named: dict[str, int] = {}
        for one in facts:
            if one.answered_model:
                named[one.answered_model] = named.get(one.answered_model, 0) + 1
        return Examined(
            upstream=pair[0],
            model=pair[1],
            requests=len(facts),
            since=facts[0].at,
            until=facts[-1].at,
            answered=named,
            cache_checked=record.checked,
            cache_missed=record.missed,
            changes=_changes(facts),
            seconds_per_1000_tokens=_median_of(facts, "pace"),
            first_token=_median_of(facts, "first_token"),
            findings=tuple(one for one in findings if one is not None),
        )

    def _others(self, pair: Pair, hosts: Mapping[str, str]) -> dict[str, list[Fact]]:
        """The facts of the same model at other hosts."""
        upstream, model = pair
        found: dict[str, list[Fact]] = {}
        for (name, other), known in self._known.items():
            is_other_host = name in hosts and hosts[name] != hosts.get(upstream)
            if is_other_host and _is_same(model, other):
                found.setdefault(name, []).extend(known.facts)
        return found

    def _other_model(self, facts: Sequence[Fact], others: Mapping[str, Sequence[Fact]]) -> Finding | None:
        right = [
            name
            for name, known in others.items()
            if any(one.answered_model and same_model(one.model, one.answered_model) for one in known)
        ]
        return other_model(facts, right)

    def _more_tokens(self, facts: Sequence[Fact], others: Mapping[str, Sequence[Fact]]) -> Finding | None:
        for client in {one.client: None for one in reversed(facts)}:
            own = [one for one in facts if one.client == client]
            usual = [one for known in others.values() for one in known if one.client == client]
            found = inflation(own, usual)
            if found is not None:
                return more_tokens(found, own)
        return None

    def _slower(self, pair: Pair, hosts: Mapping[str, str]) -> list[Finding]:
        known = self._known[pair]
        facts = [one for one in known.facts if one.stream]
        for kind, measure in MEASURES.items():
            latest = [(one.at, value) for one in facts if (value := measure(one)) is not None][-WINDOW:]
            if len(latest) < WINDOW:
                continue
            others = self._others_slower(pair, hosts, kind, latest[0][0], latest[-1][0])
            found = slowdown(kind, latest, known.times[kind].hours, others)
            if found is not None:
                return [slower(found, facts)]
        return []

    def _others_slower(
        self, pair: Pair, hosts: Mapping[str, str], kind: str, start: float, end: float
    ) -> float | None:
        """How much slower other hosts were in this time than usual."""
        ratios: list[float] = []
        for (name, _), known in self._known.items():
            if name not in hosts or hosts[name] == hosts.get(pair[0]):
                continue
            hours = known.times[kind].hours
            during = [
                value
                for hour in range(int(start) // HOUR, int(end) // HOUR + 1)
                for value in hours.get(hour, ())
            ]
            before = [
                value for hour, values in hours.items() if hour < int(start) // HOUR for value in values
            ]
            if len(during) >= 3 and len(before) >= 10:
                ratios.append(median(during) / median(before))
        return median(ratios) if ratios else None


def _is_same(model: str, other: str) -> bool:
    return same_model(model, other) and same_model(other, model)


def _lost_cache(facts: Sequence[Fact], others: Mapping[str, Sequence[Fact]]) -> Finding | None:
    """Against the other upstreams, else against what the upstream itself did before."""
    records = {name: record_of(known) for name, known in others.items()}
    usual = {name: record for name, record in records.items() if record.checked}
    total = Record(sum(one.missed for one in usual.values()), sum(one.checked for one in usual.values()))
    found = cache_loss(facts, total, ", ".join(f'"{name}"' for name in usual))
    if found is None:
        checked = checkable(facts)
        # its own earlier requests, up to the last one that read what it could
        last = next((index for index in range(len(checked) - 1, -1, -1) if not is_miss(checked[index])), -1)
        found = cache_loss(checked[last + 1 :], record_of(checked[: last + 1]), "its own earlier requests")
    return None if found is None else lost_cache(found)


def _changes(facts: Sequence[Fact]) -> tuple[Change, ...]:
    """The last requests whose client had changed the prompt's beginning while it was in the cache, and the cost."""
    changes: list[Change] = []
    for one in facts:
        if one.changed_in and one.input_before is not None and one.cache_expected is not None:
            lost = one.input_before - one.cache_expected
            cost = None if one.cache_price is None else lost * one.cache_price
            changes.append(Change(one.id, one.at, one.changed_in, one.changed_at or 0, lost, cost))
    return tuple(changes[-SHOWN_CHANGES:])


def _median_of(facts: Sequence[Fact], kind: str) -> float | None:
    values = [value for one in facts if one.stream and (value := MEASURES[kind](one)) is not None]
    return round(median(values), 3) if values else None

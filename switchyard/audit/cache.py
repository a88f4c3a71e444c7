"""Find upstreams that do not read from their cache what they could: the conversation began in the same way."""

from collections.abc import Sequence
from math import comb

import msgspec

from switchyard.audit.fact import Fact

READ_SHARE = 0.5
"""of what could be read: less is a miss"""
MIN_EXPECTED = 2048
MAX_FACTS = 40
MIN_FACTS = 6
MIN_OTHERS = 10
MISS_SHARE = 0.6
CHANCE = 1e-6
"""how likely this many misses may be at the rate of the others"""
SHOWN = 5


class Missed(msgspec.Struct, frozen=True):
    """A request that read less from the cache than it could, and what that cost, None without a price."""

    id: str
    at: float
    expected: int
    read: int
    cost: float | None


class CacheLoss(msgspec.Struct, frozen=True):
    """`others_missed` of `others_checked` requests are the second source, of `source`."""

    missed: int
    checked: int
    tokens: int
    cost: float | None
    written: int
    """tokens that these requests paid for as written to the cache"""
    others_missed: int
    others_checked: int
    source: str
    examples: tuple[Missed, ...]


class Record(msgspec.Struct, frozen=True):
    """Misses among the requests whose whole prefix was the same."""

    missed: int
    checked: int


def checkable(facts: Sequence[Fact]) -> list[Fact]:
    """Those whose upstream had all of the prefix, shortly before."""
    return [
        one
        for one in facts
        if one.cache_expected is not None and one.cache_expected >= MIN_EXPECTED and not one.changed_in
    ]


def is_miss(fact: Fact) -> bool:
    return fact.cache_read < READ_SHARE * (fact.cache_expected or 0)


def record_of(facts: Sequence[Fact]) -> Record:
    checked = checkable(facts)
    return Record(sum(is_miss(one) for one in checked), len(checked))


def cache_loss(facts: Sequence[Fact], others: Record, source: str) -> CacheLoss | None:
    """Misses that the others' rate does not explain; None if there are none, or too little is known."""
    for count in (MAX_FACTS // 2, MAX_FACTS):
        found = _loss_in(checkable(facts)[-count:], others, source)
        if found is not None:
            return found
    return None


def _loss_in(checked: Sequence[Fact], others: Record, source: str) -> CacheLoss | None:
    missed = [one for one in checked if is_miss(one)]
    if len(checked) < MIN_FACTS or others.checked < MIN_OTHERS or len(missed) < MISS_SHARE * len(checked):
        return None
    rate = (others.missed + 1) / (others.checked + 2)
    if chance_of(len(missed), len(checked), rate) > CHANCE:
        return None
    examples = tuple(_missed(one) for one in missed)
    costs = [one.cost for one in examples if one.cost is not None]
    return CacheLoss(
        missed=len(missed),
        checked=len(checked),
        tokens=sum(one.expected - one.read for one in examples),
        cost=sum(costs) if costs else None,
        written=sum(one.cache_write for one in missed),
        others_missed=others.missed,
        others_checked=others.checked,
        source=source,
        examples=examples[-SHOWN:],
    )


def chance_of(missed: int, checked: int, rate: float) -> float:
    """The probability of at least so many misses."""
    return sum(
        comb(checked, count) * rate**count * (1 - rate) ** (checked - count)
        for count in range(missed, checked + 1)
    )


def _missed(fact: Fact) -> Missed:
    expected = fact.cache_expected or 0
    lost = max(0, expected - fact.cache_read)
    cost = None if fact.cache_price is None else lost * fact.cache_price
    return Missed(fact.id, fact.at, expected, fact.cache_read, cost)

"""Compare the prompt tokens that upstreams report, each with what its own requests let expect.

Relays add system prompts of their own, of constant size. What counts is therefore how many tokens are added from one
request of a conversation to the next. Estimates are off in another way for code than for Chinese, so that what was
added is compared with text of the same kind.
"""

import math
from collections.abc import Sequence

import msgspec

from switchyard.audit.fact import Fact, median

MIN_ADDED = 150
"""tokens: the share of less is chance"""
MIN_FACTS = 10
WINDOWS = (15, 45)
"""of added texts"""
NEIGHBOURS = 11
MIN_NEIGHBOURS = 6
NEAR = 0.35
"""by how much the shares of texts of one kind may differ"""
MIN_OTHERS = 30
SUSPICIOUS = 1.08
"""times the tokens of the others: less than that may be the content"""
SURE = 1.03
"""after all that chance could do"""
ERRORS = 3.5
SCATTER = 0.05
"""of one request, where too few are known to tell"""


class Comparison(msgspec.Struct, frozen=True):
    """An upstream reports `factor` times the tokens of another; `error` is one standard error of that."""

    factor: float
    error: float
    count: int


class Added(msgspec.Struct, frozen=True):
    """A text that was added: how its tokens are shared by words, numbers, signs and what is not ASCII, and the reported
    tokens per estimated one."""

    shares: tuple[float, ...]
    ratio: float


class Inflation(msgspec.Struct, frozen=True):
    """An upstream reports more tokens than the median of the others, beyond doubt."""

    factor: float
    count: int
    others: tuple[str, ...]


def inflation(own: Sequence[Fact], others: Sequence[Fact]) -> Inflation | None:
    """In the last few requests, else in more; None if it reports no more than the others, or if little is known."""
    factors = _factors(own, _added(others))
    for count in WINDOWS:
        found = _compared(factors[-count:])
        if found is not None and found.factor >= SUSPICIOUS and found.factor - ERRORS * found.error >= SURE:
            return Inflation(found.factor, found.count, tuple(dict.fromkeys(one.upstream for one in others)))
    return None


def _factors(own: Sequence[Fact], usual: Sequence[Added]) -> list[float]:
    """How many times the usual tokens each added text has, where texts of its kind are known."""
    if len(usual) < MIN_OTHERS:
        return []
    added = _added(own)[-max(WINDOWS) :]
    return [one.ratio / expected for one in added if (expected := _near(usual, one))]


def _compared(factors: Sequence[float]) -> Comparison | None:
    if len(factors) < MIN_FACTS:
        return None
    factor = median(factors)
    scatter = max(SCATTER, 1.5 * median([abs(one / factor - 1) for one in factors]))
    return Comparison(factor, 1.25 * scatter * factor / math.sqrt(len(factors)), len(factors))


def _added(facts: Sequence[Fact]) -> list[Added]:
    return [
        Added(tuple(part / tokens for part in one.added_estimated), reported / tokens)
        for one in facts
        if one.input_reported and one.input_before and one.added_estimated is not None
        if (reported := one.input_reported - one.input_before) > 0
        if (tokens := sum(one.added_estimated)) >= MIN_ADDED
    ]


def _near(usual: Sequence[Added], one: Added) -> float | None:
    """The usual ratio for text of this kind; None if too little of it is known."""
    near = sorted((_distance(one, other), other.ratio) for other in usual)[:NEIGHBOURS]
    ratios = [ratio for distance, ratio in near if distance <= NEAR]
    return median(ratios) if len(ratios) >= MIN_NEIGHBOURS else None


def _distance(one: Added, other: Added) -> float:
    mine, theirs = one.shares, other.shares
    return (
        abs(mine[0] - theirs[0])
        + abs(mine[1] - theirs[1])
        + abs(mine[2] - theirs[2])
        + abs(mine[3] - theirs[3])
    )

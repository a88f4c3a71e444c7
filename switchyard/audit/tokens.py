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
MIN_OTHERS = 60
MIN_CONVERSATIONS = 8
"""of the others"""
SUSPICIOUS = 1.08
"""times the tokens of the others: less than that may be the content"""
SURE = 1.015
"""after all that chance could do"""
ERRORS = 3.5
SCATTER = 0.05
"""of one request, where too few are known to tell"""
IN_COMMON = 2.0
"""how much more the conversations differ than the texts in them"""


class Added(msgspec.Struct, frozen=True):
    """A text that was added: how its tokens are shared by words, numbers, signs and what is not ASCII, and the reported
    tokens per estimated one."""

    conversation: str
    shares: tuple[float, ...]
    ratio: float


class Factor(msgspec.Struct, frozen=True):
    """How many times the usual tokens an added text has."""

    conversation: str
    factor: float


class Inflation(msgspec.Struct, frozen=True):
    """An upstream reports `factor` times the tokens of the others, beyond doubt."""

    factor: float
    count: int
    others: tuple[str, ...]


def inflation(own: Sequence[Fact], others: Sequence[Fact]) -> Inflation | None:
    """In the last few requests, else in more; None if it reports no more than the others, or if little is known."""
    factors = _factors(own, _added(others))
    for count in WINDOWS:
        latest = factors[-count:]
        if len(latest) < MIN_FACTS:
            return None
        factor = median([one.factor for one in latest])
        if factor >= SUSPICIOUS and factor * (1 - ERRORS * _error(latest, factor)) >= SURE:
            return Inflation(factor, len(latest), tuple(dict.fromkeys(one.upstream for one in others)))
    return None


def _error(factors: Sequence[Factor], factor: float) -> float:
    """One standard error of the median, as a share; the texts of one conversation have much in common."""
    scatter = max(SCATTER, 1.5 * median([abs(one.factor / factor - 1) for one in factors]))
    conversations = len({one.conversation for one in factors})
    return 1.25 * scatter * math.sqrt((1 + IN_COMMON / conversations) / len(factors))


def _factors(own: Sequence[Fact], usual: Sequence[Added]) -> list[Factor]:
    """Those of the texts whose kind is known."""
    if len(usual) < MIN_OTHERS or len({one.conversation for one in usual}) < MIN_CONVERSATIONS:
        return []
    return [
        Factor(one.conversation, one.ratio / expected)
        for one in _added(own)[-max(WINDOWS) :]
        if (expected := _near(usual, one))
    ]


def _added(facts: Sequence[Fact]) -> list[Added]:
    return [
        Added(one.conversation, tuple(part / tokens for part in one.added_estimated), reported / tokens)
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

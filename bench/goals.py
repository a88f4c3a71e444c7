"""The goal for each figure of each route, and whether it was reached."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rounds import DISTURBED_SHARE, Rounds
from stage import EARLIER, SWITCHYARD

ROUTER, LITELLM = "claude-code-router", "litellm"
CONVERTING_ROUTER = "claude-code-router, converting"
NGINX, FLOOR = "nginx", "Starlette + httpx"
PASSTHROUGH, CONVERTING = SWITCHYARD, f"{SWITCHYARD}, converting"
EARLIER_CONVERTING = f"{EARLIER}, converting"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure, or a ratio to the figure of another program in the same rounds, to which `plus` may be added."""

    value: float
    base: str = ""
    plus: float = 0.0

    def __str__(self) -> str:
        shown = f"{self.value:g}x {self.base}" if self.base else f"{self.value:,g}"
        return f"{shown} + {self.plus:g}" if self.plus else shown


@dataclass(frozen=True, slots=True)
class Goal:
    """For each clause the first limit applies whose base was measured.

    The later ones replace a missing peer: they state its figures relative to nginx and to the floor.
    """

    row: str
    sign: str
    clauses: tuple[tuple[Limit, ...], ...]
    target: str = PASSTHROUGH
    needs_quiet: bool = False
    """a figure that other load makes larger"""


@dataclass(frozen=True, slots=True)
class AloneGoal:
    """A row that has no peer."""

    label: str
    unit: str
    sign: str
    limit: float
    needs_quiet: bool = False


def _same(value: float) -> tuple[tuple[Limit, ...], ...]:
    return ((Limit(value),),)


def _than_earlier(goal: float, then: float, base: str = EARLIER) -> tuple[tuple[Limit, ...], ...]:
    """As a share of what 0.1.0 needs; `then`: what it needed on the machine and day for which the goal was set."""
    return ((Limit(round(goal / then, 2), base), Limit(goal)),)


GOALS = (
    Goal("small", "<=", ((Limit(2, NGINX), Limit(0.4)),), needs_quiet=True),
    Goal(
        "rate64",
        ">=",
        (
            (Limit(6, ROUTER), Limit(0.13, NGINX), Limit(14, FLOOR)),
            (Limit(30, LITELLM), Limit(0.078, NGINX), Limit(6.7, FLOOR)),
        ),
    ),
    Goal("request_cpu", "<=", _than_earlier(90, 146), needs_quiet=True),
    Goal("request_cpu", "<=", _than_earlier(130, 209, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("first", "<=", _than_earlier(0.2, 0.31), needs_quiet=True),
    Goal("single", ">=", ((Limit(1.3, ROUTER), Limit(1.8, NGINX), Limit(4.5, FLOOR)),)),
    Goal("glued", ">=", ((Limit(1, NGINX), Limit(34, FLOOR)),)),
    Goal("glued", ">=", _than_earlier(600_000, 407_000, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("paced_cpu", "<=", ((Limit(2, NGINX), Limit(90)),), needs_quiet=True),
    Goal("body1", "<=", _than_earlier(1.2, 1.6), needs_quiet=True),
    Goal("body1", "<=", _than_earlier(5, 10.7, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("body8", "<=", _than_earlier(12, 18.5), needs_quiet=True),
    Goal("body8", "<=", _than_earlier(40, 88, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("turns1", "<=", _than_earlier(2, 10.7, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("turns8", "<=", _than_earlier(15, 88, EARLIER_CONVERTING), CONVERTING, needs_quiet=True),
    Goal("idle_memory", "<=", _than_earlier(46, 46)),
    Goal("slow_delivered", ">=", _same(100), needs_quiet=True),
    Goal("slow_memory", "<=", _same(200)),
    Goal("slow_transit", "<=", ((Limit(2, NGINX, plus=3), Limit(5)),), needs_quiet=True),
    Goal("left_running", "<=", _same(0)),
    Goal("left_running", "<=", _same(0), CONVERTING),
    Goal("large_left_running", "<=", _same(0)),
    Goal("large_left_running", "<=", _same(0), CONVERTING),
)

ALONE: Mapping[str, AloneGoal] = {
    "pause_open": AloneGoal(
        "first byte after the pause, than a client alone whose connection is still open: later by",
        "ms",
        "<=",
        5,
        True,
    ),
    "pause_new": AloneGoal(
        "than a client alone that has closed its connection: sooner by", "round trips", ">=", 1
    ),
    "connections": AloneGoal("connections opened meanwhile, to one host", "per hour", "<=", 60),
    "start": AloneGoal("start to first answer, 500 upstreams, a year of statistics", "s", "<=", 0.4, True),
    "overview_step": AloneGoal(
        "overview of 3,000 upstreams: longest time without a pause", "CPU ms", "<=", 20
    ),
    "patterns": AloneGoal("first request of a model with 10,000 patterns: routing", "CPU ms", "<=", 20),
    "view": AloneGoal("views of the dashboard, the slowest", "CPU ms", "<=", 50),
    "abuse_most": AloneGoal("memory under abuse, highest", "MB", "<=", 350),
    "abuse_rest": AloneGoal("memory at rest after it", "MB", "<=", 120),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    goal: Goal
    limits: tuple[Limit, ...]
    """the limit that applied for each clause"""
    is_met: bool
    ratios: tuple[float, ...]
    """those that were reached, where the limits are ratios"""

    def __str__(self) -> str:
        return " and ".join(f"{self.goal.sign} {limit}" for limit in self.limits)


def judge(goal: Goal, rounds: Rounds, measured: Collection[str]) -> Judgement:
    names = {name.lower(): name for name in measured}
    limits = tuple(
        next(limit for limit in clause if not limit.base or limit.base.lower() in names)
        for clause in goal.clauses
    )
    compared = [_compared(goal, limit, rounds, names) for limit in limits]
    is_met = all(not math.isnan(value) and reaches(goal.sign, value, wanted) for value, wanted in compared)
    ratios = [
        value for limit, (value, _) in zip(limits, compared, strict=True) if limit.base and not limit.plus
    ]
    return Judgement(goal, limits, is_met, tuple(ratios))


def verdict(*, is_met: bool, needs_quiet: bool, others_share: float) -> str:
    """`others_share`: of the machine, that other programs used."""
    if is_met:
        return "met"
    return "busy machine" if needs_quiet and others_share > DISTURBED_SHARE else "**not met**"


def reaches(sign: str, value: float, limit: float) -> bool:
    return value <= limit if sign == "<=" else value >= limit


def _compared(goal: Goal, limit: Limit, rounds: Rounds, names: dict[str, str]) -> tuple[float, float]:
    """What was reached, and what was wanted."""
    if not limit.base:
        return rounds.median(goal.row, goal.target), limit.value
    base = names[limit.base.lower()]
    if limit.plus:
        return rounds.median(goal.row, goal.target), limit.value * rounds.median(goal.row, base) + limit.plus
    return rounds.ratio(goal.row, goal.target, base), limit.value

"""The goal for each figure of each route, and whether it was reached."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from rounds import Rounds

ROUTER, LITELLM = "claude-code-router", "litellm"
CONVERTING_ROUTER = "claude-code-router, converting"
NGINX, FLOOR = "nginx", "Starlette + httpx"
PASSTHROUGH, CONVERTING = "Switchyard", "Switchyard, converting"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure, or a ratio to the figure of another program in the same rounds."""

    value: float
    base: str = ""

    def __str__(self) -> str:
        return f"{self.value:g}x {self.base}" if self.base else f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Goal:
    """For each clause the first limit applies whose base was measured.

    The later ones replace a missing peer: they state its figures relative to nginx and to the floor.
    """

    row: str
    sign: str
    clauses: tuple[tuple[Limit, ...], ...]
    target: str = PASSTHROUGH


def _same(value: float) -> tuple[tuple[Limit, ...], ...]:
    return ((Limit(value),),)


GOALS = (
    Goal("small", "<=", ((Limit(0.6),), (Limit(4, NGINX), Limit(0.6)))),
    Goal("rate16", ">=", ((Limit(3, ROUTER), Limit(0.084, NGINX), Limit(4, FLOOR)),)),
    Goal(
        "rate64",
        ">=",
        (
            (Limit(3, ROUTER), Limit(0.08, NGINX), Limit(6.9, FLOOR)),
            (Limit(30, LITELLM), Limit(0.078, NGINX), Limit(6.7, FLOOR)),
        ),
    ),
    Goal("first", "<=", _same(0.6)),
    Goal("single", ">=", ((Limit(1, NGINX), Limit(3.4, FLOOR)),)),
    Goal("glued", ">=", ((Limit(1.5, ROUTER), Limit(0.177, NGINX), Limit(13.9, FLOOR)),)),
    Goal("glued", ">=", ((Limit(2, CONVERTING_ROUTER), Limit(0.05, NGINX), Limit(3.9, FLOOR)),), CONVERTING),
    Goal("paced_cpu", "<=", _same(90)),
    Goal("body1", "<=", _same(4)),
    Goal("body8", "<=", _same(25)),
    Goal("idle_memory", "<=", _same(90)),
    Goal("slow_delivered", ">=", _same(100)),
    Goal("slow_memory", "<=", _same(200)),
    Goal("slow_transit", "<=", _same(48)),
    Goal("left_running", "<=", _same(0)),
    Goal("left_running", "<=", _same(0), CONVERTING),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    goal: Goal
    limits: tuple[Limit, ...]
    """the limit that applied for each clause"""
    is_met: bool

    def __str__(self) -> str:
        return " and ".join(f"{self.goal.sign} {limit}" for limit in self.limits)


def judge(goal: Goal, rounds: Rounds, measured: Collection[str]) -> Judgement:
    names = {name.lower(): name for name in measured}
    limits = tuple(
        next(limit for limit in clause if not limit.base or limit.base.lower() in names)
        for clause in goal.clauses
    )
    return Judgement(goal, limits, all(_holds(goal, limit, rounds, names) for limit in limits))


def _holds(goal: Goal, limit: Limit, rounds: Rounds, names: dict[str, str]) -> bool:
    if limit.base:
        reached = rounds.ratio(goal.row, goal.target, names[limit.base.lower()])
    else:
        reached = rounds.median(goal.row, goal.target)
    if math.isnan(reached):
        return False
    return reached <= limit.value if goal.sign == "<=" else reached >= limit.value

"""Translate between reasoning efforts and thinking budgets."""

from typing import TypeGuard, get_args

from switchyard.protocols import neutral
from switchyard.protocols.neutral import Effort

EFFORTS: tuple[Effort, ...] = get_args(Effort)
UNKNOWN_EFFORT = "no upstream knows this effort"

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 2047,
    "medium": 8191,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
    "ultra": 32000,
}

LOWEST_BUDGETS: tuple[tuple[int, Effort], ...] = (
    (32000, "max"),
    (24576, "xhigh"),
    (8192, "high"),
    (2048, "medium"),
    (1, "low"),
)
"""From which budget on an effort is meant; there and back is the same effort, from low to max."""


def is_effort(name: str) -> TypeGuard[Effort]:
    return name in EFFORTS


def budget_for(effort: Effort) -> int:
    """The tokens to think with; 0 is no thinking."""
    return BUDGETS[effort]


def effort_for(budget: int) -> Effort:
    return next((effort for lowest, effort in LOWEST_BUDGETS if budget >= lowest), "none")


def wanted_effort(reasoning: neutral.Reasoning) -> Effort | None:
    """The effort that the client requested, in whatever form; None leaves it to the upstream.

    Thinking that is off stays off: Claude Code sends an effort beside it.
    """
    if reasoning.enabled is False:
        return "none"
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget_tokens is not None:
        return effort_for(reasoning.budget_tokens)
    return None


def clamped(effort: Effort, supported: tuple[str, ...]) -> Effort | None:
    """The nearest supported effort, rather a lower one; thinking is never turned off by nearness.

    None: nothing that is supported comes near.
    """
    if effort in supported:
        return effort
    thinking: list[Effort] = [known for known in EFFORTS if known in supported and known != "none"]
    lower = [known for known in thinking if EFFORTS.index(known) < EFFORTS.index(effort)]
    if lower:
        return lower[-1]
    return thinking[0] if thinking else None

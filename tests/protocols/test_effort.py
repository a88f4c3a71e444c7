"""Efforts and budgets."""

import pytest

from switchyard.protocols.effort import EFFORTS, budget_for, clamped, effort_for, wanted_effort
from switchyard.protocols.neutral import Effort, Reasoning


@pytest.mark.parametrize("effort", [effort for effort in EFFORTS if effort not in ("minimal", "ultra")])
def test_an_effort_survives_as_a_budget(effort: Effort) -> None:
    assert effort_for(budget_for(effort)) == effort


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (-1, "none"),
        (0, "none"),
        (1, "low"),
        (1024, "low"),
        (2047, "low"),
        (2048, "medium"),
        (8191, "medium"),
        (8192, "high"),
        (24575, "high"),
        (24576, "xhigh"),
        (31999, "xhigh"),
        (32000, "max"),
        (128000, "max"),
    ],
)
def test_a_budget_means_an_effort(budget: int, effort: Effort) -> None:
    assert effort_for(budget) == effort


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(), None),
        (Reasoning(enabled=True), None),
        (Reasoning(enabled=True, adaptive=True), None),
        (Reasoning(enabled=False), "none"),
        (Reasoning(enabled=True, budget_tokens=8191), "medium"),
        (Reasoning(effort="max", enabled=False), "none"),
        (Reasoning(effort="low", budget_tokens=32000), "low"),
    ],
)
def test_the_wanted_effort_is_decoded_from_every_form(reasoning: Reasoning, effort: Effort | None) -> None:
    assert wanted_effort(reasoning) == effort


@pytest.mark.parametrize(
    ("effort", "supported", "nearest"),
    [
        ("high", EFFORTS, "high"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("xhigh", ("high", "max"), "high"),
        ("max", ("none", "low"), "low"),
        ("none", ("minimal", "low"), "minimal"),
        ("minimal", ("none", "low", "high"), "low"),
        ("medium", ("high", "max"), "high"),
        ("none", ("none",), "none"),
        ("high", ("none",), None),
        ("high", (), None),
    ],
)
def test_an_effort_is_clamped_to_the_supported_ones(
    effort: Effort, supported: tuple[str, ...], nearest: Effort | None
) -> None:
    assert clamped(effort, supported) == nearest

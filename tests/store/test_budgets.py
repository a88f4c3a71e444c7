import pytest

from switchyard.settings import Budget, Settings, Upstream
from switchyard.store.budgets import BudgetLine, BudgetState, BudgetStatus, budget_state
from switchyard.store.cell import NANOS

DAY = "2026-11-21"


class Spent:
    """The cost of each upstream in dollars, by period."""

    def __init__(self, **dollars: dict[str, float]) -> None:
        self._dollars = {"2026-11-21": dollars.get("day", {}), "2026-11": dollars.get("month", {})}

    def spent(self, period: str) -> dict[str, int]:
        return {name: round(cost * NANOS) for name, cost in self._dollars[period].items()}


def upstream(name: str, budget: Budget | None = None, url: str = "https://x.example.com") -> Upstream:
    return Upstream(name=name, base_url=url, budget=budget)


LIMITS = [
    (Budget(), 99, 99, "ok", ""),
    (Budget(day_soft=5, day_hard=10), 4.99, 99, "ok", ""),
    (Budget(day_soft=5, day_hard=10), 5, 99, "warn", "5.00 spent this day, soft limit 5"),
    (Budget(day_soft=5, day_hard=10), 10, 99, "exceeded", "10.00 spent this day, hard limit 10"),
    (Budget(month_soft=50), 1, 49.99, "ok", ""),
    (Budget(month_soft=50), 1, 50.5, "warn", "50.50 spent this month, soft limit 50"),
    (Budget(month_hard=50, day_soft=1), 1, 50.5, "exceeded", "50.50 spent this month, hard limit 50"),
    (Budget(day_hard=0.25), 0.2501, 1, "exceeded", "0.25 spent this day, hard limit 0.25"),
]


@pytest.mark.parametrize(("budget", "day", "month", "status", "reason"), LIMITS)
def test_a_limit_is_reached_when_so_much_is_spent(
    budget: Budget, day: float, month: float, status: str, reason: str
) -> None:
    settings = Settings(upstreams=(upstream("a", budget), upstream("b")))
    state = budget_state(Spent(day={"a": day, "b": 999}, month={"a": month, "b": 999}), settings, DAY)
    reported = f'budget of upstream "a": {reason}' if reason else ""
    line = BudgetLine(BudgetStatus(status), reported)
    limited = any((budget.day_soft, budget.day_hard, budget.month_soft, budget.month_hard))
    assert state == BudgetState(
        BudgetLine(),
        {"a": line} if limited else {},
        {"a": reported} if status == "exceeded" else {},
    )
    assert state.warnings == ((reported,) if reported else ())


def test_the_overall_limit_adds_all_upstreams_up_and_spares_what_costs_nothing() -> None:
    settings = Settings(
        upstreams=(
            upstream("a"),
            upstream("b"),
            upstream("gpu", url="http://localhost:11434"),
            upstream("relay", url="http://localhost:4000"),
            upstream("d", url="demo:"),
        ),
        budget=Budget(day_hard=3),
    )
    state = budget_state(Spent(day={"a": 1, "b": 2}, month={"a": 1, "b": 2, "relay": 5}), settings, DAY)
    reason = "budget of all upstreams: 3.00 spent this day, hard limit 3"
    assert state.overall == BudgetLine(BudgetStatus.EXCEEDED, reason)
    assert state.taken_out == {"a": reason, "b": reason, "relay": reason}


def test_an_upstream_s_own_reason_is_reported_before_the_overall_one() -> None:
    settings = Settings(
        upstreams=(upstream("a", Budget(day_hard=1)), upstream("b")), budget=Budget(day_hard=1)
    )
    state = budget_state(Spent(day={"a": 1}), settings, DAY)
    assert "upstream" in state.taken_out["a"] and '"a"' in state.taken_out["a"]
    assert "all upstreams" in state.taken_out["b"]


def test_without_budgets_nothing_is_added_up() -> None:
    assert budget_state(Spent(), Settings(upstreams=(upstream("a"),)), "any day") == BudgetState()

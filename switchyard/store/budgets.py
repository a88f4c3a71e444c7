"""Decide which money limits are reached: soft ones warn, hard ones exclude upstreams from the route."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from switchyard.settings import Budget, Settings
from switchyard.store.cell import NANOS
from switchyard.store.prices import has_no_price

OVERALL = "all upstreams"


class Spending(Protocol):
    """The statistics that a budget needs: cost in billionths by upstream, for a day or a month."""

    def spent(self, period: str) -> Mapping[str, int]: ...


class BudgetStatus(StrEnum):
    OK = "ok"
    WARN = "warn"
    EXCEEDED = "exceeded"


class BudgetLine(msgspec.Struct, frozen=True):
    """The state of one budget; `reason` is a sentence for the dashboard, the log and a skipped upstream."""

    status: BudgetStatus = BudgetStatus.OK
    reason: str = ""


class BudgetState(msgspec.Struct, frozen=True):
    """The state of the budgets. `upstreams` names those with a budget, `taken_out` the reasons of excluded ones."""

    overall: BudgetLine = BudgetLine()
    upstreams: Mapping[str, BudgetLine] = msgspec.field(default_factory=dict)
    taken_out: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def reached(self) -> Mapping[str, str]:
        """The reasons of the limits that are reached, by owner and kind of limit."""
        lines = {"": self.overall, **self.upstreams}
        return {
            f"{owner} {line.status}": line.reason
            for owner, line in lines.items()
            if line.status is not BudgetStatus.OK
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """All reasons, for the dashboard and the log."""
        lines = (self.overall, *self.upstreams.values())
        return tuple(line.reason for line in lines if line.status is not BudgetStatus.OK)


UNBOUNDED = BudgetState()


def budget_state(statistics: Spending, settings: Settings, day: str) -> BudgetState:
    """The state of the budgets on a local day such as "2026-11-21"."""
    if not has_budgets(settings):
        return UNBOUNDED
    today, month = statistics.spent(day), statistics.spent(day[:7])
    overall = _line(OVERALL, settings.budget, sum(today.values()), sum(month.values()))
    upstreams = {
        upstream.name: _line(
            f'upstream "{upstream.name}"',
            upstream.budget,
            today.get(upstream.name, 0),
            month.get(upstream.name, 0),
        )
        for upstream in settings.upstreams
        if upstream.budget is not None
    }
    taken_out = {
        name: line.reason for name, line in upstreams.items() if line.status is BudgetStatus.EXCEEDED
    }
    if overall.status is BudgetStatus.EXCEEDED:
        # a local server that has cost nothing may continue; the settings may give it a price
        costly = (
            upstream
            for upstream in settings.upstreams
            if month.get(upstream.name) or not has_no_price(upstream)
        )
        taken_out = {upstream.name: overall.reason for upstream in costly} | taken_out
    return BudgetState(overall, upstreams, taken_out)


def has_budgets(settings: Settings) -> bool:
    return any(is_set(budget) for budget in _budgets(settings))


def _budgets(settings: Settings) -> Iterator[Budget]:
    yield settings.budget
    for upstream in settings.upstreams:
        if upstream.budget is not None:
            yield upstream.budget


def is_set(budget: Budget) -> bool:
    """True if it limits something."""
    return bool(budget.day_soft or budget.day_hard or budget.month_soft or budget.month_hard)


def _line(owner: str, budget: Budget, today: int, month: int) -> BudgetLine:
    limits = (
        (BudgetStatus.EXCEEDED, budget.day_hard, today, "day"),
        (BudgetStatus.EXCEEDED, budget.month_hard, month, "month"),
        (BudgetStatus.WARN, budget.day_soft, today, "day"),
        (BudgetStatus.WARN, budget.month_soft, month, "month"),
    )
    for status, limit, spent, period in limits:
        if limit and spent >= limit * NANOS:
            kind = "hard limit" if status is BudgetStatus.EXCEEDED else "soft limit"
            reason = f"budget of {owner}: {spent / NANOS:.2f} spent this {period}, {kind} {limit:g}"
            return BudgetLine(status, reason)
    return BudgetLine()

"""How long a repeated turn may still be held."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from switchyard.routing.turns import MAX_EACH, REMEMBERED_SECONDS, HoldBudgets

HOLD = 300.0


def test_a_turn_that_was_never_held_has_the_whole_budget() -> None:
    assert HoldBudgets().seconds_left("t", HOLD, 5.0) == HOLD


@pytest.mark.parametrize(
    ("later", "left"), [(0.0, 200.0), (REMEMBERED_SECONDS, 200.0), (REMEMBERED_SECONDS + 0.1, HOLD)]
)
def test_what_is_repeated_soon_gets_what_is_left(later: float, left: float) -> None:
    budgets = HoldBudgets()
    budgets.spend("t", 100.0, 400.0, 500.0)
    assert budgets.seconds_left("t", HOLD, 500.0 + later) == left
    assert budgets.seconds_left("another", HOLD, 500.0 + later) == HOLD


def test_nothing_is_left_of_a_budget_that_is_used_up_or_was_made_smaller() -> None:
    budgets = HoldBudgets()
    budgets.spend("t", 100.0, 400.0, 500.0)
    assert (budgets.seconds_left("t", 100.0, 500.0), budgets.seconds_left("t", 30.0, 500.0)) == (0.0, 0.0)


@pytest.mark.parametrize("held", [10.0, 59.0, 61.0, 100.0])
@pytest.mark.parametrize("pause", [0.0, REMEMBERED_SECONDS])
@pytest.mark.parametrize("tries_first", [0.0, 120.0])
def test_a_turn_that_is_repeated_again_and_again_is_held_for_its_budget_in_all(
    held: float, pause: float, tries_first: float
) -> None:
    """`tries_first`: seconds until a request has found every upstream failing and is held."""
    budgets, now, total = HoldBudgets(), 0.0, 0.0
    for _ in range(50):
        seconds = min(held, budgets.seconds_left("t", HOLD, now))
        if not seconds:
            break
        came_at, now = now, now + tries_first + seconds
        budgets.spend("t", seconds, came_at, now)
        total += seconds
        now += pause
    assert total == pytest.approx(HOLD)


def test_requests_of_one_turn_that_are_held_at_the_same_time_have_a_budget_each() -> None:
    budgets = HoldBudgets()
    for seconds in (80.0, 90.0, 100.0):
        assert budgets.seconds_left("t", HOLD, 10.0) == HOLD
        budgets.spend("t", seconds, 10.0, 10.0 + seconds)
    left = []
    for came_at in (110.0, 111.0, 112.0, 113.0):
        left.append(budgets.seconds_left("t", HOLD, came_at))
        budgets.spend("t", 50.0, came_at, came_at + 50.0)
    assert left == [200.0, 210.0, 220.0, HOLD]


def test_a_repeat_that_arrives_before_it_is_noticed_that_its_client_has_left_gets_what_is_left() -> None:
    budgets = HoldBudgets()
    budgets.spend("t", 100.0, 0.0, 100.0)
    assert budgets.seconds_left("t", HOLD, 99.9) == HOLD - 100.0


def test_of_one_turn_only_so_many_requests_are_remembered() -> None:
    budgets = HoldBudgets()
    for number in range(MAX_EACH + 1):
        budgets.spend("t", 1.0 + number, 0.0, 100.0)
    left = []
    for _ in range(MAX_EACH + 1):
        left.append(budgets.seconds_left("t", HOLD, 110.0))
        budgets.spend("t", 0.0, 110.0, 1000.0)
    assert left == [HOLD - number for number in range(MAX_EACH + 1, 1, -1)] + [HOLD]


def test_the_oldest_turns_are_forgotten_first() -> None:
    budgets = HoldBudgets(capacity=2)
    for turn in ("a", "b", "a", "c"):
        budgets.spend(turn, 10.0, 1.0, 1.0)
    assert {turn: budgets.seconds_left(turn, HOLD, 1.0) for turn in "abc"} == {
        "a": 280.0,
        "b": HOLD,
        "c": 290.0,
    }


Held = tuple[str, float, float]
"""turn, seconds until its request, seconds for which it would be held"""


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 130), st.floats(0.1, 400))))
@hypothesis_settings(max_examples=200)
def test_no_turn_is_held_longer_than_its_budget_between_two_pauses(requests: list[Held]) -> None:
    """A pause: longer than the memory between the end of one request of the turn and the next."""
    budgets, now = HoldBudgets(), 0.0
    ended: dict[str, float] = {}
    total = {"a": 0.0, "b": 0.0}
    for turn, pause, wanted in requests:
        now += pause
        if now > ended.get(turn, -1000.0) + REMEMBERED_SECONDS:
            total[turn] = 0.0
        assert budgets.seconds_left(turn, HOLD, now) == pytest.approx(HOLD - total[turn])
        seconds = min(wanted, budgets.seconds_left(turn, HOLD, now))
        came_at, now = now, now + seconds
        budgets.spend(turn, seconds, came_at, now)
        ended[turn] = now
        total[turn] += seconds
        assert total[turn] <= HOLD + 1e-6

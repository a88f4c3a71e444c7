import random
import sys
from datetime import UTC
from types import FrameType

from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.store.cell import MAX_KEYS, OTHER
from switchyard.store.journal_line import Line
from switchyard.store.stats import Statistics
from switchyard.store.token_stats import token_stats
from tests.bed.statistics import DAY, NOON, SOME_LINES, a_line


def test_names_of_one_kind_are_bounded() -> None:
    kept = Statistics(lambda: NOON, UTC)
    for number in range(MAX_KEYS + 50):
        kept.add(a_line(model=f"m{number:04}", session=f"s{number:04}"))
    day = kept.day("2026-11-21")
    assert len(day.models) == len(day.sessions) == MAX_KEYS + 1
    assert day.models[OTHER].requests == 50
    assert sum(cell.requests for cell in day.models.values()) == day.all.requests


def test_spending_is_known_by_day_and_month() -> None:
    kept = Statistics(lambda: NOON, UTC)
    for back, upstream, cost in (
        (0, "a", 0.25),
        (1, "a", 1.0),
        (1, "b", 2.0),
        (40, "a", 9.0),
        (0, "c", None),
    ):
        kept.add(a_line(NOON - back * DAY, upstream=upstream, cost=cost))
    assert kept.spent("2026-11-21") == {"a": 250_000_000, "c": 0}
    assert kept.spent("2026-11") == {"a": 1_250_000_000, "b": 2_000_000_000, "c": 0}
    kept.add(a_line(upstream="b", cost=0.5))
    assert kept.spent("2026-11-21")["b"] == 500_000_000
    assert kept.spent("2026-11")["b"] == 2_500_000_000


@settings(max_examples=60)
@given(SOME_LINES, st.randoms(use_true_random=False))
def test_totals_do_not_depend_on_the_order_of_lines(lines: list[Line], chance: random.Random) -> None:
    shuffled = list(lines)
    chance.shuffle(shuffled)
    in_order, mixed = Statistics(lambda: NOON, UTC), Statistics(lambda: NOON, UTC)
    for line in lines:
        in_order.add(line)
    for line in shuffled:
        mixed.add(line)
    assert token_stats(in_order) == token_stats(mixed)
    assert in_order.days() == mixed.days()
    assert [in_order.day(name) for name in in_order.days()] == [mixed.day(name) for name in mixed.days()]


def test_the_end_of_one_request_adds_up_only_a_few_of_those_before() -> None:
    kept, counts = Statistics(lambda: NOON, UTC), [0]

    def notice(frame: FrameType, event: str, argument: object) -> None:
        counts[-1] += event == "call"

    sys.setprofile(notice)
    try:
        for number in range(3000):
            kept.add(a_line(session=f"s{number}"))
            counts.append(0)
    finally:
        sys.setprofile(None)
    assert max(counts) < 10_000


def test_what_only_the_newest_days_keep_goes_with_the_next_day_however_long_that_takes() -> None:
    kept = Statistics(lambda: NOON, UTC)
    for back in (90, 3, 0):
        kept.add(a_line(NOON - back * DAY))
        kept.end_storing(kept.begin_storing()())
    days = [kept.day(name) for name in kept.days()]
    assert [bool(day.upstream_hours) for day in days] == [False, True, True]
    assert [bool(day.sessions) for day in days] == [False, True, True]

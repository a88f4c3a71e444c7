from typing import Any

import pytest

from switchyard.routing.limits import Limits
from switchyard.settings import Upstream


def upstream(**limits: Any) -> Upstream:
    return Upstream(name="u", base_url="https://h.example", **limits)


@pytest.mark.parametrize(
    ("limit", "under_way", "is_full"), [(0, 1000, False), (2, 1, False), (2, 2, True), (2, 3, True)]
)
def test_an_upstream_is_full_at_its_limit_of_concurrent_requests(
    limit: int, under_way: int, is_full: bool
) -> None:
    limits = Limits()
    for _ in range(under_way):
        limits.begin("u")
    assert limits.is_full(upstream(max_concurrency=limit)) is is_full
    assert limits.under_way("u") == under_way


def test_ends_take_back_begins_and_never_go_below_zero() -> None:
    limits = Limits()
    for _ in range(3):
        limits.begin("u")
    for left in (2, 1, 0, 0):
        limits.end("u")
        assert limits.under_way("u") == left


@pytest.mark.parametrize(
    ("starts", "now", "free_at"),
    [
        ([], 0.0, 0.0),
        ([0.0], 5.0, 5.0),
        ([0.0, 10.0], 20.0, 60.0),
        ([0.0, 10.0], 59.9, 60.0),
        ([0.0, 10.0], 60.0, 60.0),
        ([0.0, 10.0, 20.0, 30.0], 40.0, 80.0),
    ],
)
def test_the_window_of_a_minute_slides(starts: list[float], now: float, free_at: float) -> None:
    limits = Limits()
    limited = upstream(requests_per_minute=2)
    for start in starts:
        limits.count_start(limited, start)
    assert limits.free_at(limited, now) == free_at
    assert limits.has_room(limited, now) is (free_at <= now)


def test_never_more_than_the_limit_begin_in_any_minute() -> None:
    limits = Limits()
    limited = upstream(requests_per_minute=3)
    now, starts = 0.0, []
    for _ in range(20):
        now = limits.free_at(limited, now + 1.0)
        limits.count_start(limited, now)
        starts.append(now)
    assert all(later - earlier >= 60 for earlier, later in zip(starts, starts[3:], strict=False))


def test_without_a_rate_limit_nothing_is_kept() -> None:
    limits = Limits()
    limits.count_start(upstream(), 0.0)
    assert limits.in_last_minute("u", 0.0) == 0


def test_a_start_that_never_came_to_be_is_taken_back() -> None:
    limits = Limits()
    limited = upstream(requests_per_minute=2)
    limits.withdraw_start("u")
    for start in (0.0, 1.0):
        limits.count_start(limited, start)
    limits.withdraw_start("u")
    assert limits.in_last_minute("u", 2.0) == 1
    assert limits.has_room(limited, 2.0)


def test_a_slot_needs_both_limits() -> None:
    limits = Limits()
    limited = upstream(max_concurrency=1, requests_per_minute=1)
    assert limits.has_room(limited, 0.0)
    limits.begin("u")
    limits.count_start(limited, 0.0)
    assert not limits.has_room(limited, 60.0)
    limits.end("u")
    assert [limits.has_room(limited, now) for now in (59.0, 60.0)] == [False, True]

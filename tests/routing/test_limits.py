from typing import Any

import pytest

from switchyard.routing.health import moved
from switchyard.routing.limits import Limits
from switchyard.settings import Settings, Upstream


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


def entries(*named: tuple[str, str], **limits: Any) -> Settings:
    return Settings(
        upstreams=tuple(
            Upstream(name=name, base_url="https://h.example", key=key, **limits) for name, key in named
        )
    )


def several(*keys: str) -> Settings:
    return Settings(upstreams=(Upstream(name="several", base_url="https://h.example", keys=keys),))


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (entries(("a", "K1")), entries(("a", "K1")), {}),
        (entries(("a", "K1")), entries(("b", "K1")), {"a\nK1": "b\nK1"}),
        (entries(("a", "")), entries(("b", "")), {"a": "b"}),
        (entries(("a", "K1")), entries(("a", "K2")), {}),
        (
            entries(("a", "K1"), ("b", "K2")),
            entries(("a", "K2"), ("b", "K1")),
            {"a\nK1": "b\nK1", "b\nK2": "a\nK2"},
        ),
        (entries(("a", "K1")), entries(("a", "K2"), ("b", "K1")), {"a\nK1": "b\nK1"}),
        (entries(("a", "K1")), entries(("b", "K1"), ("c", "K1")), {}),
        (several("K1", "K2"), several("K2", "K1"), {}),
        (several("K1", "K2"), entries(("several", "K2")), {}),
        (several("K1", "K2"), entries(("a", "K2")), {"several\nK2": "a\nK2"}),
    ],
)
def test_an_account_is_the_one_with_the_same_key(
    before: Settings, after: Settings, names: dict[str, str]
) -> None:
    assert moved(before, after) == names


def test_a_renamed_account_has_one_load_under_both_names() -> None:
    limits = Limits()
    before = entries(("a", "K1"), max_concurrency=2, requests_per_minute=3)
    after = entries(("b", "K1"), max_concurrency=2, requests_per_minute=3)
    old, new = before.upstreams[0], after.upstreams[0]
    limits.begin(old.account_id)
    limits.count_start(old, 0.0)

    limits.follow(before, after)
    limits.begin(new.account_id)
    limits.count_start(new, 1.0)

    assert [limits.is_full(one) for one in (old, new)] == [True, True]
    limits.end(old.account_id)
    assert [limits.under_way(one.account_id) for one in (old, new)] == [1, 1]
    limits.end(new.account_id)
    assert [limits.under_way(one.account_id) for one in (old, new)] == [0, 0]
    assert limits.in_last_minute(new.account_id, 2.0) == 2


def test_another_key_under_the_same_name_has_a_load_of_its_own() -> None:
    limits = Limits()
    before, after = entries(("a", "K1")), entries(("a", "K2"))
    old, new = before.upstreams[0].account_id, after.upstreams[0].account_id
    limits.begin(old)
    limits.follow(before, after)
    limits.begin(new)
    limits.end(old)
    assert (limits.under_way(old), limits.under_way(new)) == (0, 1)


def test_an_account_that_comes_back_still_has_its_requests() -> None:
    limits = Limits()
    here, gone = entries(("a", "K1")), entries(("b", "K2"))
    account = here.upstreams[0].account_id
    limits.begin(account)
    for before, after in ((here, gone), (gone, gone), (gone, here)):
        limits.follow(before, after)
    assert limits.under_way(account) == 1

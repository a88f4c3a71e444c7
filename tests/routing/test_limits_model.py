"""The limits of an upstream against a small model: so many at a time, so many in any 60 seconds."""

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from switchyard.routing.limits import Limits
from switchyard.settings import Settings, Upstream
from tests.bed.examples import modelled


class Event(NamedTuple):
    """After a pause a request wants to start, or the oldest running one ends."""

    pause: float
    starts: bool


EVENTS = st.lists(
    st.builds(
        Event, st.sampled_from([0.0, 0.5, 10.0, 29.5, 30.0, 60.0]), st.sampled_from([True, True, False])
    ),
    max_size=60,
)


@given(EVENTS, st.integers(0, 3), st.integers(0, 4))
@modelled
def test_a_request_starts_where_neither_limit_is_reached(
    events: list[Event], at_once: int, per_minute: int
) -> None:
    upstream = Upstream(
        name="u", base_url="https://h.example", max_concurrency=at_once, requests_per_minute=per_minute
    )
    limits, running, started, now = Limits(), 0, list[float](), 0.0
    for event in events:
        now += event.pause
        if not event.starts:
            running -= bool(running)
            limits.end("u")
            continue
        in_last_minute = sum(now - 60 < one for one in started)
        may_start = (not at_once or running < at_once) and (not per_minute or in_last_minute < per_minute)
        assert limits.has_room(upstream, now) is may_start
        if may_start:
            running, started = running + 1, [*started, now]
            limits.begin("u")
            limits.count_start(upstream, now)


Names = tuple[str, ...]
"""the names of the entries in an edit of the settings, in the order of `KEYS`"""
KEYS = ("", "K1", "K2")
NAMES: st.SearchStrategy[Names] = st.permutations("abcd").map(lambda names: tuple(names[: len(KEYS)]))
BEGUN = st.tuples(st.just("begin"), st.integers(0, 5))
ENDED = st.tuples(st.just("end"), st.integers(0, 20))


def named(names: Names) -> Settings:
    # the address tells apart what has no key
    return Settings(
        upstreams=tuple(
            Upstream(name=name, base_url=f"https://{key or 'local'}.example", key=key)
            for name, key in zip(names, KEYS, strict=True)
        )
    )


@given(NAMES, st.lists(st.one_of(NAMES.map(lambda names: ("edit", names)), BEGUN, ENDED), max_size=40))
@modelled
def test_whatever_is_renamed_each_slot_is_counted_once_until_it_is_released(
    first: Names, steps: list[tuple[str, Any]]
) -> None:
    limits, running = Limits(), list[Upstream]()
    before = settings = named(first)
    for what, value in steps:
        if what == "edit":
            before, settings = settings, named(value)
            limits.follow(before, settings)
        elif what == "begin":
            # a request goes on with the settings it began with
            running.append([*settings.upstreams, *before.upstreams][value])
            limits.begin(running[-1].account_id)
        elif running:
            limits.end(running.pop(value % len(running)).account_id)
        assert [limits.under_way(one.account_id) for one in settings.upstreams] == [
            sum(one.key == key for one in running) for key in KEYS
        ]

"""Which cooling-down upstreams a new request is held for, and after how many seconds it may try them."""

from datetime import UTC, datetime

import pytest

from switchyard.routing.health import Charge, Cooldown, Health
from switchyard.routing.hold import Probed, held_for, seconds_to_probe
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Moment
from switchyard.routing.route import Ask, Cooling, Route, State, choose_route
from switchyard.settings import Failover, Settings, Upstream

NOW = Moment(datetime(2026, 11, 21, 12, tzinfo=UTC), 1000.0)


@pytest.mark.parametrize(
    ("cooldown", "seconds"),
    [
        (Cooldown(1040.0, 3, "503 busy"), 0.0),
        (Cooldown(1040.0, 3, "503 busy", on_trial=True), 0.0),
        (Cooldown(1040.0, 3, "429 slow down", hinted=True), 40.0),
        (Cooldown(900.0, 3, "429 slow down", hinted=True), 0.0),
        (Cooldown(1040.0, 3, "401 bad key", passes=False), None),
    ],
)
def test_a_cooldown_is_probed_at_once_unless_the_upstream_sent_a_retry_after(
    cooldown: Cooldown, seconds: float | None
) -> None:
    assert seconds_to_probe(cooldown, NOW.monotonic) == seconds


def route(health: Health, *upstreams: Upstream, limits: Limits | None = None) -> Route:
    state = State(health, limits or Limits())
    ask = Ask("messages", "m", may_resort=False)
    return choose_route(Settings(upstreams=upstreams), state, ask, NOW)


def entry(name: str, limit: int = 0) -> Upstream:
    return Upstream(name=name, base_url=f"https://{name}.example", key="k", max_concurrency=limit)


def failing(*names: str) -> Health:
    health = Health()
    for name in names:
        health.failed(name, "m", Charge("cooldown"), "503 busy", Failover(), NOW.monotonic)
    return health


def test_a_new_request_is_held_for_all_that_are_cooling_down() -> None:
    found = held_for(route(failing("a", "b"), entry("a"), entry("b")), NOW.monotonic, 300)
    assert found == (Probed(("a", "m"), 0.0), Probed(("b", "m"), 0.0))


def test_no_request_is_held_where_one_can_answer_or_has_a_slot_soon_or_holding_is_off() -> None:
    limits = Limits()
    limits.begin("b")
    both = entry("a"), entry("b", limit=1)
    assert held_for(route(failing("a"), entry("a"), entry("b")), NOW.monotonic, 300) == ()
    assert held_for(route(failing("a"), *both, limits=limits), NOW.monotonic, 300) == ()
    assert held_for(route(failing("a"), entry("a")), NOW.monotonic, 0) == ()


@pytest.mark.parametrize(
    ("cooldown", "held"),
    [
        (Cooldown(NOW.monotonic + 200, 1, "429 slow down", hinted=True), True),
        (Cooldown(NOW.monotonic + 400, 1, "429 slow down", hinted=True), False),
        (Cooldown(NOW.monotonic + 400, 1, "503 busy"), True),
        (Cooldown(NOW.monotonic + 200, 1, "401 bad key", passes=False), False),
    ],
)
def test_no_request_is_held_for_a_permanent_failure_or_a_retry_after_beyond_its_time(
    cooldown: Cooldown, held: bool
) -> None:
    cooling = Cooling(Candidate(entry("a"), "m"), cooldown)
    found = held_for(Route((), (), (), (), cooling=(cooling,)), NOW.monotonic, 300)
    assert bool(found) is held

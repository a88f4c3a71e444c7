"""At which full upstreams a request waits for a slot, and until when."""

from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Skip
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.rules import Ruled
from switchyard.routing.slots import ROUNDING, wait_ends, worth_waiting_for
from switchyard.routing.uses import Use
from switchyard.settings import RouteRule, Upstream
from tests.routing.test_route import ASK, MONDAY_NOON, cooling, settings


def entry(name: str, **more: object) -> Upstream:
    return Upstream(**{"name": name, "base_url": f"https://{name}.example", **more})  # type: ignore[arg-type]


SKIPPED = (
    Skip("busy", "concurrency", "at its limit of 1 concurrent request"),
    Skip("limited", "rate", "at its limit of 1 request per minute", 130.0),
    Skip("cooling", "cooldown", "503", 120.0),
    Skip("off", "disabled", "disabled"),
)


def route(*skipped: Skip) -> Route:
    return Route((), (), skipped, ())


def full_route(*entries: dict[str, Any], ask: Ask = ASK, **more: Any) -> Route:
    """The route while all these entries are full."""
    found = settings(*({"max_concurrency": 1, **entry} for entry in entries))
    limits = Limits()
    for one in found.upstreams:
        limits.begin(one.name)
    state = State(limits=limits, **more)
    return choose_route(found, state, ask, MONDAY_NOON)


def waited_for(route: Route, *, with_rescues: bool = False) -> list[str]:
    return [one.name for one in worth_waiting_for(route, with_rescues=with_rescues)]


def test_only_limits_are_waited_for() -> None:
    found = settings({"max_concurrency": 1}, {}, {"enabled": False})
    state = cooling("u1")
    state.limits.begin("u0")
    assert waited_for(choose_route(found, state, ASK, MONDAY_NOON)) == ["u0"]


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        (({}, {}), ["u0", "u1"]),
        (({"priority": 10}, {"priority": 90}), ["u1", "u0"]),
        (({"role": "backup"}, {}), ["u1", "u0"]),
        (({"protocol": "chat"}, {}), ["u1", "u0"]),
        (({"role": "rescue"}, {}), ["u1"]),
    ],
)
def test_full_upstreams_are_waited_for_in_the_order_of_the_route(
    entries: tuple[dict[str, Any], ...], names: list[str]
) -> None:
    assert waited_for(full_route(*entries)) == names


def test_rescue_upstreams_are_waited_for_only_where_a_failure_calls_for_them() -> None:
    found = full_route({"role": "rescue"}, {})
    assert (waited_for(found), waited_for(found, with_rescues=True)) == (["u1"], ["u1", "u0"])


@pytest.mark.parametrize("role", ["primary", "backup", "rescue"])
def test_the_upstream_that_is_used_now_is_waited_for_first(role: str) -> None:
    found = full_route({}, {"role": role}, uses={"messages": Use("u1")})
    assert waited_for(found) == ["u1", "u0"]


@pytest.mark.parametrize("role", ["primary", "backup", "rescue"])
def test_the_upstreams_of_a_rule_are_waited_for_in_its_order(role: str) -> None:
    rule = RouteRule(upstreams=("u2", "u1"))
    found = full_route({}, {"priority": 90}, {"role": role}, ask=replace(ASK, ruled=Ruled(1, rule)))
    assert waited_for(found) == ["u2", "u1", "u0"]


@pytest.mark.parametrize(("latest", "ends"), [(110.0, 110.0), (140.0, 120.0 + ROUNDING)])
def test_a_wait_ends_with_the_first_cooldown_and_in_time(latest: float, ends: float) -> None:
    assert wait_ends(route(*SKIPPED), latest) == ends


def test_rescue_upstreams_come_first_and_only_where_a_failure_calls_for_them() -> None:
    regular, rescue = Candidate(entry("a"), "m"), Candidate(entry("r", role="rescue"), "m")
    found = Route((regular,), (rescue,), (), ())
    assert found.in_order(rescues_first=False) == (regular,)
    assert found.in_order(rescues_first=True) == (rescue, regular)

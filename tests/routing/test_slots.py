"""At which full upstreams a request waits for a slot, and until when."""

import pytest

from switchyard.routing.lineup import Candidate, Skip
from switchyard.routing.route import Route
from switchyard.routing.slots import ROUNDING, full_upstreams, wait_ends, worth_waiting_for
from switchyard.settings import Settings, Upstream


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


def test_only_limits_are_waited_for() -> None:
    assert full_upstreams(route(*SKIPPED)) == {"busy", "limited"}


def test_the_upstream_that_is_used_now_is_waited_for_first() -> None:
    entries = Settings(upstreams=(entry("r", role="rescue"), entry("spare", role="backup"), entry("main")))
    for used, names in (("spare", ["spare", "main"]), ("r", ["r", "main", "spare"])):
        found = worth_waiting_for(entries, {"r", "spare", "main"}, with_rescues=False, used=used)
        assert [one.name for one in found] == names


@pytest.mark.parametrize(
    ("with_rescues", "names"), [(False, ["main", "spare"]), (True, ["main", "spare", "r"])]
)
def test_the_best_full_upstream_is_waited_for_first(with_rescues: bool, names: list[str]) -> None:
    entries = (entry("r", role="rescue"), entry("spare", role="backup"), entry("free"), entry("main"))
    full = {"r", "spare", "main", "gone"}
    found = worth_waiting_for(Settings(upstreams=entries), full, with_rescues=with_rescues)
    assert [one.name for one in found] == names


@pytest.mark.parametrize(("latest", "ends"), [(110.0, 110.0), (140.0, 120.0 + ROUNDING)])
def test_a_wait_ends_with_the_first_cooldown_and_in_time(latest: float, ends: float) -> None:
    assert wait_ends(route(*SKIPPED), latest) == ends


def test_rescue_upstreams_come_first_and_only_where_a_failure_calls_for_them() -> None:
    regular, rescue = Candidate(entry("a"), "m"), Candidate(entry("r", role="rescue"), "m")
    found = Route((regular,), (rescue,), (), ())
    assert found.in_order(rescues_first=False) == (regular,)
    assert found.in_order(rescues_first=True) == (rescue, regular)

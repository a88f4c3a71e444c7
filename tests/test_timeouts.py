"""The timeouts of an upstream, and the time budget for finding one that answers."""

from typing import Any

import pytest

from switchyard.settings import Settings, TimeoutOverrides, Upstream
from switchyard.settings_validation import parse
from switchyard.timeouts import Timeouts, search_seconds, timeouts_of


def test_an_upstream_may_override_single_limits() -> None:
    upstream = Upstream(name="a", base_url="https://a.example", timeouts=TimeoutOverrides(idle=7))
    settings = Settings(timeouts=TimeoutOverrides(connect=3))
    assert timeouts_of(upstream, settings) == Timeouts(connect=3, first_byte=120, idle=7)


OLLAMA = {"name": "ollama", "base_url": "http://localhost:11434/v1", "protocol": "chat"}
VLLM = {"name": "vllm", "base_url": "http://gpu.example:8000/v1", "protocol": "chat", "server": "vllm"}
RELAY = {"name": "relay", "base_url": "http://127.0.0.1:5102/v1", "protocol": "chat"}
RESELLER = {"name": "reseller", "base_url": "https://reseller.example", "protocol": "chat"}


def limits(entry: dict[str, Any], **common: Any) -> Timeouts:
    settings = parse({"upstreams": [entry], **common}).settings
    return timeouts_of(settings.upstreams[0], settings)


@pytest.mark.parametrize(("entry", "first_byte"), [(OLLAMA, 600), (VLLM, 600), (RELAY, 120), (RESELLER, 120)])
def test_known_local_servers_get_600_seconds_for_the_first_byte(
    entry: dict[str, Any], first_byte: float
) -> None:
    assert limits(entry) == Timeouts(connect=10, first_byte=first_byte, idle=300)


@pytest.mark.parametrize("entry", [OLLAMA, VLLM, RESELLER])
@pytest.mark.parametrize("seconds", [60, 120, 600, 900])
def test_a_first_byte_that_the_user_sets_overrides_every_default(
    entry: dict[str, Any], seconds: float
) -> None:
    common = {"timeouts": {"first_byte": seconds}}
    assert limits(entry, **common).first_byte == seconds
    assert limits({**entry, "timeouts": {"first_byte": 33}}, **common).first_byte == 33
    assert limits({**entry, "timeouts": {"idle": 33}}, **common).first_byte == seconds


def test_other_common_limits_do_not_change_the_local_default() -> None:
    assert limits(OLLAMA, timeouts={"idle": 33}) == Timeouts(connect=10, first_byte=600, idle=33)


@pytest.mark.parametrize(
    ("entries", "failover", "seconds"),
    [
        ([RESELLER], {}, 600),
        ([], {}, 600),
        ([RESELLER, OLLAMA], {}, 1080),
        ([VLLM], {}, 1080),
        ([{**RESELLER, "timeouts": {"first_byte": 900}}], {}, 1380),
        ([{**OLLAMA, "timeouts": {"first_byte": 30}}], {}, 600),
        ([RESELLER], {"hold_seconds": 900}, 1020),
        ([OLLAMA], {"hold_seconds": 900}, 1500),
        ([RESELLER], {"hold_seconds": 0}, 600),
        ([OLLAMA], {"total_seconds": 600}, 600),
        ([OLLAMA], {"total_seconds": 60}, 60),
        ([RESELLER], {"total_seconds": 60, "hold_seconds": 900}, 60),
    ],
)
def test_the_time_budget_covers_the_longest_wait_and_the_hold_unless_the_user_sets_it(
    entries: list[dict[str, Any]], failover: dict[str, float], seconds: float
) -> None:
    settings = parse({"upstreams": entries, "failover": failover}).settings
    assert search_seconds(settings.upstreams, settings) == seconds

"""Fit before send: the prompt within the context window, its parts among what the upstream takes."""

from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.routing.fit import Needs, Overflow, answer_left, window_exceeded, window_fits
from switchyard.routing.health import Charge, Health
from switchyard.routing.limits import Limits
from switchyard.routing.route import Ask, State
from switchyard.routing.sessions import Affinity
from switchyard.settings import Failover
from tests.routing.test_route import MONDAY_NOON, names, route, settings, skips

LOCAL: dict[str, Any] = {
    "name": "local",
    "base_url": "http://localhost:8000",
    "server": "vllm",
    "context_window": 8000,
}
LARGE: dict[str, Any] = {"name": "large", "base_url": "https://h.example", "context_window": 200_000}
UNKNOWN: dict[str, Any] = {"name": "unknown", "base_url": "https://i.example"}
UNLIKELY: dict[str, Any] = {
    "name": "unlikely",
    "base_url": "https://api.openai.com/v1",
    "protocol": "responses",
}
ASK = Ask("messages", "claude-x")


def needing(tokens: int = 0, *parts: Any) -> Ask:
    return replace(ASK, needs=Needs(tokens, frozenset(parts)))


@pytest.mark.parametrize(
    ("window", "tokens", "fits", "exceeded"),
    [
        (0, 10_000_000, True, False),
        (8000, 7751, True, False),  # 0.9 x 7,751 + 1,024 = 8,000
        (8000, 7752, False, False),
        (8000, 10_666, False, False),  # 0.75 x 10,666 = 7,999.5
        (8000, 10_667, False, True),
        (8000, 25_000, False, True),
        (8000, 0, True, False),
        (500, 0, True, False),
    ],
)
def test_between_fitting_and_exceeding_lies_what_an_estimate_cannot_tell(
    window: int, tokens: int, fits: bool, exceeded: bool
) -> None:
    assert (window_fits(window, tokens), window_exceeded(window, tokens)) == (fits, exceeded)


@pytest.mark.parametrize(
    ("window", "tokens", "left"), [(131_072, 31_072, 100_000), (8000, 7900, 1024), (8000, 9000, 1024)]
)
def test_what_the_prompt_leaves_of_the_window_is_for_the_answer(window: int, tokens: int, left: int) -> None:
    assert answer_left(window, tokens) == left


def test_a_long_prompt_goes_to_the_upstream_into_whose_window_it_fits() -> None:
    found = route(settings(LOCAL, LARGE), needing(25_000))
    assert names(found) == ["large"]
    assert skips(found) == {
        "local": "the prompt has about 25,000 tokens, its context window has room for 8,000"
    }
    assert names(route(settings(LOCAL, LARGE), needing(2_000))) == ["local", "large"]


@pytest.mark.parametrize("tokens", [9000, 25_000])
def test_an_unknown_window_fits_every_prompt(tokens: int) -> None:
    assert names(route(settings(LOCAL, UNKNOWN), needing(tokens))) == ["unknown"]


def test_where_none_fits_for_certain_the_upstreams_decide() -> None:
    found = route(settings(LOCAL, LOCAL | {"name": "other", "context_window": 4000}), needing(9000))
    assert (names(found), found.overflow) == (["local"], None)
    assert "other" in skips(found)


def test_a_prompt_that_exceeds_every_window_is_sent_to_nobody() -> None:
    found = route(settings(LOCAL, LARGE), needing(300_000))
    assert (names(found), found.overflow) == ([], Overflow(300_000, 200_000))
    assert list(skips(found)) == ["local", "large"]


@pytest.mark.parametrize("role", ["primary", "backup"])
def test_an_upstream_that_is_unlikely_for_the_model_is_no_way_out_of_a_full_window(role: str) -> None:
    exceeded = route(settings(LOCAL, UNLIKELY | {"role": role}), needing(25_000))
    assert (names(exceeded), exceeded.overflow) == ([], Overflow(25_000, 8000))
    undecided = route(settings(LOCAL, UNLIKELY | {"role": role}), needing(9000))
    assert names(undecided) == ["local", "unlikely"]


def test_a_sole_unlikely_upstream_is_asked_with_any_prompt() -> None:
    found = route(settings(UNLIKELY), needing(25_000))
    assert (names(found), found.overflow) == (["unlikely"], None)


def test_a_larger_window_that_is_cooling_down_is_waited_for() -> None:
    """The smaller one would make the client compact a conversation that fits elsewhere."""
    health = Health()
    health.failed("large", "claude-x", Charge("cooldown"), "503", Failover(), MONDAY_NOON.monotonic)
    found = route(
        settings(LOCAL, LARGE),
        needing(
            25_000,
        ),
        state=State(health),
    )
    assert (names(found), found.last_resort, found.overflow) == (["large"], True, None)


def test_a_prompt_that_may_fit_is_tried_where_the_larger_window_has_failed() -> None:
    found = route(settings(LOCAL, LARGE), replace(needing(9000), tried=frozenset({"large"})))
    assert names(found) == ["local"]


DEEPSEEK: dict[str, Any] = {
    "name": "deepseek",
    "base_url": "https://api.deepseek.com/anthropic",
}  # reads no images


@pytest.mark.parametrize(
    ("part", "entry", "text"),
    [
        ("images", DEEPSEEK, "images"),
        ("files", LOCAL, "documents"),
        ("tools", UNKNOWN | {"capabilities": {"tools": False}}, "tools"),
        ("web_search", LOCAL, "web searches"),
        ("thinking", UNKNOWN | {"capabilities": {"reasoning_effort": "none"}}, "thinking"),
    ],
)
def test_what_an_upstream_does_not_take_goes_to_one_that_takes_it(
    part: str, entry: dict[str, Any], text: str
) -> None:
    found = route(settings(entry, LARGE), needing(0, part))
    assert names(found) == ["large"]
    assert skips(found) == {entry["name"]: f"it does not accept {text}, which this request needs"}
    assert names(route(settings(entry, LARGE))) == [entry["name"], "large"]
    assert names(route(settings(entry), needing(0, part))) == [entry["name"]]


def test_learned_limits_count_unless_the_file_says_otherwise() -> None:
    state = State(learned={("unknown", "claude-x"): {"images": False}})
    assert names(route(settings(UNKNOWN, LARGE), needing(0, "images"), state=state)) == ["large"]
    stated = UNKNOWN | {"capabilities": {"images": True}}
    assert names(route(settings(stated, LARGE), needing(0, "images"), state=state)) == ["unknown", "large"]


def test_the_demo_takes_everything() -> None:
    found = route(settings({"name": "demo", "base_url": "demo:"}), needing(1000, "images", "files"))
    assert names(found) == ["demo"]


def test_a_full_upstream_into_which_the_prompt_fits_is_waited_for() -> None:
    limits = Limits()
    limits.begin("large")
    found = route(settings(LOCAL, LARGE | {"max_concurrency": 1}), needing(9000), state=State(limits=limits))
    assert (names(found), [skip.reason for skip in found.skipped]) == ([], ["window", "concurrency"])


def test_a_conversation_leaves_an_upstream_that_it_has_outgrown() -> None:
    found = route(settings(LOCAL, LARGE), needing(25_000), affinity=Affinity("local", MONDAY_NOON.monotonic))
    assert names(found) == ["large"]


def test_rescue_upstreams_with_small_windows_are_left_out_too() -> None:
    found = route(settings(LOCAL | {"role": "rescue"}), needing(25_000))
    assert (found.rescues, found.overflow, list(skips(found))) == ((), None, ["local"])

"""A budget that nothing can reach is reported, and one that something may reach is not."""

import sys
from types import FrameType
from typing import Any

import pytest

from switchyard.settings import Budget, Price, Settings, Upstream
from switchyard.store.budget_reach import unlimited
from switchyard.store.prices import PriceBook

HARD = Budget(day_hard=5)
PRICE = Price(input=1, output=2)
LOCAL = 'its models are local and have no price; add one to prices, or set "local": false'


def upstream(**fields: Any) -> Upstream:
    return Upstream(**{"name": "a", "base_url": "https://relay.example.com", "budget": HARD, **fields})


def reasons(*upstreams: Upstream, **fields: Any) -> list[tuple[str, str]]:
    return [(one.path, one.reason) for one in unlimited(PriceBook(Settings(upstreams=upstreams, **fields)))]


OLLAMA = {"base_url": "http://127.0.0.1:11434"}
ENTRIES: list[tuple[dict[str, Any], dict[str, Price], str]] = [
    ({}, {}, ""),
    ({"models": ["gpt-5.5", "nobody-knows-it"]}, {}, ""),
    ({"models": ["gpt-*"]}, {}, ""),
    ({"models": {"*": "*"}}, {}, ""),
    ({"models": {"claude-*": "gpt-5.5"}}, {}, ""),
    ({"models": {"claude-*": "mine"}}, {}, 'no price is known for "mine"; add it to prices'),
    ({"model": "mine"}, {}, 'no price is known for "mine"; add it to prices'),
    ({"model": "mine"}, {"mine": PRICE}, ""),
    ({"model": "mine"}, {"a/*": PRICE}, ""),
    ({"model": "mine"}, {"b/*": PRICE}, 'no price is known for "mine"; add it to prices'),
    (
        {"models": ["m1", "m2", "m3", "m4"]},
        {},
        'no price is known for "m1", "m2", "m3" and 1 more; add it to prices',
    ),
    (OLLAMA, {}, LOCAL),
    (OLLAMA, {"a/*": PRICE}, ""),
    (OLLAMA, {"qwen*": PRICE}, ""),
    (OLLAMA, {"b/*": PRICE}, LOCAL),
    ({**OLLAMA, "local": False}, {}, ""),
    ({**OLLAMA, "models": ["gpt-5.5"]}, {}, LOCAL),
    ({"local": True}, {}, LOCAL),
    ({"base_url": "http://127.0.0.1:3000"}, {}, ""),
    ({"base_url": "demo:"}, {}, LOCAL),
    ({"price_multiplier": 0.0}, {}, "its price_multiplier is 0"),
    ({**OLLAMA, "budget": None}, {}, ""),
    ({**OLLAMA, "budget": Budget()}, {}, ""),
    ({**OLLAMA, "budget": Budget(month_soft=1)}, {}, LOCAL),
]


@pytest.mark.parametrize(("fields", "prices", "reason"), ENTRIES)
def test_a_budget_whose_upstream_has_no_price_is_reported_with_the_reason(
    fields: dict[str, Any], prices: dict[str, Price], reason: str
) -> None:
    expected = [("$.upstreams[0].budget", reason)] if reason else []
    entries = (upstream(**fields), upstream(name="b", budget=None))
    assert reasons(*entries, prices=prices) == expected


@pytest.mark.parametrize(
    ("entries", "is_reported"),
    [
        ([upstream(budget=None)], False),
        ([upstream(budget=None, local=True)], True),
        ([upstream(budget=None, local=True), upstream(name="b", budget=None)], False),
        ([upstream(budget=None, local=True), upstream(name="b", budget=None, enabled=False)], True),
        ([], False),
    ],
)
def test_the_budget_of_everything_needs_one_upstream_that_costs_something(
    entries: list[Upstream], is_reported: bool
) -> None:
    expected = [("$.budget", "no upstream has a model with a known price")] if is_reported else []
    assert reasons(*entries, budget=HARD) == expected


def test_patterns_of_other_models_take_no_look_at_each_of_them() -> None:
    calls = [0]

    def notice(frame: FrameType, event: str, argument: object) -> None:
        calls[0] += event == "call"

    def asked(patterns: int) -> int:
        prices = {f"other-{number}*": Price(input=1, output=2) for number in range(patterns)}
        book = PriceBook(Settings(upstreams=(upstream(models=["m"]),), prices=prices))
        calls[0] = 0
        sys.setprofile(notice)
        try:
            unlimited(book)
        finally:
            sys.setprofile(None)
        return calls[0]

    assert asked(500) < asked(1) + 100  # something else may be called in the meantime, such as a finalizer

from datetime import UTC, date, datetime
from typing import Any

import pytest

from switchyard.exchange import Attempt, Exchange, PriceUsed
from switchyard.protocols.neutral import Usage
from switchyard.settings import Price, ServerKind, Settings, Upstream
from switchyard.store.prices import (
    PriceBook,
    Priced,
    cost_of,
    is_local,
    price_for,
    price_table,
    price_used,
)

AT = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()  # a Saturday


def upstream(name: str = "relay", **fields: Any) -> Upstream:
    return Upstream(**{"name": name, "base_url": "https://relay.example.com", **fields})


def settings(prices: dict[str, Price] | None = None, *upstreams: Upstream) -> Settings:
    return Settings(upstreams=upstreams or (upstream(),), prices=prices or {})


# --- which price ---

OWN = Price(input=1, output=2)
OTHER = Price(input=3, output=4)

CHOICES = [
    ({"gpt-5": OWN}, "gpt-5", "settings: gpt-5"),
    ({"gpt-5": OWN}, "GPT-5", "settings: gpt-5"),
    ({"gpt-*": OWN}, "gpt-5", "settings: gpt-*"),
    ({"*": OTHER, "gpt-*": OWN}, "gpt-5", "settings: gpt-*"),
    ({"gpt-5": OWN, "gpt-*": OTHER}, "gpt-5", "settings: gpt-5"),
    ({"relay/*": OWN, "gpt-5": OTHER}, "gpt-5", "settings: relay/*"),
    ({"relay/gpt-*": OWN, "relay/*": OTHER}, "gpt-5", "settings: relay/gpt-*"),
    ({"elsewhere/*": OTHER, "*": OWN}, "gpt-5", "settings: *"),
    ({"*": OWN}, "nobody-knows-it", "settings: *"),
    ({"claude-x": OWN}, "claude-x[1m]", "settings: claude-x"),
    ({"*": OTHER, "claude-x": OWN}, "claude-x-thinking[1m]", "settings: claude-x"),
    ({"k2-thinking": OWN, "k2": OTHER}, "k2-thinking", "settings: k2-thinking"),
    ({"claude-x": OWN}, "claude-x-thinking", "settings: claude-x"),
]


@pytest.mark.parametrize(("prices", "model", "source"), CHOICES)
def test_the_most_specific_price_of_the_settings_holds(
    prices: dict[str, Price], model: str, source: str
) -> None:
    assert price_for("relay", model, settings(prices)) == Priced(OWN, 1.0, source)


PUBLISHED = [
    ("claude-sonnet-4-5-20250929", 3, 15),
    ("claude-sonnet-4-20250514", 3, 15),
    ("claude-opus-4-1-20250805", 15, 75),
    ("claude-opus-4-5-20251101", 5, 25),
    ("claude-haiku-4-5", 1, 5),
    ("claude-opus-5-5", 4, 20),
    ("claude-sonnet-5-5[1m]", 2, 10),
    ("claude-3-5-haiku-20241022", 0.8, 4),
    ("gpt-5", 1.25, 10),
    ("gpt-5-2025-08-07", 1.25, 10),
    ("gpt-5.2-codex", 1.75, 14),
    ("gpt-5-mini", 0.25, 2),
    ("gpt-4o-mini", 0.15, 0.6),
    ("gemini-2.5-pro", 1.25, 10),
    ("moonshotai/kimi-k2.6", 0.95, 4),
    ("moonshotai/kimi-k2-thinking", 0.6, 2.5),
    ("glm-4.6", 0.6, 2.2),
    ("claude-opus-4.0", 15, 75),
    ("claude-opus-4.8", 5, 25),
    ("claude-opus-4-5-thinking", 5, 25),
]


@pytest.mark.parametrize(("model", "input_price", "output_price"), PUBLISHED)
def test_without_a_price_in_the_settings_the_published_one_holds(
    model: str, input_price: float, output_price: float
) -> None:
    priced = price_for("relay", model, settings(), AT)
    assert priced is not None
    assert (priced.price.input, priced.price.output, priced.multiplier) == (input_price, output_price, 1.0)


@pytest.mark.parametrize(
    "model", ["", "qwen3-235b", "gpt-99", "gpt-5-2", "claude", "my-claude-opus-4-5-tuned"]
)
def test_an_unknown_model_is_unpriced(model: str) -> None:
    assert price_for("relay", model, settings()) is None


LOCAL: list[tuple[str, ServerKind, bool]] = [
    ("https://api.example.com", "auto", False),
    ("https://8.8.8.8/v1", "auto", False),
    ("https://api.example.com", "vllm", True),
    ("https://api.example.com", "ollama", True),
    ("http://localhost:8000", "auto", True),
    ("http://127.0.0.1:8000", "auto", True),
    ("http://[::1]:8000", "auto", True),
    ("http://192.168.1.5:8000", "auto", True),
    ("http://10.0.0.2", "openai", True),
    ("http://gpu.local:8000", "auto", True),
]


@pytest.mark.parametrize(("url", "server", "local"), LOCAL)
def test_servers_of_one_s_own_have_no_published_price(url: str, server: ServerKind, local: bool) -> None:
    own = upstream(base_url=url, server=server)
    assert is_local(own) is local
    assert (price_for("relay", "gpt-5", settings({}, own)) is None) is local
    assert price_for("relay", "gpt-5", settings({"gpt-5": OWN}, own)) == Priced(OWN, 1.0, "settings: gpt-5")


def test_the_demo_model_is_unpriced() -> None:
    assert price_for("relay", "gpt-5", settings({}, upstream(base_url="demo:"))) is None


def test_an_upstream_multiplies_the_price() -> None:
    cheap = settings({}, upstream(price_multiplier=0.25))
    priced = price_for("relay", "gpt-5", cheap)
    assert priced is not None
    used = price_used(Usage(input=1_000_000), priced)
    assert cost_of(Usage(input=1_000_000), used) == pytest.approx(1.25 * 0.25)


@pytest.mark.parametrize(
    ("moment", "factor"),
    [
        ("2026-11-20T00:59:59", 1),
        ("2026-11-20T01:00:00", 2),
        ("2026-11-20T03:59:59", 2),
        ("2026-11-20T04:00:00", 1),
        ("2026-11-20T09:59:59", 2),
        ("2026-11-21T02:00:00", 1),
    ],
)
def test_a_vendor_may_charge_more_at_peak_hours(moment: str, factor: float) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    priced = price_for("relay", "deepseek-flash", settings(), at)
    assert priced is not None
    assert priced.multiplier == factor


# --- what it comes to ---

FULL = Price(
    input=2,
    output=10,
    cache_read=0.2,
    cache_write_5m=2.5,
    cache_write_1h=4,
    long_context_over=1000,
    long_input=6,
    long_output=15,
    long_cache_read=0.7,
)

COSTS = [
    (Usage(input=1_000_000), Price(input=2, output=9), 2.0),
    (Usage(output=1_000_000), Price(input=2, output=9), 9.0),
    (Usage(output=1_000_000, reasoning=900_000), Price(input=2, output=9), 9.0),
    (Usage(cache_read=1_000_000), Price(input=2, output=9), 2.0),
    (Usage(cache_read=1_000_000), Price(input=2, output=9, cache_read=0), 0.0),
    (Usage(cache_write_5m=1_000_000), Price(input=2, output=9), 2.5),
    (Usage(cache_write_1h=1_000_000), Price(input=2, output=9), 4.0),
    (
        Usage(400, 400, 100, 100, 1000, 10),
        FULL,
        (400 * 2 + 400 * 0.2 + 100 * 2.5 + 100 * 4 + 1000 * 10) / 1e6,
    ),
    (
        Usage(401, 400, 100, 100, 1000, 10),
        FULL,
        (401 * 6 + 400 * 0.7 + 100 * 7.5 + 100 * 12 + 1000 * 15) / 1e6,
    ),
    (Usage(), FULL, 0.0),
    (Usage(input=5), Price(input=0, output=0), 0.0),
    (Usage(cache_read=2000), Price(input=0, output=0, long_context_over=1, long_input=3), 0.0),
]


@pytest.mark.parametrize(("usage", "price", "cost"), COSTS)
def test_each_kind_of_token_has_its_price(usage: Usage, price: Price, cost: float) -> None:
    assert cost_of(usage, price_used(usage, Priced(price, 1.0, "x"))) == pytest.approx(cost)


def test_a_long_prompt_of_a_published_model_costs_its_long_price() -> None:
    priced = price_for("relay", "claude-haiku-5-5", settings())
    assert priced is not None
    used = price_used(Usage(input=60_000, cache_read=40_001), priced)
    assert (used.input, used.output, used.cache_read) == (0.5, 2.5, 0.05)
    assert (used.cache_write_5m, used.cache_write_1h) == pytest.approx((0.625, 1.0))


def an_exchange(usage: Usage | None, *attempts: str) -> Exchange:
    tried = [Attempt(name, "gpt-5", "chat", "http://x", "", 0.0) for name in attempts]
    return Exchange("x", AT, "chat", "asked", attempts=tried, usage=usage)


def test_an_exchange_is_settled_with_the_upstream_that_answered() -> None:
    book = PriceBook(settings({"b/*": OWN, "a/*": OTHER}, upstream("a"), upstream("b", price_multiplier=3)))
    settled = an_exchange(Usage(input=1_000_000, output=1_000_000), "a", "b")
    book.settle(settled)
    assert settled.cost == pytest.approx(9.0)
    assert settled.price == PriceUsed(1, 2, 1, 1.25, 2, 3, "settings: b/*")


@pytest.mark.parametrize(
    "unsettled", [an_exchange(None, "relay"), an_exchange(Usage(input=5)), an_exchange(Usage(input=5), "own")]
)
def test_without_usage_or_price_there_is_no_cost(unsettled: Exchange) -> None:
    PriceBook(settings({}, upstream(), upstream("own", server="vllm"))).settle(unsettled)
    assert (unsettled.cost, unsettled.price) == (None, None)


def test_a_repeated_name_has_the_same_price() -> None:
    book = PriceBook(settings())
    assert book.price_for("relay", "gpt-5", AT) == book.price_for("relay", "gpt-5", AT)
    assert book.price_for("relay", "nix", AT) is book.price_for("relay", "nix", AT) is None


# --- the table ---


def test_every_published_price_is_dated_and_has_a_known_source() -> None:
    table = price_table()
    for entry in table.entries:
        assert entry.source in table.sources
        assert date(2025, 1, 1) <= date.fromisoformat(entry.checked) <= date.fromisoformat(table.date)


def test_no_model_is_in_the_table_twice() -> None:
    names = [name for entry in price_table().entries for name in entry.models]
    assert len(names) == len(set(names))


def test_published_prices_are_plausible() -> None:
    for entry in price_table().entries:
        price = entry.price
        assert 0 < price.input < price.output
        assert price.cache_read is None or price.cache_read < price.input
        assert price.long_input is None or price.long_input > price.input

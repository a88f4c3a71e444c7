from datetime import UTC, date, datetime
from typing import Any

import pytest

from switchyard.exchange import Answered, Attempt, Exchange, PriceUsed
from switchyard.protocols.neutral import Usage
from switchyard.settings import Price, Settings, Upstream
from switchyard.store.price_table import Entry, PriceTable, bundled_table
from switchyard.store.prices import (
    PriceBook,
    Priced,
    cost_of,
    price_for,
    price_used,
)
from switchyard.timeouts import LOCAL_FIRST_BYTE_SECONDS, default_timeouts

AT = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()  # a Saturday


def upstream(name: str = "relay", **fields: Any) -> Upstream:
    return Upstream(**{"name": name, "base_url": "https://relay.example.com", **fields})


def settings(prices: dict[str, Price] | None = None, *upstreams: Upstream) -> Settings:
    return Settings(upstreams=upstreams or (upstream(),), prices=prices or {})


def cost(usage: Usage, priced: Priced) -> float | None:
    used = price_used(usage, priced)
    return None if used is None else cost_of(usage, used)


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


LOCAL: list[tuple[str, dict[str, Any], bool]] = [
    ("https://api.example.com", {}, False),
    ("https://8.8.8.8/v1", {}, False),
    ("https://api.example.com", {"server": "vllm"}, True),
    ("https://api.example.com", {"server": "ollama", "local": False}, False),
    ("https://api.example.com", {"local": True}, True),
    ("http://localhost:8000", {}, False),
    ("http://127.0.0.1:3000", {}, False),
    ("http://[::1]:8000", {}, False),
    ("http://192.168.1.5:8000", {}, False),
    ("http://10.0.0.2", {"server": "openai"}, False),
    ("http://gpu.local:8000", {}, False),
    ("http://127.0.0.1:11434", {}, True),
    ("http://192.168.1.5:1234", {}, True),
    ("http://127.0.0.1:11434", {"local": False}, False),
    ("http://127.0.0.1:8000", {"local": True}, True),
    ("http://127.0.0.1:8000", {"server": "llama.cpp"}, True),
    ("http://127.0.0.1:30000", {"server": "sglang"}, True),
    ("http://127.0.0.1:3000", {"server": "llama.cpp", "local": "auto"}, True),
]


@pytest.mark.parametrize(("url", "fields", "local"), LOCAL)
def test_only_known_local_servers_and_those_that_the_entry_calls_local_have_no_published_price(
    url: str, fields: dict[str, Any], local: bool
) -> None:
    own = upstream(base_url=url, **fields)
    assert own.is_local is local
    assert (price_for("relay", "gpt-5", settings({}, own)) is None) is local
    assert price_for("relay", "gpt-5", settings({"gpt-5": OWN}, own)) == Priced(OWN, 1.0, "settings: gpt-5")
    assert (default_timeouts(own).first_byte == LOCAL_FIRST_BYTE_SECONDS) is local


@pytest.mark.parametrize("fields", [{"server": "vllm"}, {"local": True}, {"base_url": "demo:"}])
def test_an_exchange_with_a_local_model_is_marked_and_has_no_cost(fields: dict[str, Any]) -> None:
    exchange = an_exchange(Usage(input=5), "relay")
    PriceBook(settings({}, upstream(**fields))).settle(exchange)
    assert (exchange.local, exchange.cost) == (True, None)


@pytest.mark.parametrize(
    ("url", "fields", "server", "local"),
    [
        ("http://127.0.0.1:8080", {}, "llama.cpp", True),
        ("http://192.168.1.5:8080", {}, "LLama.cpp", True),
        ("http://127.0.0.1:8080", {}, "uvicorn", False),
        ("http://127.0.0.1:8080", {}, "", False),
        ("https://api.example.com", {}, "llama.cpp", False),
        ("http://127.0.0.1:8080", {"local": False}, "llama.cpp", False),
        ("http://127.0.0.1:8080", {"server": "openai"}, "llama.cpp", False),
        ("http://127.0.0.1:8080", {}, "fp_ollama", True),
        ("https://api.example.com", {}, "fp_ollama", False),
        ("http://127.0.0.1:8080", {}, "fp_44709d6fcb", False),
    ],
)
def test_an_answer_in_a_private_network_may_name_a_local_server(
    url: str, fields: dict[str, Any], server: str, local: bool
) -> None:
    exchange = an_exchange(Usage(input=1_000_000), "relay")
    exchange.attempts[0].server, exchange.answered = server, Answered(fingerprint=server)
    PriceBook(settings({}, upstream(base_url=url, **fields))).settle(exchange)
    assert (exchange.local, exchange.cost) == ((True, None) if local else (False, 1.25))
    given = an_exchange(Usage(input=1_000_000), "relay")
    given.attempts[0].server, given.answered = server, Answered(fingerprint=server)
    PriceBook(settings({"gpt-5": OWN}, upstream(base_url=url, **fields))).settle(given)
    assert given.cost == 1.0


def test_the_demo_model_is_unpriced() -> None:
    assert price_for("relay", "gpt-5", settings({}, upstream(base_url="demo:"))) is None


def test_an_upstream_multiplies_the_price() -> None:
    cheap = settings({}, upstream(price_multiplier=0.25))
    priced = price_for("relay", "gpt-5", cheap)
    assert priced is not None
    assert cost(Usage(input=1_000_000), priced) == pytest.approx(1.25 * 0.25)


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


@pytest.mark.parametrize(("usage", "price", "expected"), COSTS)
def test_each_kind_of_token_has_its_price(usage: Usage, price: Price, expected: float) -> None:
    assert cost(usage, Priced(price, 1.0, "x")) == pytest.approx(expected)


def test_a_long_prompt_of_a_published_model_costs_its_long_price() -> None:
    priced = price_for("relay", "claude-haiku-5-5", settings())
    assert priced is not None
    used = price_used(Usage(input=60_000, cache_read=40_001), priced)
    assert used is not None
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


# --- what the answer reports ---

TIERED = Price(
    input=2, output=10, cache_read=0.2, tiers={"priority": 2, "flex": 0.5}, fees={"web_search": 0.01}
)
TIER_COSTS: list[tuple[Usage, bool, float | None]] = [
    (Usage(input=1_000_000), True, 2.0),
    (Usage(input=1_000_000, tier="priority"), True, 4.0),
    (Usage(input=1_000_000, tier="flex"), True, 1.0),
    (Usage(cache_read=1_000_000, output=1_000_000, tier="flex"), True, 5.1),
    (Usage(input=1_000_000, tier="scale"), True, None),
    (Usage(input=1_000_000, tier="scale"), False, 2.0),
    (Usage(input=1_000_000, tier="flex"), False, 1.0),
    (Usage(input=1_000_000, searches=3), True, 2.03),
    (Usage(input=1_000_000, searches=3, tier="priority"), True, 4.03),
]


@pytest.mark.parametrize(("usage", "is_published", "expected"), TIER_COSTS)
def test_the_tier_and_the_searches_of_the_answer_change_the_price(
    usage: Usage, is_published: bool, expected: float | None
) -> None:
    found = cost(usage, Priced(TIERED, 1.0, "x", is_published=is_published))
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_reseller_multiplies_fees_too_and_the_record_says_what_was_charged() -> None:
    used = price_used(Usage(searches=2, tier="flex"), Priced(TIERED, 0.5, "x", is_published=True))
    assert used == PriceUsed(1, 5, 0.1, 1.25, 2, 0.5, "x", "flex", 0.02)
    assert cost_of(Usage(searches=2), used) == pytest.approx(0.01)


PUBLISHED_TIERS = [
    ("claude-opus-5-5", "fast", 2),
    ("claude-opus-4-8", "fast", 2),
    ("claude-sonnet-4-5", "batch", 0.5),
    ("gpt-5.5", "priority", 2.5),
    ("gpt-5.5", "flex", 0.5),
    ("gpt-5.5", "batch", 0.5),
    ("o3", "priority", 1.75),
    ("o4-mini", "flex", 0.5),
    ("gemini-2.5-pro", "priority", 1.8),
]


@pytest.mark.parametrize(("model", "tier", "factor"), PUBLISHED_TIERS)
def test_the_table_has_the_factors_of_the_tiers(model: str, tier: str, factor: float) -> None:
    priced = price_for("relay", model, settings())
    assert priced is not None
    normal, tiered = (cost(Usage(output=1_000_000, tier=one), priced) for one in ("", tier))
    assert normal and tiered == pytest.approx(normal * factor)


@pytest.mark.parametrize(
    ("tokens", "price_in", "price_out"),
    [(1, 1, 5), (32_000, 1, 5), (32_001, 1.8, 9), (128_001, 3, 15), (256_001, 6, 60)],
)
def test_a_model_may_have_several_prices_by_length(tokens: int, price_in: float, price_out: float) -> None:
    priced = price_for("relay", "qwen3-coder-plus", settings())
    assert priced is not None
    used = price_used(Usage(input=tokens), priced)
    assert used is not None and (used.input, used.output) == (price_in, price_out)


# --- the table ---

SPELLINGS = [
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3.3),
    ("bedrock/eu.anthropic.claude-opus-4-8", 5.5),
    ("global.anthropic.claude-sonnet-5-5", 2),
    ("anthropic.claude-3-5-sonnet-20241022-v2:0", 3),
    ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", 3),
    ("claude-sonnet-4-5@20250929", 3),
    ("publishers/anthropic/models/claude-opus-4-5@default", 5),
    ("vertex_ai/claude-haiku-4-5@20251001", 1),
    ("anthropic/claude-sonnet-4.5", 3),
    ("o3", 2),
    ("o3-2025-04-16", 2),
    ("openai/o4-mini", 1.1),
    ("qwen3-coder-plus", 1),
    ("qwen/qwen3-max", 1.2),
    ("Qwen/Qwen3-Coder-480B-A35B-Instruct", 0.45),
    ("qwen.qwen3-32b-v1:0", 0.15),
    ("zai-org/GLM-4.6", 0.6),
    ("zai.glm-4.7", 0.6),
    ("glm-5.1", 1.4),
    ("moonshotai/Kimi-K2.6", 0.95),
    ("moonshot.kimi-k2-thinking", 0.6),
    ("deepseek-ai/DeepSeek-V3.2", 0.28),
    ("us.deepseek.r1-v1:0", 0.55),
    ("deepseek-chat", 0.28),
    ("MiniMaxAI/MiniMax-M2", 0.3),
    ("minimax.minimax-m2.5", 0.3),
    ("openai.gpt-oss-120b-1:0", 0.15),
    ("grok-code-fast-1", 1),
]


@pytest.mark.parametrize(("model", "price_in"), SPELLINGS)
def test_a_model_is_found_under_the_spellings_of_clouds_and_relays(model: str, price_in: float) -> None:
    priced = price_for("relay", model, settings(), AT)
    assert priced is not None
    assert priced.price.input == price_in


def test_the_stored_table_comes_before_the_bundled_one() -> None:
    newer = PriceTable(
        "2026-12-24", "USD", {"X": "x.example"}, [Entry(["GPT-5", "new-model"], "X", "2026-12-24", OWN)]
    )
    book = PriceBook(settings(), newer)
    found = {
        model: book.price_for("relay", model, AT) for model in ("openai/gpt-5", "new-model", "o3", "nix")
    }
    assert {model: priced and priced.source for model, priced in found.items()} == {
        "openai/gpt-5": "X 2026-12-24",
        "new-model": "X 2026-12-24",
        "o3": "OpenAI 2026-11-27",
        "nix": None,
    }


def test_every_published_price_is_dated_and_has_a_known_source() -> None:
    table = bundled_table()
    for entry in table.entries:
        assert entry.source in table.sources
        assert date(2025, 1, 1) <= date.fromisoformat(entry.checked) <= date.fromisoformat(table.date)


def test_no_model_is_in_the_table_twice() -> None:
    names = [name for entry in bundled_table().entries for name in entry.models]
    assert len(names) == len(set(names))


def test_published_prices_are_plausible() -> None:
    for entry in bundled_table().entries:
        price = entry.price
        assert 0 < price.input <= price.output
        assert price.cache_read is None or price.cache_read < price.input
        assert all(0.1 <= factor <= 10 for factor in price.tiers.values())
        assert all(0 < fee <= 0.1 for fee in price.fees.values())
        assert all(step.over and step.input > price.input for step in entry.steps)
        assert price.long_input is None or price.long_input > price.input

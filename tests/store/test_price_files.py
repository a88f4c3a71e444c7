"""A newer price table is validated, kept beside the settings, and used at once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from switchyard.settings import Price, Settings
from switchyard.store.price_files import FILE_NAME, NoPriceTable, StoredPrices, read_prices, store_prices
from switchyard.store.price_list import table_of_list
from switchyard.store.price_table import Entry, Peak, Step, bundled_table
from switchyard.store.prices import PriceBook

DAY = "2026-12-24"
NOON = 1_798_113_600.0  # on that day


def row(provider: str = "openai", **fields: Any) -> dict[str, Any]:
    usual = {
        "litellm_provider": provider,
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 5e-6,
    }
    return usual | fields


LIST = {
    "sample_spec": {"mode": "one of"},
    "gpt-9": row(
        cache_read_input_token_cost=1e-7,
        input_cost_per_token_priority=2e-6,
        output_cost_per_token_priority=1e-5,
        input_cost_per_token_flex=5e-7,
        output_cost_per_token_flex=4e-6,
        input_cost_per_token_above_200k_tokens=2e-6,
        output_cost_per_token_above_200k_tokens=7.5e-6,
        search_context_cost_per_query={"search_context_size_medium": 0.01},
    ),
    "gpt-9-2026-12-01": row(
        cache_read_input_token_cost=1e-7,
        input_cost_per_token_priority=2e-6,
        output_cost_per_token_priority=1e-5,
        input_cost_per_token_flex=5e-7,
        output_cost_per_token_flex=4e-6,
        input_cost_per_token_above_200k_tokens=2e-6,
        output_cost_per_token_above_200k_tokens=7.5e-6,
        search_context_cost_per_query={"search_context_size_medium": 0.01},
    ),
    "gpt-9-audio": row(),
    "claude-9": row("anthropic", provider_specific_entry={"us": 1.1, "fast": 2}),
    "anthropic.claude-9": row("bedrock"),
    "us.anthropic.claude-opus-9": row("bedrock_converse"),
    "qwen.qwen9-v1:0": row("bedrock"),
    "dashscope/qwen9-plus": {
        "litellm_provider": "dashscope",
        "mode": "chat",
        "tiered_pricing": [
            {"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            {"range": [1000, 2000], "input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6},
            {"range": [2000, 9000], "input_cost_per_token": 3e-6, "output_cost_per_token": 6e-6},
        ],
    },
    "deepseek/deepseek-v9": row(
        "deepseek",
        off_peak_pricing={
            "input_cost_per_token": 5e-7,
            "output_cost_per_token": 2.5e-6,
            "windows": [
                {"hours_utc": ["00:00-01:00", "04:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
            ],
        },
    ),
    "reseller/gpt-9": row("reseller", input_cost_per_token=9e-6),
    "free": row(input_cost_per_token=0),
}


def test_a_list_becomes_a_table_of_the_vendors_own_prices() -> None:
    table = table_of_list(LIST, DAY)
    long: dict[str, Any] = {"long_context_over": 200_000, "long_input": 2, "long_output": 7.5}
    steps = [Step(1000, 2, 4), Step(2000, 3, 6)]
    peak = Peak(2, [0, 1, 2, 3, 4], [1, 2, 3])
    assert table.entries == [
        Entry(["claude-9"], "Anthropic", DAY, Price(input=1, output=5, tiers={"fast": 2})),
        Entry(["deepseek-v9"], "DeepSeek", DAY, Price(input=0.5, output=2.5), peak=peak),
        Entry(
            ["gpt-9"],
            "OpenAI",
            DAY,
            Price(
                input=1, output=5, cache_read=0.1, tiers={"priority": 2}, fees={"web_search": 0.01}, **long
            ),
        ),
        Entry(["qwen9", "us.anthropic.claude-opus-9"], "Amazon Bedrock", DAY, Price(input=1, output=5)),
        Entry(["qwen9-plus"], "Alibaba Cloud", DAY, Price(input=1, output=2), steps),
    ]


def table_text(**fields: Any) -> str:
    table = {
        "date": DAY,
        "currency": "USD",
        "sources": {"X": "x.example"},
        "entries": [
            {
                "models": ["m"],
                "source": "X",
                "checked": DAY,
                "price": {"input": 1, "output": 2},
            }
        ],
    }
    return json.dumps(table | fields)


@pytest.mark.parametrize("content", [table_text(), json.dumps(LIST)])
def test_a_stored_table_is_used_from_the_next_look_on(tmp_path: Path, content: str) -> None:
    (tmp_path / "new.json").write_text(content)
    stored = StoredPrices(tmp_path)
    stored.refresh()
    assert stored.table is None
    table = store_prices(tmp_path, tmp_path / "new.json", lambda: NOON)
    assert table.date == DAY
    stored.refresh()
    assert stored.table == table
    (tmp_path / FILE_NAME).unlink()
    stored.refresh()
    assert (stored.table, stored.fault) == (None, "")


INVALID = [
    "",
    "{",
    "[]",
    "{}",
    '{"entries": []}',
    table_text(entries=[]),
    table_text(date="yesterday"),
    table_text(
        entries=[{"models": ["m"], "source": "X", "checked": DAY, "price": {"input": -1, "output": 2}}]
    ),
    table_text(entries=[{"models": ["m"], "source": "X", "checked": DAY, "price": {"input": 1}}]),
    json.dumps({"gpt-9": row("reseller")}),
    json.dumps({"gpt-9": row(input_cost_per_token=-1e-6)}),
    json.dumps({"gpt-9": row(input_cost_per_token=1e12)}),
    json.dumps({"gpt-9": row(output_cost_per_token="5")}),
    json.dumps({"x": row("deepseek", off_peak_pricing={})}),
    json.dumps({"x": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [{}]}}),
]


@pytest.mark.parametrize("content", INVALID)
def test_a_file_without_valid_prices_changes_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "new.json").write_text(content)
    with pytest.raises(NoPriceTable):
        store_prices(tmp_path, tmp_path / "new.json", lambda: NOON)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_damaged_stored_table_is_reported_and_the_bundled_prices_apply(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_text(table_text())
    stored = StoredPrices(tmp_path)
    stored.refresh()
    file.write_text('{"date": 5}')
    os.utime(file, (1, 1))
    stored.refresh()
    assert stored.table is None
    assert stored.fault.startswith(f"The price table {file} is not used, the bundled prices apply: ")
    assert PriceBook(Settings(), stored.table).price_for("a", "gpt-5.5", 0.0) is not None


def test_the_bundled_table_is_a_table_that_could_be_stored() -> None:
    content = (Path(__file__).resolve().parents[2] / "switchyard" / "store" / FILE_NAME).read_bytes()
    assert read_prices(content, DAY) == bundled_table()

"""Write the bundled price table from LiteLLM's list of prices, and from the few prices below that it has no more.

    python scripts/price_table.py litellm-1.110.2-....whl 2026-11-27

The list is in the wheel (`pip download --no-deps litellm`) or a JSON file; the day is the one it was published on.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.settings import Price  # noqa: E402
from switchyard.store.price_list import table_of_list  # noqa: E402
from switchyard.store.price_table import BUNDLED, Entry, PriceTable, index_of  # noqa: E402

TABLE = ROOT / "switchyard" / "store" / BUNDLED
LIST = "litellm/model_prices_and_context_window_backup.json"

ELSEWHERE: tuple[tuple[str, str, Price, tuple[str, ...]], ...] = (
    (
        "Anthropic",
        "2026-07-29",
        Price(input=3, output=15, cache_read=0.3, cache_write_5m=3.75, cache_write_1h=6),
        ("claude-sonnet-4", "claude-sonnet-4-0", "claude-3-7-sonnet", "claude-3-5-sonnet"),
    ),
    (
        "Anthropic",
        "2026-07-29",
        Price(input=15, output=75, cache_read=1.5, cache_write_5m=18.75, cache_write_1h=30),
        ("claude-opus-4", "claude-opus-4-0", "claude-opus-4-1", "claude-3-opus"),
    ),
    (
        "Anthropic",
        "2026-07-29",
        Price(input=0.8, output=4, cache_read=0.08, cache_write_5m=1, cache_write_1h=1.6),
        ("claude-3-5-haiku",),
    ),
    (
        "Anthropic",
        "2026-07-29",
        Price(input=0.25, output=1.25, cache_read=0.03, cache_write_5m=0.3, cache_write_1h=0.5),
        ("claude-3-haiku",),
    ),
    ("OpenAI", "2026-08-21", Price(input=1.5, output=6, cache_read=0.375), ("codex-mini",)),
    ("OpenAI", "2026-07-31", Price(input=5, output=30, cache_read=0.5), ("gpt-5.5-codex",)),
    ("OpenAI", "2026-05-07", Price(input=1.75, output=14, cache_read=0.175), ("gpt-5.3",)),
    (
        "OpenAI",
        "2025-07-04",
        Price(input=10, output=30),
        ("gpt-4-turbo-preview", "gpt-4-0125-preview"),
    ),
    ("OpenAI", "2025-07-04", Price(input=30, output=60), ("gpt-4-0314",)),
    ("OpenAI", "2025-07-04", Price(input=0.5, output=1.5), ("gpt-35-turbo",)),
    (
        "Google",
        "2026-02-23",
        Price(
            input=2,
            output=12,
            cache_read=0.2,
            long_context_over=200_000,
            long_input=4,
            long_output=18,
            long_cache_read=0.4,
        ),
        ("gemini-3-pro-preview",),
    ),
    (
        "Moonshot AI",
        "2026-03-11",
        Price(input=0.6, output=2.5, cache_read=0.15),
        ("kimi-k2-0711-preview", "kimi-k2-0905-preview", "kimi-k2-thinking"),
    ),
    (
        "Moonshot AI",
        "2026-03-11",
        Price(input=1.15, output=8, cache_read=0.15),
        ("kimi-k2-turbo-preview", "kimi-k2-thinking-turbo"),
    ),
)
"""Prices that the list has no more, of models that resellers still serve; each from the vendor's page of that day."""


def content_of(path: Path) -> dict[str, Any]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            found: dict[str, Any] = json.loads(wheel.read(LIST))
        return found
    found = json.loads(path.read_text(encoding="utf-8"))
    return found


def with_others(table: PriceTable) -> PriceTable:
    """The table, and the prices that it does not have."""
    known = index_of(table)
    others = []
    for source, checked, price, models in ELSEWHERE:
        missing = [model for model in models if model not in known]
        if missing:
            others.append(Entry(sorted(missing), source, checked, price))
    entries = sorted([*table.entries, *others], key=lambda entry: (entry.source, entry.models[0]))
    return PriceTable(table.date, table.currency, table.sources, entries)


def rendered(table: PriceTable) -> str:
    """One line for each entry, so that a change is a line of the comparison."""
    lines = ",\n".join(f"    {json.dumps(_short(msgspec.to_builtins(entry)))}" for entry in table.entries)
    sources = json.dumps(dict(sorted(table.sources.items())), indent=4).replace("\n}", "\n  }")
    return (
        f'{{\n  "date": "{table.date}",\n  "currency": "{table.currency}",\n'
        f'  "sources": {sources},\n  "entries": [\n{lines}\n  ]\n}}\n'
    )


def _short(value: Any) -> Any:
    """Whole numbers without a point."""
    match value:
        case dict():
            return {name: _short(part) for name, part in value.items()}
        case list():
            return [_short(part) for part in value]
        case float() if value.is_integer():
            return int(value)
    return value


def main(path: str, day: str) -> None:
    table = with_others(table_of_list(content_of(Path(path)), day))
    TABLE.write_text(rendered(table), encoding="utf-8")
    names = sum(len(entry.models) for entry in table.entries)
    print(f"{TABLE.relative_to(ROOT)}: {names} models in {len(table.entries)} entries")


if __name__ == "__main__":
    main(*sys.argv[1:])

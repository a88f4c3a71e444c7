"""Convert LiteLLM's list of prices to a price table: the vendors' own prices, under the names that clients use.

https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchyard.settings import HostedTool, Price
from switchyard.store.price_table import Entry, Peak, PriceTable, Step, spellings, undressed

Json = Mapping[str, Any]

SOURCES = {
    "anthropic": ("Anthropic", "platform.claude.com/docs/en/about-claude/pricing"),
    "openai": ("OpenAI", "developers.openai.com/api/docs/pricing"),
    "gemini": ("Google", "ai.google.dev/gemini-api/docs/pricing"),
    "deepseek": ("DeepSeek", "api-docs.deepseek.com/quick_start/pricing"),
    "zai": ("Z.ai", "docs.z.ai/guides/overview/pricing"),
    "moonshot": ("Moonshot AI", "platform.kimi.ai/docs/pricing"),
    "minimax": ("MiniMax", "platform.minimax.io/docs/guides/pricing"),
    "xai": ("xAI", "docs.x.ai/docs/models"),
    "dashscope": ("Alibaba Cloud", "www.alibabacloud.com/help/en/model-studio/models"),
    "mistral": ("Mistral AI", "mistral.ai/pricing"),
    "bedrock": ("Amazon Bedrock", "aws.amazon.com/bedrock/pricing"),
    "bedrock_converse": ("Amazon Bedrock", "aws.amazon.com/bedrock/pricing"),
}
"""The providers of the list; the first one that has a model wins: its vendor, then the cloud that hosts it."""
CLOUD = "Amazon Bedrock"
OPEN_MODELS = re.compile(r"(?:qwen|moonshot|moonshotai|zai|minimax|openai)\.[^.]")
REGIONAL = re.compile(r"(?:us|eu|apac|jp|au)\.anthropic\.claude-(?!3|\w+-4-(?:1-)?20)")
"""Claude 4.5 and later cost more there; other names of Bedrock are spellings of the vendor's"""
GUESTS = {"dashscope": re.compile("deepseek|glm|kimi"), "mistral": re.compile("deepseek|glm")}
"""models that a vendor only hosts"""
OTHER_KINDS = re.compile(
    r"audio|realtime|image|tts|transcri|embed|live|robotics|lyria|omni|^ft:|container|-search-|voxtral|learnlm|gemma|ocr|^chat-latest$"
)
MODES = ("chat", "responses")
TIERS = {"priority": "priority", "flex": "flex", "batches": "batch", "ultrafast": "ultrafast"}
FACTOR_TOLERANCE = 0.02
ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")


class Found(msgspec.Struct, frozen=True):
    """What one row of the list says."""

    source: str
    price: Price
    steps: list[Step]
    peak: Peak | None


def table_of_list(content: Json, day: str) -> PriceTable:
    """The table of a list as it was on this day. Raises ValueError if it has none of the known models."""
    prices: dict[str, Found] = {}
    for provider, (source, _) in SOURCES.items():
        for name, row in _rows(content, provider):
            found = _found(source, row)
            if found is not None:
                prices.setdefault(name, found)
    if not prices:
        raise ValueError("it has no price of a known vendor")
    return PriceTable(day, "USD", dict(SOURCES.values()), list(_entries(_needed(prices), day)))


def _rows(content: Json, provider: str) -> Iterator[tuple[str, Json]]:
    """The models of a provider under their own names; regional names of Bedrock have prices of their own."""
    for key, row in content.items():
        if (
            not isinstance(row, dict)
            or row.get("litellm_provider") != provider
            or row.get("mode") not in MODES
        ):
            continue
        name = key.lower().rpartition("/")[2]
        if SOURCES[provider][0] == CLOUD:
            name = _name_at_cloud(key.lower())
        if provider in GUESTS and GUESTS[provider].search(name):
            continue
        if name and not OTHER_KINDS.search(name):
            yield name, row


def _name_at_cloud(key: str) -> str:
    """The vendor's name of an open model, the whole name of a regional one; "" for all others."""
    if REGIONAL.match(key):
        return key
    return undressed(key) if OPEN_MODELS.match(key) else ""


def _found(source: str, row: Json) -> Found | None:
    """None if the row has no price of tokens."""
    off_peak = row.get("off_peak_pricing")
    peak = _peak(row, off_peak) if isinstance(off_peak, dict) else None
    base: Json = {**row, **off_peak} if peak is not None and isinstance(off_peak, dict) else row
    first, *longer = [_step(base, 0), *_above(row)] if "tiered_pricing" not in row else _tiered(row)
    if not first.input or not first.output:
        return None
    only = longer[0] if len(longer) == 1 else None
    price = Price(
        input=first.input,
        output=first.output,
        cache_read=first.cache_read,
        cache_write_5m=_per_million(base, "cache_creation_input_token_cost") or None,
        cache_write_1h=_per_million(base, "cache_creation_input_token_cost_above_1hr") or None,
        long_context_over=only.over if only else 0,
        long_input=only.input if only else None,
        long_output=only.output if only else None,
        long_cache_read=only.cache_read if only else None,
        tiers=_tiers(row),
        fees=_fees(row),
    )
    return Found(source, price, longer if only is None else [], peak)


def _tiered(row: Json) -> list[Step]:
    return [_step(tier, int(tier["range"][0])) for tier in row["tiered_pricing"]]


def _above(row: Json) -> list[Step]:
    sizes = sorted(int(found[1]) for name in row if (found := ABOVE.fullmatch(name)))
    return [_step(row, size * 1000, f"_above_{size}k_tokens") for size in sizes]


def _step(row: Json, over: int, suffix: str = "") -> Step:
    return Step(
        over,
        _per_million(row, f"input_cost_per_token{suffix}"),
        _per_million(row, f"output_cost_per_token{suffix}"),
        _per_million(row, f"cache_read_input_token_cost{suffix}") or None,
    )


def _tiers(row: Json) -> dict[str, float]:
    """The factors of the service tiers, as far as input and output have the same."""
    tiers = {}
    for suffix, tier in TIERS.items():
        factors = [
            _per_million(row, f"{kind}_{suffix}") / normal
            for kind in ("input_cost_per_token", "output_cost_per_token")
            if (normal := _per_million(row, kind)) and row.get(f"{kind}_{suffix}")
        ]
        if len(factors) == 2 and abs(factors[0] - factors[1]) <= FACTOR_TOLERANCE:
            tiers[tier] = round(factors[0], 4)
    fast = (row.get("provider_specific_entry") or {}).get("fast")
    return tiers | ({"fast": float(fast)} if fast else {})


def _fees(row: Json) -> dict[HostedTool, float]:
    """What the vendor charges for each web search."""
    fee = (row.get("search_context_cost_per_query") or {}).get("search_context_size_medium")
    return {"web_search": fee} if fee else {}


def _peak(row: Json, off_peak: Json) -> Peak | None:
    """The hours that are not off-peak, if they are the same on each day that has some."""
    cheap = [(_hours(window["hours_utc"]), window["weekdays"]) for window in off_peak["windows"]]
    dear = {
        weekday - 1: frozenset(range(24)).difference(*(hours for hours, days in cheap if weekday in days))
        for weekday in range(1, 8)
    }
    weekdays = [weekday for weekday, hours in dear.items() if hours]
    factor = row["input_cost_per_token"] / off_peak["input_cost_per_token"]
    if len({dear[weekday] for weekday in weekdays}) != 1:
        return None
    return Peak(round(factor, 4), weekdays, sorted(dear[weekdays[0]]))


def _hours(windows: str | list[str]) -> set[int]:
    hours: set[int] = set()
    for window in [windows] if isinstance(windows, str) else windows:
        start, _, end = window.partition("-")
        hours.update(range(int(start[:2]), int(end[:2]) or 24))
    return hours


def _needed(prices: Mapping[str, Found]) -> dict[str, Found]:
    """Without the names that are found under another spelling, at the same price."""
    return {name: found for name, found in prices.items() if not _is_spelling(name, found, prices)}


def _is_spelling(name: str, found: Found, prices: Mapping[str, Found]) -> bool:
    other = next((prices[one] for one in spellings(name) if one in prices and one != name), None)
    if other is None:
        return False
    if found.source == CLOUD:
        return (found.price.input, found.price.output) == (other.price.input, other.price.output)
    return found == other


def _entries(prices: Mapping[str, Found], day: str) -> Iterator[Entry]:
    """One entry for all models of a source with the same price, sorted."""
    grouped: dict[bytes, list[str]] = {}
    for name, found in prices.items():
        grouped.setdefault(msgspec.json.encode(found), []).append(name)
    for names in sorted((sorted(names) for names in grouped.values()), key=lambda names: names[0]):
        found = prices[names[0]]
        yield Entry(names, found.source, day, found.price, found.steps, found.peak)


def _per_million(row: Json, name: str) -> float:
    value = row.get(name)
    return round(value * 1_000_000, 6) if isinstance(value, int | float) else 0.0

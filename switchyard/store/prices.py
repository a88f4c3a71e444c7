"""Compute the cost of an exchange from the price in the settings, else from the bundled price table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Exchange, PriceUsed
from switchyard.protocols.names import LONG_CONTEXT_SUFFIX, THINKING_SUFFIX, matches, specificity
from switchyard.protocols.neutral import Usage
from switchyard.protocols.presets import LOCAL_SERVERS, has_private_address
from switchyard.settings import Price, Settings, Upstream

TABLE = "price_table.json"
MILLION = 1_000_000
MAX_FOUND = 2000
MAX_SOURCE = 200
# the multiples of the input price that vendors charge for cache tokens
CACHE_WRITE_5M_FACTOR = 1.25
CACHE_WRITE_1H_FACTOR = 2.0


class Peak(msgspec.Struct, frozen=True):
    """Hours (UTC) of some weekdays (Monday is 0) in which a vendor charges `factor` times the price."""

    factor: float
    weekdays: list[int]
    hours_utc: list[int]

    def factor_at(self, at: float) -> float:
        moment = datetime.fromtimestamp(at, UTC)
        return self.factor if moment.weekday() in self.weekdays and moment.hour in self.hours_utc else 1.0


class Entry(msgspec.Struct, frozen=True):
    """The price of the models that match some names or globs, according to `source` on the day `checked`."""

    models: list[str]
    source: str
    checked: str
    price: Price
    peak: Peak | None = None


class PriceTable(msgspec.Struct, frozen=True):
    """Published prices per million tokens; `sources` names the page of each vendor."""

    date: str
    currency: str
    sources: dict[str, str]
    entries: list[Entry]


class Priced(msgspec.Struct, frozen=True):
    """A price, the multiplier of the upstream, and the source of the price."""

    price: Price
    multiplier: float
    source: str


@cache
def price_table() -> PriceTable:
    """The bundled table."""
    content = resources.files("switchyard.store").joinpath(TABLE).read_bytes()
    return msgspec.json.decode(content, type=PriceTable)


class PriceBook:
    """The prices for one state of the settings, looked up once for each upstream and model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._found: dict[tuple[str, str], tuple[Priced | None, Peak | None]] = {}

    def price_for(self, upstream: str, model: str, at: float) -> Priced | None:
        """The price of a model at an upstream at a time; None if it is not known."""
        found = self._found.get((upstream, model))
        if found is None:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            found = self._found[upstream, model] = self._find(upstream, model)
        priced, peak = found
        if priced is None or peak is None:
            return priced
        return replace(priced, multiplier=priced.multiplier * peak.factor_at(at))

    def settle(self, exchange: Exchange) -> None:
        """Set the cost and the price used, if usage and price are known."""
        last = exchange.attempts[-1] if exchange.attempts else None
        if exchange.usage is None or last is None:
            return
        priced = self.price_for(last.upstream, last.model, exchange.at)
        if priced is not None:
            exchange.price = price_used(exchange.usage, priced)
            exchange.cost = cost_of(exchange.usage, exchange.price)

    def _find(self, name: str, model: str) -> tuple[Priced | None, Peak | None]:
        upstream = self.settings.upstream(name)
        multiplier = upstream.price_multiplier if upstream is not None else 1.0
        given = _given_price(self.settings.prices, name, model)
        if given is not None:
            pattern, price = given
            return Priced(price, multiplier, f"settings: {pattern}"[:MAX_SOURCE]), None
        if upstream is not None and (upstream.is_demo or is_local(upstream)):
            return None, None
        entry = _published(model)
        if entry is None:
            return None, None
        return Priced(entry.price, multiplier, f"{entry.source} {entry.checked}"), entry.peak


def price_for(upstream: str, model: str, settings: Settings, at: float = 0.0) -> Priced | None:
    """The price of a model at an upstream at a time; None if it is not known."""
    return PriceBook(settings).price_for(upstream, model, at)


def price_used(usage: Usage, priced: Priced) -> PriceUsed:
    """The price per million tokens that applies to this usage: its tier and its cache prices."""
    price = priced.price
    is_long = 0 < price.long_context_over < usage.total_input
    normal_input = price.input
    input_price = _either(price.long_input if is_long else None, normal_input)
    # a long request raises the cache prices in proportion to the input price
    factor = input_price / normal_input if normal_input else 1.0
    read = _either(price.cache_read, normal_input) * factor
    return PriceUsed(
        input=input_price,
        output=_either(price.long_output if is_long else None, price.output),
        cache_read=_either(price.long_cache_read if is_long else None, read),
        cache_write_5m=_either(price.cache_write_5m, normal_input * CACHE_WRITE_5M_FACTOR) * factor,
        cache_write_1h=_either(price.cache_write_1h, normal_input * CACHE_WRITE_1H_FACTOR) * factor,
        multiplier=priced.multiplier,
        source=priced.source,
    )


def cost_of(usage: Usage, price: PriceUsed) -> float:
    """The cost of this usage."""
    sums = (
        usage.input * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write_5m * price.cache_write_5m
        + usage.cache_write_1h * price.cache_write_1h
        + usage.output * price.output
    )
    return sums / MILLION * price.multiplier


def is_local(upstream: Upstream) -> bool:
    """True for a local server, which has no price."""
    return upstream.server in LOCAL_SERVERS or has_private_address(upstream.base_url)


def _given_price(prices: Mapping[str, Price], upstream: str, model: str) -> tuple[str, Price] | None:
    """The most specific price of the settings; one that names the upstream comes first."""
    for prefix in (f"{upstream}/", ""):
        fitting = [
            pattern
            for pattern in prices
            for name in _spellings(model)
            if matches(pattern, prefix + name) and _names_upstream(pattern, upstream, prefix + name)
        ]
        if fitting:
            best = max(fitting, key=specificity)
            return best, prices[best]
    return None


def _names_upstream(pattern: str, upstream: str, name: str) -> bool:
    """False for a glob such as `*`."""
    begins = f"{upstream}/".lower()
    return not name.lower().startswith(begins) or pattern.lower().startswith(begins)


def _published(model: str) -> Entry | None:
    # some relays write "vendor/model"
    for known_as in (model, model.rpartition("/")[2]):
        fitting = [
            (specificity(glob), entry)
            for entry in price_table().entries
            for glob in entry.models
            for name in _spellings(known_as)
            if matches(glob, name)
        ]
        if fitting:
            return max(fitting, key=lambda found: found[0])[1]
    return None


def _spellings(model: str) -> tuple[str, ...]:
    """The name, and the name without its suffixes: a few vendors use these suffixes themselves."""
    short = model.removesuffix(LONG_CONTEXT_SUFFIX)
    return tuple(dict.fromkeys((model, short, short.removesuffix(THINKING_SUFFIX))))


def _either(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value

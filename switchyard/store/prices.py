"""Compute the cost of an exchange from the price in the settings, else from the published prices."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Exchange, PriceUsed
from switchyard.protocols.names import LONG_CONTEXT_SUFFIX, THINKING_SUFFIX, matches, specificity
from switchyard.protocols.neutral import Usage
from switchyard.protocols.presets import answers_as_local
from switchyard.settings import HostedTool, Price, Settings, Upstream
from switchyard.store.price_table import Entry, Peak, PriceTable, Step, bundled_table, index_of, spellings

MILLION = 1_000_000
MAX_FOUND = 2000
MAX_SOURCE = 200
WEB_SEARCH: HostedTool = "web_search"
# the multiples of the input price that vendors charge for cache tokens
CACHE_WRITE_5M_FACTOR = 1.25
CACHE_WRITE_1H_FACTOR = 2.0


class Priced(msgspec.Struct, frozen=True):
    """A price, the multiplier of the upstream, and the source of the price.

    `steps` are further prices of long requests. A price of the settings holds for each tier that it does not name.
    """

    price: Price
    multiplier: float
    source: str
    steps: tuple[Step, ...] = ()
    is_published: bool = False


class Found(msgspec.Struct, frozen=True):
    """What is known of a model at an upstream. `usual`: the price of all requests without a tier and without fees."""

    priced: Priced | None = None
    peak: Peak | None = None
    usual: PriceUsed | None = None

    def at(self, moment: float) -> Priced | None:
        if self.priced is None or self.peak is None:
            return self.priced
        return replace(self.priced, multiplier=self.priced.multiplier * self.peak.factor_at(moment))


UNPRICED = Found()


class PriceBook:
    """The prices for one state of the settings, looked up once for each upstream and model.

    `newer` is a table that the user has stored: its prices come before the bundled ones.
    """

    def __init__(self, settings: Settings, newer: PriceTable | None = None) -> None:
        self.settings = settings
        self.newer = newer
        self._tables = [index_of(table) for table in (newer, bundled_table()) if table is not None]
        self._beginnings = tuple(map(_beginning, settings.prices))
        self._found: dict[tuple[str, str], Found] = {}

    def price_for(self, upstream: str, model: str, at: float) -> Priced | None:
        """The price of a model at an upstream at a time; None if it is not known."""
        return self._looked_up(upstream, model).at(at)

    def _looked_up(self, upstream: str, model: str) -> Found:
        found = self._found.get((upstream, model))
        if found is None:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            found = self._found[upstream, model] = self._find(upstream, model)
        return found

    def settle(self, exchange: Exchange) -> None:
        """Set the cost and the price used, if usage and price are known."""
        last = exchange.attempts[-1] if exchange.attempts else None
        if exchange.usage is None or last is None:
            return
        upstream = self.settings.upstream(last.upstream)
        exchange.local = upstream is not None and (
            has_no_price(upstream) or _answered_locally(upstream, last, exchange)
        )
        found, usage = self._looked_up(last.upstream, last.model), exchange.usage
        if found.priced is None or (exchange.local and found.priced.is_published):
            return
        used = None if usage.tier or usage.searches else found.usual
        if used is None and (priced := found.at(exchange.at)) is not None:
            used = price_used(usage, priced)
        if used is not None:
            exchange.price = used
            exchange.cost = cost_of(usage, used)

    def _find(self, name: str, model: str) -> Found:
        upstream = self.settings.upstream(name)
        multiplier = upstream.price_multiplier if upstream is not None else 1.0
        given = _given_price(self.settings.prices, self._beginnings, name, model)
        if given is not None:
            pattern, price = given
            return _found(Priced(price, multiplier, f"settings: {pattern}"[:MAX_SOURCE]))
        if upstream is not None and has_no_price(upstream):
            return UNPRICED
        entry = self._published(model)
        if entry is None:
            return UNPRICED
        source = f"{entry.source} {entry.checked}"
        return _found(Priced(entry.price, multiplier, source, tuple(entry.steps), True), entry.peak)

    def _published(self, model: str) -> Entry | None:
        for table in self._tables:
            for name in spellings(model):
                if name in table:
                    return table[name]
        return None


def _found(priced: Priced, peak: Peak | None = None) -> Found:
    varies = bool(priced.steps or priced.price.long_context_over or peak)
    return Found(priced, peak, None if varies else price_used(Usage(), priced))


def price_for(upstream: str, model: str, settings: Settings, at: float = 0.0) -> Priced | None:
    """The price of a model at an upstream at a time; None if it is not known."""
    return PriceBook(settings).price_for(upstream, model, at)


def price_used(usage: Usage, priced: Priced) -> PriceUsed | None:
    """The price per million tokens that applies to this usage: its tier, its length and its cache prices.

    None if the answer names a tier whose published price is not known.
    """
    price = priced.price
    tier = price.tiers.get(usage.tier, 1.0) if usage.tier else 1.0
    if usage.tier and priced.is_published and usage.tier not in price.tiers:
        return None
    step = _step(usage.total_input, priced)
    normal_input = price.input
    # a long request raises the cache prices in proportion to the input price
    factor = step.input / normal_input if normal_input else 1.0
    read = _either(price.cache_read, normal_input) * factor
    return PriceUsed(
        input=step.input * tier,
        output=step.output * tier,
        cache_read=_either(step.cache_read if step.over else None, read) * tier,
        cache_write_5m=_either(price.cache_write_5m, normal_input * CACHE_WRITE_5M_FACTOR) * factor * tier,
        cache_write_1h=_either(price.cache_write_1h, normal_input * CACHE_WRITE_1H_FACTOR) * factor * tier,
        multiplier=priced.multiplier,
        source=priced.source,
        tier=usage.tier,
        fees=usage.searches * price.fees.get(WEB_SEARCH, 0.0) if usage.searches else 0,
    )


def _step(tokens: int, priced: Priced) -> Step:
    """The price of a request of this length."""
    price = priced.price
    steps = [Step(0, price.input, price.output), *priced.steps]
    if price.long_context_over:
        long_input, long_output = (
            _either(price.long_input, price.input),
            _either(price.long_output, price.output),
        )
        steps.append(Step(price.long_context_over, long_input, long_output, price.long_cache_read))
    return [step for step in steps if step.over < tokens or not step.over][-1]


def cost_of(usage: Usage, price: PriceUsed) -> float:
    """The cost of this usage."""
    sums = (
        usage.input * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write_5m * price.cache_write_5m
        + usage.cache_write_1h * price.cache_write_1h
        + usage.output * price.output
    )
    return (sums / MILLION + price.fees) * price.multiplier


def has_no_price(upstream: Upstream) -> bool:
    """True for local servers and the demo model: only the settings can give them a price."""
    return upstream.is_demo or upstream.is_local


def _answered_locally(upstream: Upstream, attempt: Attempt, exchange: Exchange) -> bool:
    if upstream.local != "auto" or upstream.server != "auto":
        return False
    fingerprint = exchange.answered.fingerprint if exchange.answered is not None else ""
    return answers_as_local(attempt.server, fingerprint, upstream.base_url)


def _given_price(
    prices: Mapping[str, Price], beginnings: tuple[str, ...], upstream: str, model: str
) -> tuple[str, Price] | None:
    """The most specific price of the settings; one that names the upstream comes first."""
    for prefix in (f"{upstream}/", ""):
        names = [f"{prefix}{name}" for name in _spellings(model)]
        # most often no pattern begins like the name, which one call finds
        if not any(name.lower().startswith(beginnings) for name in names):
            continue
        fitting = [
            pattern
            for pattern, beginning in zip(prices, beginnings, strict=True)
            for name in names
            if name.lower().startswith(beginning)
            and matches(pattern, name)
            and _names_upstream(pattern, upstream, name)
        ]
        if fitting:
            best = max(fitting, key=specificity)
            return best, prices[best]
    return None


def _beginning(pattern: str) -> str:
    """Of each name that matches."""
    return pattern.lower().partition("*")[0].partition("?")[0]


def _names_upstream(pattern: str, upstream: str, name: str) -> bool:
    """False for a glob such as `*`."""
    begins = f"{upstream}/".lower()
    return not name.lower().startswith(begins) or pattern.lower().startswith(begins)


def _spellings(model: str) -> tuple[str, ...]:
    """The name, and the name without its suffixes: a few vendors use these suffixes themselves."""
    short = model.removesuffix(LONG_CONTEXT_SUFFIX)
    return tuple(dict.fromkeys((model, short, short.removesuffix(THINKING_SUFFIX))))


def _either(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value

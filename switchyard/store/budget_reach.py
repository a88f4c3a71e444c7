"""Find the budgets that can never apply, because nothing that they limit has a price."""

from collections.abc import Iterable, Iterator

import msgspec

from switchyard.protocols.names import is_glob
from switchyard.settings import Settings, Upstream
from switchyard.store.budgets import is_set
from switchyard.store.prices import PriceBook, has_no_price

MAX_NAMED = 3


class Unlimited(msgspec.Struct, frozen=True):
    """A budget without an effect: its path in the file, its owner and the reason."""

    path: str
    owner: str
    reason: str

    @property
    def notice(self) -> str:
        return f"The budget of {self.owner} cannot apply: {self.reason}"


def unlimited(book: PriceBook) -> tuple[Unlimited, ...]:
    """All budgets that cannot apply with these prices."""
    return tuple(_unlimited(book, book.settings))


def _unlimited(book: PriceBook, settings: Settings) -> Iterator[Unlimited]:
    for index, upstream in enumerate(settings.upstreams):
        if upstream.budget is not None and is_set(upstream.budget) and (reason := _reason(upstream, book)):
            yield Unlimited(f"$.upstreams[{index}].budget", f'upstream "{upstream.name}"', reason)
    used = [upstream for upstream in settings.upstreams if upstream.enabled]
    if is_set(settings.budget) and used and all(_reason(upstream, book) for upstream in used):
        yield Unlimited("$.budget", "all upstreams", "no upstream has a model with a known price")


def _reason(upstream: Upstream, book: PriceBook) -> str:
    """Why nothing of this upstream costs anything; "" if something may."""
    if upstream.price_multiplier == 0:
        return "its price_multiplier is 0"
    models = named_models(upstream)
    if models is None:
        return "" if not has_no_price(upstream) or _may_be_given(upstream, book) else _LOCAL
    unpriced = [model for model in models if book.price_for(upstream.name, model, 0.0) is None]
    if len(unpriced) < len(models):
        return ""
    return (
        _LOCAL if has_no_price(upstream) else f"no price is known for {_listed(unpriced)}; add it to prices"
    )


_LOCAL = 'its models are local and have no price; add one to prices, or set "local": false'


def _may_be_given(upstream: Upstream, book: PriceBook) -> bool:
    """True if the settings have a price that models of this upstream may have."""
    own = f"{upstream.name}/".lower()
    names = [other.name.lower() for other in book.settings.upstreams]
    return any(
        pattern.lower().startswith(own) or pattern.partition("/")[0].lower() not in names
        for pattern in book.settings.prices
    )


def named_models(upstream: Upstream) -> list[str] | None:
    """All models that are sent to it, if the entry names them."""
    models, deployment = upstream.models, upstream.model
    if not models:
        return [deployment] if deployment else None
    if isinstance(models, dict):
        sent = [value if value not in ("", "*") else deployment or name for name, value in models.items()]
    else:
        sent = [deployment or name for name in models]
    return None if any(is_glob(name) for name in sent) else list(dict.fromkeys(sent))


def _listed(names: Iterable[str]) -> str:
    first = list(names)
    shown = ", ".join(f'"{name}"' for name in first[:MAX_NAMED])
    return f"{shown} and {len(first) - MAX_NAMED} more" if len(first) > MAX_NAMED else shown

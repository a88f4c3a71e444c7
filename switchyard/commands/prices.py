"""`prices`: the price that applies to each upstream and model, and where it comes from; store a newer table."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from switchyard.commands.command import Action, CommandFailed, loaded, price_book
from switchyard.plural import plural
from switchyard.settings import Upstream
from switchyard.store.budget_reach import named_models
from switchyard.store.price_files import FILE_NAME, NoPriceTable, store_prices
from switchyard.store.price_table import bundled_table
from switchyard.store.prices import PriceBook, Priced, has_no_price

ANY_MODEL = "(any model)"


def prices(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.data)
    if arguments.update is not None:
        print(_update(folder, Path(arguments.update)))
        return 0
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    book = price_book(arguments, settings_file.settings)
    print("\n".join(prices_text(book, arguments.model, time.time())))
    return 0


def _update(folder: Path, file: Path) -> str:
    try:
        table = store_prices(folder, file, time.time)
    except NoPriceTable as reason:
        raise CommandFailed(f"{file}: nothing was changed, {reason}.") from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or file}: {error.strerror or error}") from None
    models = sum(len(entry.models) for entry in table.entries)
    return (
        f"{folder / FILE_NAME}: prices of {plural(models, 'model')}, dated {table.date}. A running Switchyard uses "
        "them within seconds; models that they do not have keep their bundled price."
    )


def prices_text(book: PriceBook, models: list[str], at: float) -> Iterator[str]:
    """The tables in use, and a line for each upstream and model."""
    if book.newer is not None:
        yield f"stored table: {book.newer.date}"
    yield f"bundled table: {bundled_table().date}"
    for upstream in book.settings.upstreams:
        yield f'\nupstream "{upstream.name}"{_multiplied(upstream)}'
        for model in models or named_models(upstream) or [ANY_MODEL]:
            yield f"  {model}: {price_text(book, upstream, model, at)}"


def price_text(book: PriceBook, upstream: Upstream, model: str, at: float) -> str:
    priced = None if model == ANY_MODEL else book.price_for(upstream.name, model, at)
    if priced is not None:
        return _money(priced)
    if has_no_price(upstream):
        return "no price, as it is local"
    return "by the name of the model" if model == ANY_MODEL else "unpriced; add it to `prices`"


def _multiplied(upstream: Upstream) -> str:
    return f", prices times {upstream.price_multiplier:g}" if upstream.price_multiplier != 1 else ""


def _money(priced: Priced) -> str:
    price = priced.price
    parts = [f"input {price.input:g}", f"output {price.output:g}"]
    if price.cache_read is not None:
        parts.append(f"cache read {price.cache_read:g}")
    longer = [step.over for step in priced.steps] or [price.long_context_over]
    parts += [f"more above {over} tokens" for over in longer if over]
    parts += [f"{tier} times {factor:g}" for tier, factor in price.tiers.items()]
    parts += [f"{tool} {fee:g} each" for tool, fee in price.fees.items()]
    return f"{', '.join(parts)} ({priced.source})"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="*", help="models as they are sent to the upstream")
    parser.add_argument(
        "--update",
        metavar="FILE",
        help="store a newer table: one of Switchyard, or LiteLLM's model_prices_and_context_window.json",
    )


ACTION = Action(_arguments, prices)

"""The types shared by all sub-commands."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from switchyard.faults import SettingsError
from switchyard.settings import Settings
from switchyard.store.price_files import StoredPrices
from switchyard.store.prices import PriceBook
from switchyard.store.settings_file import SettingsFile


class CommandFailed(Exception):
    """One sentence for the user; the exit code is 1."""


class Action(msgspec.Struct, frozen=True):
    """What a sub-command accepts and does."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def loaded(arguments: argparse.Namespace) -> SettingsFile | None:
    """The settings of the data folder; None if they have errors, which are then printed to stderr."""
    settings_file = SettingsFile(Path(arguments.data))
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        errors = "1 error" if len(error.faults) == 1 else f"{len(error.faults)} errors"
        print(f"{settings_file.path}: {errors}", file=sys.stderr)
        return None
    return settings_file


def price_book(arguments: argparse.Namespace, settings: Settings) -> PriceBook:
    """The prices that apply with the data folder."""
    stored = StoredPrices(Path(arguments.data))
    stored.refresh()
    if stored.fault:
        print(f"note: {stored.fault}", file=sys.stderr)
    return PriceBook(settings, stored.table)


def no_arguments(parser: argparse.ArgumentParser) -> None:
    return

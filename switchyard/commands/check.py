"""`check`: is the settings file valid?"""

import argparse
from collections.abc import Iterator

from switchyard.commands.command import Command, loaded, no_arguments
from switchyard.settings import Settings, Timeouts, timeouts_of


def check(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    for warning in settings_file.warnings:
        print(f"note: {warning}")
    settings = settings_file.settings
    for note in _notes(settings):
        print(f"note: {note}")
    print(
        f"{settings_file.path}: valid, {len(settings.upstreams)} upstreams, {len(settings.model_rules)} model rules"
    )
    return 0


def _notes(settings: Settings) -> Iterator[str]:
    """The limits for the first byte that are not the usual one, and what they leave no time for."""
    total = settings.failover.total_seconds
    for upstream in settings.upstreams:
        seconds = timeouts_of(upstream, settings).first_byte
        if seconds == Timeouts().first_byte:
            continue
        by_default = not (upstream.timeouts.first_byte or settings.timeouts.first_byte)
        why = ", as a known local server" if by_default else ""
        yield f'upstream "{upstream.name}" {first_byte_text(seconds)}{why}'
        if total is not None and total <= seconds:
            yield f"that is the whole time budget: failover.total_seconds is {total:g}; unset, it fits the upstreams"


def first_byte_text(seconds: float) -> str:
    return f"has {seconds:g} s for its first byte"


CHECK = Command("validate the settings file and report each error with its location", no_arguments, check)

"""`check`: validate the settings file."""

import argparse
from collections.abc import Iterator

from switchyard.commands.command import Command, loaded, no_arguments
from switchyard.plural import plural
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
        f"{settings_file.path}: valid, {plural(len(settings.upstreams), 'upstream')}, "
        f"{plural(len(settings.model_rules), 'model rule')}"
    )
    return 0


def _notes(settings: Settings) -> Iterator[str]:
    """The upstreams whose first-byte timeout is not the default, and what this leaves no time for."""
    total = settings.failover.total_seconds
    for upstream in settings.upstreams:
        seconds = timeouts_of(upstream, settings).first_byte
        if seconds == Timeouts().first_byte:
            continue
        by_default = not (upstream.timeouts.first_byte or settings.timeouts.first_byte)
        why = ", as it is a known local server" if by_default else ""
        yield f'upstream "{upstream.name}" {first_byte_text(seconds)}{why}'
        if total is not None and total <= seconds:
            yield f"that is the whole time budget: failover.total_seconds is {total:g}; unset, it fits the upstreams"


def first_byte_text(seconds: float) -> str:
    return f"has a first-byte timeout of {seconds:g} s"


CHECK = Command("validate the settings file and report each error with its location", no_arguments, check)

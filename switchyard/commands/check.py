"""`check`: validate the settings file."""

import argparse
import os
import sys
from collections.abc import Iterator

from switchyard.commands.command import Action, loaded, no_arguments, price_book
from switchyard.plural import plural
from switchyard.relay.credentials import unset_variables
from switchyard.routing.families import REMEDY, official_families, official_host, states_use
from switchyard.settings import Settings
from switchyard.store.budget_reach import unlimited
from switchyard.timeouts import Timeouts, timeouts_of


def check(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    for warning in settings_file.warnings:
        print(f"note: {warning}")
    settings = settings_file.settings
    for note in _notes(settings):
        print(f"note: {note}")
    errors = unlimited(price_book(arguments, settings))
    for error in errors:
        print(f"{error.path}: the budget of {error.owner} cannot apply: {error.reason}", file=sys.stderr)
    if errors:
        print(f"{settings_file.path}: {plural(len(errors), 'error')}", file=sys.stderr)
        return 1
    print(
        f"{settings_file.path}: valid, {plural(len(settings.upstreams), 'upstream')}, "
        f"{plural(len(settings.model_rules), 'model rule')}"
    )
    return 0


def _notes(settings: Settings) -> Iterator[str]:
    yield from _key_notes(settings)
    yield from _timeout_notes(settings)
    yield from _order_notes(settings)
    for upstream in settings.upstreams:
        if not upstream.tls.verify:
            yield f'upstream "{upstream.name}" accepts every certificate: name its own in tls.ca instead of verify'


def _key_notes(settings: Settings) -> Iterator[str]:
    """The keys that are not there: the daemon may be started elsewhere, with other variables."""
    for one, name in unset_variables(settings.accounts, os.environ):
        yield f'upstream "{one.account}": its key is in the variable {name}, which is not set here'


def _order_notes(settings: Settings) -> Iterator[str]:
    """The upstreams among several that do not say what they are for, and what is sent there last."""
    asked = [one for one in settings.upstreams if one.enabled and not one.is_demo]
    protocols = {one.protocol for one in asked}
    for upstream in asked if len(asked) > 1 else ():
        if host := official_host(upstream):
            families = " and ".join(official_families(upstream.base_url))
            text = f"{host} serves {families} models, those of other vendors are requested there last"
        elif len(protocols) > 1 and not states_use(upstream):
            text = f"clients that do not speak {upstream.protocol} are sent there after the upstreams that speak theirs"
        else:
            continue
        yield f'upstream "{upstream.name}" does not state what it is for: {text}; to change this, {REMEDY}'


def _timeout_notes(settings: Settings) -> Iterator[str]:
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


ACTION = Action(no_arguments, check)

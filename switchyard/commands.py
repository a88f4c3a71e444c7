"""The sub-commands of the command line, each a few lines over the rooms."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from switchyard.protocols.names import PROTOCOLS
from switchyard.relay.surroundings import local_moment
from switchyard.routing.route import Ask, Moment, Route, State, choose_route
from switchyard.settings import WEEKDAYS, SettingsError, minutes_of
from switchyard.store.settings_file import SettingsFile


@dataclass(frozen=True, slots=True)
class Command:
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def loaded(arguments: argparse.Namespace) -> SettingsFile | None:
    """The settings of the data folder; None after telling on stderr what is wrong with them."""
    settings_file = SettingsFile(Path(arguments.data))
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        print(f"{settings_file.path}: {len(error.faults)} fault(s)", file=sys.stderr)
        return None
    return settings_file


def check(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    for warning in settings_file.warnings:
        print(f"note: {warning}")
    settings = settings_file.settings
    print(
        f"{settings_file.path}: valid, {len(settings.upstreams)} upstreams, {len(settings.model_rules)} model rules"
    )
    return 0


def explain(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    try:
        now = moment_at(arguments.at, local_moment())
    except ValueError as error:
        print(f"--at: {error}", file=sys.stderr)
        return 1
    ask = Ask(arguments.client, arguments.model, arguments.session)
    print(route_text(choose_route(settings_file.settings, State(), ask, now)))
    return 0


def moment_at(text: str, now: Moment) -> Moment:
    """The moment that "mon 09:00", "09:00" or "" means, in the seven days from now. Raises ValueError."""
    if not text.strip():
        return now
    *day, clock = text.lower().split()
    minutes = minutes_of(clock)
    wall = now.wall.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0)
    if day:
        name = day[0][:3]
        if name not in WEEKDAYS or len(day) > 1:
            raise ValueError(f'"{text}" is not a time like "mon 09:00"')
        wall += timedelta(days=(WEEKDAYS.index(name) - wall.weekday()) % 7)
    return Moment(wall, now.monotonic + (wall - now.wall).total_seconds())


def route_text(route: Route) -> str:
    """The decision in lines that a person reads."""
    lines = [
        f"{place}. {one.name} -> {one.model or 'any model'} ({one.why})"
        for place, one in enumerate(route.candidates, start=1)
    ]
    lines += [f"rescue: {one.name} -> {one.model}" for one in route.rescues]
    lines += [f"skipped: {skip.upstream}: {skip.text}" for skip in route.skipped]
    return "\n".join(lines) or "no upstream is configured"


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    return


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", choices=PROTOCOLS, default="messages", help="the client's protocol")
    parser.add_argument("--model", default="", help="the model the client asks for")
    parser.add_argument("--session", default="", help="the conversation, where upstreams take turns")
    parser.add_argument("--at", default="", help='local time such as "mon 09:00" (default: now)')


COMMANDS: dict[str, Command] = {
    "check": Command("validate the settings file and list every fault", _no_arguments, check),
    "explain": Command(
        "who would answer, in which order, and why not the others", _explain_arguments, explain
    ),
}

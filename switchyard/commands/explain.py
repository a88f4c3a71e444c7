"""`explain`: who would answer, and why not the others."""

import argparse
import sys
from datetime import timedelta

from switchyard.commands.command import Command, loaded
from switchyard.protocols.names import PROTOCOLS
from switchyard.relay.surroundings import local_moment
from switchyard.routing.lineup import Moment
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.settings import WEEKDAYS, minutes_of


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


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", choices=PROTOCOLS, default="messages", help="the client's protocol")
    parser.add_argument("--model", default="", help="the model the client asks for")
    parser.add_argument("--session", default="", help="the conversation, where upstreams take turns")
    parser.add_argument("--at", default="", help='local time such as "mon 09:00" (default: now)')


EXPLAIN = Command("who would answer, in which order, and why not the others", _explain_arguments, explain)

"""`explain`: who would answer, and why not the others."""

import argparse
import sys

from switchyard.commands.command import Command, loaded
from switchyard.protocols.names import PROTOCOLS
from switchyard.relay.surroundings import local_moment
from switchyard.routing.moments import moment_at
from switchyard.routing.route import Ask, Route, State, choose_route


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

"""`use`: have an upstream answer first from the next request on, until you undo it or for a time."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from switchyard.commands.command import Action, CommandFailed
from switchyard.commands.running import done_by_daemon, explained_by_daemon
from switchyard.installation import own_command
from switchyard.protocols.names import CLIENTS
from switchyard.routing.moments import seconds_of
from switchyard.routing.uses import until_text


def use(arguments: argparse.Namespace) -> int:
    if arguments.auto and (arguments.name or arguments.seconds):
        raise CommandFailed("--auto goes without a name and without --for.")
    folder, asks_only = Path(arguments.data), not (arguments.auto or arguments.name)
    if asks_only and (arguments.client or arguments.seconds):
        raise CommandFailed("Name the upstream to use, or --auto.")
    if not asks_only:
        done_by_daemon(folder, "/api/use", _order(arguments))
    state = explained_by_daemon(folder, "/api/state", {})
    if state is None:
        raise CommandFailed(f"No running Switchyard with the data folder {folder} responds; start it first.")
    print(state_text(state, datetime.now().astimezone()))
    return 0


def _order(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        seconds = seconds_of(arguments.seconds) if arguments.seconds else None
    except ValueError as error:
        raise CommandFailed(f"--for: {error}") from None
    return {
        "upstream": arguments.name,
        "client": arguments.client and CLIENTS[arguments.client],
        "seconds": seconds,
    }


def state_text(state: dict[str, Any], now: datetime) -> str:
    """What each client uses now, and what answers it first."""
    lines = [f"{client}: {_line(client, state, now)}" for client in state["routes"]]
    undo = [f"Undo it with `{own_command('use')} --auto`."] if state["uses"] else []
    return "\n".join(lines + undo)


def _line(client: str, state: dict[str, Any], now: datetime) -> str:
    route, used = state["routes"][client], state["uses"].get(client)
    first = route["candidates"][0]["upstream"] if route["candidates"] else ""
    answering = f'"{first}" answers first' if first else "no upstream can answer now"
    if used is None:
        return f"automatic, {answering}"
    name, until = used["upstream"], until_text(used["until"], now)
    if name == first:
        return f'"{name}" answers first, {until}'
    skipped = (skip for skip in route["skipped"] if skip["upstream"].partition(" (key ")[0] == name)
    why = next((skip["text"] for skip in skipped), "")
    why = why or next((one["unlikely"] for one in route["candidates"] if one["upstream"] == name), "")
    return f'"{name}" is to answer first, {until}; for now {answering}' + (
        f' ("{name}": {why})' if why else ""
    )


def _use_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="name of the upstream (default: show what is used now)"
    )
    parser.add_argument(
        "--client", choices=CLIENTS, help="only for claude, codex, or clients of this protocol"
    )
    parser.add_argument("--for", dest="seconds", metavar="TIME", help="for so long, such as 90m, 2h or 1h30m")
    parser.add_argument("--auto", action="store_true", help="back to the order of the settings")


ACTION = Action(_use_arguments, use)

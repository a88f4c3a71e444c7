"""`setup`: point a client at the daemon, or undo that."""

import argparse
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from switchyard import client_plans
from switchyard.clients.claude_code import KNOBS, TIMEOUT, chosen
from switchyard.clients.plan import ChangedMeanwhile, Endpoint, Plan, apply
from switchyard.clients.texts import Unparsable, left_unchanged
from switchyard.commands import wsl
from switchyard.commands.ask import address_of, agreed, coloured, current_settings, stamp
from switchyard.commands.command import Action, CommandFailed
from switchyard.commands.import_file import add
from switchyard.importing import Imported
from switchyard.installation import own_command
from switchyard.relay.redaction import masked_url

ALL = "all"


def setup(arguments: argparse.Namespace) -> int:
    side = _other_side(arguments)
    environment, home = (os.environ, Path.home()) if side is None else (side.environment, side.home)
    path = client_plans.path_of(arguments.client, environment, home)
    try:
        return _carry_out(_plan(path, side, arguments), arguments)
    except Unparsable as error:
        raise CommandFailed(left_unchanged(path, error)) from None
    except ChangedMeanwhile as changed:
        raise CommandFailed(str(changed)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or path}: {error.strerror or error}") from None


def _other_side(arguments: argparse.Namespace) -> wsl.OtherSide | None:
    """Where the client runs, if that is not here. Raises CommandFailed."""
    if arguments.windows:
        if not wsl.is_inside():
            raise CommandFailed("--windows is for a Switchyard that runs inside WSL.")
        return wsl.windows_side()
    if arguments.wsl is not None:
        if sys.platform != "win32":
            raise CommandFailed("--wsl is for a Switchyard that runs on Windows.")
        return wsl.wsl_side(arguments.wsl)
    return None


def _plan(path: Path, side: wsl.OtherSide | None, arguments: argparse.Namespace) -> Plan:
    if arguments.undo:
        return client_plans.undo(arguments.client, path)
    knobs = tuple(KNOBS) if ALL in arguments.knobs else tuple(arguments.knobs)
    environment, folder = (
        (os.environ, None) if side is None else (side.environment, side.own_name(path.parent))
    )
    wanted = client_plans.Wanted(
        _address(arguments, side), arguments.key, arguments.model, knobs, folder=folder
    )
    plan = client_plans.plan(arguments.client, path, wanted, current_settings(arguments), environment)
    notes = _offers(path, knobs) if arguments.client == "claude" else ()
    notes += wsl.offers(arguments.client) if side is None else ()
    return replace(plan, notes=plan.notes + notes)


def _address(arguments: argparse.Namespace, side: wsl.OtherSide | None) -> str:
    """The daemon's own address: the path of each client is added."""
    if not arguments.url:
        address = address_of(arguments)
        if side is None:
            return address
        if side.unreachable:
            raise CommandFailed(side.unreachable)
        return address.replace("//localhost:", f"//{side.host}:")
    if not re.match(r"https?://[^/\s]+/?\Z", arguments.url):
        raise CommandFailed(
            f"--url {arguments.url} is not an address like http://localhost:5101 (without a path)."
        )
    return str(arguments.url).rstrip("/")


def _offers(path: Path, knobs: tuple[str, ...]) -> tuple[str, ...]:
    """Further useful variables for Claude Code; its timeout follows the upstreams."""
    taken = {TIMEOUT, *knobs, *chosen(path)}
    return tuple(
        f"--with {name} would also help: {why}" for name, (_, why) in KNOBS.items() if name not in taken
    )


def _carry_out(plan: Plan, arguments: argparse.Namespace) -> int:
    for note in (*plan.notes, *_previous_notes(plan, arguments)):
        print(f"note: {note}")
    if plan.is_empty:
        print(f"Nothing to do for {client_plans.TITLES[arguments.client]}.")
        return 0
    print(coloured(_shown(plan)), end="")
    if arguments.dry_run or not agreed("Write this?", arguments):
        print("Nothing was written.")
        return 0
    backups = apply(plan, stamp())
    for backup in backups:
        print(f"Backup: {backup}")
    print(_done(arguments))
    if plan.previous is not None and _is_kept(plan.previous, arguments):
        _keep(plan.previous, Path(arguments.data))
    return 0


def _previous_notes(plan: Plan, arguments: argparse.Namespace) -> tuple[str, ...]:
    if plan.previous is None or plan.is_empty:
        return ()
    title, url = client_plans.TITLES[arguments.client], masked_url(plan.previous.base_url)
    keep = "is added" if arguments.keep_endpoint else "can be added with --keep-endpoint"
    return (f"{title} has used {url} until now; it {keep} as an upstream.",)


def _is_kept(previous: Endpoint, arguments: argparse.Namespace) -> bool:
    if arguments.keep_endpoint or arguments.yes:
        return bool(arguments.keep_endpoint)
    return agreed(f"Add {masked_url(previous.base_url)} as an upstream?", arguments)


def _keep(previous: Endpoint, folder: Path) -> None:
    """The endpoint that the client has used becomes an upstream. Raises CommandFailed."""
    name = urlsplit(previous.base_url).hostname or "previous endpoint"
    entry = {
        "name": name,
        "base_url": previous.base_url,
        "key": previous.key,
        "protocol": previous.protocol,
    }
    report = add(Imported({"upstreams": [entry]}, origins=("setup",)), folder)
    for _, added in report.origins:
        print(f"Upstream added: {added}")


def _shown(plan: Plan) -> str:
    """The diff of the user's file; for Switchyard's own files only whether they are created or removed."""
    ours = [change for change in plan.changes if change.ours and change.is_shown]
    users = Plan(tuple(change for change in plan.changes if not change.ours))
    return users.diff() + "".join(f"{'-' if one.after is None else '+'} {one.path}\n" for one in ours)


def _done(arguments: argparse.Namespace) -> str:
    title = client_plans.TITLES[arguments.client]
    if arguments.undo:
        return f"{title} uses its previous settings again."
    side = " --windows" if arguments.windows else "" if arguments.wsl is None else f" --wsl {arguments.wsl}"
    undo = f"setup {arguments.client}{side.rstrip()} --undo"
    return f"{title} now uses Switchyard. Undo with: {own_command(undo)}"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", choices=client_plans.TITLES, help=", ".join(client_plans.TITLES.values()))
    parser.add_argument("--undo", action="store_true", help="undo an earlier set-up")
    parser.add_argument(
        "--keep-endpoint",
        action="store_true",
        help="also add the endpoint that the client has used so far, with its key, as an upstream",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the change")
    parser.add_argument("--yes", action="store_true", help="write without confirmation")
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument(
        "--windows", action="store_true", help="inside WSL: set up the client that is installed on Windows"
    )
    sides.add_argument(
        "--wsl",
        nargs="?",
        const="",
        metavar="NAME",
        help="on Windows: set up the client that is installed inside WSL (default: its default distribution)",
    )
    parser.add_argument("--url", default="", help="address of the daemon (default: that of the running one)")
    parser.add_argument("--key", default="", help="client key (default: the first of `client_keys`)")
    parser.add_argument("--model", default="", help="model that the client requests")
    parser.add_argument(
        "--with",
        dest="knobs",
        action="append",
        default=[],
        choices=[*KNOBS, ALL],
        metavar="NAME",
        help=f"Claude Code: also set a useful variable: {', '.join(KNOBS)} or {ALL}",
    )


ACTION = Action(_arguments, setup)

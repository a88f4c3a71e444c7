"""`setup`: point Claude Code or Codex at the daemon, or take that back."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from switchyard.clients import claude_code, codex
from switchyard.clients.plan import ChangedMeanwhile, Plan, apply
from switchyard.clients.texts import Unparsable
from switchyard.commands.ask import address_of, agreed, coloured, stamp, wishes
from switchyard.commands.command import Command, CommandFailed
from switchyard.routing.served import served_models, smallest_window

ALL = "all"


@dataclass(frozen=True, slots=True)
class Client:
    title: str
    path: Callable[[], Path]
    plan: Callable[[Path, argparse.Namespace], Plan]
    undo: Callable[[Path], Plan]


def setup(arguments: argparse.Namespace) -> int:
    client = CLIENTS[arguments.client]
    path = client.path()
    try:
        plan = client.undo(path) if arguments.undo else client.plan(path, arguments)
        return _carry_out(client, plan, arguments)
    except Unparsable as fault:
        raise CommandFailed(f"{path} cannot be read, so it is not touched: {fault}") from None
    except ChangedMeanwhile as changed:
        raise CommandFailed(str(changed)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or path}: {error.strerror or error}") from None


def _carry_out(client: Client, plan: Plan, arguments: argparse.Namespace) -> int:
    for note in plan.notes:
        print(f"note: {note}")
    if plan.is_empty:
        print(f"Nothing to do for {client.title}.")
        return 0
    print(coloured(_shown(plan)), end="")
    if arguments.dry_run or not agreed("Write this?", arguments):
        print("Nothing was written.")
        return 0
    backups = apply(plan, stamp())
    for backup in backups:
        print(f"Kept as it was: {backup}")
    print(_done(client, arguments))
    return 0


def _shown(plan: Plan) -> str:
    """The diff of the user's file; of files that are ours alone only that they come or go."""
    ours = [change for change in plan.changes if change.ours and change.is_shown]
    users = Plan(tuple(change for change in plan.changes if not change.ours))
    return users.diff() + "".join(f"{'-' if one.after is None else '+'} {one.path}\n" for one in ours)


def _done(client: Client, arguments: argparse.Namespace) -> str:
    if arguments.undo:
        return f"{client.title} is as before."
    return f"{client.title} now asks Switchyard. Take it back with: python app.py setup {arguments.client} --undo"


# --- the two clients ------------------------------------------------------------


def _plan_claude(path: Path, arguments: argparse.Namespace) -> Plan:
    settings = wishes(arguments)
    chosen = claude_code.KNOBS if ALL in arguments.knobs else arguments.knobs
    knobs = {name: claude_code.KNOBS[name][0] for name in chosen}
    if arguments.model:
        knobs["ANTHROPIC_MODEL"] = arguments.model
    plan = claude_code.plan(
        path,
        arguments.url or address_of(arguments),
        _key(arguments),
        knobs=knobs,
        no_proxy=os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "",
        context_window=smallest_window(settings, "messages", arguments.model),
    )
    offers = tuple(
        f"--with {name} would also help: {why}"
        for name, (_, why) in claude_code.KNOBS.items()
        if name not in knobs
    )
    return Plan(plan.changes, plan.notes + offers)


def _plan_codex(path: Path, arguments: argparse.Namespace) -> Plan:
    served = served_models(wishes(arguments), "responses")
    model = arguments.model or codex.model_in(path) or next(iter(served), "")
    names: dict[str, int] = {}
    if model and not codex.knows(model):
        names = {model: served.get(model, 0), **served}
    return codex.plan(
        path,
        arguments.url or address_of(arguments),
        _key(arguments),
        model=model,
        models=[codex.CatalogModel(name, window) for name, window in names.items()],
    )


def _key(arguments: argparse.Namespace) -> str:
    """What the daemon asks of clients: the key given, or the first of the settings."""
    return str(arguments.key) or next(iter(wishes(arguments).client_keys), "")


CLIENTS = {
    "claude": Client(
        "Claude Code",
        lambda: claude_code.settings_path(os.environ, Path.home()),
        _plan_claude,
        claude_code.undo,
    ),
    "codex": Client(
        "Codex",
        lambda: codex.config_path(os.environ, Path.home()),
        _plan_codex,
        codex.undo,
    ),
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--undo", action="store_true", help="take back what an earlier set-up has written")
    parser.add_argument("--dry-run", action="store_true", help="only show the change")
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--url", default="", help="address of the daemon (default: the running one's)")
    parser.add_argument("--key", default="", help="client key (default: the first of `client_keys`)")
    parser.add_argument("--model", default="", help="model the client shall ask for")
    parser.add_argument(
        "--with",
        dest="knobs",
        action="append",
        default=[],
        choices=[*claude_code.KNOBS, ALL],
        metavar="NAME",
        help=f"Claude Code: set a useful variable, too: {', '.join(claude_code.KNOBS)} or {ALL}",
    )


SETUP = Command("point Claude Code or Codex at the daemon", _arguments, setup)

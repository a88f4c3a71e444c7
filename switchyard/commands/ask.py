"""Prompt the user at a terminal, and find the daemon of the data folder."""

import argparse
import sys
import time
from pathlib import Path

from switchyard.commands.command import CommandFailed
from switchyard.daemon_address import client_address
from switchyard.faults import SettingsError
from switchyard.installation import own_command
from switchyard.settings import Settings
from switchyard.store.files import is_missing
from switchyard.store.lock import holder_of
from switchyard.store.settings_file import SettingsFile

COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
RESET = "\033[0m"


def agreed(question: str, arguments: argparse.Namespace) -> bool:
    """True after `--yes` or a yes at the terminal. Raises CommandFailed without a terminal."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise CommandFailed(
            "Nothing was written: no terminal to ask for confirmation; run it again with --yes."
        )
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def coloured(diff: str) -> str:
    """The diff in colour; control characters in files are not sent to the terminal."""
    harmless = "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in diff)
    if not sys.stdout.isatty():
        return harmless
    return "".join(
        f"{COLOURS[line[0]]}{line.rstrip()}{RESET}\n" if line[:1] in COLOURS else line
        for line in harmless.splitlines(keepends=True)
    )


def stamp() -> str:
    """The local time in the format used in the names of backups."""
    return time.strftime("%Y%m%d-%H%M%S")


def address_of(arguments: argparse.Namespace) -> str:
    """The address of the daemon of the data folder, running or not. Raises CommandFailed for an invalid port."""
    holder = holder_of(Path(arguments.data))
    if holder is not None and holder.address:
        return holder.address
    return client_address(arguments.host, port_of(arguments), has_tls=bool(arguments.cert))


def port_of(arguments: argparse.Namespace) -> int:
    """Raises CommandFailed."""
    port = str(arguments.port)
    if not (port.isdecimal() and len(port) < 10 and 0 < int(port) < 65536):
        raise CommandFailed(
            f"--port (or SWITCHYARD_PORT) {port!r} is not a port; give a number from 1 to 65535."
        )
    return int(port)


def current_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the data folder, or the initial ones if there is no file yet. Raises CommandFailed."""
    settings_file = SettingsFile(Path(arguments.data))
    if is_missing(settings_file.path):
        return Settings()
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        raise CommandFailed(
            f"{settings_file.path} has errors; correct them first "
            f"(`{own_command('check')}` lists them): {error.faults[0]}"
        ) from None
    return settings_file.settings

"""How the sub-commands talk to a person at a terminal, and find the daemon of the data folder."""

import argparse
import sys
import time
from pathlib import Path

from switchyard.commands.command import CommandFailed
from switchyard.installation import own_command
from switchyard.settings import Settings, SettingsError
from switchyard.store.files import is_missing
from switchyard.store.lock import holder_of
from switchyard.store.settings_file import SettingsFile

COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
RESET = "\033[0m"


def agreed(question: str, arguments: argparse.Namespace) -> bool:
    """True after `--yes` or a yes at the terminal. Raises CommandFailed where nobody can be asked."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise CommandFailed("Nothing was written: nobody is at the terminal to ask; repeat it with --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def coloured(diff: str) -> str:
    """The diff as a terminal shows it; control characters of files never reach one."""
    harmless = "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in diff)
    if not sys.stdout.isatty():
        return harmless
    return "".join(
        f"{COLOURS[line[0]]}{line.rstrip()}{RESET}\n" if line[:1] in COLOURS else line
        for line in harmless.splitlines(keepends=True)
    )


def stamp() -> str:
    """The local time in the form that names of backups have."""
    return time.strftime("%Y%m%d-%H%M%S")


def address_of(arguments: argparse.Namespace) -> str:
    """Where the daemon of the data folder listens, or would. Raises CommandFailed for a port that is none."""
    holder = holder_of(Path(arguments.data))
    if holder is not None and holder.address:
        return holder.address
    scheme = "https" if arguments.cert else "http"
    return f"{scheme}://localhost:{port_of(arguments)}"


def port_of(arguments: argparse.Namespace) -> int:
    """Raises CommandFailed."""
    port = str(arguments.port)
    if not (port.isdecimal() and len(port) < 10 and 0 < int(port) < 65536):
        raise CommandFailed(f"--port {port!r} is not a port; give a number from 1 to 65535.")
    return int(port)


def wishes(arguments: argparse.Namespace) -> Settings:
    """The settings of the data folder, those of a first start if there is no file yet. Raises CommandFailed."""
    settings_file = SettingsFile(Path(arguments.data))
    if is_missing(settings_file.path):
        return Settings()
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        raise CommandFailed(
            f"{settings_file.path} is not usable; correct it first "
            f"(`{own_command('check')}` lists all): {error.faults[0]}"
        ) from None
    return settings_file.settings

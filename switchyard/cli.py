"""The command line: `serve` and the sub-commands."""

import argparse
import gc
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import Any

from switchyard import VERSION
from switchyard.commands import COMMANDS, Command
from switchyard.commands.ask import port_of
from switchyard.commands.command import CommandFailed
from switchyard.installation import default_data_folder, own_command, static_folder
from switchyard.store.files import is_missing

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5101


def main(argv: list[str] | None = None) -> int:
    """Run one command, by default that of this process; returns the exit code."""
    _show_all_text()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    command = getattr(arguments, "command", None)
    try:
        _check_data_folder(arguments)
        arguments.host = _plain_host(arguments)
        if command is not None:
            return int(COMMANDS[command].run(arguments))
        return _served(arguments)
    except CommandFailed as reason:
        print(reason, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130


def _show_all_text() -> None:
    """Names may have characters that the encoding of a redirected output lacks, above all on Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=own_command(),
        description="Switchyard: a personal switcher daemon for coding-agent APIs. "
        "Without a command it runs the daemon.",
    )
    parser.add_argument("--version", action="version", version=f"switchyard {VERSION}")
    flags = daemon_flags()
    for flag, variable, default, text in flags:
        shown = f"{text} (default: {default or 'none'}; environment: {variable})"
        parser.add_argument(flag, default=os.environ.get(variable) or default, help=shown)
    parser.add_argument("--no-install", action="store_true", help="never install missing packages")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=_CommandParser
    )
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, description=command.help).command = command
    return parser


class _CommandParser(argparse.ArgumentParser):
    """Receives its arguments when its command is parsed: the modules of other commands are not imported."""

    command: Command | None = None

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        command, self.command = self.command, None
        if command is not None:
            command.add_arguments(self)
            # these flags may also follow the command; if they are left out there, those before the command apply
            daemon = self.add_argument_group("the daemon")
            for flag, _, _, text in daemon_flags():
                daemon.add_argument(flag, default=argparse.SUPPRESS, help=text)
        return super().parse_known_args(*given, **named)


def daemon_flags() -> tuple[tuple[str, str, str, str], ...]:
    """Name, environment variable, default, description."""
    data = str(default_data_folder())
    return (
        ("--host", "SWITCHYARD_HOST", DEFAULT_HOST, "address to listen on"),
        ("--port", "SWITCHYARD_PORT", str(DEFAULT_PORT), "port to listen on"),
        ("--data", "SWITCHYARD_DATA", data, "folder for settings and statistics"),
        ("--cert", "SWITCHYARD_CERT", "", "certificate (PEM) to serve HTTPS; needs --cert-key"),
        ("--cert-key", "SWITCHYARD_CERT_KEY", "", "private key (PEM) of the certificate"),
    )


def _check_data_folder(arguments: argparse.Namespace) -> None:
    """A mistyped path must not create a new folder with settings that you do not find again."""
    if not arguments.data.strip():
        # it would be the working folder, which would be closed to other users
        raise CommandFailed("--data is empty; give the path of a folder, or leave the flag out.")
    data = Path(arguments.data)
    if data != default_data_folder() and is_missing(data.parent):
        raise CommandFailed(
            f"The data folder {data} cannot be created, because {data.parent} does not exist; "
            "correct --data (or SWITCHYARD_DATA), or create that folder."
        )


def _plain_host(arguments: argparse.Namespace) -> str:
    """Without the brackets that an IPv6 address has in a URL, in lower case. Raises CommandFailed."""
    host = str(arguments.host).strip().lower()
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise CommandFailed("--host is empty; give an address such as 127.0.0.1, or leave the flag out.")
    return host


def _served(arguments: argparse.Namespace) -> int:
    gc.disable()  # until the server runs: what the start makes stays
    _import_uvicorn()
    from switchyard.serve import CannotServe, Options, serve  # no command needs it

    try:
        if bool(arguments.cert) != bool(arguments.cert_key):
            raise CannotServe("--cert and --cert-key must be given together.")
        return serve(
            Options(
                host=arguments.host,
                port=port_of(arguments),
                data=Path(arguments.data),
                static=static_folder(),
                cert=arguments.cert,
                cert_key=arguments.cert_key,
            )
        )
    except CannotServe as reason:
        print(f"Switchyard cannot start: {reason}", file=sys.stderr)
        return 1
    finally:
        gc.enable()


def _import_uvicorn() -> None:
    """Without its command line, which the package imports first: click, multiprocessing and the reloader take 4 MB and
    a tenth of the start."""
    if "uvicorn" in sys.modules:
        return
    absent = sys.modules["uvicorn.main"] = ModuleType("uvicorn.main")
    vars(absent)["__getattr__"] = lambda name: None
    try:
        import_module("uvicorn")
    finally:
        del sys.modules["uvicorn.main"]

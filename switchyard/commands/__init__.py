"""The sub-commands of the command line, one file each."""

import argparse
from importlib import import_module

from switchyard.commands.command import Action


class Command:
    """A sub-command. Its module is imported at the first use, so that no command loads what only others need."""

    def __init__(self, module: str, help: str) -> None:
        self.help = help
        self._module = module

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        self._action().add_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        return self._action().run(arguments)

    def _action(self) -> Action:
        found: Action = import_module(f"switchyard.commands.{self._module}").ACTION
        return found


COMMANDS: dict[str, Command] = {
    "check": Command("check", "validate the settings file and report each error with its location"),
    "explain": Command("explain", "show the upstreams that would answer, in order, and why not the others"),
    "use": Command("use", "have an upstream answer first from the next request on"),
    "import": Command("import_file", "import the file of another switcher"),
    "setup": Command("setup", "point a client at the daemon"),
    "stats": Command("stats", "requests, tokens and cost by day, model and upstream"),
    "prices": Command("prices", "show which price applies to each upstream and model; store a newer table"),
    "test": Command("connection", "send one tiny request to an upstream and report each step"),
    "doctor": Command("doctor", "find problems between clients, daemon and upstreams"),
    "selftest": Command("selftest", "check that the installed clients still behave as measured"),
    "service": Command("service", "start the daemon with your session"),
}

"""The sub-commands of the command line, one file each, a few lines over the rooms."""

from switchyard.commands.check import CHECK
from switchyard.commands.command import Command
from switchyard.commands.explain import EXPLAIN

__all__ = ["COMMANDS", "Command"]

COMMANDS: dict[str, Command] = {
    "check": CHECK,
    "explain": EXPLAIN,
}

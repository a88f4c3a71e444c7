"""The sub-commands of the command line, one file each."""

from switchyard.commands.check import CHECK
from switchyard.commands.command import Command
from switchyard.commands.connection import TEST
from switchyard.commands.doctor import DOCTOR
from switchyard.commands.explain import EXPLAIN
from switchyard.commands.import_file import IMPORT
from switchyard.commands.prices import PRICES
from switchyard.commands.selftest import SELFTEST
from switchyard.commands.service import SERVICE
from switchyard.commands.setup import SETUP
from switchyard.commands.stats import STATS
from switchyard.commands.use import USE

__all__ = ["COMMANDS", "Command"]

COMMANDS: dict[str, Command] = {
    "check": CHECK,
    "explain": EXPLAIN,
    "use": USE,
    "import": IMPORT,
    "setup": SETUP,
    "stats": STATS,
    "prices": PRICES,
    "test": TEST,
    "doctor": DOCTOR,
    "selftest": SELFTEST,
    "service": SERVICE,
}

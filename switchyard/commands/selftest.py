"""`selftest`: check that the installed clients still behave as measured."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from switchyard import client_plans
from switchyard.commands.command import Action, CommandFailed
from switchyard.doctor.clients import find_version, version_finding
from switchyard.selftest.behaviours import Comparison, compare
from switchyard.selftest.running import SCRIPTS, run_all

SIGNS = {True: ("ok     ", "\033[32m"), False: ("CHANGED", "\033[33m")}
RESET = "\033[0m"


def selftest(arguments: argparse.Namespace) -> int:
    found = [client for client in SCRIPTS if shutil.which(client)]
    if not found:
        raise CommandFailed("Neither claude nor codex is on the PATH; install one and try again.")
    for missing in SCRIPTS.keys() - set(found):
        print(f"{client_plans.TITLES[missing]}: not on the PATH, skipped")
    print("Each client runs three times in an empty home, against the demo model; about half a minute ...")
    results = asyncio.run(_all(found))
    for client, result in zip(found, results, strict=True):
        print(_report(client, result))
    changed = sum(isinstance(result, str) or not all(one.is_same for one in result) for result in results)
    return 1 if changed else 0


async def _all(clients: list[str]) -> list[list[Comparison] | str]:
    return list(await asyncio.gather(*map(_one, clients)))


async def _one(client: str) -> list[Comparison] | str:
    """The comparisons, or why there are none."""
    with tempfile.TemporaryDirectory(prefix="switchyard-", ignore_cleanup_errors=True) as folder:
        try:
            return compare(client, await run_all(client, Path(folder)))
        except TimeoutError:
            return "a run did not finish"
        except OSError as error:
            return f"it could not be run: {error}"


def _report(client: str, result: list[Comparison] | str) -> str:
    version = version_finding(client, find_version(client, os.environ))
    lines = ["", f"{version.subject}: {version.text}"]
    if isinstance(result, str):
        return "\n".join([*lines, _line(False, result)])
    return "\n".join([*lines, *(_line(one.is_same, _text(one)) for one in result)])


def _text(one: Comparison) -> str:
    return f"{one.text}: {one.found}" + ("" if one.is_same else f" (measured: {one.measured})")


def _line(is_same: bool, text: str) -> str:
    sign, colour = SIGNS[is_same]
    return f"{colour}{sign}{RESET} {text}" if sys.stdout.isatty() else f"{sign} {text}"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--real-clients", action="store_true", help="kept for scripts: has no effect")


ACTION = Action(_arguments, selftest)

"""`doctor`: find problems between clients, daemon and upstreams, and how to fix them."""

import argparse
import os
import sys
from pathlib import Path

from switchyard.commands.ask import address_of, port_of, stamp
from switchyard.commands.command import Action
from switchyard.doctor.examination import examine, exit_code, repaired
from switchyard.doctor.finding import DoctorInputs, Finding
from switchyard.faults import SettingsError
from switchyard.installation import own_command
from switchyard.plural import plural
from switchyard.settings import Settings
from switchyard.store.settings_file import SettingsFile

SIGNS = {"ok": ("ok     ", "\033[32m"), "warning": ("warning", "\033[33m"), "fault": ("ERROR  ", "\033[31m")}
RESET = "\033[0m"
CLEAR_LINE = "\r\033[K"


def doctor(arguments: argparse.Namespace) -> int:
    in_colour = sys.stdout.isatty()
    findings = []
    for finding in examine(_inputs(arguments), _progress if in_colour else _no_progress):
        shown = repaired(finding) if arguments.fix else finding
        findings.append(shown)
        print((CLEAR_LINE if in_colour else "") + lines_of(shown, in_colour), flush=True)
    if in_colour:
        print(CLEAR_LINE, end="")
    print(_summary(findings))
    return exit_code(findings)


def lines_of(finding: Finding, in_colour: bool) -> str:
    sign, colour = SIGNS[finding.level]
    text = "".join(one if one.isprintable() else "?" for one in f"{finding.subject}: {finding.text}")
    line = f"{colour}{sign}{RESET} {text}" if in_colour else f"{sign} {text}"
    return line + (f"\n          fix: {finding.fix}" if finding.fix else "")


def _summary(findings: list[Finding]) -> str:
    errors = sum(finding.level == "fault" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    safe = sum(finding.repair is not None for finding in findings)
    more = f"; {own_command('doctor --fix')} fixes {safe} of them" if safe else ""
    return f"{plural(errors, 'error')}, {plural(warnings, 'warning')}{more}."


def _inputs(arguments: argparse.Namespace) -> DoctorInputs:
    return DoctorInputs(
        data=Path(arguments.data),
        host=arguments.host,
        port=port_of(arguments),
        address=address_of(arguments),
        settings=_settings(Path(arguments.data)),
        environment=os.environ,
        home=Path.home(),
        stamp=stamp(),
    )


def _settings(folder: Path) -> Settings:
    """The settings of the file; empty if it has errors, which are reported as findings."""
    settings_file = SettingsFile(folder)
    try:
        settings_file.load(create=False)
    except SettingsError:
        return Settings()
    return settings_file.settings


def _progress(name: str) -> None:
    print(f"{CLEAR_LINE}... {name}", end="", flush=True)


def _no_progress(name: str) -> None:
    return


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="fix what can be fixed safely")


ACTION = Action(_arguments, doctor)

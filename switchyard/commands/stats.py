"""`stats`: show requests, tokens and cost."""

import argparse
import os
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

from switchyard.commands.command import Action, CommandFailed
from switchyard.store import report
from switchyard.store.stats import GROUPINGS, PERIODS

GROUPS = (*PERIODS, *GROUPINGS)
TODAY = "today"
MOST_DAYS = 36_500


def stats(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.data)
    if not 1 <= arguments.days <= MOST_DAYS:
        raise CommandFailed(f"--days {arguments.days} is out of range; give a number from 1 to {MOST_DAYS}.")
    try:
        with suppress(FileNotFoundError):
            os.scandir(folder).close()  # an unreadable folder is not an empty one
        sys.stdout.write(_text(arguments, folder))
    except report.NotRebuilt as reason:
        raise CommandFailed(str(reason)) from None
    except ValueError as error:
        raise CommandFailed(f"stats: {error}") from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or folder}: {error.strerror or error}") from None
    return 0


def _text(arguments: argparse.Namespace, folder: Path) -> str:
    if arguments.rebuild:
        return report.stats_rebuilt(folder)
    if arguments.verify:
        return report.stats_verified(folder, *_session_folders(), _day(arguments.verify))
    if arguments.csv:
        return report.stats_csv(folder, arguments.days, arguments.by)
    if arguments.json:
        return report.stats_json(folder, arguments.days, arguments.by)
    return report.stats_text(folder, arguments.days, arguments.by)


def _day(text: str) -> str:
    if text == TODAY:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise CommandFailed(f'--verify: "{text}" is not a day like 2026-11-21.') from None


def _session_folders() -> tuple[Path, Path]:
    home = Path.home()
    claude = Path(os.environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    codex = Path(os.environ.get("CODEX_HOME") or home / ".codex")
    return claude / "projects", codex / "sessions"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=30, help="how many days back (default: 30)")
    parser.add_argument("--by", choices=GROUPS, default="", help="how to group the numbers")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values")
    form.add_argument("--json", action="store_true", help="the same as GET /api/token-stats")
    form.add_argument("--rebuild", action="store_true", help="compute the totals again from the journal")
    form.add_argument(
        "--verify",
        nargs="?",
        const=TODAY,
        metavar="DAY",
        help="compare a day (default: today) with the clients' own session logs",
    )


ACTION = Action(_arguments, stats)

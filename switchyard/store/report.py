"""Compute the output of `stats` from the files of a data folder; a daemon may be running on it."""

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from switchyard.plural import plural
from switchyard.store.journal import Journal
from switchyard.store.lock import holder_of
from switchyard.store.render import csv_text, json_text, table
from switchyard.store.roll_up import RollUp
from switchyard.store.stats import Statistics
from switchyard.store.verify import verify_text

Clock = Callable[[], float]
MOST_DAYS = 36_500


class NotRebuilt(Exception):
    """Why the roll-up was not rebuilt, as a sentence."""


def stats_text(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """The table with bars: today, 7 and `days` days."""
    return table(_read(folder, now), _possible(days), by)


def stats_csv(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """Rows of the last `days` days. Raises ValueError for an unknown grouping."""
    statistics = _read(folder, now)
    return csv_text(statistics, _first_day(statistics, days), by=by or "day")


def stats_json(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """The response of the API for the last `days` days. Raises ValueError for an unknown grouping."""
    statistics = _read(folder, now)
    return json_text(statistics, _first_day(statistics, days), by=by)


def stats_rebuilt(folder: Path, now: Clock = time.time) -> str:
    """Rebuild the roll-up from the journal. Raises NotRebuilt, also while a daemon runs, which would overwrite it."""
    holder = holder_of(folder)
    if holder is not None:
        raise NotRebuilt(
            f"Nothing was rebuilt: a daemon (process {holder.pid}) uses {folder}. Stop it first."
        )
    journal = Journal(folder)
    journal.repair()
    roll_up = RollUp(folder, journal, now)
    roll_up.rebuild()
    asyncio.run(roll_up.save())
    if roll_up.fault:
        raise NotRebuilt(roll_up.fault)
    requests, days = roll_up.statistics.ever().all.requests, len(roll_up.statistics.days())
    return f"Rebuilt from the journal: {plural(requests, 'request')} on {plural(days, 'day')}.\n"


def stats_verified(
    folder: Path, claude_folder: Path, codex_folder: Path, day: str = "", now: Clock = time.time
) -> str:
    """Compare a local day, today by default, with the clients' logs. Raises ValueError for an invalid date.

    The folders are `~/.claude/projects` and `~/.codex/sessions`, or those that the clients are configured to use.
    """
    chosen = date.fromisoformat(day).isoformat() if day else Statistics(now).today()
    return verify_text(folder, chosen, claude_folder, codex_folder)


def _read(folder: Path, now: Clock) -> Statistics:
    roll_up = RollUp(folder, Journal(folder), now)
    roll_up.start(read_only=True)
    return roll_up.statistics


def _first_day(statistics: Statistics, days: int) -> str:
    return (date.fromisoformat(statistics.today()) - timedelta(days=_possible(days) - 1)).isoformat()


def _possible(days: int) -> int:
    return min(max(1, days), MOST_DAYS)

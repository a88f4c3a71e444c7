"""What the sub-command `stats` prints, from the files of a data folder; a daemon may be at work on them."""

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from switchyard.store.journal import Journal
from switchyard.store.lock import holder_of
from switchyard.store.render import csv_text, json_text, table
from switchyard.store.stats import Statistics
from switchyard.store.verify import verify_text

Clock = Callable[[], float]
MOST_DAYS = 36_500


class NotRebuilt(Exception):
    """Why the roll-up stays as it is, in a sentence."""


def stats_text(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """The table with bars: today, 7 and `days` days."""
    return table(_read(folder, now), _possible(days), by)


def stats_csv(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """Rows of the last `days` days. Raises ValueError for a grouping that is none."""
    statistics = _read(folder, now)
    return csv_text(statistics, _first_day(statistics, days), by=by or "day")


def stats_json(folder: Path, days: int = 30, by: str = "", now: Clock = time.time) -> str:
    """The API's answer for the last `days` days. Raises ValueError for a grouping that is none."""
    statistics = _read(folder, now)
    return json_text(statistics, _first_day(statistics, days), by=by)


def stats_rebuilt(folder: Path, now: Clock = time.time) -> str:
    """Makes the roll-up anew from the journal. Raises NotRebuilt, also beside a daemon, which would write over it."""
    holder = holder_of(folder)
    if holder is not None:
        raise NotRebuilt(
            f"Nothing was rebuilt: a daemon (process {holder.pid}) works on {folder}. Stop it first."
        )
    journal = Journal(folder)
    journal.repair()
    statistics = Statistics(folder, journal, now)
    statistics.rebuild()
    asyncio.run(statistics.save())
    if statistics.fault:
        raise NotRebuilt(statistics.fault)
    requests = statistics.ever().all.requests
    return f"Rebuilt from the journal: {requests} requests on {len(statistics.days())} days.\n"


def stats_verified(
    folder: Path, claude_folder: Path, codex_folder: Path, day: str = "", now: Clock = time.time
) -> str:
    """Compares a local day, today unless given, with the clients' logs. Raises ValueError for no date.

    The folders are `~/.claude/projects` and `~/.codex/sessions`, or what the clients were told instead.
    """
    chosen = date.fromisoformat(day).isoformat() if day else Statistics(folder, Journal(folder), now).today()
    return verify_text(folder, chosen, claude_folder, codex_folder)


def _read(folder: Path, now: Clock) -> Statistics:
    statistics = Statistics(folder, Journal(folder), now)
    statistics.start(read_only=True)
    return statistics


def _first_day(statistics: Statistics, days: int) -> str:
    return (date.fromisoformat(statistics.today()) - timedelta(days=_possible(days) - 1)).isoformat()


def _possible(days: int) -> int:
    return min(max(1, days), MOST_DAYS)

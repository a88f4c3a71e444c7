import asyncio
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from switchyard.exchange import Attempt, Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.settings import Settings
from switchyard.store.ledger import Ledger
from switchyard.store.lock import DataFolderLock
from switchyard.store.report import (
    NotRebuilt,
    stats_csv,
    stats_json,
    stats_rebuilt,
    stats_text,
    stats_verified,
)
from switchyard.store.roll_up import FILE_NAME

NOON = datetime(2026, 11, 21, 12).timestamp()


def now() -> float:
    return NOON


def fill(folder: Path, *days_back: int) -> None:
    async def scenario() -> None:
        ledger = Ledger(folder, Settings, now)
        ledger.start()
        for back in days_back:
            attempt = Attempt("a", "claude-opus-5-5", "messages", "http://x", "primary", 0.0)
            finished = Exchange("x", NOON - back * 86_400, "messages", "claude-opus-5-5", attempts=[attempt])
            finished.usage, finished.outcome, finished.duration = Usage(input=1000), Outcome.OK, 1.0
            await ledger.record(finished)

    asyncio.run(scenario())


def listing(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


def test_printing_reads_the_journal_beyond_the_roll_up_and_changes_no_file(tmp_path: Path) -> None:
    fill(tmp_path, 0, 0, 3, 40)
    (tmp_path / FILE_NAME).write_bytes(b"broken")
    before = listing(tmp_path)
    lines = stats_text(tmp_path, now=now).splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["today", "2", "0"],
        ["7", "days", "3"],
        ["30", "days", "3"],
    ]
    assert stats_csv(tmp_path, 60, now=now).count("\n") == 4
    assert msgspec.json.decode(stats_json(tmp_path, 30, "upstream", now))["rows"][0]["requests"] == 3
    assert listing(tmp_path) == before


def test_an_empty_data_folder_has_statistics_of_nothing(tmp_path: Path) -> None:
    assert stats_text(tmp_path, now=now).startswith("         requests")
    assert stats_csv(tmp_path, now=now) == "key\n"
    assert listing(tmp_path) == []


@pytest.mark.parametrize("days", [-5, 0, 1, 10**12])
def test_any_number_of_days_is_accepted(tmp_path: Path, days: int) -> None:
    fill(tmp_path, 0, 40)
    assert stats_text(tmp_path, days, now=now)
    assert stats_csv(tmp_path, days, now=now).count("\n") == (3 if days > 40 else 2)


def test_a_rebuild_comes_to_the_same_totals(tmp_path: Path) -> None:
    fill(tmp_path, 0, 1, 40)
    before = stats_json(tmp_path, 60, now=now)
    (tmp_path / FILE_NAME).unlink(missing_ok=True)
    assert stats_rebuilt(tmp_path, now) == "Rebuilt from the journal: 3 requests on 3 days.\n"
    assert stats_json(tmp_path, 60, now=now) == before


def test_a_line_that_lacks_only_its_end_is_counted_once_by_a_rebuild_and_the_start_after_it(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 0, 1)
    [month] = (tmp_path / "usage").glob("*")
    month.write_bytes(month.read_bytes()[:-1])
    assert stats_rebuilt(tmp_path, now) == "Rebuilt from the journal: 2 requests on 2 days.\n"
    ledger = Ledger(tmp_path, Settings, now)
    ledger.start()
    assert (ledger.statistics.ever().all.requests, ledger.fault) == (2, "")


def test_a_rebuild_beside_a_daemon_is_refused(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path):
        with pytest.raises(NotRebuilt, match="Nothing was rebuilt: a daemon"):
            stats_rebuilt(tmp_path, now)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_day_is_verified_against_the_clients(tmp_path: Path) -> None:
    fill(tmp_path, 0)
    text = stats_verified(tmp_path, tmp_path / "claude", tmp_path / "codex", now=now)
    assert "claude-opus-5-5: 1 request, 1000 tokens" in text
    assert "no entries in the journal" in stats_verified(tmp_path, tmp_path, tmp_path, "2020-01-01", now)
    with pytest.raises(ValueError):
        stats_verified(tmp_path, tmp_path, tmp_path, "yesterday", now)

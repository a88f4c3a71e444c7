"""The journal and the totals under a real kill and a real system limit, in a separate process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from switchyard.settings import Settings
from switchyard.store.ledger import Ledger
from tests.bed.patience import PATIENCE_SECONDS

COMMON = """
import asyncio, sys, time
from pathlib import Path
from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.settings import Settings
from switchyard.store.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]), Settings, time.time)

def exchange(number):
    usage = Usage(input=number)
    return Exchange(f"x{number}", time.time(), "chat", "m", outcome=Outcome.OK, duration=0.0, usage=usage)
"""

WRITES_UNTIL_KILLED = """
async def main():
    ledger.start()
    number = 0
    while True:
        number += 1
        await ledger.record(exchange(number))
        print(number, flush=True)
        if number % 37 == 0:
            await ledger.roll_up.save()

asyncio.run(main())
"""

MEETS_A_LIMIT = """
import resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

async def main():
    ledger.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    for number in range(1, 51):
        await ledger.record(exchange(number))
    assert "cannot be written" in ledger.fault, ledger.fault
    assert 0 < ledger.journal.pending < 50
    await ledger.roll_up.save()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    async with asyncio.timeout(20):
        while ledger.journal.pending:
            await asyncio.sleep(0.01)
    assert ledger.fault == "", ledger.fault
    await ledger.stop()

asyncio.run(main())
"""


STARTS_ON_A_FULL_DISK = """
import os, resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

async def main():
    await ledger.record(exchange(1))
    [name] = ledger.journal.files()
    path = ledger.journal.folder / name
    os.truncate(path, path.stat().st_size - 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    again = Ledger(Path(sys.argv[1]), Settings, time.time)
    again.start()
    assert "cannot be written" in again.fault, again.fault
    await again.record(exchange(2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await again.record(exchange(3))
    await again.stop()

asyncio.run(main())
"""


def a_process(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMON + code, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def totals(folder: Path) -> tuple[int, int]:
    ledger = Ledger(folder, Settings, time.time)
    ledger.start()
    everything = ledger.statistics.ever().all
    return everything.requests, everything.input


@pytest.mark.parametrize("lines", [1, 50, 400])
def test_a_kill_at_any_moment_loses_no_finished_exchange(tmp_path: Path, lines: int) -> None:
    process = a_process(WRITES_UNTIL_KILLED, tmp_path)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    reported = [int(number) for number in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    finished = max(reported, default=lines)
    requests, tokens = totals(tmp_path)
    # the last one may have reached the journal without being reported
    assert requests in (finished, finished + 1)
    assert tokens == requests * (requests + 1) // 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_limit_of_the_system_in_the_midst_of_a_line_loses_nothing(tmp_path: Path) -> None:
    process = a_process(MEETS_A_LIMIT, tmp_path)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert totals(tmp_path) == (50, 50 * 51 // 2)
    [journal] = (tmp_path / "usage").glob("*.jsonl")
    assert journal.read_bytes().count(b"\n") == 50


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_torn_line_that_a_full_disk_keeps_from_being_ended_spoils_no_later_one(tmp_path: Path) -> None:
    process = a_process(STARTS_ON_A_FULL_DISK, tmp_path)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert totals(tmp_path) == (2, 5)
    (tmp_path / "token_stats.json").unlink()
    assert totals(tmp_path) == (2, 5)

"""Write the journal and the totals of a user with a long history."""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.store.journal import Journal  # noqa: E402
from switchyard.store.journal_line import Line, LineAttempt, LineUsage, write_line  # noqa: E402
from switchyard.store.roll_up import FILE_NAME, RollUp  # noqa: E402

DAYS = 365
DISTINCT = 200
"""distinct lines of a day; the others repeat them"""


def write_journal(folder: Path, lines: int, *, upstreams: int = 20) -> None:
    """This many lines, spread over the last year."""
    (folder / "usage").mkdir(parents=True, exist_ok=True)
    today = datetime.now(UTC)
    for number in range(DAYS):
        count = lines * (number + 1) // DAYS - lines * number // DAYS
        moment = today - timedelta(days=DAYS - number)
        block = list(_lines(moment, number, min(count, DISTINCT), upstreams))
        with (folder / "usage" / f"{moment:%Y-%m}.jsonl").open("ab") as file:
            for start in range(0, count, DISTINCT):
                file.write(b"".join(block[: count - start]))


def add_up(folder: Path) -> float:
    """Write the totals as the daemon does; returns the seconds it took."""
    began = time.perf_counter()
    roll_up = RollUp(folder, Journal(folder), time.time)
    roll_up.start()
    asyncio.run(roll_up.save(final=True))
    return time.perf_counter() - began


def forget_totals(folder: Path) -> None:
    (folder / FILE_NAME).unlink(missing_ok=True)


def _lines(moment: datetime, day: int, count: int, upstreams: int) -> Iterator[bytes]:
    for number in range(count):
        upstream = f"upstream {(day + number % 20) % upstreams}"
        yield write_line(
            Line(
                v=1,
                at=moment.timestamp() + number,
                day=f"{moment:%Y-%m-%d}",
                id=f"{day:04}-{number:04}",
                began=moment.timestamp() + number - 2,
                client=f"client {number % 3}",
                agent="bench/1",
                session=f"session-{day}-{number % 10}",
                project=f"/home/me/project-{number % 10}",
                client_protocol="messages",
                protocol="messages",
                model=f"model-{number % 8}",
                sent=f"model-{number % 8}",
                upstream=upstream,
                stream=True,
                outcome="ok",
                status=200,
                first_byte=0.4,
                duration=2.0,
                usage=LineUsage(input=900, cache_read=20_000, output=300),
                cost=0.01,
                attempts=[
                    LineAttempt(upstream, f"model-{number % 8}", status=200, first_byte=0.4, ended=2.0)
                ],
            )
        )

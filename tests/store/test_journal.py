import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from switchyard.store.journal import Batch, Journal
from switchyard.store.journal_line import Line, write_line
from tests.bed.patience import PATIENCE_SECONDS

NOVEMBER, DECEMBER = "2025-11", "2025-12"
AT = 1_763_683_200.0  # 2025-11-21


class Disk:
    """A disk that can be slow, full or half full, and that records the thread of each write."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0
        self.room: int | None = None
        self.error = errno.ENOSPC
        self.threads: list[bool] = []
        self.loop_thread = 0

    def clock(self) -> float:
        return self.now

    def write(self, handle: int, content: bytes) -> int:
        self.threads.append(threading.get_ident() != self.loop_thread)
        self.now += self.seconds
        if self.room is not None:
            content = content[: self.room]
            if not content:
                raise OSError(self.error, os.strerror(self.error))
            self.room -= len(content)
        return os.write(handle, content)


def line(number: int) -> bytes:
    return write_line(Line(v=1, at=AT, day="2025-11-21", id=f"x{number}"))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def a_journal(folder: Path, disk: Disk, **limits: int) -> Journal:
    disk.loop_thread = threading.get_ident()
    return Journal(folder, clock=disk.clock, write=disk.write, retry_seconds=0.001, **limits)


def content(folder: Path, month: str = "2025-11") -> bytes:
    return (folder / "usage" / f"{month}.jsonl").read_bytes()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_line_is_in_its_file_when_append_returns(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.append(line(1), NOVEMBER)
        assert content(tmp_path) == line(1)
        await journal.append(line(2), NOVEMBER)
        assert content(tmp_path) == line(1) + line(2)
        assert (journal.pending, journal.fault) == (0, "")

    run(scenario())


def test_months_have_files_of_their_own_that_only_the_user_can_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        for number, month in enumerate((NOVEMBER, DECEMBER, NOVEMBER)):
            await journal.append(line(number), month)
        assert journal.files() == ["2025-11.jsonl", "2025-12.jsonl"]
        assert content(tmp_path) == line(0) + line(2)
        modes = [stat.S_IMODE((tmp_path / "usage" / name).stat().st_mode) for name in journal.files()]
        assert modes == [0o600, 0o600]
        assert stat.S_IMODE((tmp_path / "usage").stat().st_mode) == 0o700

    run(scenario())


def test_a_quick_disk_is_written_without_a_thread(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        journal = a_journal(tmp_path, disk)
        for number in range(5):
            await journal.append(line(number), NOVEMBER)
        assert disk.threads == [False] * 5

    run(scenario())


def test_after_a_slow_write_a_thread_writes_until_the_disk_is_quick_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        journal = a_journal(tmp_path, disk)
        disk.seconds = 0.021
        for number in range(3):
            await journal.append(line(number), NOVEMBER)
        disk.seconds = 0.001
        for number in range(3, 6):
            await journal.append(line(number), NOVEMBER)
        assert disk.threads == [False, True, True, True, False, False]
        assert content(tmp_path) == b"".join(map(line, range(6)))
        assert journal.fault == ""

    run(scenario())


def test_lines_keep_their_order_when_many_are_appended_to_a_slow_disk_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.seconds = 0.021
        journal = a_journal(tmp_path, disk)
        await asyncio.gather(*(journal.append(line(number), NOVEMBER) for number in range(300)))
        assert content(tmp_path) == b"".join(map(line, range(300)))
        assert journal.pending == 0

    run(scenario())


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("room", [0, 1, 20, len(line(0)) - 1])
def test_a_disk_that_refuses_loses_nothing_and_delays_no_client(
    tmp_path: Path, error: int, room: int
) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.room, disk.error = room, error
        journal = a_journal(tmp_path, disk)
        for number in range(50):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await journal.append(line(number), NOVEMBER)
        assert str(tmp_path) in journal.fault
        assert journal.pending == 50
        disk.room = None
        await until(lambda: journal.pending == 0)
        assert content(tmp_path) == b"".join(map(line, range(50)))
        assert (journal.fault, journal.lost) == ("", 0)

    run(scenario())


def test_space_that_comes_back_a_byte_at_a_time_tears_no_line(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.room = 0
        journal = a_journal(tmp_path, disk)
        for number in range(4):
            await journal.append(line(number), NOVEMBER)
        expected = b"".join(map(line, range(4)))
        for _ in range(60):
            disk.room = 3
            await until(lambda: disk.room == 0)
            written = content(tmp_path)
            assert expected.startswith(written)
        disk.room = None
        await journal.close()
        assert content(tmp_path) == expected

    run(scenario())


def test_lines_of_two_months_wait_for_their_own_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.room = 0
        journal = a_journal(tmp_path, disk)
        for number, month in enumerate((NOVEMBER, DECEMBER, DECEMBER, NOVEMBER)):
            await journal.append(line(number), month)
        disk.room = None
        await journal.close()
        assert content(tmp_path) == line(0) + line(3)
        assert content(tmp_path, "2025-12") == line(1) + line(2)

    run(scenario())


def test_lines_beyond_the_queue_are_counted_and_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.room = 0
        journal = a_journal(tmp_path, disk, max_waiting_bytes=3 * len(line(0)))
        for number in range(5):
            await journal.append(line(number), NOVEMBER)
        assert (journal.pending, journal.lost) == (3, 2)
        assert "2 lines lost" in journal.fault
        disk.room = None
        await journal.close()
        assert content(tmp_path) == b"".join(map(line, range(3)))

    run(scenario())


def test_closing_on_a_full_disk_does_not_hang(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        disk.room = 0
        journal = a_journal(tmp_path, disk)
        await journal.append(line(0), NOVEMBER)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await journal.close()
        assert journal.pending == 1

    run(scenario())


def test_closing_tries_again_after_a_write_that_failed_meanwhile(tmp_path: Path) -> None:
    entered, goes_on = threading.Event(), threading.Event()

    class Stuck(Disk):
        def write(self, handle: int, content: bytes) -> int:
            if threading.get_ident() != self.loop_thread and not entered.is_set():
                entered.set()
                goes_on.wait(PATIENCE_SECONDS)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(handle, content)

    async def scenario() -> None:
        disk = Stuck()
        disk.room = 0
        journal = a_journal(tmp_path, disk)
        await journal.append(line(0), NOVEMBER)
        await until(entered.is_set)
        closing = asyncio.create_task(journal.close())
        await asyncio.sleep(0)
        disk.room = None
        goes_on.set()
        await closing
        assert content(tmp_path) == line(0)

    run(scenario())


def test_a_folder_that_cannot_be_made_is_reported_without_an_exception(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "usage").write_bytes(b"a file in the way")
        journal = Journal(tmp_path, retry_seconds=0.001)
        await journal.append(line(0), NOVEMBER)
        assert "cannot be written" in journal.fault
        (tmp_path / "usage").unlink()
        await until(lambda: journal.pending == 0)
        assert content(tmp_path) == line(0)

    run(scenario())


def test_a_file_that_was_moved_away_is_created_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.append(line(0), NOVEMBER)
        os.rename(tmp_path / "usage" / "2025-11.jsonl", tmp_path / "old")
        journal.refresh()
        await journal.append(line(1), NOVEMBER)
        assert content(tmp_path) == line(1)

    run(scenario())


@pytest.mark.parametrize("cut", [1, 10, len(line(1)) - 1])
def test_a_torn_last_line_is_ended_so_that_the_next_one_is_whole(tmp_path: Path, cut: int) -> None:
    async def scenario() -> None:
        (tmp_path / "usage").mkdir()
        (tmp_path / "usage" / "2025-11.jsonl").write_bytes(line(0) + line(1)[:cut])
        journal = Journal(tmp_path)
        journal.repair()
        journal.repair()
        await journal.append(line(2), NOVEMBER)
        assert content(tmp_path) == line(0) + line(1)[:cut] + b"\n" + line(2)
        whole = cut == len(line(1)) - 1
        assert ids(journal, {}) == ["x0", "x1", "x2"] if whole else ["x0", "x2"]

    run(scenario())


def test_a_line_that_lacks_nothing_but_its_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "2025-11.jsonl").write_bytes(line(0) + line(1)[:-1])
    journal = Journal(tmp_path)
    assert ids(journal, {}) == ["x0", "x1"]
    assert ids(journal, journal.position()) == []


def test_only_what_lies_behind_the_position_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        for number, month in enumerate((NOVEMBER, DECEMBER)):
            await journal.append(line(number), month)
        position = journal.position()
        for number, month in ((2, NOVEMBER), (3, DECEMBER)):
            await journal.append(line(number), month)
        assert ids(journal, {}) == ["x0", "x2", "x1", "x3"]
        assert ids(journal, position) == ["x2", "x3"]
        assert ids(journal, journal.position()) == []
        batches = list(journal.lines_since(position))
        assert {batch.file: batch.end for batch in batches} == journal.position()

    run(scenario())


def test_garbage_between_the_lines_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    garbage = b"\x00" * 4000 + b"\n\n{]\n" + b"x" * 3_000_000 + b"\n"
    (tmp_path / "usage" / "2025-11.jsonl").write_bytes(line(0) + garbage + line(1) + b'{"v":1')
    assert ids(Journal(tmp_path), {}) == ["x0", "x1"]


@pytest.mark.parametrize(
    ("covered", "fits"),
    [
        ({}, True),
        ({"2025-11.jsonl": len(line(0))}, True),
        ({"2025-11.jsonl": 10}, False),
        ({"2025-11.jsonl": len(line(0)) - 1}, True),
        ({"2025-11.jsonl": len(line(0) + line(1))}, True),
        ({"2025-11.jsonl": 999_999}, False),
        ({"2024-01.jsonl": 10}, False),
        ({"2024-01.jsonl": 0}, True),
        ({"2024-01.jsonl": 10, "2025-11.jsonl": len(line(0))}, False),
    ],
)
def test_a_position_that_no_line_of_the_file_ends_at_belongs_to_another_file(
    tmp_path: Path, covered: dict[str, int], fits: bool
) -> None:
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "2025-11.jsonl").write_bytes(line(0) + line(1))
    assert Journal(tmp_path).fits(covered) is fits


def test_a_position_where_a_full_disk_tore_a_line_fits_before_and_after_the_repair(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "2025-11.jsonl").write_bytes(line(0) + line(1)[:20])
    journal = Journal(tmp_path)
    torn = journal.position()
    assert journal.fits(torn)
    journal.repair()
    assert journal.fits(torn)
    assert ids(journal, torn) == []


def test_copies_beside_the_files_of_the_months_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    for name in ("2025-11.jsonl", "2025-11 (copy).jsonl", "old-2025-11.jsonl", "2025-11.jsonl.bak", ".jsonl"):
        (tmp_path / "usage" / name).write_bytes(line(0))
    journal = Journal(tmp_path)
    assert (journal.files(), ids(journal, {})) == (["2025-11.jsonl"], ["x0"])


def test_lines_of_one_month_can_be_read_separately(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    for number, name in enumerate(("2025-10", "2025-11", "2025-12")):
        (tmp_path / "usage" / f"{name}.jsonl").write_bytes(line(number))
    assert [found.id for found in Journal(tmp_path).lines_of_month("2025-11")] == ["x1"]
    assert list(Journal(tmp_path).lines_of_month("2020-01")) == []


def ids(journal: Journal, position: dict[str, int]) -> list[str]:
    batches: list[Batch] = list(journal.lines_since(position))
    return [found.id for batch in batches for found in batch.lines]

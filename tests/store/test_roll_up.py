import asyncio
import errno
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, tzinfo
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, decode_line, encode_line, line_of, reset_line, write_line
from switchyard.store.roll_up import FILE_NAME, SCHEMA, RollUp
from switchyard.store.stored_day import SESSION_DAYS
from switchyard.store.token_stats import token_stats
from tests.bed.statistics import DAY, NOON, SOME_LINES, a_line, some_line


def roll_up(folder: Path, zone: tzinfo = UTC) -> RollUp:
    return RollUp(folder, Journal(folder), lambda: NOON, zone)


def write_journal(folder: Path, lines: Sequence[Line]) -> None:
    (folder / "usage").mkdir(exist_ok=True)
    for line in lines:
        with (folder / "usage" / f"{line.day[:7]}.jsonl").open("ab") as file:
            file.write(write_line(line))


def reported(roll_up: RollUp) -> dict[str, Any]:
    statistics = roll_up.statistics
    answer = token_stats(statistics)
    return {name: value for name, value in answer.items() if name != "generated_at"} | {
        "sessions": {day: statistics.day(day).sessions for day in statistics.days()}
    }


def keep(folder: Path, lines: Sequence[Line], save: bool = True) -> None:
    """A daemon that counts the lines and is killed."""

    async def scenario() -> None:
        journal = Journal(folder)
        journal.repair()
        kept = RollUp(folder, journal, lambda: NOON, UTC)
        kept.start()
        for line in lines:
            kept.statistics.add(line)
            await journal.append(write_line(line), line.month)
        if save:
            await kept.save()

    asyncio.run(scenario())


def test_the_file_has_the_shape_of_the_legacy_format_too(tmp_path: Path) -> None:
    keep(tmp_path, [a_line()])
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    answer = roll_up(tmp_path)
    answer.start()
    expected = token_stats(answer.statistics)
    assert stored["summary"] == expected["summary"]
    assert stored["by_model"]["opus"].items() <= expected["by_model"]["opus"].items()
    daily = {name: value for name, value in stored["daily"]["2026-11-21"].items() if name != "detail"}
    assert daily.items() <= expected["daily"]["2026-11-21"].items()
    assert stored["generated_at"] == expected["generated_at"]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_old_days_forget_their_sessions_and_nothing_else(tmp_path: Path) -> None:
    lines = [a_line(NOON - back * DAY) for back in range(SESSION_DAYS + 10, -1, -1)]
    keep(tmp_path, lines)
    kept = roll_up(tmp_path)
    kept.start()
    days = kept.statistics.days()
    assert [day for day in days if not kept.statistics.day(day).sessions] == days[:10]
    assert token_stats(kept.statistics)["summary"]["total_requests"] == len(lines)


def test_old_days_stay_where_they_are_when_the_machine_moves(tmp_path: Path) -> None:
    berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
    late = datetime(
        2026, 11, 20, 22, 30, tzinfo=UTC
    ).timestamp()  # 23:30 in Berlin, 07:30 of the next day in Tokyo
    (tmp_path / "usage").mkdir()
    journal = tmp_path / "usage" / "2026-11.jsonl"
    journal.write_bytes(encode_line(exchange(), late, berlin) + encode_line(exchange(), late, tokyo))
    for zone in (berlin, tokyo):
        kept = roll_up(tmp_path, zone=zone)
        kept.rebuild()
        assert list(token_stats(kept.statistics)["hourly"]) == ["2026-11-20T23", "2026-11-21T07"]


@pytest.mark.parametrize("zone", ["America/New_York", "America/Santiago", "Africa/Cairo", "Asia/Kathmandu"])
def test_every_hour_of_an_autumn_is_in_the_file_of_its_month_and_counted_once(
    tmp_path: Path, zone: str
) -> None:
    async def scenario() -> None:
        place = ZoneInfo(zone)
        journal = Journal(tmp_path)
        begin = datetime(2026, 8, 31, 20, tzinfo=place).timestamp()
        hours = 24 * 95  # over all changes of the clock in autumn, and three ends of months
        for hour in range(hours):
            at = begin + hour * 3600
            line = line_of(exchange(), at, place)
            await journal.append(write_line(line), line.month)
        for name in journal.files():
            assert {line.day[:7] for line in journal.lines_of_month(name[:7])} == {name[:7]}
        kept = roll_up(tmp_path, zone=place)
        kept.start()
        assert token_stats(kept.statistics)["summary"]["total_requests"] == hours
        rows = token_stats(kept.statistics, by="month")["rows"]
        assert [(row["key"], row["requests"]) for row in rows][1:3] == [
            (month, len(list(journal.lines_of_month(month)))) for month in ("2026-09", "2026-10")
        ]

    asyncio.run(scenario())


def exchange() -> Exchange:
    return Exchange("x", NOON, "messages", "opus", outcome=Outcome.OK, usage=Usage(input=10, output=1))


def test_the_totals_survive_a_restart_without_reading_the_journal_again(tmp_path: Path) -> None:
    keep(tmp_path, [a_line(NOON - back * DAY) for back in range(40, -1, -1)])
    first = roll_up(tmp_path)
    first.start()
    file = tmp_path / "usage" / "2026-11.jsonl"
    file.write_bytes(b"\n".rjust(file.stat().st_size))
    again = roll_up(tmp_path)
    again.start()
    assert reported(again) == reported(first)
    assert again.fault == ""


@pytest.mark.parametrize("moved", ["2026-11.jsonl", "2026-10.jsonl"])
def test_a_journal_file_that_was_away_for_a_while_is_not_counted_twice(tmp_path: Path, moved: str) -> None:
    lines = [a_line(NOON - back * DAY) for back in range(40, -1, -1)]
    keep(tmp_path, lines)
    file = tmp_path / "usage" / moved
    content = file.read_bytes()
    file.unlink()
    keep(tmp_path, [a_line()])
    without = roll_up(tmp_path)
    without.start()
    assert token_stats(without.statistics)["summary"]["total_requests"] == 42 - content.count(b"\n")
    if file.exists():
        content += file.read_bytes()
    file.write_bytes(content)
    back = roll_up(tmp_path)
    back.start()
    asyncio.run(back.save())
    restarted = roll_up(tmp_path)
    restarted.start()
    assert token_stats(restarted.statistics)["summary"]["total_requests"] == 42


def test_a_journal_file_that_was_cut_is_counted_as_it_is_now(tmp_path: Path) -> None:
    keep(tmp_path, [a_line() for _ in range(3)])
    file = tmp_path / "usage" / "2026-11.jsonl"
    file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n")
    cut = roll_up(tmp_path)
    cut.start()
    assert token_stats(cut.statistics)["summary"]["total_requests"] == 1
    assert "rebuilt from the journal" in cut.fault


def test_what_came_after_the_last_save_is_caught_up(tmp_path: Path) -> None:
    keep(tmp_path, [a_line(), a_line(NOON - DAY)])
    keep(tmp_path, [a_line(), a_line(NOON - DAY), a_line(NOON - 40 * DAY)], save=False)
    kept = roll_up(tmp_path)
    kept.start()
    assert token_stats(kept.statistics)["summary"]["total_requests"] == 5


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b'{"schema":1}', b'{"summary":{},"daily":{}}', b"\xff" * 99]
)
def test_a_roll_up_that_cannot_be_used_is_set_aside_and_rebuilt(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path, [a_line(), a_line(NOON - DAY)])
    expected = roll_up(tmp_path)
    expected.start()
    (tmp_path / FILE_NAME).write_bytes(content)
    kept = roll_up(tmp_path)
    kept.start()
    assert reported(kept) == reported(expected)
    aside = list(tmp_path.glob(f"{FILE_NAME}.bad-*"))
    assert [path.read_bytes() for path in aside] == [content]
    assert str(aside[0]) in kept.fault


def test_damaged_lines_and_days_do_not_keep_it_from_starting(tmp_path: Path) -> None:
    keep(tmp_path, [a_line(NOON - back * DAY) for back in range(4)])
    with (tmp_path / "usage" / "2026-11.jsonl").open("ab") as journal:
        journal.write(write_line(a_line()).replace(b"2026-11-21", b"2026-11-2~"))
        journal.write(write_line(a_line(cost=1.0)).replace(b'"cost":1.0', b'"cost":1e300'))
    kept = roll_up(tmp_path)
    kept.start()
    assert token_stats(kept.statistics)["summary"]["total_requests"] == 4

    damaged = (tmp_path / FILE_NAME).read_bytes().replace(b'"2026-11-19":', b'"2026-11-1\\u0001":')
    (tmp_path / FILE_NAME).write_bytes(damaged)
    again = roll_up(tmp_path)
    again.start()
    assert token_stats(again.statistics)["summary"]["total_requests"] == 4
    assert again.fault.startswith("The statistics were rebuilt from the journal")


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_day_of_another_shape_is_noticed_whether_the_file_has_a_checksum_or_not(
    tmp_path: Path, is_stated: bool
) -> None:
    keep(tmp_path, [a_line(NOON - back * DAY) for back in range(4)])
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    days = [msgspec.json.encode(day) for day in stored["daily"].values()]
    assert stored["checksum"] == crc32(
        b"".join(chain(*zip(map(str.encode, stored["daily"]), days, strict=True)))
    )
    stored["daily"]["2026-11-19"]["detail"]["all"] = "none"
    if not is_stated:
        del stored["checksum"]
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(stored))
    again = roll_up(tmp_path)
    again.start()
    assert token_stats(again.statistics)["summary"]["total_requests"] == 4
    assert again.fault.startswith("The statistics were rebuilt from the journal")


def test_a_roll_up_of_an_unknown_schema_is_rebuilt(tmp_path: Path) -> None:
    keep(tmp_path, [a_line()])
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(stored | {"schema": 99}))
    kept = roll_up(tmp_path)
    kept.start()
    assert token_stats(kept.statistics)["summary"]["total_requests"] == 1


@pytest.mark.parametrize("schema", range(1, SCHEMA))
@pytest.mark.parametrize("read_only", [False, True])
def test_after_an_update_the_totals_are_rebuilt_without_an_error(
    tmp_path: Path, schema: int, read_only: bool
) -> None:
    keep(tmp_path, [a_line(), a_line(NOON - DAY)])
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    outdated = {name: value for name, value in stored.items() if name != "ever"} | {"schema": schema}
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(outdated))
    kept = roll_up(tmp_path)
    kept.start(read_only=read_only)
    assert token_stats(kept.statistics)["summary"]["total_requests"] == 2
    assert (kept.fault, list(tmp_path.glob("*.bad-*"))) == ("", [])


def test_an_outdated_roll_up_whose_journal_is_missing_is_kept_aside(tmp_path: Path) -> None:
    keep(tmp_path, [a_line()])
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(stored | {"schema": 1}))
    (tmp_path / "usage" / "2026-11.jsonl").unlink()
    kept = roll_up(tmp_path)
    kept.start()
    assert len(list(tmp_path.glob("*.bad-*"))) == 1
    assert "rebuilt" in kept.fault


def test_reading_only_leaves_a_broken_file_where_it_is(tmp_path: Path) -> None:
    keep(tmp_path, [a_line()])
    (tmp_path / FILE_NAME).write_bytes(b"{")
    kept = roll_up(tmp_path)
    kept.start(read_only=True)
    assert token_stats(kept.statistics)["summary"]["total_requests"] == 1
    assert (tmp_path / FILE_NAME).read_bytes() == b"{"


def test_nothing_is_saved_while_lines_wait_for_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        blocker = tmp_path / "usage"
        blocker.write_bytes(b"in the way")
        journal = Journal(tmp_path, retry_seconds=0.001)
        kept = RollUp(tmp_path, journal, lambda: NOON, UTC)
        line = a_line()
        kept.statistics.add(line)
        await journal.append(write_line(line), line.month)
        await kept.save()
        assert not (tmp_path / FILE_NAME).exists()
        assert token_stats(kept.statistics)["summary"]["total_requests"] == 1
        blocker.unlink()
        await journal.close()
        await kept.save()
        again = roll_up(tmp_path)
        again.start()
        assert reported(again) == reported(kept)

    asyncio.run(scenario())


def test_lines_that_a_full_disk_kept_out_are_in_the_roll_up_of_a_clean_end(tmp_path: Path) -> None:
    room = 700

    def write(handle: int, content: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "full")
        content, room = content[:room], room - len(content[:room])
        return os.write(handle, content)

    async def scenario() -> None:
        journal = Journal(tmp_path, write=write, retry_seconds=0.001)
        kept = RollUp(tmp_path, journal, lambda: NOON, UTC)
        for _ in range(9):
            kept.statistics.add(a_line())
            await journal.append(write_line(a_line()), a_line().month)
        await journal.close()
        await kept.save(final=True)

    asyncio.run(scenario())
    keep(tmp_path, [a_line()])
    again = roll_up(tmp_path)
    again.start()
    assert (token_stats(again.statistics)["summary"]["total_requests"], again.fault) == (10, "")


def test_a_roll_up_that_cannot_be_written_is_reported_until_it_can(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = roll_up(tmp_path)
        kept.statistics.add(a_line())
        (tmp_path / FILE_NAME).mkdir()
        await kept.save()
        assert str(tmp_path / FILE_NAME) in kept.fault
        (tmp_path / FILE_NAME).rmdir()
        await kept.save()
        assert kept.fault == ""
        assert (tmp_path / FILE_NAME).is_file()

    asyncio.run(scenario())


def test_a_reset_keeps_a_copy_and_starts_from_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        kept = RollUp(tmp_path, journal, lambda: NOON, UTC)
        for line in (a_line(), a_line(NOON - DAY)):
            kept.statistics.add(line)
            await journal.append(write_line(line), line.month)
        before = token_stats(kept.statistics)["summary"]
        copy = await kept.reset()
        assert copy == tmp_path / "token_stats.before-20261121-120000.json"
        assert msgspec.json.decode(copy.read_bytes())["summary"] == before
        assert token_stats(kept.statistics)["daily"] == {}
        kept.statistics.add(a_line())
        await journal.append(write_line(a_line()), a_line().month)
        again = roll_up(tmp_path)
        again.start()
        rebuilt = roll_up(tmp_path)
        rebuilt.rebuild()
        assert reported(kept) == reported(again) == reported(rebuilt)
        assert token_stats(rebuilt.statistics)["summary"]["total_requests"] == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "later",
    [
        pytest.param((0.0, 0.4), id="within a second"),
        pytest.param((0.0, 3600.0), id="an hour later, when the clocks go back by one"),
        pytest.param((0.0, 7.0, 0.0), id="with the clock set back"),
    ],
)
def test_a_reset_never_replaces_the_copy_of_another(tmp_path: Path, later: tuple[float, ...]) -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    clock = [first]
    zone = ZoneInfo("Europe/Berlin")

    async def scenario() -> None:
        journal = Journal(tmp_path)
        kept = RollUp(tmp_path, journal, lambda: clock[0], zone)
        copies = {}
        for number, seconds in enumerate(later, 1):
            clock[0] = first + seconds
            for _ in range(number):
                line = a_line(clock[0])
                kept.statistics.add(line)
                await journal.append(write_line(line), line.month)
            copy = await kept.reset()
            assert copy is not None
            copies[copy] = number
        found = {copy: msgspec.json.decode(copy.read_bytes())["summary"]["total_requests"] for copy in copies}
        assert found == copies and len(copies) == len(later)

    asyncio.run(scenario())


def test_a_reset_waits_until_the_disk_has_the_lines_of_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "usage").write_bytes(b"in the way")
        journal = Journal(tmp_path, retry_seconds=0.001)
        kept = RollUp(tmp_path, journal, lambda: NOON, UTC)
        kept.statistics.add(a_line())
        await journal.append(write_line(a_line()), a_line().month)
        assert await kept.reset() is None
        assert kept.fault == "The statistics were not reset: earlier lines are not on the disk yet"
        (tmp_path / "usage").unlink()
        await journal.close()
        assert await kept.reset() is not None
        again = roll_up(tmp_path)
        again.rebuild()
        assert token_stats(again.statistics)["summary"]["total_requests"] == 0

    asyncio.run(scenario())


def test_what_was_spent_is_known_after_a_start_though_it_was_requested_before(tmp_path: Path) -> None:
    keep(tmp_path, [a_line(cost=0.25)])
    keep(tmp_path, [a_line(cost=0.5)], save=False)
    kept = roll_up(tmp_path)
    assert (kept.statistics.spent("2026-11-21"), kept.statistics.spent("2026-11")) == ({}, {})
    kept.start()
    assert kept.statistics.spent("2026-11-21") == kept.statistics.spent("2026-11") == {"a": 750_000_000}


def recent(answer: dict[str, Any]) -> dict[str, Any]:
    """Without sessions: which days drop them depends on the time of the last save."""
    return {name: value for name, value in answer.items() if name != "sessions"}


@settings(max_examples=60)
@given(st.tuples(SOME_LINES, SOME_LINES, SOME_LINES))
def test_journal_roll_up_and_totals_agree_over_several_lives(lives: tuple[list[Line], ...]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        keep(folder, lives[0])
        keep(folder, lives[1], save=False)
        keep(folder, lives[2])
        kept, rebuilt, expected = (roll_up(folder) for _ in range(3))
        kept.start()
        rebuilt.rebuild()
        for line in chain(*lives):
            expected.statistics.add(line)
        assert recent(reported(kept)) == recent(reported(rebuilt)) == recent(reported(expected))


RESETS = st.builds(lambda days: NOON - days * DAY, st.integers(0, 45))
"""the time of a reset, by the clock of the machine, which may have been set back or moved to another zone"""


@settings(max_examples=60)
@given(st.lists(some_line() | RESETS, max_size=10), st.booleans())
def test_a_reset_separates_earlier_lines_from_later_ones_whatever_the_clock_says(
    events: list[Line | float], saved: bool
) -> None:
    async def scenario(folder: Path) -> None:
        now = NOON
        journal = Journal(folder)
        kept, expected = RollUp(folder, journal, lambda: now, UTC), roll_up(folder)
        for event in events:
            if isinstance(event, Line):
                kept.statistics.add(event)
                expected.statistics.add(event)
                await journal.append(write_line(event), event.month)
            else:
                now = event
                (folder / FILE_NAME).unlink(missing_ok=True)
                assert await kept.reset() is not None
                expected = roll_up(folder)
                if not saved:
                    (folder / FILE_NAME).unlink()
        now = NOON
        again, rebuilt = roll_up(folder), roll_up(folder)
        again.start()
        rebuilt.rebuild()
        assert (
            recent(reported(kept))
            == recent(reported(again))
            == recent(reported(rebuilt))
            == recent(reported(expected))
        )

    with TemporaryDirectory() as name:
        asyncio.run(scenario(Path(name)))


@settings(max_examples=60)
@given(SOME_LINES, SOME_LINES, st.floats(0, 1))
def test_a_crash_that_cuts_the_journal_at_any_byte_loses_the_torn_line_only(
    saved: list[Line], unsaved: list[Line], where: float
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        keep(folder, saved)
        sizes = {path: path.stat().st_size for path in (folder / "usage").glob("*")}
        keep(folder, unsaved, save=False)
        expected = list(saved)
        for path in sorted((folder / "usage").glob("*")):
            content = path.read_bytes()
            start = sizes.get(path, 0)
            cut = start + round((len(content) - start) * where)
            path.write_bytes(content[:cut])
            # a line that only lacks its newline is complete
            rows = content[start:cut].split(b"\n")
            expected += [line for raw in rows if (line := decode_line(raw)) is not None]
        keep(folder, [a_line(NOON)])
        kept, rebuilt, other = (roll_up(folder) for _ in range(3))
        kept.start()
        rebuilt.rebuild()
        for line in [*expected, a_line(NOON)]:
            other.statistics.add(line)
        assert recent(reported(kept)) == recent(reported(rebuilt)) == recent(reported(other))


@settings(max_examples=60)
@given(SOME_LINES.filter(bool), st.floats(0, 1))
def test_a_roll_up_cut_at_any_byte_is_rebuilt_from_the_journal(lines: list[Line], where: float) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        keep(folder, lines)
        content = (folder / FILE_NAME).read_bytes()
        (folder / FILE_NAME).write_bytes(content[: round(len(content) * where)])
        kept, expected = roll_up(folder), roll_up(folder)
        kept.start()
        for line in lines:
            expected.statistics.add(line)
        assert recent(reported(kept)) == recent(reported(expected))


def test_many_lines_are_not_read_again_at_the_next_start(tmp_path: Path) -> None:
    lines = [a_line(NOON - minute * 60.0, session=f"s{minute % 50}") for minute in range(20_000)]
    write_journal(tmp_path, lines)

    async def scenario() -> None:
        first = roll_up(tmp_path)
        first.start()
        await first.save()

    asyncio.run(scenario())
    for path in (tmp_path / "usage").glob("*"):
        content = path.read_bytes()
        # the same length and line end, but nothing readable
        path.write_bytes(b"?" * (len(content) - 1) + b"\n")
    again = roll_up(tmp_path)
    again.start()
    assert token_stats(again.statistics)["summary"]["total_requests"] == 20_000


@pytest.mark.parametrize("saved", [0, 2])
def test_a_large_journal_is_added_up_while_new_lines_are_counted(tmp_path: Path, saved: int) -> None:
    past = [a_line(NOON - back * DAY, cost=0.5) for back in range(6)]
    keep(tmp_path, past[:saved], save=bool(saved))
    keep(tmp_path, past[saved:], save=False)

    async def scenario() -> None:
        journal = Journal(tmp_path)
        kept = RollUp(tmp_path, journal, lambda: NOON, UTC)
        kept.start(patience_bytes=10)
        assert token_stats(kept.statistics)["summary"]["total_requests"] == saved
        assert "still being added up" in kept.fault
        assert await kept.reset() is None
        before = (tmp_path / FILE_NAME).exists()
        new = a_line(cost=0.25)
        catching_up = asyncio.create_task(kept.catch_up())
        kept.statistics.add(new)
        await journal.append(write_line(new), new.month)
        await kept.save()
        assert (tmp_path / FILE_NAME).exists() is before
        await catching_up
        assert kept.fault == ""
        await kept.save()
        again, expected = roll_up(tmp_path), roll_up(tmp_path)
        again.start()
        for line in [*past, new]:
            expected.statistics.add(line)
        assert reported(kept) == reported(again) == reported(expected)
        assert (
            kept.statistics.spent("2026-11") == expected.statistics.spent("2026-11") == {"a": 3_250_000_000}
        )

    asyncio.run(scenario())


def test_a_reset_in_the_past_does_not_take_new_lines_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        write_journal(tmp_path, [a_line()])
        before = Journal(tmp_path).position()
        write_journal(tmp_path, [reset_line(NOON, before, UTC), a_line()])
        kept = roll_up(tmp_path)
        kept.start(patience_bytes=10)
        kept.statistics.add(a_line())
        await kept.catch_up()
        assert token_stats(kept.statistics)["summary"]["total_requests"] == 2

    asyncio.run(scenario())


async def longest_step(work: Coroutine[Any, Any, None]) -> int:
    """The most Python functions that this thread calls before others have their turn."""
    counts = [0]

    def notice(frame: FrameType, event: str, argument: object) -> None:
        counts[-1] += event == "call"

    working = asyncio.create_task(work)
    sys.setprofile(notice)
    try:
        while not working.done():
            await asyncio.sleep(0)
            counts.append(0)
    finally:
        sys.setprofile(None)
    await working
    return max(counts)


def test_no_step_on_the_event_loop_grows_with_the_days_of_the_statistics(tmp_path: Path) -> None:
    days = 400
    keep(tmp_path, [a_line(NOON - back * DAY) for back in range(days, 0, -1)])

    async def scenario() -> None:
        kept = roll_up(tmp_path)
        kept.start()
        kept.statistics.add(a_line())
        assert await longest_step(kept.save()) < days

    asyncio.run(scenario())


def test_no_step_on_the_event_loop_grows_with_the_lines_that_are_added_up(tmp_path: Path) -> None:
    lines = [a_line(NOON - number, session=f"s{number}") for number in range(400)]
    write_journal(tmp_path, lines)

    async def scenario() -> None:
        kept = roll_up(tmp_path)
        kept.start(patience_bytes=10)
        assert await longest_step(kept.catch_up()) < len(lines)
        assert token_stats(kept.statistics)["summary"]["total_requests"] == len(lines)

    asyncio.run(scenario())


class Meanwhile(ThreadPoolExecutor):
    """Calls a function of the event loop's thread whenever a thread is about to begin."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = call

    def submit(self, *arguments: Any, **named: Any) -> Any:
        self.call()
        return super().submit(*arguments, **named)


def test_what_is_counted_during_a_save_is_counted_once(tmp_path: Path) -> None:
    lines = [a_line(NOON - back * DAY, cost=0.5) for back in range(3)]

    async def scenario() -> None:
        journal = Journal(tmp_path)
        kept, expected = RollUp(tmp_path, journal, lambda: NOON, UTC), roll_up(tmp_path)

        def count() -> None:
            for line in lines:
                for each in (kept, expected):
                    each.statistics.add(line)
            write_journal(tmp_path, lines)
            assert reported(kept) == reported(expected)

        count()
        asyncio.get_running_loop().set_default_executor(Meanwhile(count))
        for _ in range(2):
            await kept.save()
            again = roll_up(tmp_path)
            again.start()
            assert reported(kept) == reported(again) == reported(expected)
            assert kept.statistics.spent("2026-11") == again.statistics.spent("2026-11")
        assert token_stats(kept.statistics)["summary"]["total_requests"] == 5 * len(lines)

    asyncio.run(scenario())


def test_what_a_failed_save_has_taken_is_in_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = roll_up(tmp_path)
        kept.statistics.add(a_line())
        kept.statistics.begin_storing()
        kept.statistics.add(a_line(session="s2"))
        await kept.save(final=True)
        again = roll_up(tmp_path)
        again.start()
        assert reported(kept) == reported(again)
        assert sorted(again.statistics.day("2026-11-21").sessions) == ["s1", "s2"]

    asyncio.run(scenario())


def test_a_cancelled_save_is_written_before_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = roll_up(tmp_path)
        kept.statistics.add(a_line())
        saving = asyncio.create_task(kept.save())
        asyncio.get_running_loop().set_default_executor(Meanwhile(saving.cancel))
        await asyncio.wait({saving})
        assert saving.cancelled()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        kept.statistics.add(a_line())
        await kept.save(final=True)
        again = roll_up(tmp_path)
        again.start()
        assert token_stats(again.statistics)["summary"]["total_requests"] == 2

    asyncio.run(scenario())

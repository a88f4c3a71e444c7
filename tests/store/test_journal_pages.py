import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from switchyard.store import journal_pages
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, LineAttempt, LineError, decode_line, reset_line, write_line
from switchyard.store.journal_pages import Filters, Page, Place, line_at, place_from, read_page

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def a_line(number: int, at: float = NOON, **fields: Any) -> Line:
    usual: dict[str, Any] = {
        "v": 1,
        "at": at,
        "day": datetime.fromtimestamp(at, UTC).date().isoformat(),
        "id": f"x_{number}",
        "client_protocol": "messages",
        "agent": "claude-cli/2.1 (external)",
        "model": "Opus",
        "sent": "qwen",
        "upstream": "a",
        "outcome": "ok",
        "session": "s1",
        "project": "/home/me/Work",
    }
    return Line(**(usual | fields))


def journal_of(folder: Path, *lines: Line) -> Journal:
    (folder / "usage").mkdir(exist_ok=True)
    for line in lines:
        with (folder / "usage" / f"{line.day[:7]}.jsonl").open("ab") as file:
            file.write(write_line(line))
    return Journal(folder)


def pages(journal: Journal, filters: Filters, **limits: Any) -> Iterator[Page]:
    place: Place | None = None
    while True:
        page = read_page(journal, filters, place, **limits)
        yield page
        place = page.next
        if place is None:
            return


def ids(journal: Journal, filters: Filters | None = None, **limits: Any) -> list[str]:
    return [one.line.id for page in pages(journal, filters or Filters(), **limits) for one in page.found]


def months_of_lines(count: int) -> list[Line]:
    """Oldest first, over three months."""
    start = datetime(2026, 9, 10, tzinfo=UTC).timestamp()
    step = (NOON - start) / count
    return [a_line(number, start + number * step) for number in range(count)]


@pytest.mark.parametrize("block", [600, 5000, 256 * 1024])
@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_pages_have_every_line_once_and_the_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, limit: int
) -> None:
    monkeypatch.setattr(journal_pages, "BLOCK_BYTES", block)
    journal = journal_of(tmp_path, *months_of_lines(120))
    assert ids(journal, limit=limit) == [f"x_{number}" for number in reversed(range(120))]


def test_a_page_stays_where_it_is_while_lines_are_added(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, *[a_line(number, NOON + number) for number in range(10)])
    first = read_page(journal, Filters(), limit=4)
    journal_of(tmp_path, a_line(10, NOON + 10))
    second = read_page(journal, Filters(), first.next, limit=4)
    assert [one.line.id for one in second.found] == ["x_5", "x_4", "x_3", "x_2"]


SPECIAL = [
    ({"upstream": "b"}, Filters(upstream="b")),
    ({}, Filters(id="x_20")),
    ({"client_protocol": "chat"}, Filters(protocol="chat")),
    ({"client": "laptop"}, Filters(client="laptop")),
    ({"agent": "codex_cli_rs/0.1"}, Filters(client="codex_cli_rs")),
    ({"model": "GPT-5.5"}, Filters(model="gpt-5")),
    ({"sent": "Qwen3-Coder"}, Filters(model="coder")),
    ({"outcome": "failed"}, Filters(outcome="failed")),
    ({"session": "s-ü 2"}, Filters(session="s-ü 2")),
    ({"project": 'C:\\Users\\me\\"odd"'}, Filters(project='C:\\Users\\me\\"odd"')),
    ({"error": LineError("api_error", 503, "No Capacity now")}, Filters(text="no capacity")),
    ({"project": "C:\\Users\\me"}, Filters(text="users\\ME")),
    ({"model": "模型-一"}, Filters(text="模型")),
    ({"upstream": "周一的密钥"}, Filters(upstream="周一的密钥")),
    ({"model": "ÄRGER"}, Filters(model="ärger", outcome="ok")),
    ({"upstream": "b", "outcome": "failed"}, Filters(upstream="b", outcome="failed")),
    ({"at": NOON - 2 * DAY}, Filters(since=NOON - 3 * DAY, until=NOON - DAY)),
]


@pytest.mark.parametrize(("fields", "filters"), SPECIAL)
def test_a_filter_finds_exactly_its_lines(tmp_path: Path, fields: dict[str, Any], filters: Filters) -> None:
    at = fields.pop("at", NOON)
    lines = [
        a_line(number, at if number == 20 else NOON, **(fields if number == 20 else {}))
        for number in range(40)
    ]
    journal = journal_of(tmp_path, *sorted(lines, key=lambda line: line.at))
    assert ids(journal, filters) == ["x_20"]


def test_a_filter_does_not_take_another_field_for_its_own(tmp_path: Path) -> None:
    tried = [LineAttempt("b", model="GPT"), LineAttempt("a")]
    journal = journal_of(tmp_path, a_line(1, attempts=tried), a_line(2, upstream="b2"), a_line(3, model="b"))
    assert ids(journal, Filters(upstream="b")) == []
    assert ids(journal, Filters(model="gpt")) == []


@pytest.mark.parametrize("filters", [Filters(), Filters(text="x_"), Filters(upstream="a")])
def test_torn_and_foreign_lines_are_left_out(tmp_path: Path, filters: Filters) -> None:
    journal = journal_of(tmp_path, a_line(1))
    path = tmp_path / "usage" / "2026-11.jsonl"
    with path.open("ab") as file:
        file.write(
            b'\n\n{"upstream":"a","id":"x_\xff\n' + b"x_" * 300_000 + b"\n" + write_line(a_line(2))[:-1]
        )
    (tmp_path / "usage" / "copy of 2026-11.jsonl").write_bytes(write_line(a_line(9)))
    assert ids(journal, filters) == ["x_2", "x_1"]


def test_a_reset_of_the_statistics_hides_no_request(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, a_line(1), reset_line(NOON, {}, UTC), a_line(2))
    assert ids(journal) == ["x_2", "x_1"]


def test_a_time_range_far_back_is_found_without_reading_what_is_newer(tmp_path: Path) -> None:
    lines = [a_line(number, NOON - 20 * DAY + number * 60, agent="x" * 200) for number in range(20_000)]
    journal = journal_of(tmp_path, *lines)
    moment = NOON - 18 * DAY
    page = read_page(
        journal, Filters(since=moment, until=moment + 600), clock=itertools.count().__next__, budget_seconds=6
    )
    assert [one.line.at for one in page.found] == [moment + 60 * minute for minute in reversed(range(10))]
    assert page.next is None


def test_a_page_ends_when_its_budget_is_used_up_and_goes_on_there(tmp_path: Path) -> None:
    lines = [a_line(number, NOON - 20 * DAY + number * 60, agent="x" * 200) for number in range(20_000)]
    journal = journal_of(tmp_path, a_line(-1, NOON - 20 * DAY, upstream="rare"), *lines)
    clocked = {"budget_seconds": 5, "clock": itertools.count().__next__}
    read = list(pages(journal, Filters(upstream="rare"), **clocked))
    assert [len(page.found) for page in read] == [0] * (len(read) - 1) + [1]
    size = os.path.getsize(tmp_path / "usage" / "2026-11.jsonl")
    assert len(read) >= size // (5 * journal_pages.BLOCK_BYTES)
    reached = [page.reached for page in read if page.reached is not None]
    assert reached == sorted(reached, reverse=True)


def test_a_line_is_found_again_at_its_place(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, *months_of_lines(30))
    for one in read_page(journal, Filters()).found:
        assert place_from(str(one.place)) == one.place
        assert (line_at(journal, one.place), decode_line(one.raw)) == (one.line, one.line)
    assert line_at(journal, Place("2020-01", 0)) is None
    assert line_at(journal, Place("2026-11", 10**12)) is None


@pytest.mark.parametrize(
    "text", ["", "2026-11", "2026-11:-1", "../2026-11:0", "2026-11:1e3", "2026-11:" + "9" * 40]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        place_from(text)


def test_an_empty_journal_has_one_empty_page(tmp_path: Path) -> None:
    assert read_page(Journal(tmp_path), Filters()) == Page([], None, None)

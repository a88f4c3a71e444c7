import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from switchyard.store.conversations import conversations
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, LineAttempt, LineUsage
from switchyard.store.roll_up import RollUp
from switchyard.store.stats import Statistics
from switchyard.store.stored_day import SESSION_DAYS
from switchyard.store.upstream_numbers import upstream_numbers

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR


def a_line(at: float = NOON, **fields: Any) -> Line:
    usual: dict[str, Any] = {
        "v": 1,
        "at": at,
        "day": datetime.fromtimestamp(at, UTC).date().isoformat(),
        "began": at - 2,
        "session": "s1",
        "project": "/work",
        "agent": "claude-cli/2.1",
        "model": "opus",
        "upstream": "a",
        "outcome": "ok",
        "duration": 2.0,
        "usage": LineUsage(input=100, cache_read=300, output=20),
        "cost": 0.5,
    }
    return Line(**(usual | fields))


def counted(*lines: Line) -> Statistics:
    statistics = Statistics(lambda: NOON, UTC)
    for line in lines:
        statistics.add(line)
    return statistics


def restarted(folder: Path, *lines: Line) -> Statistics:
    """As the daemon loads them after one that has counted these lines, too."""
    before, after = (RollUp(folder, Journal(folder), lambda: NOON, UTC) for _ in range(2))
    before.start()
    for line in lines:
        before.statistics.add(line)
    asyncio.run(before.save())
    after.start()
    return after.statistics


def test_a_conversation_has_its_sums_its_project_and_its_upstreams() -> None:
    found = conversations(counted(a_line(NOON - DAY), a_line(NOON, upstream="b", model="haiku", project="")))
    (one,) = found.conversations
    assert (one.session, one.cell.requests, one.cell.cost, one.cell.duration_ms) == ("s1", 2, 10**9, 4000)
    assert one.talk.upstreams == {"a": 1, "b": 1}
    assert (one.talk.began, one.talk.ended) == (NOON - DAY - 2, NOON)
    assert (one.talk.project, one.talk.model, one.talk.agent) == ("/work", "haiku", "claude-cli/2.1")


def test_conversations_come_newest_first_and_projects_by_their_cost() -> None:
    found = conversations(
        counted(
            a_line(NOON - 60, session="s1", project="/cheap", cost=0.1),
            a_line(NOON - 30, session="s2", project="/dear", cost=9.0),
            a_line(NOON, session="s3", project="/cheap", cost=0.1),
        )
    )
    assert [one.session for one in found.conversations] == ["s3", "s2", "s1"]
    assert [(one.project, one.conversations, one.cell.requests) for one in found.projects] == [
        ("/dear", 1, 1),
        ("/cheap", 2, 2),
    ]
    assert (found.count, found.project_count) == (3, 2)


def test_conversations_are_those_of_the_days_and_the_project() -> None:
    statistics = counted(
        a_line(NOON - 3 * DAY, session="old"),
        a_line(session="new"),
        a_line(session="x", project="/x"),
    )
    days = conversations(statistics, "2026-11-20", "2026-11-21")
    assert {one.session for one in days.conversations} == {"new", "x"}
    assert [one.session for one in conversations(statistics, project="/x").conversations] == ["x"]


def test_conversations_survive_a_restart_and_are_dropped_with_their_sessions(tmp_path: Path) -> None:
    old = a_line(NOON - (SESSION_DAYS + 2) * DAY, session="old")
    statistics = restarted(tmp_path, old, a_line(NOON - DAY), a_line())
    found = conversations(statistics)
    assert [(one.session, one.talk.upstreams) for one in found.conversations] == [("s1", {"a": 2})]
    statistics.add(a_line(upstream="b"))
    assert conversations(statistics).conversations[0].talk.upstreams == {"a": 2, "b": 1}


def test_the_last_24_hours_of_an_upstream_are_whole_hours() -> None:
    moments = (NOON - DAY - HOUR, NOON - DAY, NOON - DAY + HOUR, NOON - HOUR, NOON)
    numbers = upstream_numbers(counted(*map(a_line, moments)), "2026-11-21", 12)
    assert numbers.hours["a"].requests == 3
    assert numbers.days["a"].requests == 5
    assert {day: cells.requests for day, cells in numbers.daily["a"].items()} == {
        "2026-11-20": 3,
        "2026-11-21": 2,
    }


def test_seven_days_leave_out_the_eighth() -> None:
    numbers = upstream_numbers(counted(a_line(NOON - 7 * DAY), a_line(NOON - 6 * DAY)), "2026-11-21", 12)
    assert numbers.days["a"].requests == 1


def test_the_first_token_of_an_upstream_counts_from_its_own_attempt_on() -> None:
    attempts = [LineAttempt("b", started=0.0, failed="status"), LineAttempt("a", started=10.0)]
    numbers = upstream_numbers(counted(a_line(first_byte=11.0, attempts=attempts)), "2026-11-21", 12)
    assert sum(numbers.hours["a"].first_token.values()) == 1
    assert numbers.hours["a"].first_token == numbers.days["a"].first_token != numbers.days["a"].first_byte
    assert (numbers.hours["b"].failed_attempts, numbers.days["b"].failed_attempts) == (1, 1)


def test_hours_survive_a_restart_and_are_kept_of_two_days_only(tmp_path: Path) -> None:
    statistics = restarted(tmp_path, a_line(NOON - 2 * DAY), a_line(NOON - DAY + HOUR), a_line())
    assert upstream_numbers(statistics, "2026-11-21", 12).hours["a"].requests == 2
    later = restarted(tmp_path, a_line(NOON + DAY))
    assert later.day("2026-11-19").upstream_hours == later.day("2026-11-20").upstream_hours == {}
    assert later.day("2026-11-21").upstream_hours != {}

"""Daylight saving time and corrected clocks, seen by the real daemon: schedules, days, budgets, cooldowns."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.fake_clock import FakeClock
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, answer, say, status
from tests.bed.wire import Reply, Usage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no TZ")


@pytest.fixture
def clock(tmp_path: Path) -> FakeClock:
    return FakeClock(tmp_path / "clock", "Europe/Berlin")


@pytest.fixture
def servers() -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    with ScriptedUpstream(say("first")) as first, ScriptedUpstream(say("second")) as second:
        yield first, second


Servers = tuple[ScriptedUpstream, ScriptedUpstream]


def answered(daemon: Daemon) -> str:
    return text_of("messages", ask(daemon.url, "messages"))


def shows(daemon: Daemon, expected: str) -> bool:
    return answered(daemon) == expected


def days(daemon: Daemon) -> dict[str, int]:
    return {day: cell["requests"] for day, cell in daemon.token_stats()["daily"].items()}


@pytest.mark.parametrize(
    ("hours", "moments"),
    [
        # on 29 March 2026, 03:00 follows 01:59
        (
            ("00:00-02:00", "03:00-05:00"),
            [("2026-03-29 01:59:00", 0, "first"), ("2026-03-29 03:00:10", 0, "second")],
        ),
        # on 25 October 2026, 02:00 to 03:00 comes twice
        (
            ("02:00-03:00", "03:00-05:00"),
            [
                ("2026-10-25 02:30:00", 0, "first"),
                ("2026-10-25 02:30:00", 1, "first"),
                ("2026-10-25 03:00:10", 0, "second"),
            ],
        ),
    ],
    ids=["spring", "autumn"],
)
def test_a_schedule_follows_the_local_clock_through_the_change(
    tmp_path: Path,
    clock: FakeClock,
    servers: Servers,
    hours: tuple[str, str],
    moments: list[tuple[str, int, str]],
) -> None:
    entries = [
        upstream(name, server.url, hours=span)
        for name, server, span in zip(("a", "b"), servers, hours, strict=True)
    ]
    clock.set(moments[0][0])
    with Daemon(tmp_path, settings(*entries), clock.environment) as daemon:
        for moment, fold, expected in moments:
            clock.set(moment, fold)
            wait_until(partial(shows, daemon, expected), f"{expected} at {moment}")


def test_the_short_and_the_long_day_are_one_day_each(
    tmp_path: Path, clock: FakeClock, servers: Servers
) -> None:
    moments = ["2026-03-28 23:59", "2026-03-29 00:01", "2026-03-29 23:59", "2026-03-30 00:01"]
    moments += ["2026-10-25 00:01", "2026-10-25 02:30", "2026-10-25 23:59", "2026-10-26 00:01"]
    clock.set(moments[0])
    expected = {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1, "2026-10-25": 3, "2026-10-26": 1}
    with Daemon(tmp_path, settings(upstream("a", servers[0].url)), clock.environment) as daemon:
        for moment in moments:
            clock.set(moment)
            answered(daemon)
        assert days(daemon) == expected
        daemon.restart()
        assert days(daemon) == expected


def test_a_clock_that_is_set_back_and_forth_loses_and_doubles_nothing(
    tmp_path: Path, clock: FakeClock, servers: Servers
) -> None:
    moments = [
        "2026-06-10 12:00",
        "2026-06-08 12:00",
        "2031-01-01 12:00",
        "1999-01-01 12:00",
        "2026-06-10 12:05",
    ]
    clock.set(moments[0])
    with Daemon(tmp_path, settings(upstream("a", servers[0].url)), clock.environment) as daemon:
        for moment in moments:
            clock.set(moment)
            assert answered(daemon) == "first"
        counted = days(daemon)
        daemon.kill()
        daemon.start()
        assert days(daemon) == counted
        assert len(daemon.journal()) == sum(counted.values()) == len(moments)


def test_a_corrected_clock_ends_no_cooldown_and_prolongs_none(
    tmp_path: Path, clock: FakeClock, servers: Servers
) -> None:
    first, _ = servers
    first.script(status(401), say("first"))
    entries = [upstream(name, server.url) for name, server in zip(("a", "b"), servers, strict=True)]
    clock.set("2026-06-10 12:00")
    failover = {"cooldown_seconds": 600, "cooldown_start_seconds": 2}
    with Daemon(tmp_path, settings(*entries, failover=failover), clock.environment) as daemon:
        assert answered(daemon) == "second"
        for moment in ("2026-06-10 18:00", "2026-06-01 00:00"):
            clock.set(moment)
            assert answered(daemon) == "second", "401 cools down for ten minutes, whatever the clock shows"
        daemon.post("/api/upstreams/clear", {"name": "a"})
        first.script(status(429), say("first"))
        answered(daemon)
        clock.set("2020-01-01 00:00")
        wait_until(lambda: answered(daemon) == "first", "the end of two seconds")


def test_a_budget_begins_anew_at_local_midnight_of_the_short_day(
    tmp_path: Path, clock: FakeClock, servers: Servers
) -> None:
    dear, free = servers
    dear.script(answer(Reply("first", usage=Usage(fresh=1_000_000, output=1))))
    entries = [
        upstream("a", dear.url, budget={"day_hard": 3}, server="anthropic"),
        upstream("b", free.url, role="backup"),
    ]
    prices = {"*": {"input": 3, "output": 0}}
    clock.set("2026-03-28 23:50")
    with Daemon(tmp_path, settings(*entries, prices=prices), clock.environment) as daemon:
        for moment in ("2026-03-28 23:55", "2026-03-29 00:05", "2026-03-29 23:55", "2026-03-30 00:05"):
            clock.set(moment)
            answered(daemon)
        assert [line["upstream"] for line in daemon.journal()] == ["a", "a", "b", "a"]


def activations(daemon: Daemon) -> list[str]:
    return [line["day"] for line in daemon.journal() if line.get("kind") == "activation"]


def has_ended(daemon: Daemon, count: int) -> bool:
    """So many are in the journal, and none is under way: its end would be noted at the next moment that is set."""
    (row,) = daemon.get("/api/state").json["upstreams"]
    return len(activations(daemon)) == count and row["activation"]["next"] is not None


def test_an_activation_runs_once_a_day_whatever_the_clock_does(
    tmp_path: Path, clock: FakeClock, servers: Servers
) -> None:
    entry = upstream("a", servers[0].url, activation={"at": "02:30"})
    clock.set("2026-03-28 03:00")
    with Daemon(tmp_path, settings(entry), clock.environment) as daemon:

        def look(moment: str, fold: int = 0) -> None:
            """The daemon looks at the clock at least twice a minute, and after each change of the settings."""
            clock.set(moment, fold)
            daemon.change_settings(settings(entry | {"note": f"{moment} {fold}"}))

        wait_until(lambda: has_ended(daemon, 1), "that of the day of the start, made up")
        # on this day, 02:30 does not exist; then the clock is corrected backwards, and forwards again
        look("2026-03-29 03:45")
        wait_until(lambda: has_ended(daemon, 2), "that of the short day")
        for moment in ("2026-03-29 01:50", "2026-03-29 03:50", "2026-10-25 02:31"):
            look(moment)
        wait_until(lambda: has_ended(daemon, 3), "that of the long day")
        look("2026-10-25 02:31", fold=1)
        look("2026-10-26 02:31")
        wait_until(lambda: has_ended(daemon, 4), "that of the day after")
        assert activations(daemon) == ["2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26"]

"""When upstreams are activated: tables over a fake clock in real time zones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchyard.exchange import Activated, ActivationResult
from switchyard.routing.schedule import MAX_TRIES, Occasion, due, ended, minutes_now, plan, tried
from switchyard.settings import Activation, Settings, Upstream, Weekday

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
AUCKLAND = ZoneInfo("Pacific/Auckland")
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def upstream(
    at: str = "08:00",
    advance: int = 0,
    weekdays: tuple[Weekday, ...] = WEEK,
    enabled: bool = True,
    name: str = "a",
) -> Upstream:
    return Upstream(
        name=name,
        base_url="https://a.example.com",
        enabled=enabled,
        weekdays=weekdays,
        activation=Activation(at=at, advance_minutes=advance),
    )


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    """ "2026-11-21 08:00" in the zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def clock(occasion: Occasion, zone: ZoneInfo = BERLIN) -> str:
    return datetime.fromtimestamp(occasion.at, zone).isoformat(" ", "minutes")[:16]


class Daemon:
    """Checks the schedule at given times and acts on it."""

    def __init__(self, *upstreams: Upstream, fails: int = 0) -> None:
        self.settings = Settings(upstreams=upstreams or (upstream(),))
        self.memory: dict[str, Activated] = {}
        self.fails = fails
        self.reasons: list[str] = []
        self.days: list[str] = []

    def look(self, now: datetime) -> int:
        """How many activations were sent."""
        found = due(self.settings, self.memory, now)
        for occasion in found:
            known = self.memory.get(occasion.account, Activated())
            known = tried(known, occasion.day, now.timestamp())
            result = ActivationResult(now.timestamp(), ok=self.fails == 0)
            self.fails = max(0, self.fails - 1)
            activation = self.entry(occasion.account).activation
            self.memory[occasion.account] = ended(known, activation, occasion.day, result)
            self.reasons.append(occasion.reason)
            if result.ok:
                self.days.append(occasion.day)
        return len(found)

    def entry(self, name: str) -> Upstream:
        found = self.settings.upstream(name)
        assert found is not None
        return found

    def watch(self, start: datetime, minutes: int, step_seconds: int = 30) -> list[str]:
        """The wall-clock minutes at which a request was sent, checking every half minute of real time."""
        sent: list[str] = []
        for second in range(0, minutes * 60, step_seconds):
            now = (start.astimezone(UTC) + timedelta(seconds=second)).astimezone(start.tzinfo)
            sent += [f"{now:%d %H:%M}"] * self.look(now)
        return sent


# --- one look ------------------------------------------------------------------

DAILY = upstream()
NOTHING = Activated()


@dataclass(frozen=True)
class Look:
    """2026-11-21 is a Saturday."""

    now: str
    reason: str | None
    entry: Upstream = DAILY
    memory: Activated = NOTHING


LOOKS = {
    "before its time": Look("2026-11-21 07:59:59", None),
    "at its time": Look("2026-11-21 08:00:00", "planned for 08:00"),
    "within the minute": Look("2026-11-21 08:00:59", "planned for 08:00"),
    "a minute missed": Look("2026-11-21 08:01:00", "planned for 08:00, 1 minute late"),
    "woken up at the last moment": Look("2026-11-21 09:59:59", "planned for 08:00, 119 minutes late"),
    "woken up too late": Look("2026-11-21 10:00:00", None),
    "disabled": Look("2026-11-21 08:00", None, upstream(enabled=False)),
    "its weekday": Look("2026-11-21 08:00", "planned for 08:00", upstream(weekdays=("sat",))),
    "not its weekday": Look("2026-11-21 08:00", None, upstream(weekdays=("fri", "sun"))),
    "no weekday at all": Look("2026-11-21 08:00", None, upstream(weekdays=())),
    "done today": Look("2026-11-21 08:30", None, memory=Activated(day="2026-11-21")),
    "done yesterday": Look("2026-11-21 08:00", "planned for 08:00", memory=Activated(day="2026-11-20")),
    "before midnight": Look("2026-11-21 23:59", "planned for 23:59", upstream("23:59")),
    "made up after midnight": Look(
        "2026-11-22 01:58", "planned for 23:59, 119 minutes late", upstream("23:59")
    ),
    "after midnight, too late": Look("2026-11-22 01:59", None, upstream("23:59")),
    "made up after midnight for the day it was planned for": Look(
        "2026-11-22 00:10",
        "planned for 23:59, 11 minutes late",
        upstream("23:59", weekdays=("sat",)),
    ),
    "after midnight, but not planned for the day before": Look(
        "2026-11-22 00:10", None, upstream("23:59", weekdays=("sun",))
    ),
    "at midnight": Look("2026-11-22 00:00", "planned for 00:00", upstream("00:00")),
}


@pytest.mark.parametrize("case", LOOKS.values(), ids=LOOKS.keys())
def test_what_is_due(case: Look) -> None:
    found = due(Settings(upstreams=(case.entry,)), {"a": case.memory}, local(case.now))
    assert [occasion.reason for occasion in found] == ([case.reason] if case.reason else [])


def test_an_activation_made_up_after_midnight_belongs_to_the_day_before() -> None:
    [occasion] = due(Settings(upstreams=(upstream("23:59"),)), {}, local("2026-11-22 00:10"))
    assert occasion == Occasion(
        "a",
        "2026-11-21",
        local("2026-11-21 23:59").timestamp(),
        "planned for 23:59, 11 minutes late",
    )


@pytest.mark.parametrize(
    ("now", "entry", "memory", "expected"),
    [
        ("2026-11-21 07:00", upstream(), Activated(), "2026-11-21 08:00"),
        ("2026-11-21 12:00", upstream(), Activated(), "2026-11-22 08:00"),
        ("2026-11-21 08:01", upstream(), Activated(day="2026-11-21"), "2026-11-22 08:00"),
        ("2026-11-21 08:01", upstream(weekdays=("sat",)), Activated(day="2026-11-21"), "2026-11-28 08:00"),
        ("2026-11-21 12:00", upstream(weekdays=("fri",)), Activated(), "2026-11-27 08:00"),
        ("2026-11-21 12:00", upstream(weekdays=()), Activated(), None),
        ("2026-11-21 12:00", upstream(enabled=False), Activated(), None),
    ],
)
def test_the_next_time_of_an_upstream(
    now: str, entry: Upstream, memory: Activated, expected: str | None
) -> None:
    found = plan(Settings(upstreams=(entry,)), {"a": memory}, local(now))
    assert [clock(occasion) for occasion in found] == ([expected] if expected else [])


def test_every_upstream_has_its_own_time() -> None:
    entries = (upstream("08:00", name="a"), upstream("08:05", name="b"), upstream("07:00", name="c"))
    daemon = Daemon(*entries)
    assert daemon.watch(local("2026-11-21 06:59"), 120) == ["21 07:00", "21 08:00", "21 08:05"]


def test_the_time_zone_is_asked_once_for_all_upstreams_of_one_time() -> None:
    class CountedZone(tzinfo):
        count = 0

        def utcoffset(self, dt: datetime | None) -> timedelta:
            self.count += 1
            return timedelta(hours=1)

        dst = utcoffset

        def tzname(self, dt: datetime | None) -> str:
            return "counted"

    def asked(upstreams: int) -> int:
        zone = CountedZone()
        settings = Settings(upstreams=tuple(upstream(name=f"u{number}") for number in range(upstreams)))
        assert len(plan(settings, {}, datetime(2026, 11, 21, 9, tzinfo=zone))) == upstreams
        return zone.count

    assert asked(100) == asked(1)


def test_an_upstream_without_a_time_is_never_activated() -> None:
    plain = Upstream(name="a", base_url="https://a.example.com")
    assert plan(Settings(upstreams=(plain,)), {}, local("2026-11-21 08:00")) == ()


# --- a day of looking ----------------------------------------------------------


def test_once_successful_not_again_that_day() -> None:
    assert Daemon().watch(local("2026-11-20 12:00"), 3 * 24 * 60) == ["21 08:00", "22 08:00", "23 08:00"]


def test_after_a_failure_it_tries_again_a_minute_later_until_it_succeeds() -> None:
    daemon = Daemon(fails=3)
    assert daemon.watch(local("2026-11-21 07:59"), 600) == ["21 08:00", "21 08:01", "21 08:02", "21 08:03"]
    assert daemon.reasons == [
        "planned for 08:00",
        "try 2 of 20, planned for 08:00",
        "try 3 of 20, planned for 08:00",
        "try 4 of 20, planned for 08:00",
    ]


def test_twenty_failures_are_enough_for_a_day_and_the_next_day_starts_again() -> None:
    daemon = Daemon(fails=2 * MAX_TRIES)
    sent = daemon.watch(local("2026-11-21 07:59"), 24 * 60 + 12 * 60)
    assert sent == [f"{day} 08:{minute:02}" for day in (21, 22) for minute in range(MAX_TRIES)]


def test_tries_that_began_late_end_with_the_two_hours() -> None:
    daemon = Daemon(fails=100)
    assert daemon.watch(local("2026-11-21 09:57"), 60) == ["21 09:57", "21 09:58", "21 09:59"]


def test_tries_go_on_over_midnight() -> None:
    daemon = Daemon(upstream("23:59"), fails=2)
    assert daemon.watch(local("2026-11-21 23:58"), 60) == ["21 23:59", "22 00:00", "22 00:01"]
    assert daemon.days == ["2026-11-21"]


def test_a_made_up_activation_after_midnight_leaves_the_evening_its_own() -> None:
    daemon = Daemon(upstream("23:59"))
    daemon.look(local("2026-11-22 00:30"))
    assert daemon.watch(local("2026-11-22 00:31"), 24 * 60) == ["22 23:59"]
    assert daemon.days == ["2026-11-21", "2026-11-22"]


def test_a_restart_remembers_the_tries_and_the_minute_between_them() -> None:
    daemon = Daemon(fails=100)
    daemon.look(local("2026-11-21 08:00:10"))
    settings, memory = daemon.settings, dict(daemon.memory)
    assert due(settings, memory, local("2026-11-21 08:01:09")) == ()
    [again] = due(settings, memory, local("2026-11-21 08:01:10"))
    assert again.reason == "try 2 of 20, planned for 08:00"


def test_a_time_moved_by_the_user_after_the_success_waits_for_the_next_day() -> None:
    daemon = Daemon()
    daemon.look(local("2026-11-21 08:00"))
    daemon.settings = Settings(upstreams=(upstream("09:00"),))
    assert daemon.watch(local("2026-11-21 08:01"), 30 * 60) == ["22 09:00"]


def test_an_activation_by_hand_before_its_time_leaves_the_plan_as_it_is() -> None:
    daemon = Daemon(upstream(advance=1))
    by_hand = ActivationResult(local("2026-11-21 07:00").timestamp(), ok=True)
    daemon.memory["a"] = ended(Activated(), daemon.entry("a").activation, "", by_hand)
    assert daemon.watch(local("2026-11-21 07:01"), 120) == ["21 08:00"]


def test_an_activation_by_hand_after_its_time_has_done_the_days_work() -> None:
    daemon = Daemon(upstream(advance=1))
    by_hand = ActivationResult(local("2026-11-21 08:00:20").timestamp(), ok=True)
    daemon.memory["a"] = ended(Activated(), daemon.entry("a").activation, "", by_hand)
    assert daemon.watch(local("2026-11-21 08:01"), 120) == []


# --- the time that moves on ----------------------------------------------------


def test_the_time_advances_with_each_success() -> None:
    daemon = Daemon(upstream(advance=1))
    sent = daemon.watch(local("2026-11-21 07:00"), 3 * 24 * 60)
    assert sent == ["21 08:00", "22 08:01", "23 08:02"]


def test_failures_do_not_advance_the_time() -> None:
    daemon = Daemon(upstream(advance=1), fails=MAX_TRIES + 1)
    sent = daemon.watch(local("2026-11-22 07:00"), 3 * 24 * 60)
    assert sent[MAX_TRIES:] == ["23 08:00", "23 08:01", "24 08:01"]


def test_the_advancing_time_wraps_at_midnight_and_keeps_to_one_a_day() -> None:
    daemon = Daemon(upstream("23:00", advance=45))
    sent = daemon.watch(local("2026-11-21 22:00"), 4 * 24 * 60)
    assert sent == ["21 23:00", "22 23:45", "23 00:30", "24 01:15", "25 02:00"]
    assert daemon.days == [f"2026-11-{day}" for day in (21, 22, 23, 24, 25)]


def test_a_success_made_up_after_midnight_counts_for_the_time_it_has_advanced_to() -> None:
    daemon = Daemon(upstream("23:59", advance=1))
    daemon.look(local("2026-11-22 00:30"))
    assert daemon.watch(local("2026-11-22 00:30:30"), 30 * 60) == ["23 00:00"]


def test_a_new_time_in_the_settings_forgets_how_far_the_old_one_had_advanced() -> None:
    moved = Activated(at="08:00", minutes=8 * 60 + 17)
    assert minutes_now(Activation(at="08:00", advance_minutes=1), moved) == 8 * 60 + 17
    assert minutes_now(Activation(at="09:00", advance_minutes=1), moved) == 9 * 60
    assert minutes_now(Activation(at="08:00"), moved) == 8 * 60
    assert 0 <= minutes_now(Activation(at="08:00", advance_minutes=1), replace(moved, minutes=5000)) < 24 * 60


# --- clocks that jump ----------------------------------------------------------


def test_a_time_that_does_not_exist_comes_an_hour_later_and_once() -> None:
    daemon = Daemon(upstream("02:30"))
    sent = daemon.watch(local("2026-03-28 12:00"), 36 * 60)
    assert sent == ["29 03:30"]
    assert daemon.watch(local("2026-03-30 00:00"), 24 * 60) == ["30 02:30"]


def test_a_time_that_comes_twice_is_kept_once() -> None:
    daemon = Daemon(upstream("02:30"))
    assert daemon.watch(local("2026-10-24 12:00"), 36 * 60) == ["25 02:30"]


def test_the_first_of_two_equal_times_missed_is_made_up_within_two_real_hours() -> None:
    entry = Settings(upstreams=(upstream("02:30"),))
    [late] = due(entry, {}, local("2026-10-25 02:31", fold=1))
    assert late.reason == "planned for 02:30, 61 minutes late"
    assert due(entry, {}, local("2026-10-25 03:30", fold=0)) == ()


def test_two_hours_are_two_hours_also_when_the_clock_skips_one() -> None:
    entry = Settings(upstreams=(upstream("01:30"),))
    assert len(due(entry, {}, local("2026-03-29 04:29"))) == 1
    assert due(entry, {}, local("2026-03-29 04:30")) == ()


def test_a_clock_set_back_repeats_nothing() -> None:
    daemon = Daemon()
    daemon.look(local("2026-11-21 08:00"))
    assert daemon.watch(local("2026-11-21 07:30"), 120) == []


def test_a_clock_set_back_does_not_hold_up_the_next_try() -> None:
    daemon = Daemon(fails=1)
    daemon.look(local("2026-11-21 09:30"))
    assert daemon.watch(local("2026-11-21 08:15"), 60) == ["21 08:15"]


def test_a_clock_that_had_run_a_day_ahead_loses_no_day() -> None:
    daemon = Daemon()
    daemon.look(local("2026-11-21 08:00"))
    assert daemon.watch(local("2026-11-20 08:30"), 30 * 60) == ["20 08:30", "21 08:00"]


@pytest.mark.parametrize(
    ("first", "then", "sent"),
    [
        (local("2026-11-21 08:00", BERLIN), local("2026-11-21 02:30", NEW_YORK), ["22 08:00"]),
        (local("2026-11-21 08:00", NEW_YORK), local("2026-11-21 14:30", BERLIN), ["22 08:00"]),
        (
            local("2026-11-21 08:00", LOS_ANGELES),
            local("2026-11-22 05:30", AUCKLAND),
            ["22 08:00", "23 08:00"],
        ),
    ],
    ids=["to the west", "to the east", "over the date line"],
)
def test_a_traveller_gets_one_activation_each_local_day(
    first: datetime, then: datetime, sent: list[str]
) -> None:
    daemon = Daemon()
    assert daemon.look(first) == 1
    assert daemon.watch(then, 36 * 60) == sent


# --- whatever happens ----------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn) -> tuple[Upstream, list[datetime], list[bool]]:
    """An entry, and the times at which its daemon checks during two weeks around a change of the clock."""
    entry = upstream(
        at=f"{draw(st.integers(0, 23)):02}:{draw(st.integers(0, 59)):02}",
        advance=draw(st.sampled_from([0, 1, 45, 700])),
        weekdays=tuple(draw(st.sets(st.sampled_from(WEEK)))),
    )
    start = draw(st.sampled_from([datetime(2026, 3, 22, tzinfo=UTC), datetime(2026, 10, 18, tzinfo=UTC)]))
    gaps = draw(st.lists(st.integers(1, 6 * 3600), min_size=1, max_size=120))
    results = draw(st.lists(st.booleans(), min_size=len(gaps), max_size=len(gaps)))
    moments: list[datetime] = []
    for gap in gaps:
        start += timedelta(seconds=gap)
        moments.append(start.astimezone(BERLIN))
    return entry, moments, results


@given(lives())
def test_whatever_the_moments_no_day_succeeds_twice_and_no_try_is_out_of_its_window(
    life: tuple[Upstream, list[datetime], list[bool]],
) -> None:
    entry, moments, results = life
    settings, memory = Settings(upstreams=(entry,)), {"a": Activated()}
    succeeded: list[str] = []
    tries: list[tuple[str, float]] = []
    for now, ok in zip(moments, results, strict=True):
        for occasion in due(settings, memory, now):
            known, stamp = memory["a"], now.timestamp()
            assert date.fromisoformat(occasion.day) in _days_around(now)
            assert WEEK[date.fromisoformat(occasion.day).weekday()] in entry.weekdays
            assert 0 <= stamp - occasion.at < 2 * 3600
            assert [one for one in tries if one[0] == occasion.day and stamp - one[1] < 60] == []
            assert occasion.day not in succeeded
            tries.append((occasion.day, stamp))
            known = tried(known, occasion.day, stamp)
            memory["a"] = ended(known, entry.activation, occasion.day, ActivationResult(stamp, ok))
            succeeded += [occasion.day] if ok else []


def _days_around(now: datetime) -> Iterator[date]:
    return (now.date() - timedelta(days=offset) for offset in (0, 1))

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.exchange import Attempt, Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.relay.clocks import local_moment
from switchyard.settings import Budget, Price, Settings, Upstream
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, decode_line
from switchyard.store.ledger import Ledger
from switchyard.store.roll_up import FILE_NAME
from switchyard.store.token_stats import token_stats
from tests.bed.patience import PATIENCE_SECONDS

NOW = datetime(2026, 11, 21, 12).timestamp()


class Wishes:
    """Settings that change while the daemon runs."""

    def __init__(self, price: float) -> None:
        self.set(price)

    def set(self, price: float, budget: Budget | None = None) -> None:
        self.now = Settings(
            upstreams=(Upstream(name="a", base_url="https://a.example.com", budget=budget),),
            prices={"*": Price(input=price, output=price)},
            budget=Budget(day_hard=5),
        )

    def __call__(self) -> Settings:
        return self.now


def exchange(outcome: Outcome = Outcome.OK, duration: float | None = 2.5) -> Exchange:
    attempt = Attempt("a", "m", "chat", "http://x", "primary", 0.0)
    usage = Usage(input=1_000_000)
    return Exchange(
        "x", NOW, "chat", "m", attempts=[attempt], outcome=outcome, duration=duration, usage=usage
    )


def journal(folder: Path) -> list[Line | None]:
    return [decode_line(raw) for raw in (folder / "usage" / "2026-11.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.FAILED, Outcome.CANCELLED, Outcome.TRUNCATED])
def test_a_recorded_exchange_is_priced_counted_and_written(tmp_path: Path, outcome: Outcome) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path, Wishes(3), lambda: NOW)
        ledger.start()
        finished = exchange(outcome)
        await ledger.record(finished)
        assert finished.cost == 3
        [line] = journal(tmp_path)
        assert line is not None
        assert (line.outcome, line.cost, line.at) == (outcome, 3, NOW + 2.5)
        assert line.price is not None and line.price.source == "settings: *"
        assert token_stats(ledger.statistics)["summary"]["total_input_tokens"] == 1_000_000

    asyncio.run(scenario())


def test_a_new_price_holds_from_the_next_exchange_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        wishes = Wishes(1)
        ledger = Ledger(tmp_path, wishes, lambda: NOW)
        await ledger.record(exchange())
        wishes.set(2)
        await ledger.record(exchange())
        assert [line and line.cost for line in journal(tmp_path)] == [1, 2]
        assert token_stats(ledger.statistics)["cost"]["total"] == 3

    asyncio.run(scenario())


def test_a_budget_takes_upstreams_out_once_it_is_spent(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path, Wishes(3), lambda: NOW)
        await ledger.record(exchange())
        assert ledger.budget_state().taken_out == {}
        await ledger.record(exchange())
        assert list(ledger.budget_state().taken_out) == ["a"]

    asyncio.run(scenario())


def test_a_limit_is_logged_when_it_is_reached_and_not_with_every_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        wishes = Wishes(1)
        wishes.set(1, Budget(day_soft=2, day_hard=4))
        ledger = Ledger(tmp_path, wishes, lambda: NOW)
        for _ in range(6):
            await ledger.record(exchange())

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        'budget of upstream "a": 2.00 spent this day, soft limit 2',
        'budget of upstream "a": 4.00 spent this day, hard limit 4',
        "budget of all upstreams: 5.00 spent this day, hard limit 5",
    ]


def test_a_limit_of_the_day_is_over_at_local_midnight_and_logged_again_when_reached_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        now = datetime(2026, 11, 21, 23, 59).timestamp()
        ledger = Ledger(tmp_path, Wishes(5), lambda: now)
        for _ in range(2):
            assert ledger.budget_state().taken_out == {}
            await ledger.record(replace(exchange(), at=now))
            assert list(ledger.budget_state().taken_out) == ["a"]
            now += 120

    asyncio.run(scenario())
    assert len(caplog.records) == 2


def test_a_problem_is_logged_once_and_again_when_it_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path, Wishes(1), lambda: NOW)
        ledger.journal = Journal(tmp_path, retry_seconds=0.01)
        for number in range(2):
            (tmp_path / "usage").write_bytes(b"in the way")
            for _ in range(2):
                await ledger.record(exchange())
            assert ledger.journal.pending == 2
            (tmp_path / "usage").unlink()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while ledger.journal.pending:
                    await asyncio.sleep(0.01)
            await ledger.record(exchange())
            (tmp_path / "usage").rename(tmp_path / f"usage-{number}")
            ledger.journal.refresh()

    asyncio.run(scenario())
    reported = [record.getMessage() for record in caplog.records if "budget" not in record.getMessage()]
    assert len(reported) == 2 and all("cannot be written" in text for text in reported), reported


def test_stopping_saves_the_roll_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path, Wishes(3), lambda: NOW)
        ledger.start()
        await ledger.record(exchange())
        await ledger.stop()
        assert msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())["summary"]["total_requests"] == 1

    asyncio.run(scenario())


def test_an_exchange_that_has_no_duration_ended_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path, Wishes(3), lambda: NOW + 7)
        await ledger.record(exchange(duration=None))
        [line] = journal(tmp_path)
        assert line is not None and line.at == NOW + 7

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_written_is_reported_and_does_not_stop_the_proxying(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "usage").write_bytes(b"in the way")
        ledger = Ledger(tmp_path, Wishes(3), lambda: NOW)
        ledger.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ledger.record(exchange())
        assert str(tmp_path) in ledger.fault
        await ledger.stop()
        again = Ledger(tmp_path, Wishes(3), lambda: NOW)
        again.start()
        assert token_stats(again.statistics)["summary"]["total_requests"] == 1

    asyncio.run(scenario())


# --- clocks and zones that change -----------------------------------------------


def test_a_clock_that_is_set_back_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Back over midnight and the end of a month, and forward again; the daemon restarts in between."""
    clock = [datetime(2026, 12, 1, 0, 30).timestamp()]
    moves = [0.0, -3600.0, -7200.0, 86400.0, -86400.0, 3600.0]

    async def life(move: float) -> dict[str, int]:
        ledger = Ledger(tmp_path, Wishes(3), lambda: clock[0])
        ledger.start()
        for step in (0.0, move):
            clock[0] += step
            await ledger.record(exchange(duration=None))
            await ledger.roll_up.save()
        await ledger.stop()
        reported = token_stats(ledger.statistics)
        return {day: cell["requests"] for day, cell in reported["daily"].items()}

    counted = [sum(asyncio.run(life(move)).values()) for move in moves]

    assert counted == [2 * (place + 1) for place in range(len(moves))]
    assert len(list((tmp_path / "usage").glob("*.jsonl"))) == 2


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is fixed here")
def test_a_change_of_the_time_zone_is_noticed_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine moves from Berlin to Tokyo at half past eleven in the evening."""
    late = datetime(2026, 11, 21, 22, 30, tzinfo=UTC).timestamp()

    async def scenario() -> list[tuple[str, int]]:
        ledger = Ledger(tmp_path, Wishes(3), lambda: late)
        ledger.start()
        await ledger.record(exchange(duration=None))
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        await ledger.roll_up.save()
        await ledger.record(exchange(duration=None))
        assert local_moment().wall.utcoffset() == timedelta(hours=9)
        assert {day: cell["requests"] for day, cell in token_stats(ledger.statistics)["daily"].items()} == {
            "2026-11-21": 1,
            "2026-11-22": 1,
        }
        return [(line.day, line.offset) for line in journal(tmp_path) if line is not None]

    with monkeypatch.context() as before:
        before.setenv("TZ", "Europe/Berlin")
        time.tzset()
        try:
            assert asyncio.run(scenario()) == [("2026-11-21", 60), ("2026-11-22", 540)]
        finally:
            monkeypatch.undo()
            before.undo()
            time.tzset()

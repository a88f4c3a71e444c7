"""The facts about the upstreams are those of the journal, whenever they are read."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from switchyard.audit.fact import Fact
from switchyard.audit.memory import Examined, Facts
from switchyard.exchange import Answered, Attempt, Exchange, Outcome, PriceUsed
from switchyard.protocols.neutral import Usage
from switchyard.store.evidence import DAYS, Evidence, fact_of
from switchyard.store.journal import Journal
from switchyard.store.journal_line import line_of, write_line

NOW = datetime(2026, 11, 21, 12).timestamp()
HOSTS = {"one": "one.example.com", "two": "two.example.com"}
PRICE = PriceUsed(5.0, 25.0, 0.5, 6.25, 10.0, multiplier=2.0)


def exchange(
    number: int, upstream: str = "one", answered: str = "claude-haiku-4-5", at: float = NOW
) -> Exchange:
    return Exchange(
        f"x_{number}",
        at,
        "messages",
        "claude-opus-4-5",
        client_agent="claude-cli/2.1.3 (external)",
        session="s",
        attempts=[Attempt(upstream, "claude-opus-4-5", "messages", "https://x", "primary", 0.0)],
        outcome=Outcome.OK,
        duration=2.0,
        usage=Usage(100, 900, 50, 7, 20),
        price=PRICE,
        answered=Answered(answered, input_reported=1057, input_estimated=900, input_before=1000),
    )


async def write(journal: Journal, *exchanges: Exchange) -> None:
    for one in exchanges:
        line = line_of(one, one.at + 2, UTC)
        await journal.append(write_line(line), line.month)


async def reported(evidence: Evidence) -> list[Examined]:
    return await evidence.report(HOSTS)


def test_a_fact_has_what_the_line_has() -> None:
    fact = fact_of(line_of(exchange(1), NOW + 2, UTC))
    assert fact == Fact(
        id="x_1",
        at=NOW + 2,
        upstream="one",
        model="claude-opus-4-5",
        client="messages claude-cli",
        conversation="s ",
        answered_model="claude-haiku-4-5",
        input_reported=1057,
        input_before=1000,
        cache_read=900,
        cache_write=57,
        cache_price=9e-6,
        output=20,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "test"},
        {"kind": "activation"},
        {"outcome": "failed"},
        {"outcome": "cancelled"},
        {"answered": None},
    ],
    ids=str,
)
def test_only_complete_answers_to_requests_are_facts(change: dict[str, str]) -> None:
    assert fact_of(replace(line_of(exchange(1), NOW + 2, UTC), **change)) is None


def test_the_report_is_the_same_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        before = Evidence(journal)
        before.start()
        await before.load(NOW)
        for number in range(5):
            one = exchange(number, at=NOW + number)
            await write(journal, one)
            before.add(line_of(one, one.at + 2, UTC))
        after = Evidence(journal)
        after.start()
        await after.load(NOW + 10)
        assert await reported(after) == await reported(before)
        [report] = await reported(after)
        assert [(one.kind, one.level) for one in report.findings] == [("model", "stated")]
        await journal.close()

    asyncio.run(scenario())


def test_what_ends_while_the_journal_is_read_comes_after_it_and_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await write(journal, exchange(1), exchange(2))
        evidence = Evidence(journal)
        evidence.start()
        loading = asyncio.create_task(evidence.load(NOW + 10))
        late = exchange(3)
        evidence.add(line_of(late, NOW + 5, UTC))
        await write(journal, late)
        await loading
        [report] = await reported(evidence)
        assert report.requests == 3
        assert report.findings[0].examples == ("x_1", "x_2", "x_3")
        await journal.close()

    asyncio.run(scenario())


def test_old_lines_are_not_facts(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        old = NOW - timedelta(days=DAYS + 1).total_seconds()
        await write(journal, *(exchange(number, at=old) for number in range(3)), exchange(9))
        evidence = Evidence(journal)
        evidence.start()
        await evidence.load(NOW)
        assert [one.requests for one in await reported(evidence)] == [1]
        await journal.close()

    asyncio.run(scenario())


def test_an_upstream_that_is_not_examined_has_no_report_and_is_no_second_source(tmp_path: Path) -> None:
    async def scenario() -> None:
        evidence = Evidence(Journal(tmp_path))
        evidence.start()
        await evidence.load(NOW)
        for number in range(4):
            evidence.add(line_of(exchange(number), NOW, UTC))
            evidence.add(line_of(exchange(number, "two", "claude-opus-4-5-20251101"), NOW, UTC))
        [first, second] = await evidence.report(HOSTS)
        assert ([one.level for one in first.findings], second.findings) == (["confirmed"], ())
        same_host = {"one": "x.example.com", "two": "x.example.com"}
        assert [one.level for one in (await evidence.report(same_host))[0].findings] == ["stated"]
        assert [one.upstream for one in await evidence.report({"one": "x"})] == ["one"]

    asyncio.run(scenario())


def test_the_memory_is_bounded() -> None:
    facts = Facts(max_pairs=3)
    for number in range(10):
        for _ in range(500):
            facts.add(Fact(id="x", at=NOW, upstream=f"u{number}", model="m"))
    assert facts.pairs() == [("u7", "m"), ("u8", "m"), ("u9", "m")]
    assert facts.examine(("u9", "m"), {"u9": "h"}).requests == 150

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.store.journal_line import Line, LineAttempt, LineUsage, decode_line, encode_line
from switchyard.store.stats import Statistics
from switchyard.store.token_stats import later_token_stats, token_stats
from tests.bed.statistics import DAY, NOON, a_line


def statistics(zone: tzinfo = UTC) -> Statistics:
    return Statistics(lambda: NOON, zone)


def test_the_keys_of_the_legacy_format_are_kept() -> None:
    kept = statistics()
    kept.add(a_line())
    kept.add(a_line(NOON - DAY, model="haiku", usage=LineUsage(1, 2, 3, 0, 4)))
    answer = token_stats(kept)
    keys = ("input", "output", "cache_creation", "cache_read")
    assert [answer["summary"][f"total_{key}_tokens"] for key in keys] == [101, 24, 60, 902]
    assert (answer["summary"]["total_tokens"], answer["summary"]["total_requests"]) == (1087, 2)
    opus = {
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_creation_tokens": 57,
        "cache_read_tokens": 900,
        "requests": 1,
        "total_tokens": 1077,
    }
    assert answer["by_model"]["opus"].items() >= opus.items()
    assert answer["daily"]["2026-11-21"].items() >= opus.items()
    assert answer["daily"]["2026-11-21"]["by_model"] == {"opus": opus}
    assert list(answer["daily"]) == ["2026-11-20", "2026-11-21"]
    assert answer["generated_at"] == "2026-11-21T12:00:00+00:00"


LINES: list[tuple[Line, dict[str, Any]]] = [
    (a_line(), {"requests": 1, "total_tokens": 1077, "reasoning_tokens": 5, "unpriced": 1, "cost": None}),
    (a_line(cost=0.25), {"cost": 0.25, "priced": 1, "unpriced": 0}),
    (a_line(cost=0.0), {"cost": 0.0, "priced": 1, "unpriced": 0}),
    (a_line(usage=None), {"requests": 1, "total_tokens": 0, "unpriced": 0, "priced": 0, "cost": None}),
    (a_line(usage=LineUsage()), {"total_tokens": 0, "unpriced": 0}),
    (a_line(outcome="failed", usage=None), {"requests": 1, "errors": 1}),
    (a_line(outcome="cancelled"), {"requests": 1, "cancelled": 1, "errors": 0, "output_tokens": 20}),
    (a_line(outcome="truncated"), {"requests": 1, "truncated": 1, "output_tokens": 20}),
    (a_line(kind="activation"), {"requests": 0, "activations": 1, "total_tokens": 1077}),
    (a_line(kind="test"), {"requests": 0, "tests": 1, "total_tokens": 1077}),
    (a_line(usage=LineUsage(output=9, estimated=True)), {"estimated": 1, "output_tokens": 9}),
    (
        a_line(usage=LineUsage(cache_write_1h=9)),
        {"cache_creation_1h_tokens": 9, "cache_creation_5m_tokens": 0},
    ),
    (a_line(first_byte=0.5, duration=2.5, stream=True), {"first_byte_ms": 500, "tokens_per_second": 10.0}),
    (a_line(first_byte=0.5, duration=2.5), {"duration_ms": 2500, "tokens_per_second": None}),
    (
        a_line(attempts=[LineAttempt("b", failed="connect"), LineAttempt("a")]),
        {"failed_attempts": 1, "requests": 1},
    ),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_each_kind_of_exchange_is_counted_as_what_it_is(line: Line, expected: dict[str, Any]) -> None:
    kept = statistics()
    kept.add(line)
    assert token_stats(kept)["daily"]["2026-11-21"].items() >= expected.items()


def test_a_failed_attempt_is_charged_to_the_upstream_that_failed() -> None:
    kept = statistics()
    kept.add(a_line(attempts=[LineAttempt("b", failed="connect"), LineAttempt("a")]))
    upstreams = token_stats(kept)["by_upstream"]
    assert [(name, cell["requests"], cell["failed_attempts"]) for name, cell in upstreams.items()] == [
        ("a", 1, 0),
        ("b", 0, 1),
    ]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("day", ["2026-10-31", "2026-11-21"]),
        ("hour", ["2026-10-31T12", "2026-11-21T12"]),
        ("month", ["2026-10", "2026-11"]),
        ("model", ["opus", "haiku"]),
        ("model_sent", ["qwen"]),
        ("upstream", ["a", "b"]),
        ("client", ["laptop", "server"]),
        ("session", ["s1", "s2"]),
    ],
)
def test_rows_can_be_grouped(by: str, keys: list[str]) -> None:
    kept = statistics()
    kept.add(a_line())
    small = LineUsage(1)
    kept.add(a_line(NOON - 21 * DAY, model="haiku", upstream="b", client="server", session="s2", usage=small))
    answer = token_stats(kept, by=by)
    assert [row["key"] for row in answer["rows"]] == keys
    assert sum(row["requests"] for row in answer["rows"]) == 2


@pytest.mark.parametrize("by", ["day", "hour", "month", "model", "model_sent", "upstream"])
def test_requests_without_an_upstream_are_in_every_sum(by: str) -> None:
    kept = statistics()
    kept.add(a_line())
    kept.add(a_line(model="", sent="", upstream="", outcome="failed", usage=None))
    answer = token_stats(kept, by=by)
    assert sum(row["requests"] for row in answer["rows"]) == answer["summary"]["total_requests"] == 2
    assert sum(row["errors"] for row in answer["rows"]) == 1


def test_a_span_of_days_includes_both_ends() -> None:
    kept = statistics()
    for back in range(10):
        kept.add(a_line(NOON - back * DAY))
    answer = token_stats(kept, "2026-11-14", "2026-11-16")
    assert list(answer["daily"]) == ["2026-11-14", "2026-11-15", "2026-11-16"]
    assert answer["summary"]["total_requests"] == 3
    assert (answer["from"], answer["to"]) == ("2026-11-14", "2026-11-16")
    assert token_stats(kept, "20261114", "20261116") == answer
    assert token_stats(kept, "0001-01-01", "0001-01-01")["daily"] == {}


def test_hours_of_long_ago_are_reported_on_request() -> None:
    kept = statistics()
    kept.add(a_line())
    kept.add(a_line(NOON - 200 * DAY))
    answer = token_stats(kept, by="hour")
    assert list(answer["hourly"]) == ["2026-11-21T12"]
    assert [row["key"] for row in answer["rows"]] == ["2026-05-05T12", "2026-11-21T12"]


def test_a_day_of_25_hours_counts_its_double_hour_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    kept = statistics(berlin)
    answered = Exchange("x", NOON, "messages", "opus", outcome=Outcome.OK, usage=Usage(input=10, output=1))
    midnight = datetime(2026, 10, 25, tzinfo=berlin).timestamp()
    for hour in range(25):
        line = decode_line(encode_line(answered, midnight + hour * 3600, berlin))
        assert line is not None
        kept.add(line)
    answer = token_stats(kept)
    assert {day: cell["requests"] for day, cell in answer["daily"].items()} == {"2026-10-25": 25}
    assert answer["hourly"]["2026-10-25T02"]["requests"] == 2


def test_an_answer_that_a_thread_computes_has_the_totals_of_when_it_was_requested() -> None:
    kept = statistics()
    kept.add(a_line(NOON))
    before = token_stats(kept, by="month")
    later = later_token_stats(kept, by="month")
    kept.add(a_line(NOON))
    assert later() == before != token_stats(kept, by="month")


@pytest.mark.parametrize(
    "asked", [{"start": "yesterday"}, {"end": "2026-02-30"}, {"by": "colour"}, {"start": "2026"}]
)
def test_a_question_that_makes_no_sense_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        token_stats(statistics(), **asked)


def test_the_first_of_all_days_is_a_day() -> None:
    assert token_stats(statistics(), end="0001-01-01")["daily"] == {}

import asyncio
import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.store.cell import NANOS, Cell
from switchyard.store.counts import COUNTS
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, LineAttempt, LineUsage
from switchyard.store.render import (
    cost,
    count,
    csv_text,
    held_gauge,
    json_text,
    prometheus,
    statusline,
    table,
)
from switchyard.store.roll_up import RollUp
from switchyard.store.stats import Statistics
from switchyard.store.token_stats import token_stats

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def a_line(back: int = 0, **fields: Any) -> Line:
    at = NOON - back * 86_400
    usual: dict[str, Any] = {
        "v": 1,
        "at": at,
        "day": datetime.fromtimestamp(at, UTC).date().isoformat(),
        "client": "laptop",
        "model": "claude-opus-5-5",
        "sent": "claude-opus-5-5",
        "upstream": "Monday key",
        "outcome": "ok",
        "usage": LineUsage(100, 900, 50, 0, 20),
    }
    return Line(**(usual | fields))


def kept(*lines: Line) -> Statistics:
    statistics = Statistics(lambda: NOON, UTC)
    for line in lines:
        statistics.add(line)
    return statistics


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10.0k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (12_345_678, "12.3M"),
        (999_949_999, "999.9M"),
        (3_210_000_000, "3.2G"),
    ],
)
def test_numbers_are_short(number: int, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell(), "-"),
        (Cell(unpriced=2), "unpriced"),
        (Cell(priced=1), "$0.00"),
        (Cell(priced=1, cost=NANOS // 500), "$0.0020"),
        (Cell(priced=1, cost=1_234_000_000), "$1.23"),
        (Cell(priced=1, unpriced=1, cost=1_234_000_000), "$1.23*"),
    ],
)
def test_what_has_no_price_is_never_shown_as_free(cell: Cell, text: str) -> None:
    assert cost(cell) == text


def test_the_table_shows_spans_bars_and_groups() -> None:
    statistics = kept(
        a_line(cost=0.5),
        a_line(2, usage=LineUsage(input=2140), model="gpt-5", upstream="local"),
        a_line(20, cost=1.0, outcome="failed"),
    )
    assert table(statistics) == (
        "         requests  errors  fresh in  cache read  cache write  output  total    cost\n"
        "today           1       0       100         900           50      20   1070   $0.50\n"
        "7 days          2       0      2240         900           50      20   3210  $0.50*\n"
        "30 days         3       1      2340        1800          100      40   4280  $1.50*\n"
        "\n"
        "tokens by day\n"
        "2026-11-01 Sun     1070  ██████████████\n"
        + "".join(f"2026-11-{day:02} {name}        0\n" for day, name in DAYS_WITHOUT)
        + "2026-11-19 Thu     2140  ████████████████████████████\n"
        "2026-11-20 Fri        0\n"
        "2026-11-21 Sat     1070  ██████████████\n"
        "\n"
        "model            requests  errors  fresh in  cache read  cache write  output  total      cost\n"
        "claude-opus-5-5         2       1       200        1800          100      40   2140     $1.50\n"
        "gpt-5                   1       0      2140           0            0       0   2140  unpriced\n"
        "\n"
        "upstream    requests  errors  fresh in  cache read  cache write  output  total      cost\n"
        "Monday key         2       1       200        1800          100      40   2140     $1.50\n"
        "local              1       0      2140           0            0       0   2140  unpriced\n"
        "\n"
        "client  requests  errors  fresh in  cache read  cache write  output  total    cost\n"
        "laptop         3       1      2340        1800          100      40   4280  $1.50*\n"
        "\n"
        "* Not in the sum: 1 request without a known price.\n"
    )


def test_the_table_can_group_by_anything_and_then_shows_all_of_it() -> None:
    lines = [
        a_line(number % 2, session=f"s{number:02}", usage=LineUsage(input=number)) for number in range(30)
    ]
    groups = {
        "session": [f"s{number:02}" for number in range(29, -1, -1)],
        "model_sent": ["claude-opus-5-5"],
        "hour": ["2026-11-20T12", "2026-11-21T12"],
        "day": ["2026-11-20", "2026-11-21"],
        "month": ["2026-11"],
    }
    for by, keys in groups.items():
        rows = table(kept(*lines), by=by).rpartition("\n\n" + by)[2].splitlines()[1:]
        assert [row.split()[0] for row in rows if row and not row.startswith("*")] == keys, by
        assert "more" not in rows[-1]


def test_a_short_table_says_how_much_is_left_out() -> None:
    text = table(kept(*(a_line(model=f"m{number:02}") for number in range(25))))
    assert "\n... and 5 more\n" in text


DAYS_WITHOUT = [
    (2, "Mon"), (3, "Tue"), (4, "Wed"), (5, "Thu"), (6, "Fri"), (7, "Sat"), (8, "Sun"), (9, "Mon"), (10, "Tue"),
    (11, "Wed"), (12, "Thu"), (13, "Fri"), (14, "Sat"), (15, "Sun"), (16, "Mon"), (17, "Tue"), (18, "Wed"),
]  # fmt: skip


def test_a_table_of_nothing_is_still_a_table() -> None:
    assert table(kept()) == (
        "         requests  errors  fresh in  cache read  cache write  output  total  cost\n"
        "today           0       0         0           0            0       0      0     -\n"
        "7 days          0       0         0           0            0       0      0     -\n"
        "30 days         0       0         0           0            0       0      0     -\n"
    )


def test_a_model_name_cannot_command_the_terminal() -> None:
    text = table(kept(a_line(model="\x1b[2J\x07" + "m" * 99)))
    assert "\x1b" not in text and "\x07" not in text
    assert "?[2J?mmm" in text and "mmm..." in text


def test_estimates_and_side_jobs_are_reported_below_the_table() -> None:
    text = table(
        kept(
            a_line(usage=LineUsage(1, estimated=True)),
            a_line(kind="activation"),
            a_line(kind="test"),
        )
    )
    assert "Estimated tokens in 1 request: the upstream did not report all of them." in text
    assert "Not counted as requests, but in tokens and cost: 1 activation, 1 connection test." in text


def test_how_requests_ended_and_what_failed_beside_them_is_reported_below_the_table() -> None:
    text = table(
        kept(
            a_line(outcome="cancelled", cost=0.1),
            a_line(outcome="truncated", held=2.0, cost=0.1),
            a_line(local=True),
            a_line(kind="test", outcome="failed", usage=None),
            a_line(kind="test"),
            a_line(kind="replay", outcome="failed", usage=None),
        )
    )
    assert text.splitlines()[1].split()[:3] == ["today", "3", "0"]
    assert "Of the requests: 1 cancelled, 1 truncated, 1 held, 1 local." in text
    assert (
        "Not counted as requests, but in tokens and cost: 2 connection tests (1 failed), 1 replay (1 failed)."
        in text
    )
    assert "without a known price" not in text


def test_metrics_explain_each_count_by_its_definition() -> None:
    text = prometheus(kept(a_line(kind="test", outcome="failed", usage=None)))
    for one in COUNTS:
        assert f"# HELP switchyard_{one.name}_total {one.meaning}\n" in text
    values = samples(text)
    where = 'by="upstream",name="Monday key"'
    assert values["switchyard_errors_total", where] == values["switchyard_requests_total", where] == 0
    assert values["switchyard_failed_tests_total", where] == 1


def test_csv_has_a_row_for_each_key() -> None:
    statistics = kept(a_line(cost=0.5), a_line(1, model="=cmd()"))
    rows = list(csv.DictReader(io.StringIO(csv_text(statistics, by="model"))))
    assert [row["key"] for row in rows] == ["'=cmd()", "claude-opus-5-5"]
    assert [(row["requests"], row["total_tokens"], row["cost"]) for row in rows] == [
        ("1", "1070", ""),
        ("1", "1070", "0.5"),
    ]
    days = list(csv.DictReader(io.StringIO(csv_text(statistics, "2026-11-21", "2026-11-21"))))
    assert [row["key"] for row in days] == ["2026-11-21"]
    assert csv_text(kept()) == "key\n"


def test_json_is_what_the_api_answers() -> None:
    statistics = kept(a_line())
    answer = msgspec.json.decode(json_text(statistics, by="upstream"))
    assert answer == msgspec.to_builtins(token_stats(statistics, by="upstream"))


def test_the_status_line_is_one_short_line() -> None:
    statistics = kept(a_line(cost=0.5), a_line(1))
    assert statusline(statistics, "Monday key") == "Monday key | 1070 tokens | $0.50"
    assert statusline(kept(), "") == "no upstream | 0 tokens | -"
    assert statusline(kept(), "two\nlines") == "two?lines | 0 tokens | -"


def test_metrics_are_counters_with_escaped_labels() -> None:
    attempts = [LineAttempt("Monday key", failed="connect"), LineAttempt('a "b"\\\n')]
    statistics = kept(a_line(upstream='a "b"\\\n', attempts=attempts, cost=0.25, duration=1.5))
    lines = prometheus(statistics).splitlines()
    for expected in (
        "# TYPE switchyard_requests_total counter",
        'switchyard_requests_total{by="upstream",name="a \\"b\\"\\\\\\n"} 1',
        'switchyard_requests_total{by="model",name="claude-opus-5-5"} 1',
        'switchyard_failed_attempts_total{by="upstream",name="Monday key"} 1',
        'switchyard_tokens_total{by="model",name="claude-opus-5-5",kind="cache_read"} 900',
        'switchyard_cost_dollars_total{by="model",name="claude-opus-5-5"} 0.25',
        'switchyard_duration_seconds_total{by="model",name="claude-opus-5-5"} 1.5',
    ):
        assert expected in lines
    assert not [line for line in lines if "failed_attempts" in line and 'by="model"' in line]


LABEL = r'[a-z]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r"([a-z_]+)\{(" + LABEL + r"(?:," + LABEL + r")*)\} ([0-9.e+-]+)")


def samples(text: str) -> dict[tuple[str, str], float]:
    """All samples of an exposition, which must be valid."""
    found: dict[tuple[str, str], float] = {}
    announced = ""
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            announced = line.split(" ")[2]
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {announced} counter"
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None and match[1] == announced, line
            assert (announced, match[2]) not in found, "one sample for each set of labels"
            found[announced, match[2]] = float(match[3])
    return found


NASTY = ["", 'a "b"\\\n', "{}", "a,b=c", "é\u2028\r\t", "=1+1", "#", "\x00", "日本"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(NASTY), st.integers(0, 4), st.floats(0, 9)), max_size=20))
def test_metrics_keep_to_the_format_and_only_grow(reported: list[tuple[str, int, float]]) -> None:
    with TemporaryDirectory() as folder:
        roll_up = RollUp(Path(folder), Journal(Path(folder)), lambda: NOON, UTC)
        statistics = roll_up.statistics
        before: dict[tuple[str, str], float] = {}
        for name, back, cost in reported:
            attempts = [LineAttempt(name, failed="status")]
            statistics.add(a_line(back, model=name, upstream=name, cost=cost, attempts=attempts))
            asyncio.run(roll_up.save())
            now = samples(prometheus(statistics))
            assert all(now[sample] >= value for sample, value in before.items())
            before = now


def test_the_time_for_which_requests_were_held_is_added_up() -> None:
    statistics = kept(a_line(held=12.25), a_line(), a_line(held=300.0))
    lines = prometheus(statistics).splitlines()
    assert 'switchyard_held_total{by="upstream",name="Monday key"} 2' in lines
    assert 'switchyard_held_seconds_total{by="model",name="claude-opus-5-5"} 312.25' in lines
    row = msgspec.json.decode(json_text(statistics, by="model"))["rows"][0]
    assert (row["held"], row["held_ms"]) == (2, 156_125)


def test_the_number_of_held_requests_is_a_gauge() -> None:
    assert held_gauge(19).splitlines()[1:] == [
        "# TYPE switchyard_held_requests gauge",
        "switchyard_held_requests 19",
    ]


def test_metrics_of_nothing_are_none() -> None:
    assert samples(prometheus(kept())) == {}

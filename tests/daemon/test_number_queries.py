"""The paths for numbers answer any query with a result or a 400 with a sentence, never an internal error."""

import csv
import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon

BY = ("", "day", "hour", "month", "model", "model_sent", "upstream", "client", "session")
DATES = ("", "2026-11-21", "0001-01-01", "9999-12-31", "20261121")
NO_DATES = ("x", "2026-02-30", "-1", "2026-11-21T00:00")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("numbers")) as running:
        for model in ("=1+1", 'x"y\n\\', "plain"):
            ask(running.url, "chat", model)
        yield running


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("path", ["/api/token-stats", "/api/token-stats.csv"])
def test_every_grouping_answers_every_span(daemon: Daemon, path: str, by: str) -> None:
    for start, end in product(DATES, DATES):
        reported = daemon.get(f"{path}?{urlencode({'from': start, 'to': end, 'by': by})}")
        assert reported.status == 200, (start, end, reported.text)
    for start, end in product(NO_DATES, DATES[:2]):
        reported = daemon.get(f"{path}?{urlencode({'from': start, 'to': end, 'by': by})}")
        assert reported.status == 400 and reported.json["error"]["message"], (start, end, reported.text)


def test_the_sums_of_every_grouping_are_the_same(daemon: Daemon) -> None:
    summary = daemon.token_stats()["summary"]
    for by in BY[1:-2]:  # these requests have no client and no session
        rows = daemon.get(f"/api/token-stats?by={by}").json["rows"]
        assert sum(row["requests"] for row in rows) == summary["total_requests"] == 3, by
        assert sum(row["total_tokens"] for row in rows) == summary["total_tokens"] > 0, by


def test_a_spreadsheet_gets_no_formula(daemon: Daemon) -> None:
    rows = list(csv.DictReader(io.StringIO(daemon.get("/api/token-stats.csv?by=model").text)))
    assert sorted(row["key"] for row in rows) == ["'=1+1", "plain", 'x"y\n\\']


def test_the_status_line_is_one_line_from_the_start(tmp_path: Path) -> None:
    with Daemon(tmp_path) as fresh:
        assert fresh.get("/statusline").text == "demo | 0 tokens | -\n"
        assert fresh.get("/metrics").status == 200
        assert fresh.command("stats")[0] == 0
        ask(fresh.url, "chat")
        assert fresh.get("/statusline").text.endswith(" tokens | -\n")

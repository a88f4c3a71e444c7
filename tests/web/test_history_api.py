"""Requests, conversations and numbers of the past, over the whole daemon."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from switchyard.store.journal_line import Line, LineAttempt, LineUsage, write_line
from switchyard.store.local_time import local_moment
from tests.bed.daemon import Daemon, request, settings, upstream

NOW = datetime.now(UTC).timestamp()
COUNT = 2500
"""lines of the journal: enough for several pages and blocks"""


def a_line(number: int) -> Line:
    at = NOW - 6 * 3600 + number
    local = local_moment(at)
    return Line(
        v=1,
        at=at,
        day=local.day,
        offset=local.offset,
        id=f"x_{number}",
        began=at - 2,
        agent="claude-cli/2.1 (external)",
        session=f"s{number % 7}",
        project="/work/rare" if number == 3 else "/work/app",
        client_protocol="messages",
        protocol="messages",
        model="=cmd()" if number == 5 else "opus",
        sent="qwen",
        upstream="second" if number % 2 else "first",
        stream=True,
        outcome="failed" if number == 4 else "ok",
        status=200,
        first_byte=1.0,
        duration=2.0,
        usage=LineUsage(input=100, cache_read=300, output=20),
        cost=0.01,
        attempts=[
            LineAttempt("second" if number % 2 else "first", "qwen", started=0.5, first_byte=1.0, ended=2.0)
        ],
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("history")
    (folder / "data" / "usage").mkdir(parents=True)
    for line in map(a_line, range(COUNT)):
        with (folder / "data" / "usage" / f"{line.day[:7]}.jsonl").open("ab") as file:
            file.write(write_line(line))
    document = settings(
        upstream("first", "http://127.0.0.1:9", budget={"day_hard": 50, "month_soft": 100}),
        upstream("second", "http://127.0.0.1:9"),
        budget={"day_soft": 20},
    )
    with Daemon(folder, document) as running:
        yield running


def listed(daemon: Daemon, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    start = ""
    while True:
        page = daemon.get(f"/api/journal?limit=500&{query}&start={start}").json
        rows += page["requests"]
        start = page["next"]
        if start is None:
            return rows


def test_all_requests_are_listed_after_a_restart(daemon: Daemon) -> None:
    assert daemon.get("/api/requests").json["requests"] == []
    assert [row["id"] for row in listed(daemon)] == [f"x_{number}" for number in reversed(range(COUNT))]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("project=/work/rare", [3]),
        ("outcome=failed", [4]),
        ("text=CMD()", [5]),
        ("model=cmd", [5]),
        ("session=s3&until={start}", [3]),
        ("client=claude-cli&upstream=second&until={start}", [9, 7, 5, 3, 1]),
        ("protocol=chat", []),
    ],
)
def test_requests_are_filtered(daemon: Daemon, query: str, ids: list[int]) -> None:
    given = query.format(start=NOW - 6 * 3600 + 10)
    assert [row["id"] for row in listed(daemon, given)] == [f"x_{number}" for number in ids]


def test_a_request_of_the_journal_opens_at_its_place_and_by_its_id(daemon: Daemon) -> None:
    row = listed(daemon, "text=cmd")[0]
    for query in (f"?place={row['place']}", ""):
        detail = daemon.get(f"/api/requests/x_5{query}").json
        assert detail["row"] == {name: value for name, value in row.items() if name != "place"}
        assert (detail["attempts"][0]["upstream"], detail["attempts"][0]["started"]) == ("second", 0.5)
    wrong = daemon.get(f"/api/requests/x_6?place={row['place']}").json
    assert wrong["row"]["id"] == "x_6"
    assert daemon.get("/api/requests/x_none").status == 404


def test_what_is_filtered_is_exported(daemon: Daemon) -> None:
    lines = daemon.get("/api/journal.jsonl").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row["id"] for row in listed(daemon)]
    table = list(csv.DictReader(io.StringIO(daemon.get("/api/journal.csv?upstream=second").text)))
    assert [row["id"] for row in table] == [row["id"] for row in listed(daemon, "upstream=second")]
    odd = next(row for row in table if row["id"] == "x_5")
    assert (odd["model"], odd["cost"], odd["cache_read"]) == ("'=cmd()", "0.01", "300")


def test_conversations_and_projects_have_their_sums(daemon: Daemon) -> None:
    answer = daemon.get("/api/conversations").json
    assert {one["session"] for one in answer["conversations"]} == {f"s{number}" for number in range(7)}
    assert [(one["project"], one["requests"]) for one in answer["projects"]] == [("/work/app", COUNT)]
    one = next(one for one in answer["conversations"] if one["session"] == "s1")
    assert (one["cache_share"], one["seconds"], one["ok"]) == (0.75, 2.0 * one["requests"], one["requests"])
    assert sum(one["by_upstream"].values()) == one["requests"]
    assert one["ended"] - one["began"] == pytest.approx((one["requests"] - 1) * 7 + 2)
    assert daemon.get("/api/conversations?project=/none").json["conversations"] == []


def test_upstreams_have_their_numbers_and_budgets(daemon: Daemon) -> None:
    answer = daemon.get("/api/upstream-numbers").json
    first, second = answer["upstreams"]
    assert (first["name"], first["hours"]["requests"], first["days"]["requests"]) == ("first", 1250, 1250)
    assert (second["hours"]["cache_share"], second["hours"]["tokens_per_second"]) == (0.75, 20.0)
    assert (
        second["hours"]["first_token_p50_ms"]
        == second["hours"]["first_token_p95_ms"]
        == pytest.approx(500, rel=0.1)
    )
    assert first["hours"]["cost"] == pytest.approx(12.5)
    assert first["budget"]["month"] == {"spent": pytest.approx(12.5), "soft": 100, "hard": 0}
    assert first["budget"]["day"]["hard"] == 50
    assert (second["budget"], answer["budget"]["day"]["soft"]) == (None, 20)
    assert sum(first["cost_by_day"].values()) == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/journal?since=now", "since"),
        ("/api/journal?until=-1", "until"),
        ("/api/journal?limit=501", "limit"),
        ("/api/journal?start=../../etc:0", "start"),
        ("/api/journal.csv?since=nan", "since"),
        ("/api/requests/x_none?place=here", "place"),
        ("/api/conversations?from=yesterday", "from"),
    ],
)
def test_a_wrong_parameter_is_named(daemon: Daemon, path: str, field: str) -> None:
    answer = daemon.get(path)
    assert (answer.status, answer.json["error"]["field"]) == (400, field)


@pytest.mark.parametrize(
    "path", ["/api/journal", "/api/journal.csv", "/api/conversations", "/api/upstream-numbers"]
)
@pytest.mark.parametrize("header", ["host", "origin"])
def test_other_sites_read_nothing_of_it(daemon: Daemon, path: str, header: str) -> None:
    value = "evil.example" if header == "host" else "https://evil.example"
    assert request(daemon.url, "GET", path, None, {header: value}).status == 403

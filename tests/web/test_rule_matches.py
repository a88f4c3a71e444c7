"""A rule that is being edited is tried on the last requests, which the running daemon remembers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.daemon import Daemon, Document, request, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say

PATH = "/api/routes/matches"
CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332 (external, cli)", "x-claude-code-session-id": "one"}
TITLE: Document = {"format": {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}}
PICTURE: Document = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
SYSTEM = "Primary working directory: /home/me/company/shop\nIs directory a git repo: No"


def turn(model: str, **more: Any) -> Document:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **more}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Five requests: of the main agent, a title, of a sub-agent, with a picture, for Codex."""
    with (
        ScriptedUpstream(say("Hello")) as answering,
        Daemon(
            tmp_path_factory.mktemp("matches"),
            settings(
                upstream("main", answering.url),
                client_keys={"sy-laptop": "laptop"},
                routes=[{"name": "old", "when": {"model": "m-old"}, "upstreams": ["main"]}],
            ),
        ) as running,
    ):
        ours = CLAUDE_CODE | {"x-api-key": "sy-laptop"}
        picture = [{"role": "user", "content": [PICTURE]}]
        bodies: list[tuple[Document, dict[str, str]]] = [
            (turn("m-main", system=SYSTEM, thinking={"type": "adaptive"}), ours),
            (turn("m-title", output_config=TITLE), ours),
            (turn("m-agent"), ours | {"x-claude-code-agent-id": "a1"}),
            (turn("m-picture", messages=picture), {"x-api-key": "sy-laptop", "user-agent": "curl/8"}),
            (turn("main,m-named"), ours),
        ]
        for body, headers in bodies:
            assert running.post("/api/v1/messages", body, headers).status == 200
        wait_until(lambda: tried(running, {})["tried"] == len(bodies), "the facts")
        yield running


def tried(daemon: Daemon, when: Document) -> Any:
    return daemon.post(PATH, {"routes": [{"when": when}], "number": 1}).json


def models(daemon: Daemon, when: Document) -> list[str]:
    return [match["model"] for match in tried(daemon, when)["matches"]]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, ["m-picture", "m-agent", "m-title", "m-main"]),
        ({"client": "claude-code"}, ["m-agent", "m-title", "m-main"]),
        ({"client": "curl/*"}, ["m-picture"]),
        ({"subagent": True}, ["m-agent"]),
        ({"subagent": False, "background": False, "images": False}, ["m-main"]),
        ({"background": True}, ["m-title"]),
        ({"images": True}, ["m-picture"]),
        ({"thinking": True}, ["m-main"]),
        ({"model": ["m-a*", "m-t*"]}, ["m-agent", "m-title"]),
        ({"project": "~/company/*"}, ["m-agent", "m-title", "m-main"]),
        ({"client_key": "laptop"}, ["m-picture", "m-agent", "m-title", "m-main"]),
        ({"client_key": "desktop"}, []),
        ({"protocol": "responses"}, []),
        ({"tokens_over": 100_000}, []),
        ({"tokens_under": 100_000, "images": True}, ["m-picture"]),
    ],
)
def test_a_condition_is_tried_on_every_fact_of_past_requests(
    daemon: Daemon, when: Document, expected: list[str]
) -> None:
    assert models(daemon, when) == expected


def test_a_request_that_an_earlier_rule_takes_is_reported_with_that_rule(daemon: Daemon) -> None:
    rules = [{"when": {"subagent": True}}, {"when": {"client": "claude-code"}}]
    answer = daemon.post(PATH, {"routes": rules, "number": 2}).json
    assert [(one["model"], one["decided_by"]) for one in answer["matches"]] == [
        ("m-agent", 1),
        ("m-title", 2),
        ("m-main", 2),
    ]
    assert answer["tried"] == 5
    assert {one["upstream"] for one in answer["matches"]} == {"main"}


def test_the_hour_of_a_past_request_is_that_of_its_arrival(daemon: Daemon) -> None:
    assert len(models(daemon, {"hours": "00:00-24:00"})) == 4
    assert models(daemon, {"weekdays": []}) == models(daemon, {})


def test_nothing_is_saved(daemon: Daemon) -> None:
    before = daemon.settings_path.read_bytes()
    tried(daemon, {"subagent": True})
    assert daemon.settings_path.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"routes": [{}], "number": 2}, 400, "`number` must be the number of one of the rules"),
        ({"routes": [{}], "number": True}, 400, "`number` must be the number of one of the rules"),
        ({"routes": [{}]}, 400, "`number` must be the number of one of the rules"),
        ({"number": 1}, 400, "`number` must be the number of one of the rules"),
        ({"routes": [{}, {"when": {"hours": "25:00"}}], "number": 1}, 422, "routes[1].when.hours"),
        ({"routes": "all", "number": 1}, 422, "routes"),
    ],
)
def test_rules_with_errors_are_not_tried(daemon: Daemon, body: Any, status: int, message: str) -> None:
    answer = daemon.post(PATH, body)
    assert answer.status == status
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}],
)
def test_a_foreign_page_or_host_name_does_not_get_past_requests(
    daemon: Daemon, headers: dict[str, str]
) -> None:
    body = b'{"routes": [{}], "number": 1}'
    given = {"content-type": "application/json"} | headers
    assert request(daemon.url, "POST", PATH, body, given).status == 403


def test_the_detail_of_a_request_has_what_rules_may_name(daemon: Daemon) -> None:
    rows = daemon.get("/api/requests").json["requests"]
    id = next(row["id"] for row in rows if row["model"] == "m-main")
    facts = daemon.get(f"/api/requests/{id}").json["facts"]
    assert facts["program"] == "claude-code" and facts["thinking"] is True
    assert facts["project"] == "/home/me/company/shop"
    assert 0 < facts["tokens"] < 1000


def test_only_the_last_hundred_requests_are_tried(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(say("Hello")) as answering,
        Daemon(tmp_path, settings(upstream("main", answering.url))) as running,
    ):
        large = [{"role": "user", "content": "x" * 600_000}]  # its facts are read in a thread
        for number in range(103):
            body = turn(f"m{number}") if number < 102 else turn("m102", messages=large)
            assert running.post("/api/v1/messages", body).status == 200
        wait_until(lambda: tried(running, {"model": "m102"})["matches"], "the facts")
        answer = tried(running, {})
    assert answer["tried"] == 100
    assert [match["model"] for match in answer["matches"]] == [f"m{number}" for number in range(102, 2, -1)]

"""The capture API: what is kept of a request, and how it is shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchyard.protocols.request_summary import RequestSummary
from switchyard.relay.tape import RecordedAnswer, Tape
from switchyard.relay.values import ClientRequest
from switchyard.settings import Settings
from switchyard.web.captured_view import captured_view
from tests.bed.daemon import Daemon, Document, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, answer, say, status
from tests.bed.wire import Call, Reply

BODY: Document = {
    "model": "claude-x",
    "max_tokens": 50,
    "stream": True,
    "stop_sequences": ["END"],
    "thinking": {"type": "disabled"},
    "mcp_servers": [],
    "system": [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "the key is sk-of-good"}],
    "tools": [
        {"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
    ],
}
HEADERS = {"x-api-key": "key-of-the-client", "cookie": "secret=cookie", "anthropic-beta": "a"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A failover from a Messages to a Chat upstream."""
    reply = answer(Reply("Hi", thinking="hm", calls=(Call("read", {"a": 1}),)), seconds_between=0.01)
    with ScriptedUpstream(status(503)) as failing, ScriptedUpstream(reply) as server:
        entries = (
            upstream("bad", failing.url, priority=90, headers={"X-Own": "own"}),
            upstream("good", server.url, "chat", models={"claude-x": "other-model"}),
        )
        document = settings(*entries, failover={"error_threshold": 100})
        with Daemon(tmp_path_factory.mktemp("captures"), document) as running:
            yield running


def captured(daemon: Daemon, body: Document = BODY) -> str:
    daemon.post("/api/capture", {"mode": "next"})
    daemon.post("/v1/messages", body, HEADERS)
    newest: str = daemon.get("/api/requests").json["requests"][0]["id"]
    return newest


@pytest.fixture(scope="module")
def id(daemon: Daemon) -> str:
    return captured(daemon)


def changes(rows: list[Document]) -> dict[str, str]:
    return {row["name"]: row["change"] for row in rows}


def test_the_state_names_the_mode_and_what_is_captured(daemon: Daemon, id: str) -> None:
    assert daemon.get("/api/state").json["capture"] == {"mode": "off", "requests": [id]}
    assert daemon.get(f"/api/requests/{id}").json["captured"] == {"request": True, "sent": 2}


def test_fields_and_headers_are_compared_with_the_last_attempt(daemon: Daemon, id: str) -> None:
    view = daemon.get(f"/api/requests/{id}/capture").json
    assert [(one["upstream"], one["attempt"]) for one in view["sent"]] == [("bad", 0), ("good", 1)]
    assert (view["number"], view["protocol"], view["compared"]) == (1, "messages", True)
    fields = {row["name"]: (row["change"], row["sent_as"]) for row in view["fields"]}
    assert fields["model"] == ("changed", "")
    assert fields["max_tokens"] == ("same", "")
    assert fields["stop_sequences"] == ("renamed", "stop")
    assert fields["stream_options"] == ("added", "")
    headers = changes(view["headers"])
    assert (headers["anthropic-beta"], headers["authorization"]) == ("dropped", "added")


def test_the_conversation_and_the_tools_are_readable(daemon: Daemon, id: str) -> None:
    view = daemon.get(f"/api/requests/{id}/capture").json
    system, user = view["messages"]
    assert (system["change"], changes(system["members"])) == ("changed", {"cache_control": "dropped"})
    assert (user["change"], user["received"]["text"], user["sent"]) == ("same", "the key is [key]", None)
    assert [(row["change"], row["received"]["name"]) for row in view["tools"]] == [("same", "read")]


def test_both_answers_have_their_content_and_their_events_in_time(daemon: Daemon, id: str) -> None:
    view = daemon.get(f"/api/requests/{id}/capture").json
    for side in (view["answer"], view["delivered"]):
        assert [(part["kind"], part["text"]) for part in side["parts"]] == [
            ("thinking", "hm"),
            ("text", "Hi"),
            ("call", '{\n  "a": 1\n}'),
        ]
        times = [event["at"] for event in side["events"]]
        assert times == sorted(times)
        assert (side["status"], side["stream"], side["error"], side["stop"]) == (200, True, "", "tool_use")
    assert view["answer"]["events"][-1]["text"] == "[DONE]"
    assert view["delivered"]["events"][0]["event"] == "message_start"


def test_each_attempt_can_be_compared(daemon: Daemon, id: str) -> None:
    view = daemon.get(f"/api/requests/{id}/capture?number=0").json
    assert {row["change"] for row in view["fields"]} == {"same"}
    assert (view["answer"]["status"], view["answer"]["events"]) == (503, [])
    assert view["answer"]["error"]


def test_the_bodies_are_there_as_they_were(daemon: Daemon, id: str) -> None:
    def body(side: str, query: str = "") -> bytes:
        return daemon.get(f"/api/requests/{id}/capture/{side}{query}").body

    assert json.loads(body("received"))["messages"][0]["content"] == "the key is [key]"
    assert json.loads(body("sent"))["model"] == "other-model"
    assert json.loads(body("sent", "?number=0"))["model"] == "claude-x"
    assert body("answer").startswith(b"data: ") and body("delivered").startswith(b"event: message_start")
    response = daemon.get(f"/api/requests/{id}/capture/received?limit=5")
    assert (response.body, int(response.header("x-body-bytes") or 0)) == (
        body("received")[:5],
        len(body("received")),
    )
    assert (response.header("content-disposition") or "").startswith("attachment")


def test_nothing_shows_a_secret(daemon: Daemon, id: str) -> None:
    shown = b"".join(
        daemon.get(f"/api/requests/{id}/{path}").body
        for path in (
            "capture",
            "capture?number=0",
            "capture/received",
            "capture/sent",
            "capture/sent?number=0",
        )
    )
    secrets = (b"sk-of-good", b"sk-of-bad", b"key-of-the-client", b"secret=cookie", b'"own"')
    assert [secret for secret in secrets if secret in shown] == []


def test_an_escaped_secret_is_hidden_too(daemon: Daemon) -> None:
    body = json.dumps(BODY).replace("sk-of-good", r"sk\u002dof-good").encode()
    daemon.post("/api/capture", {"mode": "next"})
    request(daemon.url, "POST", "/v1/messages", body, HEADERS)
    newest = daemon.get("/api/requests").json["requests"][0]["id"]
    view = daemon.get(f"/api/requests/{newest}/capture").json
    assert view["messages"][-1]["received"]["text"] == "the key is [key]"
    received = daemon.get(f"/api/requests/{newest}/capture/received").text
    assert "the key is [key]" in received and "the key is [key]" in view["curl"]


def test_the_names_of_events_and_tools_hide_secrets() -> None:
    records = (
        b"event: sk-of-good\ndata: {}\n\n",
        b'data: {"type": "sk\\u002dof-good"}\n\n',
        b'event: content_block_start\ndata: {"type": "content_block_start", "index": 0, "content_block": '
        b'{"type": "tool_use", "id": "a", "name": "sk\\u002dof-good", "input": {}}}\n\n',
    )
    secrets, recorded = ("sk-of-good",), RecordedAnswer()
    recorded.start(0, 200, [])
    for record in records:
        recorded.keep(0, record)
    tape = Tape(
        ClientRequest("messages", b"{}", RequestSummary("m", True, "", False), []), Settings(), lambda: 0
    )
    tape.answer = recorded
    delivered = captured_view(tape, 0, secrets)["delivered"]
    assert [one["event"] for one in delivered["events"]] == ["[key]", "[key]", "content_block_start"]
    assert [one["name"] for one in delivered["parts"]] == ["[key]"]


def test_a_key_that_was_replaced_after_the_capture_stays_hidden(daemon: Daemon, id: str) -> None:
    revision = daemon.get("/api/configs").json["revision"]
    change = {"name": "good", "changes": {"key": "sk-another"}, "revision": revision}
    assert daemon.post("/api/upstreams/update", change).status == 200
    assert b"sk-of-good" not in daemon.get(f"/api/requests/{id}/capture").body


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("x_gone/capture", 404, "The body of this request was not captured."),
        ("{id}/capture/other", 404, "The body must be one of received, sent, answer, delivered."),
        ("{id}/capture/sent?number=7", 404, "This body was not captured."),
        ("{id}/capture?number=x", 400, "`number` must be a number."),
        ("{id}/capture?number=-1", 400, "`number` must be a number."),
    ],
)
def test_what_is_not_there_is_reported(daemon: Daemon, id: str, path: str, code: int, message: str) -> None:
    response = daemon.get(f"/api/requests/{path.format(id=id)}")
    assert (response.status, response.json["error"]["message"]) == (code, message)


def large_body() -> Document:
    """8 MB in a thousand turns."""
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": f"{number} " + "x" * 8000}
        for number in range(1001)
    ]
    return {**BODY, "messages": turns}


def test_a_large_request_is_shown_in_little(daemon: Daemon) -> None:
    response = daemon.get(f"/api/requests/{captured(daemon, large_body())}/capture")
    view: dict[str, Any] = response.json
    assert view["bytes"] > 8_000_000 > 4 * len(response.body)
    assert len(view["messages"]) == 1002
    newest = view["messages"][-1]["received"]
    assert newest["text"].startswith("1000 x") and newest["length"] == len(newest["text"])
    assert view["curl"].endswith("--data-binary @request.json")


def test_a_request_that_no_upstream_got_is_shown_alone(tmp_path: Path) -> None:
    with ScriptedUpstream(say("never")) as server:
        with Daemon(tmp_path, settings(upstream("off", server.url, enabled=False))) as lonely:
            view = lonely.get(f"/api/requests/{captured(lonely)}/capture").json
    assert (view["sent"], view["compared"], view["answer"], view["curl"]) == ([], False, None, "")
    assert view["messages"] and view["delivered"]["status"] >= 400

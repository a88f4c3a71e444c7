"""The behaviours found in the requests of a client."""

import asyncio
from typing import Any

import pytest

from switchyard.selftest.behaviours import MARK, Runs, Session, compare
from switchyard.selftest.recorder import Receive, ReceivedRequest, Recorder, Scope, Send

CLAUDE_BODY: dict[str, Any] = {
    "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1"}],
    "messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}],
    "metadata": {"user_id": '{"session_id": "s"}'},
    "thinking": {"type": "adaptive"},
}
CODEX_BODY: dict[str, Any] = {
    "input": [{"role": "developer"}],
    "tools": [{"type": "custom", "name": "apply_patch"}],
    "prompt_cache_key": "s",
}


def post(path: str, body: dict[str, Any], **headers: str) -> ReceivedRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ReceivedRequest("POST", path, {"beta": "true"}, named, body)


def runs(
    loop: ReceivedRequest, bare: int, *more: ReceivedRequest, output: str = f"The tool returned: {MARK}"
) -> Runs:
    return Runs(Session(output, (*more, loop)), Session("", (loop,)), Session("", (loop,) * bare))


def changed(client: str, of: Runs) -> list[tuple[str, str]]:
    return [(one.text, one.found) for one in compare(client, of) if not one.is_same]


def test_a_client_as_measured_has_not_changed() -> None:
    probe = ReceivedRequest("HEAD", "/api", {}, {}, {})
    claude = post("/api/v1/messages", CLAUDE_BODY, x_claude_code_session_id="s")
    codex = post("/openai/responses", CODEX_BODY, session_id="s")
    assert changed("claude", runs(claude, 3, probe)) == []
    assert changed("codex", runs(codex, 30)) == []


@pytest.mark.parametrize(
    ("without", "found"),
    [
        ("thinking", [("requests thinking", "none")]),
        ("system", [("starts the system prompt with a billing line", "no")]),
        ("metadata", [("sends the session in metadata.user_id, as JSON", "no")]),
        ("messages", [("puts system messages between the others", "no")]),
    ],
)
def test_each_change_of_claude_code_is_named(without: str, found: list[tuple[str, str]]) -> None:
    body = {name: value for name, value in CLAUDE_BODY.items() if name != without}
    asked = post("/api/v1/messages", body, x_claude_code_session_id="s")
    assert changed("claude", runs(asked, 3, ReceivedRequest("HEAD", "/api", {}, {}, {}))) == found


def test_a_client_without_requests_has_changed_in_every_behaviour() -> None:
    nothing = Runs(Session(), Session(), Session())
    assert len(changed("claude", nothing)) == 10
    assert ("requests on a bare 500", "0") in changed("codex", nothing)


async def _answering(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _ignoring(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize(("application", "body"), [(_answering, {"a": 1}), (_ignoring, {})])
def test_a_request_is_noted_once_whatever_the_application_reads(
    application: Any, body: dict[str, Any]
) -> None:
    parts = iter([b'{"a"', b": 1}"])

    async def receive() -> dict[str, Any]:
        part = next(parts)
        return {"type": "http.request", "body": part, "more_body": not part.endswith(b"}")}

    async def send(message: Any) -> None:
        return

    recorder = Recorder(application)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/messages",
        "query_string": b"beta=true",
        "headers": [(b"X-Api-Key", b"k")],
    }
    asyncio.run(recorder(scope, receive, send))
    assert recorder.received == [
        ReceivedRequest("POST", "/v1/messages", {"beta": "true"}, {"x-api-key": "k"}, body)
    ]

"""What an upstream puts beside a call returns with that call to this upstream, and to no other."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed.asking import PATHS
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, say, stream, whole
from tests.bed.wire import Protocol

SIGNATURE = "EtEBCs4BAdHtim9xK" * 40
MEMBERS: list[Document] = [
    {"extra_content": {"google": {"thought_signature": SIGNATURE}}},
    {"provider_specific_fields": {"thought_signature": SIGNATURE}},
    {"thought_signature": SIGNATURE},
]
IDS = ("function-call-1234", "call." + "x" * 80, "")
SCHEMA = {"type": "object", "properties": {}}
TOOLS: dict[Protocol, list[Document]] = {
    "chat": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
    "messages": [{"name": "look", "input_schema": SCHEMA}],
    "responses": [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}],
}
CLIENTS: tuple[Protocol, ...] = ("messages", "responses", "chat")
CASES = [(client, id) for client in CLIENTS for id in IDS if id or client != "chat"]
"""an answer without ids that passes through gives the client none that it could return"""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(server: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    entries = [upstream(name, f"{server.url}/{name}", "chat", models=[name]) for name in ("a", "b")]
    with Daemon(tmp_path_factory.mktemp("calls"), settings(*entries)) as daemon:
        yield daemon


def calling(id: str, beside: Document, streamed: bool) -> Script:
    function = {"name": "look", "arguments": "{}"}
    call = {"index": 0, "id": id, "type": "function", "function": function, **beside}
    message = {"role": "assistant", "tool_calls": [call]}
    choice = {"index": 0, "delta" if streamed else "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    return stream([b"data: " + body + b"\n\n", b"data: [DONE]\n\n"]) if streamed else whole(200, body)


def ask(daemon: Daemon, client: Protocol, model: str, history: list[Document], streamed: bool) -> Response:
    body: dict[str, Any] = {"model": model, "stream": streamed, "tools": TOOLS[client]}
    body |= {"input": history} if client == "responses" else {"messages": history, "max_tokens": 100}
    response = request(daemon.url, "POST", PATHS[client], body)
    assert response.status == 200, response.text
    return response


def answered_call(client: Protocol, response: Response, streamed: bool) -> list[Document]:
    """The call and its result, as the client puts them into its history."""
    if client == "responses":
        events = response.records if streamed else []
        output = events[-1]["response"]["output"] if streamed else response.json["output"]
        (id,) = (item["call_id"] for item in output if item["type"] == "function_call")
        call = {"type": "function_call", "call_id": id, "name": "look", "arguments": "{}"}
        return [call, {"type": "function_call_output", "call_id": id, "output": "seen"}]
    if client == "chat":
        choices = [one["choices"][0] for one in response.records] if streamed else response.json["choices"]
        (call,) = (choices[0]["delta"] if streamed else choices[0]["message"])["tool_calls"]
        kept = {name: call[name] for name in ("id", "type", "function")}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "seen"}
        return [{"role": "assistant", "tool_calls": [kept]}, result]
    blocks = (
        [one["content_block"] for one in response.records if one["type"] == "content_block_start"]
        if streamed
        else response.json["content"]
    )
    (id,) = (block["id"] for block in blocks if block["type"] == "tool_use")
    use = {"type": "tool_use", "id": id, "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": id, "content": "seen"}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


def sent_call(received: Received) -> Document:
    (call,) = (call for message in received.json["messages"] for call in message.get("tool_calls", ()))
    return dict(call)


@pytest.mark.parametrize("beside", MEMBERS, ids=[next(iter(beside)) for beside in MEMBERS])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client, id", CASES)
def test_opaque_members_of_a_call_return_to_their_issuer_alone(
    server: ScriptedUpstream, daemon: Daemon, client: Protocol, streamed: bool, beside: Document, id: str
) -> None:
    server.script(lambda _: calling(id, beside, streamed))
    history: list[Document] = [{"role": "user", "content": "Look"}]
    history += answered_call(client, ask(daemon, client, "a", history, streamed), streamed)
    server.script(say("Seen."))
    for model in ("a", "b"):
        ask(daemon, client, model, history, streamed)
    to_issuer, to_other = map(sent_call, server.requests)
    assert {name: to_issuer.get(name) for name in beside} == beside
    assert set(to_other) == {"id", "type", "function"}


@pytest.mark.parametrize("beside", MEMBERS, ids=[next(iter(beside)) for beside in MEMBERS])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_members_that_a_client_returns_itself_reach_their_issuer_alone(
    server: ScriptedUpstream, daemon: Daemon, streamed: bool, beside: Document
) -> None:
    server.script(lambda _: calling("own-call", beside, streamed))
    history: list[Document] = [{"role": "user", "content": "Look"}]
    history += answered_call("chat", ask(daemon, "chat", "a", history, streamed), streamed)
    history[1]["tool_calls"][0] |= beside
    server.script(say("Seen."))
    for model in ("a", "b"):
        ask(daemon, "chat", model, history, streamed)
    to_issuer, to_other = server.requests
    assert to_issuer.json["messages"] == history
    assert set(sent_call(to_other)) == {"id", "type", "function"}


def test_members_that_nobody_knows_stay_as_the_client_sends_them(
    server: ScriptedUpstream, daemon: Daemon
) -> None:
    call = {
        "id": "elsewhere",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
        **MEMBERS[0],
    }
    result = {"role": "tool", "tool_call_id": "elsewhere", "content": "seen"}
    server.script(say("Seen."))
    ask(daemon, "chat", "b", [{"role": "assistant", "tool_calls": [call]}, result], False)
    assert sent_call(server.requests[-1]) == call

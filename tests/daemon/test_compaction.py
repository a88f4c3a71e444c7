"""Compaction over every protocol: by a trigger, through the older endpoint, and the use of its result."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bed import wire
from tests.bed.asking import PATHS, text_of
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.strict import Strict
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer, say, status, whole
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage
from tests.protocols.validators import check_responses_stream, records_of

SUMMARY = "The user wants X; file a.py is done; next is b.py."
USAGE = Usage(fresh=900, cache_read=100, output=40)
HISTORY: list[Document] = [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be good."}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Do X."}]},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "seen"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done with a.py."}]},
]
TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
]


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream

    def post(self, model: str, items: list[Document], path: str = "", **more: Any) -> Response:
        body = {"model": model, "input": items, "store": False, **more}
        return request(self.daemon.url, "POST", PATHS["responses"] + path, body)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [upstream(name, server.url, name, models=[f"model-{name}"]) for name in PROTOCOLS]
        document = settings(*entries, failover={"cooldown_seconds": 0})
        with Daemon(tmp_path_factory.mktemp("compaction"), document) as daemon:
            yield Bed(daemon, server)


def strict_summary(spoken: Protocol, reply: Reply | None = None) -> tuple[Strict, Any]:
    rules = Strict(spoken)
    return rules, rules.guard(answer(reply or Reply(SUMMARY, thinking="What matters?", usage=USAGE)))


def compactions_in(items: list[Document]) -> list[str]:
    return [item["encrypted_content"] for item in items if item["type"] == "compaction"]


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_a_trigger_gets_exactly_one_compaction_item(bed: Bed, spoken: Protocol, streamed: bool) -> None:
    rules, script = strict_summary(spoken)
    bed.server.script(script)
    response = bed.post(
        f"model-{spoken}", [*HISTORY, {"type": "compaction_trigger"}], stream=streamed, tools=TOOLS
    )
    assert (response.status, rules.broken) == (200, [])
    if streamed:
        check_responses_stream(records_of(response.body), codex=True)
        done = [
            record["item"] for record in response.records if record["type"] == "response.output_item.done"
        ]
        final = response.records[-1]["response"]
    else:
        final = response.json
        done = final["output"]
    assert [item["type"] for item in done] == ["compaction"]
    assert final["usage"]["input_tokens"] == 1000
    assert bed.daemon.journal()[-1]["usage"] == {"input": 900, "cache_read": 100, "output": 40}


@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_the_older_endpoint_answers_with_the_users_words_and_the_compaction(
    bed: Bed, spoken: Protocol
) -> None:
    rules, script = strict_summary(spoken)
    bed.server.script(script)
    response = bed.post(f"model-{spoken}", HISTORY, "/compact", instructions="Be good.")
    assert (response.status, rules.broken) == (200, []), response.text
    assert response.json["object"] == "response.compaction"
    assert [item["type"] for item in response.json["output"]] == ["message", "compaction"]
    assert response.json["output"][0]["content"] == [{"type": "input_text", "text": "Do X."}]
    assert bed.daemon.journal()[-1]["outcome"] == "ok"


@pytest.mark.parametrize("later", PROTOCOLS)
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_the_conversation_continues_from_its_compaction_anywhere(
    bed: Bed, spoken: Protocol, later: Protocol
) -> None:
    bed.server.script(strict_summary(spoken)[1])
    response = bed.post(f"model-{spoken}", [*HISTORY, {"type": "compaction_trigger"}], stream=True)
    [item] = [record["item"] for record in response.records if record["type"] == "response.output_item.done"]

    rules = Strict(later)
    bed.server.script(rules.guard(say("Going on.")))
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]}
    response = bed.post(f"model-{later}", [HISTORY[1], item, asked], stream=True)

    assert (response.status, rules.broken, text_of("responses", response)) == (200, [], "Going on.")
    assert SUMMARY in json.dumps(bed.server.requests[-1].json)


@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_an_upstream_that_calls_tools_instead_of_summing_up_is_reported_as_a_failure(
    bed: Bed, spoken: Protocol
) -> None:
    bed.server.script(strict_summary(spoken, Reply(calls=(Call("look", {}),)))[1])
    response = bed.post(
        f"model-{spoken}", [*HISTORY, {"type": "compaction_trigger"}], stream=True, tools=TOOLS
    )
    assert "no summary" in response.text
    assert bed.daemon.journal()[-1]["outcome"] != "ok"


def test_the_next_upstream_sums_up_when_the_first_is_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ScriptedUpstream(status(500)) as down, ScriptedUpstream(strict_summary("messages")[1]) as good:
        entries = (upstream("down", down.url, "chat"), upstream("good", good.url, "messages"))
        with Daemon(tmp_path_factory.mktemp("next"), settings(*entries)) as daemon:
            bed = Bed(daemon, good)
            response = bed.post("m", [*HISTORY, {"type": "compaction_trigger"}], stream=True)
    done = [record["item"] for record in response.records if record["type"] == "response.output_item.done"]
    assert [item["type"] for item in done] == ["compaction"]
    assert response.header("x-switchyard-upstream") == "good"


def test_an_upstream_that_compacts_by_itself_is_left_to_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    sealed = {"type": "compaction", "id": "cmp_1", "encrypted_content": "b3BhcXVl"}

    def compacts(received: Received) -> Script:
        body = json.loads(wire.body("responses", Reply(), "m"))
        return whole(200, json.dumps(body | {"output": [sealed]}).encode())

    with ScriptedUpstream(compacts) as server:
        own = upstream("own", server.url, "responses", capabilities={"compaction": True})
        with Daemon(tmp_path_factory.mktemp("own"), settings(own)) as daemon:
            response = Bed(daemon, server).post("m", [*HISTORY, {"type": "compaction_trigger"}])
        assert server.requests[0].json["input"][-1] == {"type": "compaction_trigger"}
    assert compactions_in(response.json["output"]) == ["b3BhcXVl"]

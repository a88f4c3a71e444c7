"""Items and answers that a Responses client only names: the daemon knows those that it has given itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import error_of, last_record, text_of
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer, status
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

USER: Document = {"role": "user", "content": [{"type": "input_text", "text": "How is it in Rome?"}]}
CALLED = Reply("Let me look.", thinking="Hm.", calls=(Call("weather", {"city": "Rome"}, "call_1"),))
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream

    def ask(self, spoken: str, streamed: bool, items: list[Any], **more: Any) -> Response:
        body = {"model": f"model-{spoken}", "input": items, "stream": streamed, "tools": [TOOL]} | more
        return request(self.daemon.url, "POST", "/v1/responses", body)

    def sent(self) -> str:
        return self.server.requests[-1].body.decode()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The Responses upstream knows only the items that every server knows."""
    with ScriptedUpstream() as server:
        entries = [upstream(name, server.url, name, models=[f"model-{name}"]) for name in PROTOCOLS]
        entries[-1]["capabilities"] = {"responses_items": False}
        with Daemon(tmp_path_factory.mktemp("named"), settings(*entries)) as daemon:
            yield Bed(daemon, server)


def given(response: Response) -> Document:
    """The response object of an answer, whole or streamed."""
    streamed = (response.header("content-type") or "").startswith("text/event-stream")
    return dict(last_record(response)["response"]) if streamed else dict(response.json)


def as_the_ai_sdk_names_it(item: Document) -> Document:
    """All but calls, which it sends again."""
    return item if item["type"] == "function_call" else {"type": "item_reference", "id": item["id"]}


def steps(request: Received) -> Script:
    return answer(Reply("It is sunny.") if b"sunny" in request.body else CALLED)(request)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_a_tool_loop_may_name_the_items_of_its_answers(bed: Bed, spoken: Protocol, streamed: bool) -> None:
    bed.server.script(steps)
    first = given(bed.ask(spoken, streamed, [USER]))
    named = [as_the_ai_sdk_names_it(item) for item in first["output"]]
    assert [item["type"] for item in named] == ["item_reference", "item_reference", "function_call"]
    second = bed.ask(spoken, streamed, [USER, *named, RESULT])
    assert (second.status, text_of("responses", second)) == (200, "It is sunny."), second.body
    assert bed.sent().count("Let me look.") == 1 and "item_reference" not in bed.sent()


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_a_chain_of_answers_is_continued(bed: Bed, spoken: Protocol, streamed: bool) -> None:
    bed.server.script(steps)
    first = given(bed.ask(spoken, streamed, [USER]))
    second = given(bed.ask(spoken, streamed, [RESULT], previous_response_id=first["id"]))
    third = bed.ask(spoken, streamed, [USER | {"content": "And now?"}], previous_response_id=second["id"])
    assert (third.status, text_of("responses", third)) == (200, "It is sunny."), third.body
    sent = bed.sent()
    places = [
        sent.index(words) for words in ("How is it", "Let me look.", "sunny", "It is sunny.", "And now?")
    ]
    assert places == sorted(places) and first["id"] not in sent


def test_an_answer_is_not_kept_if_the_client_does_not_want_it(bed: Bed) -> None:
    bed.server.script(steps)
    first = given(bed.ask("chat", False, [USER], store=False))
    refused = bed.ask("chat", False, [RESULT], previous_response_id=first["id"])
    assert (refused.status, error_of("responses", refused)["code"]) == (400, "previous_response_not_found")


def test_an_unknown_item_is_refused_by_name(bed: Bed) -> None:
    refused = bed.ask("messages", False, [{"type": "item_reference", "id": "msg_none"}])
    assert (refused.status, error_of("responses", refused)["param"]) == (400, "input[0]")


# --- between services that know their own answers ----------------------------------


def test_only_another_service_gets_the_items_themselves(tmp_path: Any) -> None:
    with ScriptedUpstream(steps) as first, ScriptedUpstream(steps) as second:
        entries = (upstream("a", first.url, "responses"), upstream("b", second.url, "responses"))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            bed = Bed(daemon, second)
            answered = given(bed.ask("x", True, [USER]))
            more = {"previous_response_id": answered["id"]}
            assert bed.ask("x", True, [RESULT], **more).status == 200
            assert first.requests[-1].json["previous_response_id"] == answered["id"]
            assert first.requests[-1].json["input"] == [RESULT]

            first.script(status(503))
            assert bed.ask("x", True, [RESULT], **more).status == 200
            assert bed.ask("x", True, [RESULT], previous_response_id="resp_none").status == 200

    known, unknown = second.requests[-2].json, second.requests[-1].json
    assert "previous_response_id" not in known
    assert [item.get("type", "message") for item in known["input"]] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert all("id" not in item for item in known["input"])
    assert unknown["previous_response_id"] == "resp_none"


Named = Callable[[Document], tuple[list[Any], Document]]
NAMING: dict[str, Named] = {
    "the answer": lambda answered: ([RESULT], {"previous_response_id": answered["id"]}),
    "its items": lambda answered: ([USER, *map(as_the_ai_sdk_names_it, answered["output"]), RESULT], {}),
}


@pytest.mark.parametrize("spoken", PROTOCOLS)
@pytest.mark.parametrize("name", NAMING)
def test_a_continued_conversation_stays_with_the_upstream_that_has_answered(
    tmp_path: Path, spoken: Protocol, name: str
) -> None:
    """The first one was down for the first answer, and serves new conversations again."""
    with ScriptedUpstream(status(503)) as first, ScriptedUpstream(steps) as second:
        entries = (upstream("a", first.url, spoken), upstream("b", second.url, spoken))
        failover = {"cooldown_start_seconds": 0, "cooldown_seconds": 0}
        with Daemon(tmp_path, settings(*entries, failover=failover)) as daemon:
            bed = Bed(daemon, second)
            answered = given(bed.ask("x", True, [USER]))
            first.script(steps)
            items, more = NAMING[name](answered)
            answered = given(bed.ask("x", False, items, **more))
            bed.ask("x", False, [USER], previous_response_id=answered["id"])
            bed.ask("x", False, [USER])
            lines = daemon.journal()

    assert [line["upstream"] for line in lines] == ["b", "b", "b", "a"]
    sessions = [line.get("session", "") for line in lines]
    assert sessions[1] == sessions[2] != "" == sessions[3]

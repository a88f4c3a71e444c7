"""Compaction by upstreams that know nothing of it."""

from typing import Any

import msgspec

from switchyard.protocols import carrier, neutral
from switchyard.protocols.compaction import ASSIGNMENT, CompactionFold, compaction_request
from switchyard.protocols.content import SUMMARY_HEADING
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Compaction,
    Delta,
    Failed,
    Finished,
    Message,
    Response,
    Started,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Usage,
)
from switchyard.protocols.openai_responses.decode_request import decode_request
from switchyard.protocols.openai_responses.encode_stream import StreamEncoder, encode_compact_response
from tests.protocols.validators import check_responses_stream, records_of

USER = {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}
BODY = msgspec.json.encode(
    {
        "model": "m",
        "input": [USER, {"type": "compaction_trigger"}],
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": "auto",
    }
)
SUMMARY = Compaction(carrier.pack("summary", "", {"text": "S"}))
USAGE = Usage(10, output=2)


def answer(text: str) -> list[neutral.Event]:
    return [
        Started("x", "m"),
        BlockStarted(Thinking("")),
        Delta("hm"),
        BlockEnded(),
        BlockStarted(Text("")),
        Delta(text[:1]),
        Delta(text[1:]),
        BlockEnded(),
        Finished(StopReason.END_TURN, USAGE),
    ]


def as_compaction(events: list[neutral.Event]) -> list[neutral.Event]:
    folding = CompactionFold()
    return [folded for event in events for folded in folding.fold(event)]


def test_the_upstream_is_asked_for_a_summary_without_tools() -> None:
    request = decode_request(BODY)
    assert (request.compact, request.tools, request.tool_choice) == (True, (Tool("f"),), ToolChoice("auto"))
    asked = compaction_request(request)
    assert (asked.compact, asked.tools, asked.tool_choice) == (False, (), None)
    assert asked.messages == (Message("user", (Text("hi"),)), Message("user", (Text(ASSIGNMENT),)))


def test_the_answer_becomes_one_compaction() -> None:
    assert list(as_compaction(answer("S"))) == [
        Started("x", "m"),
        BlockStarted(SUMMARY),
        BlockEnded(),
        Finished(StopReason.COMPACTION, USAGE),
    ]


def test_an_answer_without_text_is_a_failure() -> None:
    assert isinstance(list(as_compaction(answer(" ")))[-1], Failed)


def test_codex_gets_exactly_one_item_and_can_send_it_back() -> None:
    encoder = StreamEncoder(decode_request(BODY))
    records = records_of(b"".join(encoder.encode(event) for event in as_compaction(answer("S"))))
    check_responses_stream(records, codex=True)
    events = [msgspec.json.decode(record.data) for record in records]
    (item,) = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    again = decode_request(msgspec.json.encode({"model": "m", "input": [item, USER]}))
    assert again.messages == (Message("user", (Text(f"{SUMMARY_HEADING}\n\nS"), Text("hi"))),)


def test_the_older_endpoint_gets_what_the_user_said_and_the_compaction() -> None:
    request = decode_request(
        msgspec.json.encode({"model": "m", "input": [USER, {"role": "assistant", "content": "Hello"}]})
    )
    body: dict[str, Any] = msgspec.json.decode(
        encode_compact_response(Response("x", "m", (SUMMARY,), StopReason.COMPACTION, USAGE), request)
    )
    for item in body["output"]:
        del item["id"]
    assert (body["object"], body["usage"]["total_tokens"]) == ("response.compaction", 12)
    assert body["output"] == [
        {"type": "message", "status": "completed", **USER},
        {"type": "compaction", "encrypted_content": SUMMARY.payload},
    ]

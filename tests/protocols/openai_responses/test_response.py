"""Whole bodies, and that they say the same as streams."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Delta,
    ErrorType,
    Failed,
    Finished,
    Request,
    Response,
    Started,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
    WireError,
)
from switchyard.protocols.openai_responses.decode_stream import decode_response
from switchyard.protocols.openai_responses.encode_stream import encode_response
from tests.protocols.openai_responses.streams import call, created, decoded, ended, joined, message, sent

BODY = {
    "id": "resp_1",
    "object": "response",
    "model": "m",
    "status": "completed",
    "output": [message("Look"), call(arguments='{"x":1}')],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


def test_a_body_is_the_same_walk_as_its_stream() -> None:
    from_body = joined(decode_response(msgspec.json.encode(BODY), sent()))
    from_stream = decoded(created() + ended(output=BODY["output"], usage=BODY["usage"]))
    assert from_body == from_stream == [
        Started("resp_1", "m"),
        BlockStarted(Text("")),
        Delta("Look"),
        BlockEnded(),
        BlockStarted(ToolCall("a", "f", "")),
        Delta('{"x":1}'),
        BlockEnded(),
        Finished(StopReason.TOOL_USE, Usage(5, output=2)),
    ]  # fmt: skip


FAILURES: list[tuple[Any, WireError]] = [
    ({"error": {"message": "boom", "type": "server_error"}}, WireError(ErrorType.SERVER, "boom", 500)),
    (
        {
            **BODY,
            "status": "failed",
            "error": {"code": "server_is_overloaded", "message": "busy"},
            "output": [],
        },
        WireError(ErrorType.OVERLOADED, "busy", 529, "server_is_overloaded"),
    ),
    (
        {**BODY, "status": "queued", "output": []},
        WireError(ErrorType.SERVER, "the upstream only queued the request", 502),
    ),
    ({}, WireError(ErrorType.SERVER, "the upstream's reply is no response", 502)),
    ([], WireError(ErrorType.SERVER, "the upstream's reply is not a JSON object", 502)),
]


@pytest.mark.parametrize(("body", "error"), FAILURES)
def test_an_error_in_a_body_is_a_failure(body: Any, error: WireError) -> None:
    assert decode_response(msgspec.json.encode(body), sent())[-1] == Failed(error)


def test_a_reply_is_one_response_object() -> None:
    response = Response(
        "up",
        "upstream-model",
        (Thinking("hm"), Text("Look"), ToolCall("a", "f", ""), ToolCall("b", "g", '{"k":')),
        StopReason.MAX_TOKENS,
        Usage(5, output=2),
        citations={1: (neutral.Citation("https://x", "X"),)},
        incomplete=frozenset({"b"}),
    )
    body = msgspec.json.decode(encode_response(response, Request("wanted", ())))
    for item in body["output"]:
        del item["id"]
    assert (body["status"], body["model"], body["incomplete_details"]) == (
        "incomplete",
        "wanted",
        {"reason": "max_output_tokens"},
    )
    annotation = {"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://x", "title": "X"}
    part = {"type": "output_text", "text": "Look", "annotations": [annotation], "logprobs": []}
    assert body["output"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "status": "completed", "role": "assistant", "content": [part]},
        {"type": "function_call", "status": "completed", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "status": "incomplete", "call_id": "b", "name": "g", "arguments": '{"k":'},
    ]
    assert "output_text" not in body

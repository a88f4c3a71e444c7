"""The chunks for Chat clients obey what their SDKs assert."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Delta,
    ErrorType,
    Finished,
    Started,
    StopReason,
)
from switchyard.protocols.openai_chat.encode_stream import StreamEncoder
from tests.protocols.validators import check_chat_stream, records_of

REQUEST = neutral.Request("asked", (), stream=True, received_at=1700000000)
WITH_USAGE = neutral.Request("asked", (), stream=True, include_usage=True, received_at=1700000000)
USAGE = neutral.Usage(input=100, cache_read=900, cache_write_5m=50, output=20)
CALL = neutral.ToolCall("a", "f", "")


def block(opened: Any, *said: str, **ended: Any) -> list[neutral.Event]:
    return [BlockStarted(opened), *map(Delta, said), BlockEnded(**ended)]


def written(events: list[neutral.Event], request: neutral.Request = REQUEST) -> bytes:
    encoder = StreamEncoder(request)
    return b"".join(encoder.encode(event) for event in events)


def deltas(stream: bytes) -> list[Any]:
    chunks = [msgspec.json.decode(record.data) for record in records_of(stream) if record.data != b"[DONE]"]
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk.get("choices")]


def end_of(events: list[neutral.Event]) -> StopReason:
    if any(isinstance(event, BlockEnded) and not event.complete for event in events):
        return StopReason.MAX_TOKENS
    called = (
        isinstance(event, BlockStarted) and isinstance(event.block, neutral.ToolCall) for event in events
    )
    return StopReason.TOOL_USE if any(called) else StopReason.END_TURN


def calls(index: int, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **fields}]}


FIRST = {"role": "assistant", "content": ""}
SAID: dict[str, tuple[list[neutral.Event], list[Any]]] = {
    "text": (block(neutral.Text(""), "a", "é\n😀"), [{"content": "a"}, {"content": "é\n😀"}]),
    "reasoning": (block(neutral.Thinking(""), "t"), [{"reasoning_content": "t"}]),
    "refusal": (block(neutral.Refusal(""), "no"), [{"refusal": "no"}]),
    "redacted reasoning says nothing": (block(neutral.Thinking("", redacted=True)), []),
    "a call behind text has index 0": (
        [*block(neutral.Text(""), "a"), *block(CALL, '{"x"', ":1}")],
        [
            {"content": "a"},
            calls(0, id="a", type="function", function={"name": "f", "arguments": ""}),
            calls(0, function={"arguments": '{"x"'}),
            calls(0, function={"arguments": ":1}"}),
        ],
    ),
    "two calls": (
        [*block(CALL, "{}"), *block(neutral.ToolCall("b", "g", ""), "{}")],
        [
            calls(0, id="a", type="function", function={"name": "f", "arguments": ""}),
            calls(0, function={"arguments": "{}"}),
            calls(1, id="b", type="function", function={"name": "g", "arguments": ""}),
            calls(1, function={"arguments": "{}"}),
        ],
    ),
    "a call without arguments": (
        block(CALL),
        [
            calls(0, id="a", type="function", function={"name": "f", "arguments": ""}),
            calls(0, function={"arguments": "{}"}),
        ],
    ),
    "a call cut off before its arguments": (
        block(CALL, complete=False),
        [calls(0, id="a", type="function", function={"name": "f", "arguments": ""})],
    ),
    "a custom call": (
        block(neutral.ToolCall("a", "p", "", "custom"), "*** Begin"),
        [
            calls(0, id="a", type="custom", custom={"name": "p", "input": ""}),
            calls(0, custom={"input": "*** Begin"}),
        ],
    ),
    "a search of the upstream": (block(neutral.WebSearch("w", "q")), []),
    "citations": (
        [
            *block(neutral.Text(""), "ab"),
            BlockStarted(neutral.Text("")),
            Delta("cde"),
            neutral.Citation("https://x", "X"),
            BlockEnded(),
        ],
        [
            {"content": "ab"},
            {"content": "cde"},
            {
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"start_index": 2, "end_index": 5, "title": "X", "url": "https://x"},
                    }
                ]
            },
        ],
    ),
}


@pytest.mark.parametrize("request_", [REQUEST, WITH_USAGE], ids=["plain", "usage"])
@pytest.mark.parametrize("events, expected", SAID.values(), ids=SAID)
def test_what_is_said_becomes_deltas(
    events: list[neutral.Event], expected: list[Any], request_: neutral.Request
) -> None:
    stream = written([Started(), *events, Finished(end_of(events))], request_)
    check_chat_stream(records_of(stream), include_usage=request_.include_usage)
    assert deltas(stream) == [FIRST, *expected, {}]


@pytest.mark.parametrize(
    "reason, reported",
    [
        (StopReason.END_TURN, "stop"),
        (StopReason.STOP_SEQUENCE, "stop"),
        (StopReason.TOOL_USE, "tool_calls"),
        (StopReason.MAX_TOKENS, "length"),
        (StopReason.CONTEXT_WINDOW, "length"),
        (StopReason.REFUSAL, "content_filter"),
        (StopReason.PAUSE, "stop"),
        (StopReason.COMPACTION, "stop"),
    ],
)
def test_every_stop_reason_has_its_finish_reason(reason: StopReason, reported: str) -> None:
    stream = written([Started(), Finished(reason)])
    last = msgspec.json.decode(records_of(stream)[-2].data)
    assert last["choices"][0]["finish_reason"] == reported


def test_a_refusal_in_words_is_a_regular_stop() -> None:
    stream = written([Started(), *block(neutral.Refusal(""), "no"), Finished(StopReason.REFUSAL)])
    assert msgspec.json.decode(records_of(stream)[-2].data)["choices"][0]["finish_reason"] == "stop"


def test_usage_is_reported_once_at_the_end_if_it_was_asked_for() -> None:
    events = [Started(), *block(neutral.Text(""), "a"), Finished(StopReason.END_TURN, USAGE)]
    stream = written(events, WITH_USAGE)
    chunk = msgspec.json.decode(records_of(stream)[-2].data)
    assert chunk["choices"] == []
    assert chunk["usage"] == {
        "prompt_tokens": 1050,
        "completion_tokens": 20,
        "total_tokens": 1070,
        "prompt_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert b'"usage"' not in written(events, REQUEST)


def test_chunks_bear_the_model_and_the_time_of_the_request() -> None:
    chunk = msgspec.json.decode(records_of(written([Started("other", "other")]))[0].data)
    assert chunk["id"].startswith("chatcmpl-")
    assert (chunk["object"], chunk["created"], chunk["model"]) == (
        "chat.completion.chunk",
        1700000000,
        "asked",
    )


def test_a_break_is_an_error_record_and_no_end() -> None:
    error = neutral.WireError(ErrorType.OVERLOADED, "busy", 529)
    stream = written([Started(), *block(neutral.Text(""), "a"), neutral.Failed(error)])
    records = records_of(stream)
    check_chat_stream(records, include_usage=False)
    assert msgspec.json.decode(records[-1].data) == {
        "error": {"message": "busy", "type": "server_error", "param": None, "code": "server_is_overloaded"}
    }


@pytest.mark.parametrize(
    "end", [Finished(StopReason.END_TURN), neutral.Failed(neutral.WireError(ErrorType.SERVER, "x", 500))]
)
def test_nothing_follows_the_end(end: neutral.Event) -> None:
    encoder = StreamEncoder(REQUEST)
    for event in (Started(), end):
        encoder.encode(event)
    assert [encoder.encode(event) for event in (Delta("x"), BlockStarted(neutral.Text("")), end)] == [
        b"",
        b"",
        b"",
    ]


def test_line_separators_are_escaped() -> None:
    stream = written([Started(), *block(neutral.Text(""), "a\u2028b\u2029c")])
    assert len(stream.decode().splitlines()) == stream.count(b"\n")
    assert deltas(stream)[1] == {"content": "a\u2028b\u2029c"}


def test_a_long_call_id_is_shortened_to_what_openai_takes() -> None:
    stream = written(
        [Started(), *block(neutral.ToolCall("x" * 100, "f", ""), "{}"), Finished(StopReason.TOOL_USE)]
    )
    check_chat_stream(records_of(stream), include_usage=False)


def test_the_keep_alive_is_a_comment() -> None:
    assert StreamEncoder(REQUEST).keep_alive() == b": keep-alive\n\n"

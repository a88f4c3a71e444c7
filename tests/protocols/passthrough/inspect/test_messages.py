"""What the records of a Messages stream that passes through report, and which of them are notable."""

import pytest

from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.passthrough.inspect.inspector import RecordSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.sse import Record
from tests.protocols.anthropic_messages.script import (
    MST,
    PING,
    args,
    bd,
    be,
    bs,
    md,
    ms,
    record,
    sig,
    thought,
)
from tests.protocols.validators import records_of

INSPECTOR = INSPECTORS["messages"]

BUSY = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
OVERLOADED = WireError(ErrorType.OVERLOADED, "busy", 529)
BOOM = WireError(ErrorType.SERVER, "boom", 500)

SUMMARIES: dict[str, tuple[bytes, RecordSummary]] = {
    "the start": (ms(7), RecordSummary(usage=Usage(input=7, output=1), model="m", begins="msg_1")),
    "a ping": (PING, RecordSummary()),
    "an empty text": (bs(0, "text"), RecordSummary(opens=True)),
    "an empty thinking": (bs(0, "thinking"), RecordSummary(opens=True)),
    "a text that starts with content": (bs(0, "text", text="x"), RecordSummary(content=True, opens=True)),
    "a call": (bs(0, "tool_use"), RecordSummary(content=True, opens=True)),
    "redacted thinking": (
        bs(0, "redacted_thinking", data="D"),
        RecordSummary(content=True, signature="D", opens=True),
    ),
    "whole thinking": (
        bs(0, "thinking", thinking="T", signature="S"),
        RecordSummary(content=True, signature="S", opens=True),
    ),
    "text": (bd(0, "x"), RecordSummary(content=True)),
    "no text": (bd(0, ""), RecordSummary()),
    "thought": (thought(0, "x"), RecordSummary(content=True)),
    "the length of a hidden thought": (
        record(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "thinking_delta", "thinking": "", "estimated_tokens": 50},
            }
        ),
        RecordSummary(content=True),
    ),
    "arguments": (args(0, "{"), RecordSummary(content=True)),
    "no arguments": (args(0, ""), RecordSummary()),
    "a signature": (sig(0, "S"), RecordSummary(content=True, signature="S")),
    "the end of a block": (be(0), RecordSummary()),
    "the reason": (
        md("tool_use", {"output_tokens": 3}),
        RecordSummary(content=True, usage=Usage(output=3), stop_reason=StopReason.TOOL_USE),
    ),
    "an unknown reason": (md("tired"), RecordSummary(content=True, stop_reason=StopReason.END_TURN)),
    "no reason yet": (md(None, {"output_tokens": 3}), RecordSummary(content=True, usage=Usage(output=3))),
    "the end": (MST, RecordSummary(finished=True)),
    "an error": (record(BUSY), RecordSummary(error=OVERLOADED)),
    "an error without name": (
        b'data: {"error":{"message":"boom"}}\n\n',
        RecordSummary(error=BOOM, is_odd=True),
    ),
    "an error of another shape": (b'event: error\ndata: {"message":"boom"}\n\n', RecordSummary(error=BOOM)),
    "an error in plain text": (b"event: error\ndata: boom\n\n", RecordSummary(error=BOOM)),
    "garbage": (b"data: {oops\n\n", RecordSummary()),
    "no object": (b"data: [DONE]\n\n", RecordSummary()),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_record_is_read_as_a_summary(name: str) -> None:
    stream, expected = SUMMARIES[name]
    (seen,) = records_of(stream)
    assert INSPECTOR.summary(seen) == expected


@pytest.mark.parametrize("name", SUMMARIES)
def test_whatever_a_summary_reports_is_notable(name: str) -> None:
    stream, summary = SUMMARIES[name]
    tells = (
        summary.usage
        or summary.error
        or summary.finished
        or summary.model
        or summary.signature
        or summary.stop_reason
    )
    if tells:
        assert INSPECTOR.notable.search(stream)


@pytest.mark.parametrize(
    "piece", ["hello", '"usage": 3, "error"', 'say "message_stop"', "event: error", "\nevent: error"]
)
def test_plain_deltas_are_not_notable(piece: str) -> None:
    for stream in (bd(0, piece), thought(0, piece), args(0, piece), bs(0, "text"), be(0), PING):
        assert not INSPECTOR.notable.search(stream)


def test_spaces_in_the_json_do_not_hide_anything() -> None:
    assert INSPECTOR.notable.search(b'data: { "type" : "message_stop" }')


def test_an_error_event_without_data_is_an_error() -> None:
    assert INSPECTOR.summary(Record(b"", "error")).error is not None

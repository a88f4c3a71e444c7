"""What the records of a Responses stream that passes through report, and which of them are notable."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.passthrough.inspect.inspector import RecordSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.sse import Record
from tests.protocols.openai_responses.test_encode_stream import WALKS, encoded
from tests.protocols.validators import records_of

INSPECTOR = INSPECTORS["responses"]

USAGE = {"input_tokens": 50, "input_tokens_details": {"cached_tokens": 20}, "output_tokens": 9}
READ = Usage(30, 20, output=9)
BUSY = WireError(ErrorType.OVERLOADED, "busy", 529, "server_is_overloaded")
REASONING = {"type": "reasoning", "summary": [], "encrypted_content": "opaque"}

SUMMARIES: list[tuple[dict[str, Any], RecordSummary, bool]] = [
    (
        {"type": "response.created", "response": {"model": "m", "usage": None, "error": None}},
        RecordSummary(model="m"),
        True,
    ),
    ({"type": "response.in_progress", "response": {"model": "m"}}, RecordSummary(model="m"), True),
    (
        {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
        RecordSummary(opens=True),
        True,
    ),
    (
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}},
        RecordSummary(opens=True),
        True,
    ),
    (
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        RecordSummary(),
        False,
    ),
    (
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}},
        RecordSummary(content=True, opens=True),
        True,
    ),
    (
        {"type": "response.output_item.added", "item": {"type": "custom_tool_call", "name": "f"}},
        RecordSummary(content=True, opens=True),
        True,
    ),
    (
        {"type": "response.output_item.added", "item": {"type": "image_generation_call"}},
        RecordSummary(content=True, opens=True),
        True,
    ),
    (
        {"type": "response.output_text.delta", "delta": 'say "error" and "response.completed"'},
        RecordSummary(content=True),
        False,
    ),
    ({"type": "response.output_text.delta", "delta": ""}, RecordSummary(), False),
    ({"type": "response.reasoning_summary_text.delta", "delta": "x"}, RecordSummary(content=True), False),
    (
        {"type": "response.function_call_arguments.delta", "delta": '{"error":1}'},
        RecordSummary(content=True),
        False,
    ),
    (
        {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"},
        RecordSummary(content=True),
        False,
    ),
    ({"type": "response.output_item.done", "item": {"type": "message"}}, RecordSummary(content=True), True),
    (
        {"type": "response.output_item.done", "item": REASONING},
        RecordSummary(content=True, signature="opaque"),
        True,
    ),
    (
        {
            "type": "response.completed",
            "response": {"status": "completed", "model": "m", "usage": USAGE, "output": []},
        },
        RecordSummary(content=True, finished=True, usage=READ, model="m", stop_reason=StopReason.END_TURN),
        True,
    ),
    (
        {"type": "response.completed", "response": {"output": [{"type": "function_call"}]}},
        RecordSummary(content=True, finished=True, stop_reason=StopReason.TOOL_USE),
        True,
    ),
    (
        {"type": "response.incomplete", "response": {"status": "incomplete", "usage": USAGE}},
        RecordSummary(content=True, finished=True, usage=READ, stop_reason=StopReason.MAX_TOKENS),
        True,
    ),
    (
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_is_overloaded", "message": "busy"}},
        },
        RecordSummary(finished=True, error=BUSY),
        True,
    ),
    ({"type": "error", "code": "server_is_overloaded", "message": "busy"}, RecordSummary(error=BUSY), True),
    ({"error": {"code": "server_is_overloaded", "message": "busy"}}, RecordSummary(error=BUSY), True),
    ({"type": "ping"}, RecordSummary(), False),
]


@pytest.mark.parametrize(("event", "expected", "is_notable"), SUMMARIES)
def test_a_record_is_read_as_a_summary(
    event: dict[str, Any], expected: RecordSummary, is_notable: bool
) -> None:
    data = msgspec.json.encode(event)
    assert INSPECTOR.summary(Record(data)) == expected
    assert INSPECTOR.summary(Record(data, event.get("type", ""))) == expected
    assert bool(INSPECTOR.notable.search(data)) == is_notable


@pytest.mark.parametrize(
    ("record", "message"),
    [(Record(b"gone", "error"), "gone"), (Record(b'{"message":"gone"}', "error"), "gone")],
)
def test_an_error_event_is_an_error_whatever_its_data(record: Record, message: str) -> None:
    seen = INSPECTOR.summary(record)
    assert seen.error is not None and seen.error.message == message
    assert seen.is_odd is (record.data == b"gone"), "no program could read it"


def test_an_error_that_only_its_event_line_names_is_notable() -> None:
    assert INSPECTOR.notable.search(b'event: error\ndata: {"message":"gone"}\n\n')


@pytest.mark.parametrize("data", [b"[DONE]", b"{nonsense", b"[]", b'"x"', b""])
def test_a_record_that_is_no_event_reports_nothing(data: bytes) -> None:
    assert INSPECTOR.summary(Record(data)) == RecordSummary()


@pytest.mark.parametrize("walk", WALKS)
def test_every_record_worth_a_summary_is_notable(walk: str) -> None:
    for record in records_of(encoded(WALKS[walk])):
        seen = INSPECTOR.summary(record)
        if seen.usage or seen.error or seen.finished or seen.signature or seen.model:
            assert INSPECTOR.notable.search(record.data)

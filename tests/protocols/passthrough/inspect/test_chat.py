"""What the records of a Chat stream that passes through report, and which of them are notable."""

import pytest

from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.openai_chat.calls import Fragment
from switchyard.protocols.passthrough.inspect.inspector import RecordSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.sse import SseDecoder
from tests.protocols.openai_chat.chunks import (
    DONE,
    call,
    choice,
    counts,
    delta,
    finish,
    record,
    text,
    usage,
)

INSPECTOR = INSPECTORS["chat"]

USAGE = Usage(input=60, cache_read=40, output=10)
COUNTS = counts(100, 40, 10)
CALLED = Fragment(0, "a", "f", "", is_custom=False, opaque={})


def at(stream: bytes) -> RecordSummary:
    (read,) = SseDecoder().feed(stream)
    return INSPECTOR.summary(read)


@pytest.mark.parametrize(
    "stream, expected, notable",
    [
        (delta(role="assistant", content=""), RecordSummary(model="m"), False),
        (delta(role="assistant", content=None, tool_calls=[]), RecordSummary(model="m"), False),
        (record({"choices": [], "prompt_filter_results": []}), RecordSummary(), False),
        (text("a"), RecordSummary(content=True, model="m"), False),
        (delta(reasoning_content="t"), RecordSummary(content=True, model="m"), False),
        (delta(reasoning="t"), RecordSummary(content=True, model="m"), False),
        (delta(reasoning_details=[{"text": "t"}]), RecordSummary(content=True, model="m"), False),
        (delta(refusal="no"), RecordSummary(content=True, model="m"), False),
        (delta(audio={"id": "a", "data": "AAAA"}), RecordSummary(content=True, model="m"), False),
        (delta(images=[{"type": "image_url"}]), RecordSummary(content=True, model="m"), False),
        (
            record({"choices": [{"index": 1, "delta": {"content": "a"}}]}),
            RecordSummary(content=True),
            False,
        ),
        (call(0, "a", "f", ""), RecordSummary(content=True, model="m", fragments=(CALLED,)), True),
        (choice(message={"content": "a"}), RecordSummary(content=True, model="m"), True),
        (choice(text="a"), RecordSummary(content=True, model="m"), False),
        (finish("stop"), RecordSummary(content=True, model="m", stop_reason=StopReason.END_TURN), True),
        (finish("length"), RecordSummary(content=True, model="m", stop_reason=StopReason.MAX_TOKENS), True),
        (finish("tool_calls"), RecordSummary(content=True, model="m", stop_reason=StopReason.TOOL_USE), True),
        (usage(100, 40, 10), RecordSummary(usage=USAGE, model="m"), True),
        (record({"choices": [], "usage": None}), RecordSummary(), False),
        (
            record({"choices": [{"delta": {"content": "a"}}], "usage": COUNTS}),
            RecordSummary(content=True, usage=USAGE),
            True,
        ),
        (
            finish("stop", usage=COUNTS),
            RecordSummary(content=True, usage=USAGE, model="m", stop_reason=StopReason.END_TURN),
            True,
        ),
        (record({"choices": [], "x_groq": {"usage": COUNTS}}), RecordSummary(usage=USAGE), True),
        (
            record({"choices": [], "timings": {"cache_n": 40, "prompt_n": 60, "predicted_n": 10}}),
            RecordSummary(usage=USAGE),
            True,
        ),
        (DONE, RecordSummary(finished=True), True),
        (
            record({"error": {"message": "boom", "type": "server_error"}}),
            RecordSummary(error=WireError(ErrorType.SERVER, "boom", 500)),
            True,
        ),
        (
            b"event: error\ndata: boom\n\n",
            RecordSummary(error=WireError(ErrorType.SERVER, "boom", 502), is_odd=True),
            True,
        ),
        (b"data: what\n\n", RecordSummary(), False),
    ],
)
def test_a_record_as_a_summary(stream: bytes, expected: RecordSummary, notable: bool) -> None:
    assert at(stream) == expected
    assert bool(INSPECTOR.notable.search(stream)) is notable


@pytest.mark.parametrize(
    "stream",
    [
        finish("error"),
        record({"text": "boom", "error_code": 50001}),
        record({"object": "error", "message": "boom"}),
        record({"error": "boom"}),
        record({"base_resp": {"status_code": 1013, "status_msg": "boom"}, "choices": None}),
    ],
)
def test_errors_of_every_shape_are_seen_and_notable(stream: bytes) -> None:
    assert at(stream).error is not None
    assert INSPECTOR.notable.search(stream)


@pytest.mark.parametrize("space", [b"", b" "])
def test_notable_records_are_found_however_they_are_spaced(space: bytes) -> None:
    for reported in (b'"usage":%b{', b'"finish_reason":%b"stop"', b'"error":%b{', b'"timings":%b{'):
        assert INSPECTOR.notable.search(reported % space)
    for idle in (b'"usage":%bnull', b'"finish_reason":%bnull', b'"delta":%b{"content":%b"an error, usage"}'):
        assert not INSPECTOR.notable.search(idle.replace(b"%b", space))


def test_the_reason_of_a_failed_choice_is_reported() -> None:
    assert at(finish("error", error={"message": "boom", "code": 502})).error == WireError(
        ErrorType.SERVER, "boom", 502, code="502"
    )

"""What is seen of untouched streams and replies, and how quickly the rest is passed over."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.codec import Glance, WholeGlance
from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
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

BUSY = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
OVERLOADED = WireError(ErrorType.OVERLOADED, "busy", 529)
BOOM = WireError(ErrorType.SERVER, "boom", 500)

GLANCES: dict[str, tuple[bytes, Glance]] = {
    "the start": (ms(7), Glance(usage=Usage(input=7, output=1), model="m")),
    "a ping": (PING, Glance()),
    "an empty text": (bs(0, "text"), Glance(opens=True)),
    "an empty thinking": (bs(0, "thinking"), Glance(opens=True)),
    "a text that starts with content": (bs(0, "text", text="x"), Glance(content=True, opens=True)),
    "a call": (bs(0, "tool_use"), Glance(content=True, opens=True)),
    "redacted thinking": (
        bs(0, "redacted_thinking", data="D"),
        Glance(content=True, signature="D", opens=True),
    ),
    "whole thinking": (
        bs(0, "thinking", thinking="T", signature="S"),
        Glance(content=True, signature="S", opens=True),
    ),
    "text": (bd(0, "x"), Glance(content=True)),
    "no text": (bd(0, ""), Glance()),
    "thought": (thought(0, "x"), Glance(content=True)),
    "arguments": (args(0, "{"), Glance(content=True)),
    "no arguments": (args(0, ""), Glance()),
    "a signature": (sig(0, "S"), Glance(content=True, signature="S")),
    "the end of a block": (be(0), Glance()),
    "the reason": (
        md("tool_use", {"output_tokens": 3}),
        Glance(content=True, usage=Usage(output=3), stop_reason=StopReason.TOOL_USE),
    ),
    "an unknown reason": (md("tired"), Glance(content=True, stop_reason=StopReason.END_TURN)),
    "no reason yet": (md(None, {"output_tokens": 3}), Glance(content=True, usage=Usage(output=3))),
    "the end": (MST, Glance(finished=True)),
    "an error": (record(BUSY), Glance(error=OVERLOADED)),
    "an error without name": (b'data: {"error":{"message":"boom"}}\n\n', Glance(error=BOOM, is_odd=True)),
    "an error of another shape": (b'event: error\ndata: {"message":"boom"}\n\n', Glance(error=BOOM)),
    "an error in plain text": (b"event: error\ndata: boom\n\n", Glance(error=BOOM)),
    "garbage": (b"data: {oops\n\n", Glance()),
    "no object": (b"data: [DONE]\n\n", Glance()),
}


@pytest.mark.parametrize("name", GLANCES)
def test_a_record_is_read_at_a_glance(name: str) -> None:
    stream, expected = GLANCES[name]
    (seen,) = records_of(stream)
    assert CODEC.glance(seen) == expected


@pytest.mark.parametrize("name", GLANCES)
def test_whatever_a_glance_tells_is_notable(name: str) -> None:
    stream, glance = GLANCES[name]
    tells = (
        glance.usage
        or glance.error
        or glance.finished
        or glance.model
        or glance.signature
        or glance.stop_reason
    )
    if tells:
        assert CODEC.notable.search(stream)


@pytest.mark.parametrize(
    "piece", ["hello", '"usage": 3, "error"', 'say "message_stop"', "event: error", "\nevent: error"]
)
def test_plain_deltas_are_not_notable(piece: str) -> None:
    for stream in (bd(0, piece), thought(0, piece), args(0, piece), bs(0, "text"), be(0), PING):
        assert not CODEC.notable.search(stream)


def test_spaces_in_the_json_do_not_hide_anything() -> None:
    assert CODEC.notable.search(b'data: { "type" : "message_stop" }')


def whole(**fields: Any) -> WholeGlance:
    return CODEC.glance_whole(msgspec.json.encode(fields))


def test_a_whole_reply_is_read_at_a_glance() -> None:
    content = [
        {"type": "thinking", "thinking": "T", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "text", "text": "x"},
    ]
    usage = {"input_tokens": 1, "output_tokens": 2}
    assert whole(type="message", model="m", content=content, usage=usage) == WholeGlance(
        usage=Usage(input=1, output=2), model="m", signatures=("S", "D")
    )
    assert whole(**BUSY) == WholeGlance(error=OVERLOADED)
    assert CODEC.glance_whole(b"<html>") == WholeGlance()


def test_an_error_event_without_data_is_an_error() -> None:
    assert CODEC.glance(Record(b"", "error")).error is not None

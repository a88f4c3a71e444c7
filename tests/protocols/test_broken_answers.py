"""Answers that break off, are empty or end in the middle of a call: the same events and errors from every protocol."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, StreamDecoder, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import BlockEnded, BlockStarted, ErrorType, Failed, Finished, StopReason
from switchyard.protocols.sse import SseDecoder

REQUEST = neutral.Request("m", ())
SENT = SentRequest(b"{}", Target("m", "issuer"))
TEXT: list[neutral.Event] = [BlockStarted(neutral.Text("")), neutral.Delta("Hi")]
THINKING: list[neutral.Event] = [BlockStarted(neutral.Thinking("")), neutral.Delta("hm")]
CALL: list[neutral.Event] = [BlockStarted(neutral.ToolCall("c", "f", "")), neutral.Delta('{"a":')]


def stream_of(protocol: ProtocolName, *events: neutral.Event) -> bytes:
    encoder = CODECS[protocol].stream_encoder(REQUEST)
    return b"".join(encoder.encode(event) for event in (neutral.Started("x", "m"), *events))


def fed(decoder: StreamDecoder, stream: bytes) -> list[neutral.Event]:
    return [event for record in SseDecoder().feed(stream) for event in decoder.decode(record)]


def decoded(protocol: ProtocolName, stream: bytes) -> list[neutral.Event]:
    decoder = CODECS[protocol].stream_decoder(SENT)
    return fed(decoder, stream) + decoder.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_stream_is_a_start_and_a_failure(protocol: ProtocolName) -> None:
    start, end = decoded(protocol, b"")
    assert start == neutral.Started()
    message = "the upstream ended its stream without an answer"
    assert end == Failed(neutral.WireError(ErrorType.SERVER, message, 502))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("block", [TEXT, THINKING, CALL], ids=["text", "thinking", "call"])
def test_a_stream_that_ends_early_is_one_error_in_every_protocol(
    protocol: ProtocolName, block: list[neutral.Event]
) -> None:
    events = decoded(protocol, stream_of(protocol, *block))
    assert isinstance(events[0], neutral.Started)
    message = "the upstream's stream ended before its answer was complete"
    failed = Failed(neutral.WireError(ErrorType.SERVER, message, 502))
    assert events[-2:] == [BlockEnded(complete=False), failed]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"ok":true}'])
def test_a_body_that_is_no_answer_is_a_broken_answer(protocol: ProtocolName, body: bytes) -> None:
    start, end = CODECS[protocol].decode_response(body, SENT)
    assert start == neutral.Started()
    assert isinstance(end, Failed) and (end.error.type, end.error.status) == (ErrorType.SERVER, 502)


@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_a_text_that_breaks_off_is_not_ended_for_a_messages_client(upstream: ProtocolName) -> None:
    events = decoded(upstream, stream_of(upstream, *TEXT))
    assert b"content_block_stop" not in stream_of("messages", *events[1:])


FILTERED: dict[ProtocolName, tuple[bytes, bytes]] = {
    "messages": (b'"stop_reason":"max_tokens"', b'"stop_reason":"refusal"'),
    "chat": (b'"finish_reason":"length"', b'"finish_reason":"content_filter"'),
    "responses": (b'"reason":"max_output_tokens"', b'"reason":"content_filter"'),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_that_a_filter_cuts_off_is_incomplete(protocol: ProtocolName) -> None:
    end = Finished(StopReason.MAX_TOKENS)
    stream = stream_of(protocol, *CALL, BlockEnded(complete=False), end)
    by_limit, by_filter = FILTERED[protocol]
    assert by_limit in stream
    events = decoded(protocol, stream.replace(by_limit, by_filter))
    assert events[-2] == BlockEnded(complete=False)
    assert events[-1] == Finished(StopReason.REFUSAL, neutral.Usage() if protocol != "chat" else None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((neutral.ToolCall("c", "f", "{}"),), StopReason.END_TURN),
        ((neutral.Text("Hi"), neutral.ToolCall("c", "f", "{}")), StopReason.STOP_SEQUENCE),
        ((neutral.Text("Hi"),), StopReason.TOOL_USE),
    ],
)
def test_the_stop_reason_agrees_with_the_content(
    protocol: ProtocolName, content: tuple[neutral.Block, ...], reason: StopReason
) -> None:
    body = CODECS[protocol].encode_response(neutral.Response("x", "m", content, reason), REQUEST)
    has_called = any(isinstance(block, neutral.ToolCall) for block in content)
    end = CODECS[protocol].decode_response(body, SENT)[-1]
    assert isinstance(end, Finished)
    assert end.stop_reason is (StopReason.TOOL_USE if has_called else StopReason.END_TURN)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_answer_has_the_content_of_its_stream(protocol: ProtocolName) -> None:
    content = (
        neutral.Thinking("hm"),
        neutral.Text("a\u2028b"),
        neutral.ToolCall("c", "f", '{"n":123456789012345678901234567890}'),
        neutral.ToolCall("d", "g", ""),
    )
    response = neutral.Response("x", "m", content, StopReason.TOOL_USE, neutral.Usage(5, output=2))
    request: Any = msgspec.structs.replace(REQUEST, include_usage=True)
    whole = CODECS[protocol].decode_response(CODECS[protocol].encode_response(response, request), SENT)
    encoder = CODECS[protocol].stream_encoder(request)
    streamed = decoded(protocol, b"".join(map(encoder.encode, whole)))
    assert [event for event in streamed if not isinstance(event, neutral.Started | neutral.BlockEnded)] == [
        event for event in whole if not isinstance(event, neutral.Started | neutral.BlockEnded)
    ]

"""Streams and whole replies on their way from one protocol to another."""

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import (
    MAX_STREAM_BYTES,
    StreamConversion,
    convert_request,
    convert_response,
)
from switchyard.protocols.neutral import ErrorType, Usage, WireError
from switchyard.protocols.sse import RecordTooLarge
from tests.protocols.validators import (
    check_chat_stream,
    check_messages_stream,
    check_responses_stream,
    records_of,
)

MESSAGES, CHAT, RESPONSES = CODECS["messages"], CODECS["chat"], CODECS["responses"]
REQUEST = neutral.Request(
    "asked", (neutral.Message("user", (neutral.Text("How is the weather?"),)),), max_tokens=100, stream=True
)
TARGET = Target("told", "issuer")


def chunk(delta: str = "{}", finish: str = "null") -> bytes:
    choices = f'[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]'
    return f'data: {{"id":"c","created":1,"model":"told","choices":{choices}}}\n\n'.encode()


TEXT = chunk('{"content":"Sunny, STOP and warm"}')
STOP = chunk(finish='"stop"')
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":9}}\n\n'
DONE = b"data: [DONE]\n\n"


def sent_by(request: neutral.Request = REQUEST) -> SentRequest:
    return convert_request(request, CHAT, TARGET)


def conversion(sent: SentRequest | None = None) -> StreamConversion:
    return StreamConversion(CHAT, MESSAGES, sent or sent_by(), REQUEST)


def events_in(stream: bytes) -> list[str]:
    return [record.event for record in records_of(stream)]


def test_a_request_is_converted_with_an_estimate_of_its_size() -> None:
    sent = sent_by()
    assert msgspec.json.decode(sent.body)["model"] == "told"
    assert 5 <= sent.input_estimate <= 20


def test_content_begins_with_the_first_word_not_with_the_first_record() -> None:
    stream = conversion()
    stream.feed(chunk('{"role":"assistant","content":""}'))
    assert (stream.started, stream.content_begun, stream.usage is not None) == (True, False, True)
    stream.feed(TEXT)
    assert stream.content_begun
    assert not stream.finished


@pytest.mark.parametrize(
    "delta",
    [
        '{"reasoning_content":"hm"}',
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}',
    ],
)
def test_thinking_and_calls_are_content_too(delta: str) -> None:
    stream = conversion()
    stream.feed(chunk(delta))
    assert stream.content_begun


def test_a_stream_is_over_at_its_end_and_nothing_follows() -> None:
    stream = conversion()
    out = stream.feed(TEXT + STOP + USAGE + DONE)
    check_messages_stream(records_of(out))
    assert (stream.finished, stream.owes_an_end, stream.failed) == (True, False, None)
    assert stream.usage == Usage(input=50, output=9)
    assert stream.feed(TEXT) == stream.close() == b""


def test_usage_that_was_not_reported_is_estimated_for_the_client_too() -> None:
    stream = conversion()
    out = stream.feed(TEXT + STOP + DONE)
    usage = stream.usage
    assert usage is not None and usage.estimated
    assert usage.input == sent_by().input_estimate and 5 <= usage.output <= 10
    reported = [msgspec.json.decode(record.data) for record in records_of(out)]
    start, delta = reported[0]["message"]["usage"], reported[-2]["usage"]
    assert start["input_tokens"] == delta["input_tokens"] == usage.input
    assert delta["output_tokens"] == usage.output


def test_an_answer_that_breaks_off_has_more_output_than_was_counted_at_its_start() -> None:
    start = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":'
        b'{"input_tokens":25,"cache_read_input_tokens":70,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
    )
    said = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Sunny and warm, all day long"}}\n\n'
    )
    sent = convert_request(REQUEST, MESSAGES, TARGET)
    stream = StreamConversion(MESSAGES, CHAT, sent, REQUEST)
    stream.feed(start)
    assert stream.usage_with_estimate(9) == Usage(input=25, cache_read=70, output=1)
    stream.feed(said)
    stream.close()
    usage = stream.usage_with_estimate(9)
    assert usage == replace(usage, input=25, cache_read=70, estimated=True)
    assert 5 <= usage.output <= 10


def test_a_stop_sequence_that_the_upstream_does_not_know_ends_the_reply() -> None:
    sent = replace(sent_by(), stops=("STOP",))
    stream = conversion(sent)
    out = stream.feed(TEXT)
    check_messages_stream(records_of(out))
    assert stream.finished
    delta = msgspec.json.decode(records_of(out)[-2].data)["delta"]
    assert delta == {"stop_reason": "stop_sequence", "stop_sequence": "STOP"}
    whole = convert_response(CHAT, MESSAGES, TEXT + STOP + DONE, sent, replace(REQUEST, stream=False))
    assert msgspec.json.decode(whole.body)["content"] == [{"type": "text", "text": "Sunny, "}]


def test_an_error_of_the_upstream_is_reported_in_the_words_of_the_client() -> None:
    stream = conversion()
    out = stream.feed(TEXT + b'data: {"error":{"message":"overloaded","code":503}}\n\n')
    assert events_in(out)[-1] == "error"
    assert stream.failed == WireError(ErrorType.OVERLOADED, "overloaded", 503, code="503")
    assert (stream.truncated, stream.owes_an_end, stream.finished) == (False, False, False)


def test_a_stream_that_just_stops_is_truncated() -> None:
    stream = conversion()
    out = stream.feed(TEXT) + stream.close()
    assert events_in(out)[-1] == "error"
    assert stream.failed is not None and stream.truncated


def test_a_last_record_without_blank_line_is_read() -> None:
    stream = conversion()
    out = stream.feed(TEXT + STOP + DONE.rstrip()) + stream.close()
    check_messages_stream(records_of(out))
    assert stream.finished


def test_an_answer_without_end_is_too_much() -> None:
    stream, chunk = conversion(), b": %b\n" % (b"x" * 1024 * 1024)
    with pytest.raises(RecordTooLarge):
        for _ in range(MAX_STREAM_BYTES // len(chunk) + 1):
            stream.feed(chunk)


def test_a_stream_broken_by_us_is_reported_as_such_in_every_protocol() -> None:
    error = WireError(ErrorType.TIMEOUT, "silent for 60 s", 504)
    for client, check in (
        (MESSAGES, check_messages_stream),
        (RESPONSES, check_responses_stream),
        (CHAT, lambda records: check_chat_stream(records, include_usage=False)),
    ):
        stream = StreamConversion(CHAT, client, sent_by(), REQUEST)
        out = stream.feed(TEXT)
        assert stream.owes_an_end
        out += stream.keep_alive() + stream.break_off(error)
        check(records_of(out))
        assert b"silent for 60 s" in out
        assert not stream.owes_an_end and stream.failed == error


JSON = (
    b'{"id":"c","object":"chat.completion","model":"told","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Sunny"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":50,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":20}}}'
)


def test_json_is_reported_as_a_stream_where_one_was_asked_for() -> None:
    converted = convert_response(CHAT, MESSAGES, b"\n " + JSON, sent_by(), REQUEST)
    check_messages_stream(records_of(converted.body))
    assert converted.usage == Usage(input=30, cache_read=20, output=9)


def test_a_stream_is_reported_as_json_where_that_was_asked_for() -> None:
    request = replace(REQUEST, stream=False)
    converted = convert_response(CHAT, RESPONSES, TEXT + STOP + USAGE + DONE, sent_by(request), request)
    reply = msgspec.json.decode(converted.body)
    assert reply["status"] == "completed"
    assert reply["output"][0]["content"][0]["text"] == "Sunny, STOP and warm"
    assert reply["usage"]["input_tokens"] == 50


def test_the_form_changes_within_one_protocol_too() -> None:
    converted = convert_response(CHAT, CHAT, JSON, sent_by(), REQUEST)
    check_chat_stream(records_of(converted.body), include_usage=False)
    assert converted.usage == Usage(input=30, cache_read=20, output=9)


@pytest.mark.parametrize("body", [TEXT, b'{"error":{"message":"boom"}}', b"{}", b'{"choices":[]}', b"{bad"])
def test_a_reply_that_failed_is_an_error_of_the_clients_protocol(body: bytes) -> None:
    converted = convert_response(CHAT, MESSAGES, body, sent_by(), replace(REQUEST, stream=False))
    assert converted.failed is not None
    assert msgspec.json.decode(converted.body)["type"] == "error"
    streamed = convert_response(CHAT, MESSAGES, body, sent_by(), REQUEST)
    assert events_in(streamed.body)[-1] == "error"

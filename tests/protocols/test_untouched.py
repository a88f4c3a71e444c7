"""Same-protocol streams: bytes in = bytes out but for the model, at every chunking."""

import pytest

from switchyard.protocols.anthropic_messages.codec import CODEC as MESSAGES
from switchyard.protocols.codec import Codec
from switchyard.protocols.neutral import ErrorType, Usage
from switchyard.protocols.openai_chat.codec import CODEC as CHAT
from switchyard.protocols.openai_responses.codec import CODEC as RESPONSES
from switchyard.protocols.untouched import UntouchedStream
from tests.protocols.validators import records_of

MESSAGES_STREAM = (
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    '"model": "theirs","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
    'event: content_block_start\ndata:{"type":"content_block_start","index":0,"content_block":{"type":"text",'
    '"text":""}}\n\n'
    ": a comment\n\n"
    'event: ping\ndata: {"type": "ping"}\n\n'
    'event: brand_new\ndata: {"type":"brand_new","model":"theirs too","x":[1, 2]}\n\n'
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    '"text":"Hé 中"}}\n\n'
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    '"usage":{"output_tokens":7}}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
).encode()

RESPONSES_STREAM = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":'
    b'"response","model":"theirs","status":"in_progress","output":[]}}\n\n'
    b'data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,'
    b'"content_index":0,"delta":"x"}\n\n'
    b'data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","object":"response",'
    b'"model":"theirs",'
    b'"status":"completed","output":[],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},'
    b'"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":12}}}\n\n'
)


def run(codec: Codec, stream: bytes, size: int, asked: str = "asked") -> tuple[bytes, UntouchedStream]:
    untouched = UntouchedStream(codec, asked)
    out = [untouched.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    out.append(untouched.close())
    return b"".join(out), untouched


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 100_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_bytes_pass_as_they_came_but_for_the_model(size: int, line_end: bytes) -> None:
    stream = MESSAGES_STREAM.replace(b"\n", line_end)
    out, seen = run(MESSAGES, stream, size)
    assert out == stream.replace(b'"theirs"', b'"asked"')
    assert (seen.content_begun, seen.finished, seen.failed) == (True, True, None)
    assert seen.usage == Usage(input=25, output=7)


@pytest.mark.parametrize("size", [1, 5, 100_000])
def test_with_equal_names_not_a_byte_changes(size: int) -> None:
    out, _ = run(MESSAGES, MESSAGES_STREAM, size, "theirs")
    assert out == MESSAGES_STREAM


@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_responses_streams_are_renamed_wherever_they_name_the_model(size: int) -> None:
    out, seen = run(RESPONSES, RESPONSES_STREAM, size)
    assert out == RESPONSES_STREAM.replace(b'"theirs"', b'"asked"')
    assert seen.usage == Usage(input=6, cache_read=4, output=2, reasoning=1)
    assert seen.finished


def test_content_begins_with_the_first_delta_not_with_the_opening() -> None:
    untouched = UntouchedStream(MESSAGES, "asked")
    begun = []
    for record in MESSAGES_STREAM.split(b"\n\n"):
        untouched.feed(record + b"\n\n")
        begun.append(untouched.content_begun)
    assert begun[:6] == [False, False, False, False, False, True]


def test_a_last_record_without_its_blank_line_is_not_lost() -> None:
    out, seen = run(MESSAGES, MESSAGES_STREAM.rstrip(b"\n"), 11)
    assert out == MESSAGES_STREAM.rstrip(b"\n").replace(b'"theirs"', b'"asked"')
    assert seen.finished


def test_an_error_event_is_seen_before_and_after_content() -> None:
    error = (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    )
    for stream in (error, MESSAGES_STREAM.split(b"event: content_block_stop")[0] + error):
        out, seen = run(MESSAGES, stream, 9)
        assert seen.failed is not None and seen.failed.type is ErrorType.OVERLOADED
        assert not seen.finished
        assert not seen.owes_an_end
        assert out.endswith(error)


def test_a_responses_client_is_owed_an_end_after_a_bare_error_event() -> None:
    start = RESPONSES_STREAM.split(b'data: {"type":"response.completed"')[0]
    _, seen = run(RESPONSES, start + b'data: {"type":"error","code":"server_error","message":"x"}\n\n', 10)
    assert seen.failed is not None
    assert seen.owes_an_end
    assert b"response.failed" in seen.break_off(seen.failed)


CHAT_STREAM = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"asked","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hi"}}]}\n\n'
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"asked","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("forgotten", [0, 1, 2])
def test_a_chat_server_that_forgets_its_end_has_told_a_whole_answer(size: int, forgotten: int) -> None:
    stream = CHAT_STREAM[: len(CHAT_STREAM) - forgotten]
    out, seen = run(CHAT, stream, size)
    assert (seen.finished, seen.failed, seen.usage) == (True, None, Usage(input=3, output=2))
    assert out.startswith(stream)
    assert out.removeprefix(stream).lstrip(b"\n") == b"data: [DONE]\n\n"
    assert [record.data for record in records_of(out)][-1] == b"[DONE]"


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_chat_stream_without_a_reason_for_its_end_is_cut_off(size: int) -> None:
    stream = CHAT_STREAM[: CHAT_STREAM.index(b"\n\n") + 2]
    out, seen = run(CHAT, stream, size)
    assert (out, seen.finished, seen.owes_an_end) == (stream, False, True)


DELTAS = {
    "messages": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"a \\"usage\\" and an \\"error\\""}}\n\n',
    "chat": b'data: {"choices":[{"index":0,"delta":{"content":"a \\"usage\\""},"finish_reason":null}]}\n\n',
    "responses": b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
}
TELLING = {
    "messages": (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"it broke"}}\n\n',
        b'data: {"type":"error","error":{"type":"api_error","message":"it broke"}}\n\n',
        b'event: error\r\ndata: {"type":"error","error":{"type":"api_error","message":"it broke"}}\r\n\r\n',
        b'event: error\rdata: {"type":"error","error":{"type":"api_error","message":"it broke"}}\r\r',
        b"event: error\n\n",
    ),
    "chat": (
        b'data: {"error":{"message":"it broke"}}\n\n',
        b'event: error\ndata: {"message":"it broke"}\n\n',
        b'data: {"error":{"message":"it broke"}}\r\n\r\n',
    ),
    "responses": (
        b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"it broke"}}}\n\n',
        b'event: error\ndata: {"type":"error","message":"it broke"}\n\n',
        b'data: {"type":"error","message":"it broke"}\r\r',
    ),
}
CODECS = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES}


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("protocol, telling", [(name, one) for name, told in TELLING.items() for one in told])
def test_an_error_among_plain_deltas_of_one_packet_is_seen(protocol: str, telling: bytes, place: int) -> None:
    stream = UntouchedStream(CODECS[protocol], "asked")
    stream.feed(DELTAS[protocol])
    assert stream.content_begun and stream.failed is None
    packet = [DELTAS[protocol]] * 4
    packet.insert(place, telling)
    assert stream.feed(b"".join(packet)) + stream.close() == b"".join(packet)
    assert stream.failed is not None


@pytest.mark.parametrize("protocol", DELTAS)
def test_plain_deltas_are_counted_and_say_nothing(protocol: str) -> None:
    codec, deltas = CODECS[protocol], DELTAS[protocol] * 5
    assert codec.count_deltas(deltas) == 5
    stream = UntouchedStream(codec, "asked")
    assert stream.feed(DELTAS[protocol]) + stream.feed(deltas) == DELTAS[protocol] + deltas
    assert (stream.records, stream.failed, stream.usage, stream.finished) == (6, None, None, False)


@pytest.mark.parametrize(
    ("codec", "stream", "usage"),
    [
        # the opening says 1, before anything is written
        (
            MESSAGES,
            MESSAGES_STREAM.split(b"event: content_block_stop")[0],
            Usage(25, output=5, estimated=True),
        ),
        # the number came, the end did not
        (MESSAGES, MESSAGES_STREAM.split(b"event: message_stop")[0], Usage(25, output=7)),
        (MESSAGES, MESSAGES_STREAM, Usage(25, output=7)),
        (CHAT, CHAT_STREAM[: CHAT_STREAM.index(b"\n\n") + 2], Usage(99, output=1, estimated=True)),
        (CHAT, CHAT_STREAM, Usage(3, output=2)),
        (
            RESPONSES,
            RESPONSES_STREAM.split(b'data: {"type":"response.completed')[0],
            Usage(99, output=2, estimated=True),
        ),
        (RESPONSES, RESPONSES_STREAM, Usage(6, 4, output=2, reasoning=1)),
    ],
)
def test_what_was_written_beyond_the_numbers_told_is_estimated_and_marked(
    codec: Codec, stream: bytes, usage: Usage
) -> None:
    untouched = UntouchedStream(codec, "asked")
    untouched.feed(stream)
    assert untouched.usage_with_estimate(99) == usage

"""Same-protocol streams: bytes in = bytes out but for the model, at every chunking."""

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.codec import CODEC as MESSAGES
from switchyard.protocols.codec import Codec
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.openai_chat.codec import CODEC as CHAT
from switchyard.protocols.openai_responses.codec import CODEC as RESPONSES
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.sse import Record
from tests.protocols.sdks import said_to
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

STREAMS_OF_WORDS: dict[ProtocolName, tuple[bytes, bytes, bytes]] = {
    "messages": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"theirs",'
        b'"content":[],"usage":{"input_tokens":25,"output_tokens":1}}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"%b"}}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":7}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
    "chat": (
        b'data: {"id":"c","model":"theirs","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
        b'data: {"id":"c","model":"theirs","choices":[{"index":0,"delta":{"content":"%b"},'
        b'"finish_reason":null}]}\n\n',
        b'data: {"id":"c","model":"theirs","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    ),
    "responses": (
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","model":"theirs"}}\n\n',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"%b"}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","model":"theirs",'
        b'"status":"completed","output":[],"usage":{"input_tokens":10,"output_tokens":2}}}\n\n',
    ),
}


def run(codec: Codec, stream: bytes, size: int, asked: str = "asked") -> tuple[bytes, PassthroughStream]:
    passthrough = PassthroughStream(codec, asked)
    out = [passthrough.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    out.append(passthrough.close())
    return b"".join(out), passthrough


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
    passthrough = PassthroughStream(MESSAGES, "asked")
    begun = []
    for record in MESSAGES_STREAM.split(b"\n\n"):
        passthrough.feed(record + b"\n\n")
        begun.append(passthrough.content_begun)
    assert begun[:6] == [False, False, False, False, False, True]


@pytest.mark.parametrize("codec, stream", [(MESSAGES, MESSAGES_STREAM), (RESPONSES, RESPONSES_STREAM)])
@pytest.mark.parametrize("size", [1, 11, 100_000])
def test_a_last_record_is_given_the_blank_line_without_which_programs_pass_over_it(
    codec: Codec, stream: bytes, size: int
) -> None:
    out, seen = run(codec, stream.rstrip(b"\n"), size)
    assert out == stream.replace(b'"theirs"', b'"asked"')
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
def test_a_chat_server_that_forgets_its_end_has_reported_a_whole_answer(size: int, forgotten: int) -> None:
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


USAGE_OF_CHAT = b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'


@pytest.mark.parametrize(
    "choices",
    [
        b'[{"index":0,"delta":{"audio":{"data":"AAAA"}},"finish_reason":null}]',
        b'[{"index":0,"delta":{"content":"","annotations":[{"type":"url_citation"}]}}]',
        b'[{"index":1,"delta":{},"finish_reason":"stop"}]',
    ],
    ids=["sound", "sources", "the end of a second choice"],
)
def test_usage_beside_something_of_a_choice_hides_nothing(choices: bytes) -> None:
    begun = CHAT_STREAM[: CHAT_STREAM.index(b"\n\n") + 2]
    record = b'data: {"id":"1","choices":%b,%b}\n\n' % (choices, USAGE_OF_CHAT)
    alone = b'data: {"id":"1","choices": [ ],%b}\n\n' % USAGE_OF_CHAT
    seen = PassthroughStream(CHAT, "asked", hide_usage=True)
    assert seen.feed(begun + record + alone) == begun + record
    assert seen.usage == Usage(input=3, output=2)


DELTAS: dict[ProtocolName, bytes] = {
    "messages": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"a \\"usage\\" and an \\"error\\""}}\n\n',
    "chat": b'data: {"choices":[{"index":0,"delta":{"content":"a \\"usage\\""},"finish_reason":null}]}\n\n',
    "responses": b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
}
DESCRIPTIVE: dict[ProtocolName, tuple[bytes, ...]] = {
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


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "protocol, telling", [(name, one) for name, found in DESCRIPTIVE.items() for one in found]
)
def test_an_error_among_plain_deltas_of_one_packet_is_seen(
    protocol: ProtocolName, telling: bytes, place: int
) -> None:
    stream = PassthroughStream(CODECS[protocol], "asked")
    stream.feed(DELTAS[protocol])
    assert stream.content_begun and stream.failed is None
    packet = [DELTAS[protocol]] * 4
    packet.insert(place, telling)
    out = stream.feed(b"".join(packet)) + stream.close()
    assert out.startswith(b"".join(packet[:place]))
    assert stream.failed is not None


@pytest.mark.parametrize("protocol", DELTAS)
def test_plain_deltas_are_counted_and_report_nothing(protocol: ProtocolName) -> None:
    codec, deltas = CODECS[protocol], DELTAS[protocol] * 5
    assert INSPECTORS[codec.protocol].count_deltas(deltas) == 5
    stream = PassthroughStream(codec, "asked")
    assert stream.feed(DELTAS[protocol]) + stream.feed(deltas) == DELTAS[protocol] + deltas
    assert (stream.records, stream.failed, stream.usage, stream.finished) == (6, None, None, False)


@pytest.mark.parametrize(
    ("codec", "delta", "end"),
    [
        (
            MESSAGES,
            b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}',
            b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}',
        ),
        (
            RESPONSES,
            b'{"type":"response.output_text.delta","sequence_number":1,"delta":"x"}',
            b'{"type":"response.completed","response":{"usage":{"input_tokens":0,"output_tokens":7}}}',
        ),
    ],
)
@pytest.mark.parametrize("deltas", range(5))
def test_of_records_without_names_none_passes_unseen(
    codec: Codec, delta: bytes, end: bytes, deltas: int
) -> None:
    stream = PassthroughStream(codec, "m")
    stream.feed(b"data: %b\n\n" % delta)
    stream.feed(b"data: %b\n\n" % delta * deltas + b"data: %b\n\n" % end)
    assert stream.usage == Usage(output=7)
    assert stream.records == deltas + 2


@pytest.mark.parametrize("protocol", DELTAS)
@pytest.mark.parametrize(
    ("spelled", "counted"), [(b"\\u003cb\\u003e", 5), (b"\\u00e9\\n", 5), (b"\\u0061", 0), (b"\\u002e", 0)]
)
def test_only_escapes_that_may_spell_a_name_keep_deltas_from_passing_unseen(
    protocol: ProtocolName, spelled: bytes, counted: int
) -> None:
    deltas = DELTAS[protocol].replace(b':"a', b':"' + spelled) * 5
    assert INSPECTORS[protocol].count_deltas(deltas) == counted


FRAGMENT = (
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":'
    b'{"arguments":"{\\"name\\": 1}"}}]},"finish_reason":null}],"usage":null}\n\n'
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b'"finish_reason":null', b'"finish_reason": null'),
        (b'"usage":null', b'"usage": null'),
        (b',"usage":null', b""),
        (b"data: ", b"data:"),
    ],
)
@pytest.mark.parametrize("number", [1, 4])
def test_fragments_of_a_call_are_counted_in_the_usual_spellings(
    number: int, before: bytes, after: bytes
) -> None:
    packet = FRAGMENT.replace(before, after, 1) * number
    assert INSPECTORS["chat"].count_deltas(packet) == number


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"arguments"', b'"name":"shell","arguments"'),
        (b'"arguments"', b'"n\\u0061me":"shell","arguments"'),
        (b'{"index":0,"function"', b'{"index":0,"extra_content":{},"function"'),
        (b'"id":"c"', b'"error":{}'),
        (b'"usage":null', b'"usage":{}'),
        (b'"finish_reason":null', b'"finish_reason":"stop"'),
        (b"data: ", b"event: error\ndata: "),
    ],
)
def test_one_record_that_reports_something_is_found_among_fragments_of_a_call(
    before: bytes, after: bytes, place: int
) -> None:
    packet = [FRAGMENT] * 3
    packet.insert(place, FRAGMENT.replace(before, after, 1))
    assert INSPECTORS["chat"].count_deltas(b"".join(packet)) == 0


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
def test_what_was_written_beyond_the_numbers_reported_is_estimated_and_marked(
    codec: Codec, stream: bytes, usage: Usage
) -> None:
    passthrough = PassthroughStream(codec, "asked")
    passthrough.feed(stream)
    assert passthrough.usage_with_estimate(99) == usage


# --- breaks -------------------------------------------------------------------

STREAMS: dict[ProtocolName, bytes] = {
    "messages": MESSAGES_STREAM,
    "chat": CHAT_STREAM + b"data: [DONE]\n\n",
    "responses": RESPONSES_STREAM,
}
TERMINAL = {"messages": b"message_stop", "chat": b"[DONE]", "responses": b"response.completed"}
BREAK = WireError(ErrorType.SERVER, "broke off", 502)


def reported(protocol: ProtocolName, stream: bytes, size: int = 100_000) -> list[Record]:
    """All that the client is told of a stream that ends so, the break included."""
    passthrough, out = PassthroughStream(CODECS[protocol], "asked"), b""
    for at in range(0, len(stream), size):
        out += passthrough.feed(stream[at : at + size])
        if passthrough.finished or passthrough.failed is not None:
            break
    else:
        out += passthrough.close()
    if not passthrough.finished and passthrough.owes_an_end:
        out += passthrough.break_off(passthrough.failed or BREAK)
    assert out.endswith(b"\n\n"), "programs pass over what has no blank line"
    return records_of(out)


@pytest.mark.parametrize("protocol", STREAMS)
def test_a_stream_cut_at_any_byte_is_whole_or_reported_to_be_broken(protocol: ProtocolName) -> None:
    stream = STREAMS[protocol]
    for cut in range(len(stream) + 1):
        for record in (records := reported(protocol, stream[:cut])):
            assert record.data == b"[DONE]" or msgspec.json.decode(record.data)
        *before, last = (INSPECTORS[protocol].summary(record) for record in records)
        assert last.finished or b"broke off" in records[-1].data
        assert not any(summary.finished or summary.error for summary in before)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_keep_alives_between_any_two_records_change_nothing_for_a_program(protocol: ProtocolName) -> None:
    request = neutral.Request("m", (), stream=True, include_usage=True)
    encoder = CODECS[protocol].stream_encoder(request)
    events: list[neutral.Event] = [
        neutral.Started(),
        neutral.BlockStarted(neutral.Text("")),
        neutral.Delta("a"),
        neutral.Delta("b"),
        neutral.BlockEnded(),
        neutral.Finished(StopReason.END_TURN),
    ]
    stream = b"".join(map(encoder.encode, events))
    passthrough, out = PassthroughStream(CODECS[protocol], "m"), b""
    for at in range(0, len(stream), 30):
        out += passthrough.feed(stream[at : at + 30])
        # before the first words another sign is given, which depends on the program
        out += passthrough.keep_alive() if out and not passthrough.finished else b""
    assert out.count(passthrough.keep_alive()) > 5
    assert said_to(protocol, out) == said_to(protocol, stream)


SOUND = b'data: {"a": "record that nobody knows"}\n\n'
BARE = b'{"error":{"message":"boom"}}'
ODD: dict[str, tuple[ProtocolName, bytes]] = {
    "an error without its event line": ("messages", b"data: %b\n\n" % BARE),
    "an error that is no event": ("messages", BARE + b"\n\n"),
    "an error that is no event and no line": ("messages", BARE),
    "an error event without error": ("chat", b'event: error\ndata: {"message":"boom"}\n\n'),
    "an error event in plain text": ("chat", b"event: error\ndata: boom\n\n"),
    "FastChat's error": ("chat", b'data: {"text":"boom","error_code":50001}\n\n'),
    "vLLM's old error": ("chat", b'data: {"object":"error","message":"boom","code":50001}\n\n'),
    "MiniMax's error": (
        "chat",
        b'data: {"choices":null,"base_resp":{"status_code":1013,"status_msg":"boom"}}\n\n',
    ),
    "a finish called error": (
        "chat",
        b'data: {"choices":[{"delta":{},"finish_reason":"error","error":{"message":"boom"}}]}\n\n',
    ),
    "an error that is no Chat event": ("chat", BARE + b"\n\n"),
    "an error event in plain text, of Responses": ("responses", b"event: error\ndata: boom\n\n"),
    "an error that is no event, of Responses": ("responses", BARE),
}


@pytest.mark.parametrize("more", [b"", b"data: [DONE]\n\n", SOUND])
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", ODD)
def test_an_error_that_programs_would_not_see_is_reported_in_their_words_and_nothing_follows(
    name: str, size: int, more: bytes
) -> None:
    protocol, error = ODD[name]
    begun = STREAMS[protocol].split(TERMINAL[protocol])[0].rpartition(b"\n\n")[0] + b"\n\n"
    begun = begun.replace(b'"stop_reason":"end_turn"', b'"stop_reason":null').replace(b'"stop"', b"null")
    records = reported(protocol, begun + error + (more if error.endswith(b"\n\n") else b""), size)
    assert records[:-1] == records_of(begun.replace(b'"theirs"', b'"asked"'))
    assert b"boom" in records[-1].data
    assert INSPECTORS[protocol].summary(records[-1]).error is not None
    assert not INSPECTORS[protocol].summary(records[-1]).is_odd


@pytest.mark.parametrize("before", [b"", b": queued\n\n", b"\n: a\n\n: b\n\n"])
def test_a_broken_response_is_the_one_that_was_begun(before: bytes) -> None:
    begun = RESPONSES_STREAM.split(b'data: {"type":"response.completed"')[0]
    last = reported("responses", before + begun)[-1]
    assert last.event == "response.failed"
    assert msgspec.json.decode(last.data)["response"]["id"] == "resp_1"


@pytest.mark.parametrize("protocol", STREAMS)
def test_nothing_follows_the_end_though_it_came_with_it(protocol: ProtocolName) -> None:
    passthrough = PassthroughStream(CODECS[protocol], "asked")
    end = b"data: [DONE]\n\n" + ENDS_OF_OTHERS
    assert passthrough.feed(STREAMS[protocol] + end) == STREAMS[protocol].replace(b'"theirs"', b'"asked"')
    assert passthrough.finished and passthrough.failed is None


ENDS_OF_OTHERS = b'event: error\ndata: {"type":"error","error":{"message":"late"}}\n\n' + MESSAGES_STREAM


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_error_that_programs_know_passes_as_it_came(size: int) -> None:
    passing: tuple[tuple[ProtocolName, bytes], ...] = (
        ("messages", b'event: error\ndata: {"type":"error","error":{"type":"x","message":"boom"}}\n\n'),
        ("messages", b"event: error\ndata: boom\n\n"),
        ("chat", b'data: {"error":"boom"}\n\n'),
        ("chat", b'event: error\ndata: {"error":{"message":"boom"},"choices":[]}\n\n'),
    )
    for protocol, error in passing:
        begun = STREAMS[protocol].partition(b"\n\n")[0] + b"\n\n"
        assert reported(protocol, begun + error, size)[-1:] == records_of(error)


@pytest.mark.parametrize("size", [1, 100_000])
def test_of_usage_that_nobody_asked_for_only_the_record_that_reports_nothing_else_is_hidden(
    size: int,
) -> None:
    usage = b'"usage":{"prompt_tokens":3,"completion_tokens":2}'
    opening = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}],%b}\n\n' % usage
    ending = b'data: {"choices":[],%b}\n\n' % usage
    passthrough = PassthroughStream(CHAT, "asked", hide_usage=True)
    stream = opening + CHAT_STREAM + ending + b"data: [DONE]\n\n"
    out = b"".join(passthrough.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert out == opening + CHAT_STREAM + b"data: [DONE]\n\n"
    assert passthrough.usage == Usage(input=3, output=2)


SECOND = MESSAGES_STREAM[: MESSAGES_STREAM.index(b"event: content_block_stop")]


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_a_second_answer_in_one_stream_is_a_clear_error(size: int) -> None:
    again = SECOND.replace(b"msg_1", b"msg_2").replace(b": a comment\n\n", b"")
    out, seen = run(MESSAGES, SECOND + again, size)
    assert out == SECOND.replace(b'"theirs"', b'"asked"')
    assert seen.failed is not None and "second answer" in seen.failed.message
    out += seen.break_off(seen.failed)
    said = said_to("messages", out)
    assert (said.text, said.error) == ("Hé 中", ("api_error", seen.failed.message))


def test_a_start_repeated_with_its_id_changes_nothing() -> None:
    start = MESSAGES_STREAM[: MESSAGES_STREAM.index(b"event: content_block_start")]
    out, seen = run(MESSAGES, SECOND + start + MESSAGES_STREAM[len(SECOND) :], 7)
    assert seen.finished and seen.failed is None and out.count(b"message_start") == 4


UNEXPLAINED: list[tuple[ProtocolName, bytes]] = [
    ("messages", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'),
    ("messages", b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":" "}}\n\n'),
    ("messages", b'event: error\ndata: {"type":"error"}\n\n'),
    ("chat", b'data: {"error":{"message":null,"code":500}}\n\n'),
    ("chat", b'data: {"error":{"message":"","type":"server_error"}}\n\n'),
    ("responses", b'event: error\ndata: {"type":"error","code":"server_error","message":""}\n\n'),
]


@pytest.mark.parametrize(("protocol", "record"), UNEXPLAINED)
def test_an_error_without_a_message_reaches_the_client_with_one(
    protocol: ProtocolName, record: bytes
) -> None:
    begun = RESPONSES_STREAM[: RESPONSES_STREAM.index(b"\n\n") + 2] if protocol == "responses" else b""
    out, seen = run(CODECS[protocol], begun + record, 7)
    assert record not in out and seen.failed is not None and seen.owes_an_end
    said = said_to(protocol, out + seen.break_off(seen.failed))
    assert said.error is not None and "without an explanation" in said.error[1]


@pytest.mark.parametrize("at", [0, 1, 40, 150, 299])
def test_an_error_anywhere_in_a_large_packet_ends_what_passes(at: int) -> None:
    record = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"a word"}}\n\n'
    )
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    before, after = record * (at + 1), record * (300 - at)
    passthrough = PassthroughStream(MESSAGES, "asked")
    assert passthrough.feed(before + error + after) == before + error
    assert passthrough.failed is not None and passthrough.failed.message == "busy"
    assert passthrough.records >= at + 2, "those before it and itself"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_answer_in_one_large_packet_passes_as_in_small_ones(protocol: ProtocolName) -> None:
    opening, event, ending = STREAMS_OF_WORDS[protocol]
    stream = opening + b"".join([event % b"word %d" % number for number in range(300)]) + ending
    out, seen = run(CODECS[protocol], stream, len(stream))
    assert (out, seen.records, seen.usage) == _in_small_pieces(protocol, stream)
    assert seen.finished


def _in_small_pieces(protocol: ProtocolName, stream: bytes) -> tuple[bytes, int, Usage | None]:
    out, seen = run(CODECS[protocol], stream, 50)
    return out, seen.records, seen.usage

"""Records that differ in one text alone are read together, with the same result as one by one."""

import random
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import Conversion, StreamConversion
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.runs import Run, run_of
from switchyard.protocols.sse import MAX_CONTAINERS, MAX_RECORD_BYTES, RecordTooLarge, SseDecoder

RECORD = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
START, END = RECORD.split(b"one")
SENT = SentRequest(b'{"stop":"."}', Target("told", "issuer"))
REQUEST = neutral.Request("asked", (), stream=True, received_at=1)


def record_with(text: bytes) -> bytes:
    return START + text + END


def words_in(*pieces: bytes) -> list[str] | None:
    texts = Run(START, END).texts(b"".join(pieces))
    return None if texts is None else texts.words


def test_records_with_another_text_are_of_the_run() -> None:
    run = run_of(RECORD, "one")
    assert run is not None and (run.start, run.end) == (START, END)
    texts = run.texts(record_with(b"two") + record_with("drei, vier ü".encode()))
    assert texts is not None
    assert texts.words == ["two", "drei, vier ü"]
    assert texts.quoted == [b"two", "drei, vier ü".encode()]


@pytest.mark.parametrize("text", ["c", "none", "\u2028"])
def test_a_text_that_is_found_elsewhere_or_nowhere_begins_no_run(text: str) -> None:
    assert run_of(RECORD.replace(b'"one"', b'"c"'), text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (rb"say \"hello\"", 'say "hello"'),
        (rb"C:\\", "C:\\"),
        (rb"\u00e9 \ud83d\ude00", "é 😀"),
        ("two\u2028lines".encode(), "two\u2028lines"),
    ],
)
def test_escapes_are_read_and_written_as_everywhere(text: bytes, words: str) -> None:
    texts = Run(START, END).texts(record_with(b"a") + record_with(text))
    assert texts is not None and texts.words == ["a", words]
    assert msgspec.json.decode(b'"%b"' % texts.quoted[1]) == words
    assert b"\xe2\x80\xa8" not in texts.quoted[1]


@pytest.mark.parametrize(
    "other",
    [
        record_with(b""),
        record_with(b'b","role":"user'),
        record_with(b'b"},"finish_reason":"stop","x":{"y":"z'),
        record_with(b"b\\"),
        record_with(b"b" + b"\\" * 3),
        record_with(rb"\ud83d"),
        record_with(rb"\q"),
        record_with(b"b\nc"),
        record_with(b"b\xff"),
        RECORD.replace(b'"c"', b'"d"'),
        RECORD.replace(b"\n", b"\r\n"),
        b": a comment\n\n",
        b"data: [DONE]\n\n",
    ],
)
def test_any_other_record_is_not_of_the_run(other: bytes) -> None:
    assert words_in(RECORD, other, RECORD) is None
    assert words_in(RECORD, other) is None
    assert words_in(other, RECORD) is None


# --- conversions ---------------------------------------------------------------


def chat(delta: str, more: str = "") -> bytes:
    return (f'data: {{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta}{more}}}]}}\n\n').encode()


def messages(kind: str, field: str, text: str, index: int) -> bytes:
    delta = f'{{"type":"{kind}_delta","{field}":{text}}}'
    return (
        "event: content_block_delta\n"
        f'data: {{"type":"content_block_delta","index":{index},"delta":{delta}}}\n\n'
    ).encode()


USAGE = ',"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":[{"y":1'
OTHERS: dict[ProtocolName, list[bytes]] = {
    "chat": [
        chat('{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{}"}}]}'),
        chat('{"content":"same","reasoning":"same"}'),
        chat('{"content":"counted"}', USAGE),
        chat('{"refusal":"no"}'),
        chat('{"content":null}'),
        chat('{"content":"at its end"}', ',"finish_reason":"stop"'),
        chat(r'{"content":"half \ud83d"}'),
        chat(r'{"content":"\ude00 half"}'),
        b": a comment\n\n",
        b"data: damage\n\n",
        chat('{"content":"CRLF"}').replace(b"\n", b"\r\n"),
        b'event: error\ndata: {"error":{"message":"busy"}}\n\n',
    ],
    "messages": [
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"text","text":""}}\n\n',
        b'event: content_block_start\ndata: {"type":"content_block_start","index":1,"content_block":'
        b'{"type":"tool_use","id":"t","name":"f","input":{}}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":1,"delta":'
        b'{"type":"input_json_delta","partial_json":"{}"}}\n\n',
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
        messages("signature", "signature", '"sig"', 0),
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":7}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ],
}
WORDS = st.text(st.sampled_from('ab "\\\n\u2028é😀'), max_size=4)


def deltas(upstream: ProtocolName, kind: int, text: str, ascii_only: bool) -> bytes:
    json = msgspec.json.encode(text).decode()
    if ascii_only:
        json = json.encode("ascii", "backslashreplace").decode().replace("\\xe9", "\\u00e9")
        json = json.replace("\\U0001f600", "\\ud83d\\ude00")
    if upstream == "messages":
        kinds = ("text", "text", 0), ("thinking", "thinking", 0), ("text", "text", 1)
        return messages(kinds[kind][0], kinds[kind][1], json, kinds[kind][2])
    return chat(f'{{"{("content", "reasoning_content", "refusal")[kind]}":{json}}}')


@st.composite
def streams(draw: st.DrawFn, upstream: ProtocolName) -> bytes:
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        kind, ascii_only = draw(st.integers(0, 2)), draw(st.booleans())
        pieces += [deltas(upstream, kind, text, ascii_only) for text in draw(st.lists(WORDS, max_size=12))]
        pieces += draw(st.lists(st.sampled_from(OTHERS[upstream]), max_size=2))
    return b"".join(pieces)


def one_by_one(upstream: ProtocolName, client: ProtocolName, stream: bytes) -> tuple[bytes, Conversion]:
    """What a conversion does whose records are all looked at."""
    conversion = Conversion(SENT, REQUEST)
    decoder, encoder = CODECS[upstream].stream_decoder(SENT), CODECS[client].stream_encoder(REQUEST)
    records = SseDecoder()
    seen = [
        one for record in records.feed(stream) + records.close() for one in conversion.halves.take(record)
    ]
    out: list[bytes] = []
    for record in seen + conversion.halves.close():
        out += map(encoder.encode, conversion.passed(decoder.decode(record)))
    if conversion.owes_an_end:
        out += map(encoder.encode, conversion.passed(decoder.close()))
    return b"".join(out), conversion


@pytest.mark.parametrize(
    ("upstream", "client"), [pair for pair in product(("chat", "messages"), CODECS) if pair[0] != pair[1]]
)
@given(st.data())
def test_a_stream_is_converted_as_if_each_record_was_looked_at(
    upstream: ProtocolName, client: ProtocolName, data: st.DataObject
) -> None:
    stream = data.draw(streams(upstream))
    size = data.draw(st.sampled_from([1, 7, 100, 400, 3000, 100_000]))
    random.seed(0)
    expected, conversion = one_by_one(upstream, client, stream)
    random.seed(0)
    converted = StreamConversion(CODECS[upstream], CODECS[client], SENT, REQUEST)
    out = b"".join([converted.feed(stream[at : at + size]) for at in range(0, len(stream), size)])
    assert out + converted.close() == expected
    assert (converted.failed, converted.finished) == (conversion.failed, conversion.finished)
    assert (converted.usage, converted.losses) == (conversion.usage, conversion.losses)
    assert converted.content_begun == conversion.content_begun


@pytest.mark.parametrize("begun", [b"event: error\n", b": ", b"data: {}\n"])
def test_a_record_that_has_begun_is_not_of_the_run_though_it_goes_on_like_one(begun: bytes) -> None:
    record = chat('{"content":"a word"}')
    pieces = [record, record, begun, record, record]
    random.seed(0)
    expected, conversion = one_by_one("chat", "messages", b"".join(pieces))
    random.seed(0)
    converted = StreamConversion(CODECS["chat"], CODECS["messages"], SENT, REQUEST)
    assert b"".join(map(converted.feed, pieces)) + converted.close() == expected
    assert converted.failed == conversion.failed


@pytest.mark.parametrize("upstream, client", [("chat", "messages"), ("messages", "chat")])
def test_each_record_of_a_run_counts(upstream: ProtocolName, client: ProtocolName) -> None:
    stream = StreamConversion(CODECS[upstream], CODECS[client], SENT, REQUEST)
    for number in range(20):
        assert stream.feed(deltas(upstream, 0, f"word {number}", ascii_only=False)).count(b"word") == 1
    assert stream.feed(b"".join([deltas(upstream, 0, "word", False)] * 50)).count(b"word") == 50
    assert stream.records == 70


def outcome(
    upstream: ProtocolName, client: ProtocolName, chunks: list[bytes]
) -> tuple[list[bytes], Conversion]:
    """What each chunk gives, and the end."""
    random.seed(0)
    converted = StreamConversion(CODECS[upstream], CODECS[client], SENT, REQUEST)
    return [*map(converted.feed, chunks), converted.close()], converted


@pytest.mark.parametrize("begun", [b"event: error\n", b": a comment", b"data: {", b"x"])
def test_a_record_that_goes_on_with_another_is_not_of_the_run(begun: bytes) -> None:
    record = deltas("chat", 0, "word", ascii_only=False)
    random.seed(0)
    expected, _ = one_by_one("chat", "messages", record * 2 + begun + record * 2)
    assert b"".join(outcome("chat", "messages", [record, record, begun, record, record])[0]) == expected


@pytest.mark.parametrize("blank", [b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\n\r"])
def test_a_record_with_other_line_ends_is_not_kept_back(blank: bytes) -> None:
    record = deltas("chat", 0, "word", ascii_only=False)
    given, _ = outcome("chat", "messages", [record, record, record.removesuffix(b"\n\n") + blank, record])
    assert [out.count(b"word") for out in given] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("text", [b"[" * (MAX_CONTAINERS + 1), b"x" * MAX_RECORD_BYTES])
def test_a_record_of_a_run_may_be_as_large_as_any_other(text: bytes) -> None:
    record = deltas("chat", 0, "word", ascii_only=False)
    with pytest.raises(RecordTooLarge):
        outcome("chat", "messages", [record, record, record.replace(b"word", text)])


@pytest.mark.parametrize("size", [1, 3000])
def test_what_came_before_a_record_that_is_too_large_is_given(size: int) -> None:
    record = deltas("chat", 0, "word", ascii_only=False)
    stream = StreamConversion(CODECS["chat"], CODECS["messages"], SENT, REQUEST)
    with pytest.raises(RecordTooLarge) as raised:
        stream.feed(record * size + record.replace(b"word", b"[" * (MAX_CONTAINERS + 1)) + record)
    assert raised.value.given.count(b"word") == stream.records == size

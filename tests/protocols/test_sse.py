"""Server-sent events at any chunking."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.sse import Record, RecordTooLarge, SseDecoder, encode, usual_record

STREAM = (
    b"\xef\xbb\xbf: a comment\n\n"
    b'event: a\ndata: {"x":"\xe2\x80\xa8\xc2\x85\xc3\xa9"}\n\n'
    b"data:no space\ndata:  two spaces\ndata\n\n"
    b"id: 7\nretry: 9\n\n"
    b"event: ping\n\n"
    b"event: error\n\n"
    b"data: [DONE]"
)
RECORDS = [
    Record('{"x":"\u2028\u0085é"}'.encode(), "a"),
    Record(b"no space\n two spaces\n"),
    Record(b"", "error"),
    Record(b"[DONE]"),
]
LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def decoded(chunks: list[bytes]) -> list[Record]:
    decoder = SseDecoder()
    records = [record for chunk in chunks for record in decoder.feed(chunk)]
    return records + decoder.close()


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS.keys())
def test_a_stream_reads_the_same_at_every_split_point(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    for at in range(len(stream) + 1):
        assert decoded([stream[:at], stream[at:]]) == RECORDS


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS.keys())
def test_a_stream_reads_the_same_byte_by_byte(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    assert decoded([stream[at : at + 1] for at in range(len(stream))]) == RECORDS


@given(st.lists(st.integers(0, len(STREAM))), st.sampled_from(list(LINE_ENDS.values())))
def test_a_stream_reads_the_same_in_any_pieces(points: list[int], line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    edges = [0, *sorted(points), len(stream)]
    assert decoded([stream[start:end] for start, end in pairwise(edges)]) == RECORDS


def test_a_record_is_given_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Record(b"a")]
    assert decoder.feed(b"\ndata: b\n\n") == [Record(b"b")]


def test_invalid_bytes_in_an_event_name_are_replaced() -> None:
    assert decoded([b"event: \xff\ndata: a\n\n"]) == [Record(b"a", "\ufffd")]


def test_an_empty_stream_has_no_records() -> None:
    assert decoded([]) == decoded([b""]) == decoded([b"\n\n\r\n"]) == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_json_that_is_no_field_is_read_all_the_same(end: bytes) -> None:
    assert decoded([b"data: a\n\n", b'{"error": "x"}', end]) == [Record(b"a"), Record(b'{"error": "x"}')]


def test_a_long_line_in_many_pieces_is_one_record() -> None:
    line = b"x" * 5_000_000
    stream = b"data: " + line + b"\n\n"
    pieces = [stream[at : at + 16384] for at in range(0, len(stream), 16384)]
    assert decoded(pieces) == [Record(line)]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 101 + b"\n"],
        [b"data: " + b"x" * 60, b"x" * 60],
        [b"data: " + b"x" * 60 + b"\n"] * 2,
    ],
    ids=["one line", "a line not yet ended", "two lines"],
)
def test_a_record_beyond_the_limit_is_refused(chunks: list[bytes]) -> None:
    decoder = SseDecoder(max_record_bytes=100)
    with pytest.raises(RecordTooLarge):
        for chunk in chunks:
            decoder.feed(chunk)


@pytest.mark.parametrize(
    "large",
    [
        b"data: " + b"x" * 101 + b"\n\n",
        b"data: " + b"x" * 101,
        b"data: " + b"x" * 60 + b"\ndata: " + b"x" * 60,
    ],
    ids=["one line", "a line not yet ended", "two lines"],
)
def test_the_records_before_one_beyond_the_limit_are_not_lost(large: bytes) -> None:
    with pytest.raises(RecordTooLarge) as raised:
        SseDecoder(max_record_bytes=150).feed(b"data: 1\n\nevent: x\ndata: 2\n\n" + large)
    assert raised.value.records == [Record(b"1"), Record(b"2", "x")]


def test_the_limit_is_for_each_record_alone() -> None:
    decoder = SseDecoder(max_record_bytes=2000)
    stream = (b"data: " + b"x" * 600 + b"\n\n") * 3
    for at in range(0, len(stream), 100):
        decoder.feed(stream[at : at + 100])
    assert decoder.close() == []


def test_what_is_encoded_is_decoded() -> None:
    stream = encode(b'{"a":1}', "x") + encode(b"[DONE]")
    assert decoded([stream]) == [Record(b'{"a":1}', "x"), Record(b"[DONE]")]


@pytest.mark.parametrize("chunk", [b"data:\n", b"x", b"data: x", b"event: y"])
def test_tiny_pieces_are_weighed_by_what_they_cost(chunk: bytes) -> None:
    decoder = SseDecoder(max_record_bytes=10_000)
    with pytest.raises(RecordTooLarge):
        for _ in range(1000):
            decoder.feed(chunk)


@pytest.mark.parametrize(
    "raw",
    [
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b"event:ping\ndata:  two spaces\n\n",
        b"data: [DONE]\n\n",
        b"data:\n\n",
        b"event: \xff\ndata: x\n\n",
        b"event:\ndata: x\n\n",
    ],
)
def test_the_record_of_two_lines_is_read_at_once_as_the_decoder_reads_it(raw: bytes) -> None:
    assert [usual_record(raw)] == SseDecoder().feed(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"data: a\r\n\r\n",
        b"data: a\ndata: b\n\n",
        b"id: 1\ndata: a\n\n",
        b"\xef\xbb\xbfdata: a\n\n",
        b"data: a\n",
        b"event: error\n\n",
        b"data: a\n\ndata: b\n\n",
    ],
)
def test_any_other_record_is_left_to_the_decoder(raw: bytes) -> None:
    assert usual_record(raw) is None

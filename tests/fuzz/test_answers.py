"""Any response of an upstream is decoded or rejected: no other exception, and never much time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_response
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.sse import Record, RecordTooLarge, SseDecoder, encode
from tests.fuzz.material import REQUESTS, answers, damaged, fuzzed, grows_linearly, octets, quickly, records

LINES = [
    b"data: x\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"event: error\n",
    b": c\n",
    b"data",
    b"\xef\xbb\xbf",
    b":",
    b"id: 1\n",
]
SENT = SentRequest(b"{}", Target("sent", "issuer", Capabilities()))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_a_whole_answer_is_read_or_found_to_be_none(protocol: ProtocolName, data: st.DataObject) -> None:
    body = data.draw(octets(damaged(answers(protocol))))
    with quickly():
        INSPECTORS[protocol].summarize_whole(body)
        for client in PROTOCOLS:
            asked = CODECS[client].decode_request(json.dumps(REQUESTS[client][0]).encode())
            convert_response(CODECS[protocol], CODECS[client], body, SENT, asked)


@st.composite
def streams(draw: st.DrawFn, protocol: ProtocolName) -> bytes:
    """A valid stream with a few events damaged, removed, doubled or torn."""
    out: list[bytes] = []
    for sound in records(protocol):
        how = draw(st.integers(0, 12))
        if how == 0:
            continue
        data = draw(octets(damaged([sound]))) if how in (1, 2) else json.dumps(sound).encode()
        record = encode(data, draw(st.sampled_from(["", "error", "message_start"])) if how == 3 else "")
        out += [record] * (2 if how == 4 else 1)
    return b"".join(out) + draw(st.sampled_from([b"", b"data: [DONE]\n\n", b"\r\r\r", b"data:", b"\xff\xfe"]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_a_stream_is_carried_to_every_client_at_any_chunking(
    protocol: ProtocolName, data: st.DataObject
) -> None:
    sent, size = data.draw(streams(protocol)), data.draw(st.sampled_from([1, 7, 100, 10**6]))
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    with quickly(20):
        passthrough = PassthroughStream(CODECS[protocol], "asked", hide_usage=True)
        for chunk in chunks:
            passthrough.feed(chunk)
        passthrough.close()
        for client in PROTOCOLS:
            asked = CODECS[client].decode_request(json.dumps(REQUESTS[client][0]).encode())
            stream = StreamConversion(CODECS[protocol], CODECS[client], SENT, asked)
            out = b"".join([stream.feed(chunk) for chunk in chunks] + [stream.close()])
            assert stream.finished or stream.failed is not None
            out.decode()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_an_error_is_read_whatever_its_form(protocol: ProtocolName, data: st.DataObject) -> None:
    sound = [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {
            "error": {
                "message": "prompt is too long: 9 tokens > 5 maximum",
                "type": "x",
                "code": 400,
                "param": "a",
            }
        },
        {"detail": [{"loc": ["body", "tools", 0], "msg": "bad", "type": "y"}]},
        {"error": '{"error": {"message": "inner"}}', "message": "m", "base_resp": {"status_code": 1}},
    ]
    body, status = data.draw(octets(damaged(sound))), data.draw(st.integers(100, 999))
    with quickly():
        error = decode_error(status, body)
        assert len(error.message) <= 3000
        for client in PROTOCOLS:
            encode_error(client, error)
            CODECS[client].encode_break(error, b"")
        decode_error(status, body)


@fuzzed
@given(st.binary(max_size=300), st.integers(1, 40))
def test_records_do_not_depend_on_how_bytes_arrive(sent: bytes, size: int) -> None:
    at_once, in_pieces = SseDecoder(), SseDecoder()
    whole = at_once.feed(sent) + at_once.close()
    pieces: list[Record] = []
    for at in range(0, len(sent), size):
        pieces += in_pieces.feed(sent[at : at + size])

    assert pieces + in_pieces.close() == whole


@fuzzed
@given(st.lists(st.sampled_from(LINES), max_size=40), st.integers(1, 9))
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[bytes], size: int) -> None:
    sent = b"".join(lines)
    at_once, in_pieces = SseDecoder(), SseDecoder()
    whole = at_once.feed(sent) + at_once.close()
    pieces: list[Record] = []
    for at in range(0, len(sent), size):
        pieces += in_pieces.feed(sent[at : at + size])

    assert pieces + in_pieces.close() == whole


LONG = {
    "comments": b": x\n",
    "empty data": b"data:\n",
    "records": b"data: {}\n\n",
    "ends": b"\r\n\r\n",
    "a line": b"x",
}


@pytest.mark.parametrize("name", LONG)
def test_time_grows_with_the_bytes_of_a_stream_and_no_faster(name: str) -> None:
    def decode(count: int) -> None:
        decoder = SseDecoder()
        try:
            for _ in range(count // 100):
                decoder.feed(LONG[name] * 100)
        except RecordTooLarge:
            return
        decoder.close()

    def watch(count: int) -> None:
        stream = PassthroughStream(CODECS["chat"], "asked")
        for _ in range(count // 100):
            stream.feed(LONG[name] * 100)
        stream.close()

    grows_linearly(decode, 20_000)
    grows_linearly(watch, 20_000)

"""Errors in each client's own form, and the same status for the same mishap in all of them."""

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.table import TABLE, encode_error
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.sse import SseDecoder

T = ErrorType
SENT = SentRequest(b"", Target("m", ""))
OPENAI = ("chat", "responses")

IN_OPENAI_FORM = [
    (T.INVALID_REQUEST, 400, 400, "invalid_request_error", None),
    (T.INVALID_REQUEST, 422, 422, "invalid_request_error", None),
    (T.INVALID_REQUEST, 0, 400, "invalid_request_error", None),
    (T.CONTEXT_OVERFLOW, 413, 400, "invalid_request_error", "context_length_exceeded"),
    (T.AUTHENTICATION, 401, 401, "invalid_request_error", "invalid_api_key"),
    (T.BILLING, 402, 429, "insufficient_quota", "insufficient_quota"),
    (T.PERMISSION, 403, 403, "permission_error", None),
    (T.NOT_FOUND, 404, 404, "invalid_request_error", None),
    (T.MODEL_NOT_FOUND, 400, 404, "invalid_request_error", "model_not_found"),
    (T.TIMEOUT, 408, 504, "server_error", "timeout"),
    (T.CONFLICT, 409, 409, "invalid_request_error", None),
    (T.TOO_LARGE, 413, 413, "invalid_request_error", "request_too_large"),
    (T.QUOTA, 403, 429, "insufficient_quota", "insufficient_quota"),
    (T.SERVER, 500, 500, "server_error", None),
    (T.SERVER, 200, 502, "server_error", None),
    (T.SERVER, 0, 502, "server_error", None),
    (T.OVERLOADED, 529, 503, "server_error", "server_is_overloaded"),
]


@pytest.mark.parametrize("protocol", OPENAI)
@pytest.mark.parametrize(("type", "upstream_status", "status", "reported_type", "code"), IN_OPENAI_FORM)
def test_every_error_has_its_status_type_and_code(
    protocol: ProtocolName,
    type: ErrorType,
    upstream_status: int,
    status: int,
    reported_type: str,
    code: str | None,
) -> None:
    assert encoded(protocol, WireError(type, "m", upstream_status)) == (
        status,
        {"error": {"message": "m", "type": reported_type, "param": None, "code": code}},
    )


@pytest.mark.parametrize(("protocol", "type"), [("chat", "requests"), ("responses", "rate_limit_error")])
def test_a_rate_limit_has_the_type_that_the_protocol_knows(protocol: ProtocolName, type: str) -> None:
    error = {"message": "m", "type": type, "param": None, "code": "rate_limit_exceeded"}
    assert encoded(protocol, WireError(T.RATE_LIMIT, "m", 429)) == (429, {"error": error})


@pytest.mark.parametrize("protocol", OPENAI)
def test_the_refused_field_and_the_upstreams_code_are_kept(protocol: ProtocolName) -> None:
    error = WireError(T.INVALID_REQUEST, "m", 400, code="unsupported_parameter", param="stop")
    assert encoded(protocol, error)[1]["error"] == {
        "message": "m",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "unsupported_parameter",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("type", ErrorType)
def test_every_type_has_an_error_status_in_every_protocol(protocol: ProtocolName, type: ErrorType) -> None:
    assert type in TABLE
    assert encoded(protocol, WireError(type, "m", 200))[0] >= 400


def test_every_type_has_a_code_for_a_failed_response() -> None:
    assert all(rows.responses.stream_code for rows in TABLE.values())


def test_a_break_is_one_record() -> None:
    record = CODECS["chat"].encode_break(WireError(T.SERVER, "m\nn", 500), b"")
    assert record.startswith(b'data: {"error":{') and record.endswith(b"}}\n\n") and record.count(b"\n") == 2


def test_what_is_reported_can_be_decoded_again() -> None:
    status, body = encode_error("responses", WireError(T.OVERLOADED, "busy", 529))
    decoded = decode_error(status, body)
    assert decoded == WireError(T.OVERLOADED, "busy", 503, "server_is_overloaded")


# --- answers that are none ------------------------------------------------------

BEGINNINGS: dict[ProtocolName, bytes] = {
    "messages": b'event: message_start\ndata: {"type":"message_start","message":{"id":"m"}}\n\n',
    "chat": b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n',
    "responses": b'data: {"type":"response.created","response":{"id":"r"}}\n\n',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("is_begun", [True, False])
def test_a_cut_answer_is_a_bad_gateway_in_every_protocol(protocol: ProtocolName, is_begun: bool) -> None:
    decoder = CODECS[protocol].stream_decoder(SENT)
    for record in SseDecoder().feed(BEGINNINGS[protocol] if is_begun else b""):
        decoder.decode(record)
    assert status_of(decoder.close()) == 502


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'"text"', b"{"])
def test_a_body_that_is_no_answer_is_a_bad_gateway_in_every_protocol(
    protocol: ProtocolName, body: bytes
) -> None:
    assert status_of(CODECS[protocol].decode_response(body, SENT)) == 502


def encoded(protocol: ProtocolName, error: WireError) -> tuple[int, dict[str, dict[str, object]]]:
    status, body = encode_error(protocol, error)
    return status, msgspec.json.decode(body)


def status_of(events: list[neutral.Event]) -> int:
    assert isinstance(events[-1], neutral.Failed)
    return events[-1].error.status

"""Errors in the client's envelope."""

import msgspec
import pytest

from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.openai_responses.codec import CODEC

T = ErrorType
REPORTED = [
    (WireError(T.INVALID_REQUEST, "m", 422, param="x"), 422, "invalid_request_error", None),
    (
        WireError(T.INVALID_REQUEST, "m", 0, "unsupported_value"),
        400,
        "invalid_request_error",
        "unsupported_value",
    ),
    (WireError(T.CONTEXT_OVERFLOW, "m", 413), 400, "invalid_request_error", "context_length_exceeded"),
    (WireError(T.AUTHENTICATION, "m", 401), 401, "invalid_request_error", "invalid_api_key"),
    (WireError(T.BILLING, "m", 402), 429, "insufficient_quota", "insufficient_quota"),
    (WireError(T.PERMISSION, "m", 403), 403, "permission_error", None),
    (WireError(T.NOT_FOUND, "m", 404), 404, "invalid_request_error", None),
    (WireError(T.MODEL_NOT_FOUND, "m", 404), 404, "invalid_request_error", "model_not_found"),
    (WireError(T.TIMEOUT, "m", 408), 504, "server_error", "timeout"),
    (WireError(T.CONFLICT, "m", 409), 409, "invalid_request_error", None),
    (WireError(T.TOO_LARGE, "m", 413), 413, "invalid_request_error", "request_too_large"),
    (WireError(T.RATE_LIMIT, "m", 429), 429, "rate_limit_error", "rate_limit_exceeded"),
    (WireError(T.QUOTA, "m", 403), 429, "insufficient_quota", "insufficient_quota"),
    (WireError(T.SERVER, "m", 500), 500, "server_error", None),
    (WireError(T.SERVER, "m", 0), 502, "server_error", None),
    (WireError(T.OVERLOADED, "m", 529), 503, "server_error", "server_is_overloaded"),
]


@pytest.mark.parametrize(("error", "status", "type", "code"), REPORTED)
def test_an_error_is_reported_in_the_envelope(
    error: WireError, status: int, type: str, code: str | None
) -> None:
    reported, body = CODEC.encode_error(error)
    assert (reported, msgspec.json.decode(body)) == (
        status,
        {"error": {"message": "m", "type": type, "param": error.param or None, "code": code}},
    )


def test_what_is_reported_can_be_read_again() -> None:
    status, body = CODEC.encode_error(WireError(T.OVERLOADED, "busy", 529))
    assert CODEC.decode_error(status, body) == WireError(T.OVERLOADED, "busy", 503, "server_is_overloaded")

"""Errors in Chat's envelope."""

import msgspec
import pytest

from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.openai_chat.errors import encode_break, encode_error


@pytest.mark.parametrize(
    "type, upstream_status, status, reported_type, code",
    [
        (ErrorType.INVALID_REQUEST, 400, 400, "invalid_request_error", None),
        (ErrorType.INVALID_REQUEST, 422, 422, "invalid_request_error", None),
        (ErrorType.CONTEXT_OVERFLOW, 413, 400, "invalid_request_error", "context_length_exceeded"),
        (ErrorType.AUTHENTICATION, 401, 401, "invalid_request_error", "invalid_api_key"),
        (ErrorType.BILLING, 402, 429, "insufficient_quota", "insufficient_quota"),
        (ErrorType.PERMISSION, 403, 403, "permission_error", None),
        (ErrorType.NOT_FOUND, 404, 404, "invalid_request_error", None),
        (ErrorType.MODEL_NOT_FOUND, 400, 404, "invalid_request_error", "model_not_found"),
        (ErrorType.TIMEOUT, 408, 504, "server_error", "timeout"),
        (ErrorType.CONFLICT, 409, 409, "invalid_request_error", None),
        (ErrorType.TOO_LARGE, 413, 413, "invalid_request_error", "request_too_large"),
        (ErrorType.RATE_LIMIT, 429, 429, "requests", "rate_limit_exceeded"),
        (ErrorType.QUOTA, 429, 429, "insufficient_quota", "insufficient_quota"),
        (ErrorType.SERVER, 500, 500, "server_error", None),
        (ErrorType.SERVER, 200, 502, "server_error", None),
        (ErrorType.OVERLOADED, 529, 503, "server_error", "server_is_overloaded"),
    ],
)
def test_every_error_has_its_status_type_and_code(
    type: ErrorType, upstream_status: int, status: int, reported_type: str, code: str | None
) -> None:
    reported, body = encode_error(WireError(type, "m", upstream_status))
    assert reported == status
    assert msgspec.json.decode(body) == {
        "error": {"message": "m", "type": reported_type, "param": None, "code": code}
    }


def test_the_refused_field_and_the_upstreams_code_are_kept() -> None:
    error = WireError(ErrorType.INVALID_REQUEST, "m", 400, code="unsupported_parameter", param="stop")
    assert msgspec.json.decode(encode_error(error)[1])["error"] == {
        "message": "m",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "unsupported_parameter",
    }


def test_a_break_is_one_record() -> None:
    record = encode_break(WireError(ErrorType.SERVER, "m\nn", 500))
    assert record.startswith(b'data: {"error":{') and record.endswith(b"}}\n\n") and record.count(b"\n") == 2

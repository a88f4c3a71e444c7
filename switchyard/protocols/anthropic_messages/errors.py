"""Errors as Messages clients know them. Claude Code decides by the `type` in the body, whatever the status.

https://platform.claude.com/docs/en/api/errors
"""

from collections.abc import Mapping

import msgspec

from switchyard.protocols.errors.decode import context_sentence
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.sse import encode

OWN_FAILURE = 502

TYPES: Mapping[ErrorType, tuple[str, int]] = {
    ErrorType.INVALID_REQUEST: ("invalid_request_error", 400),
    ErrorType.CONTEXT_OVERFLOW: ("invalid_request_error", 400),
    ErrorType.AUTHENTICATION: ("authentication_error", 401),
    ErrorType.BILLING: ("billing_error", 402),
    ErrorType.PERMISSION: ("permission_error", 403),
    ErrorType.NOT_FOUND: ("not_found_error", 404),
    ErrorType.MODEL_NOT_FOUND: ("not_found_error", 404),
    ErrorType.TIMEOUT: ("timeout_error", 504),
    ErrorType.CONFLICT: ("conflict_error", 409),
    ErrorType.TOO_LARGE: ("request_too_large", 413),
    ErrorType.RATE_LIMIT: ("rate_limit_error", 429),
    ErrorType.QUOTA: ("rate_limit_error", 429),
    ErrorType.SERVER: ("api_error", OWN_FAILURE),
    ErrorType.OVERLOADED: ("overloaded_error", 529),
}


def encode_error(error: WireError) -> tuple[int, bytes]:
    """Status and body for the client."""
    _, status = TYPES[error.type]
    if error.type is ErrorType.SERVER and 500 <= error.status < 600:
        status = error.status
    return status, _body(error)


def encode_break(error: WireError, opening: bytes = b"") -> bytes:
    """The record that ends a stream in which content was already sent."""
    return encode(_body(error), "error")


def _body(error: WireError) -> bytes:
    type_, _ = TYPES[error.type]
    overflow = error.type is ErrorType.CONTEXT_OVERFLOW
    message = context_sentence(error) if overflow else error.message
    return msgspec.json.encode({"type": "error", "error": {"type": type_, "message": message}})

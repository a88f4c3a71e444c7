"""Tell errors in Chat's envelope: `{"error": {"message", "type", "param", "code"}}`.

https://platform.openai.com/docs/guides/error-codes
"""

from collections.abc import Mapping

import msgspec

from switchyard.protocols import sse
from switchyard.protocols.neutral import ErrorType, WireError

INVALID = "invalid_request_error"
SERVER = "server_error"
OWN_STATUSES = frozenset({400, 413, 415, 422, 405, 408, 409, 410, 429, 500, 502, 504})
"""Statuses that are told as the upstream told them where the table gives none."""

REPORTED: Mapping[ErrorType, tuple[int | None, str, str | None]] = {
    ErrorType.INVALID_REQUEST: (None, INVALID, None),
    ErrorType.CONTEXT_OVERFLOW: (400, INVALID, "context_length_exceeded"),
    ErrorType.AUTHENTICATION: (401, INVALID, "invalid_api_key"),
    ErrorType.BILLING: (429, "insufficient_quota", "insufficient_quota"),
    ErrorType.PERMISSION: (403, "permission_error", None),
    ErrorType.NOT_FOUND: (404, INVALID, None),
    ErrorType.MODEL_NOT_FOUND: (404, INVALID, "model_not_found"),
    ErrorType.TIMEOUT: (504, SERVER, "timeout"),
    ErrorType.CONFLICT: (409, INVALID, None),
    ErrorType.TOO_LARGE: (413, INVALID, "request_too_large"),
    ErrorType.RATE_LIMIT: (429, "requests", "rate_limit_exceeded"),
    ErrorType.QUOTA: (429, "insufficient_quota", "insufficient_quota"),
    ErrorType.SERVER: (None, SERVER, None),
    ErrorType.OVERLOADED: (503, SERVER, "server_is_overloaded"),
}
"""Status (None: the upstream's own), type, code (None: the upstream's own)."""

DEFAULT_STATUS: Mapping[ErrorType, int] = {ErrorType.INVALID_REQUEST: 400, ErrorType.SERVER: 502}


def encode_error(error: WireError) -> tuple[int, bytes]:
    status = REPORTED[error.type][0]
    if status is None:
        status = error.status if error.status in OWN_STATUSES else DEFAULT_STATUS[error.type]
    return status, _envelope(error)


def encode_break(error: WireError, opening: bytes = b"") -> bytes:
    """The last record of a broken stream. No `[DONE]` follows: nobody shall think the answer complete."""
    return sse.encode(_envelope(error))


def _envelope(error: WireError) -> bytes:
    _, type, code = REPORTED[error.type]
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": type,
                "param": error.param or None,
                "code": code or error.code or None,
            }
        }
    )

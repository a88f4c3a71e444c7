"""Tell errors in the words of the Responses protocol: HTTP bodies and the error of a failed response.

https://platform.openai.com/docs/guides/error-codes
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from switchyard.protocols.neutral import ErrorType, WireError


class _Reported(NamedTuple):
    """`status` None keeps the upstream's; `failed` is the code in `response.failed`."""

    status: int | None
    type: str
    code: str | None
    failed: str


INVALID = "invalid_request_error"

_WORDS: Mapping[ErrorType, _Reported] = {
    ErrorType.INVALID_REQUEST: _Reported(None, INVALID, None, "invalid_prompt"),
    ErrorType.CONTEXT_OVERFLOW: _Reported(400, INVALID, "context_length_exceeded", "context_length_exceeded"),
    ErrorType.AUTHENTICATION: _Reported(401, INVALID, "invalid_api_key", "invalid_prompt"),
    ErrorType.BILLING: _Reported(429, "insufficient_quota", "insufficient_quota", "insufficient_quota"),
    ErrorType.PERMISSION: _Reported(403, "permission_error", None, "invalid_prompt"),
    ErrorType.NOT_FOUND: _Reported(404, INVALID, None, "invalid_prompt"),
    ErrorType.MODEL_NOT_FOUND: _Reported(404, INVALID, "model_not_found", "invalid_prompt"),
    ErrorType.TIMEOUT: _Reported(504, "server_error", "timeout", "server_error"),
    ErrorType.CONFLICT: _Reported(409, INVALID, None, "server_error"),
    ErrorType.TOO_LARGE: _Reported(413, INVALID, "request_too_large", "invalid_prompt"),
    ErrorType.RATE_LIMIT: _Reported(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_exceeded"),
    ErrorType.QUOTA: _Reported(429, "insufficient_quota", "insufficient_quota", "insufficient_quota"),
    ErrorType.SERVER: _Reported(None, "server_error", None, "server_error"),
    ErrorType.OVERLOADED: _Reported(503, "server_error", "server_is_overloaded", "server_is_overloaded"),
}
"""Codex retries after `server_error`, `rate_limit_exceeded` and unknown codes, and stops at the others."""

_FALLBACK_STATUS: Mapping[ErrorType, int] = {ErrorType.INVALID_REQUEST: 400, ErrorType.SERVER: 502}


def encode_error(error: WireError) -> tuple[int, bytes]:
    """Status and body for the client."""
    reported = _WORDS[error.type]
    status = reported.status or (error.status if error.status >= 400 else _FALLBACK_STATUS[error.type])
    body = {
        "message": error.message,
        "type": reported.type,
        "param": error.param or None,
        "code": reported.code or error.code or None,
    }
    return status, msgspec.json.encode({"error": body})


def failure(error: WireError) -> dict[str, Any]:
    """The `error` of a failed response; its code decides whether Codex tries again."""
    return {"code": _WORDS[error.type].failed, "message": _with_hint(error)}


def _with_hint(error: WireError) -> str:
    """Codex waits as long as a rate limit's message says."""
    if error.type is not ErrorType.RATE_LIMIT or error.retry_after is None or "try again in" in error.message:
        return error.message
    return f"{error.message} Please try again in {error.retry_after:g}s.".lstrip()

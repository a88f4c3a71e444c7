"""Report every type of error in each client protocol: one table of statuses, types and codes.

https://platform.claude.com/docs/en/api/errors
https://platform.openai.com/docs/guides/error-codes
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from switchyard.protocols import sse
from switchyard.protocols.errors.images import image_sentence
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.wire import Json

BAD_GATEWAY = 502
INTERNAL = 500

INVALID = "invalid_request_error"
PROMPT = "invalid_prompt"
QUOTA = "insufficient_quota"
SERVER = "server_error"
OVERFLOW = "context_length_exceeded"
RATE = "rate_limit_exceeded"
OVERLOADED = "server_is_overloaded"


class Row(NamedTuple):
    """How one protocol reports one type.

    `keeps_status`: with the upstream's own status, if that is of the same hundred. `code`: without one the upstream's
    own. `stream_code`: in `response.failed`, where it decides whether Codex retries.
    """

    status: int
    type: str
    code: str = ""
    stream_code: str = ""
    keeps_status: bool = False


class Rows(NamedTuple):
    messages: Row
    chat: Row
    responses: Row


def _rows(messages: Row, status: int, type: str, code: str = "", stream_code: str = PROMPT) -> Rows:
    """Chat and Responses report most types alike."""
    return Rows(messages, Row(status, type, code), Row(status, type, code, stream_code))


TABLE: Mapping[ErrorType, Rows] = {
    ErrorType.INVALID_REQUEST: Rows(
        Row(400, INVALID),
        Row(400, INVALID, keeps_status=True),
        Row(400, INVALID, stream_code=PROMPT, keeps_status=True),
    ),
    ErrorType.CONTEXT_OVERFLOW: _rows(Row(400, INVALID), 400, INVALID, OVERFLOW, OVERFLOW),
    ErrorType.AUTHENTICATION: _rows(Row(401, "authentication_error"), 401, INVALID, "invalid_api_key"),
    ErrorType.BILLING: _rows(Row(402, "billing_error"), 429, QUOTA, QUOTA, QUOTA),
    ErrorType.PERMISSION: _rows(Row(403, "permission_error"), 403, "permission_error"),
    ErrorType.NOT_FOUND: _rows(Row(404, "not_found_error"), 404, INVALID),
    ErrorType.MODEL_NOT_FOUND: _rows(Row(404, "not_found_error"), 404, INVALID, "model_not_found"),
    ErrorType.TIMEOUT: _rows(Row(504, "timeout_error"), 504, SERVER, "timeout", SERVER),
    ErrorType.CONFLICT: _rows(Row(409, "conflict_error"), 409, INVALID, stream_code=SERVER),
    ErrorType.TOO_LARGE: _rows(Row(413, "request_too_large"), 413, INVALID, "request_too_large"),
    ErrorType.RATE_LIMIT: Rows(
        Row(429, "rate_limit_error"),
        Row(429, "requests", RATE),
        Row(429, "rate_limit_error", RATE, RATE),
    ),
    ErrorType.QUOTA: _rows(Row(429, "rate_limit_error"), 429, QUOTA, QUOTA, QUOTA),
    ErrorType.SERVER: Rows(
        Row(BAD_GATEWAY, "api_error", keeps_status=True),
        Row(BAD_GATEWAY, SERVER, keeps_status=True),
        Row(BAD_GATEWAY, SERVER, stream_code=SERVER, keeps_status=True),
    ),
    ErrorType.OVERLOADED: _rows(Row(529, "overloaded_error"), 503, SERVER, OVERLOADED, OVERLOADED),
}
"""Claude Code decides by the type, whatever the status. Codex retries after the stream codes `server_error`,
`rate_limit_exceeded` and unknown ones, and stops at the others."""

FINAL_CODES = frozenset(
    """
    cyber_policy bio_policy misalignment_policy_violation content_policy_violation inference_hook_denied
    access_program_not_enabled invalid_audio
    """.split()
)
"""Codes of refused requests that Codex explains, and does not repeat either."""


THREAD_NOT_FOUND = "thread_not_found"
"""The code by which Anthropic's SDKs learn that they must send the whole conversation."""


def encode_error(protocol: ProtocolName, error: WireError) -> tuple[int, bytes]:
    row = _row(protocol, error)
    keeps = row.keeps_status and error.status // 100 == row.status // 100
    return error.status if keeps else row.status, msgspec.json.encode(_body(protocol, row, error))


def error_record(protocol: ProtocolName, error: WireError, opening: bytes = b"") -> bytes:
    """The last record of a broken stream of Messages or Chat, whatever its `opening`.

    No `[DONE]` follows, which would mean a whole answer.
    """
    return sse.encode(encode_error(protocol, error)[1], "error" if protocol == "messages" else "")


def failure(error: WireError) -> Json:
    """The `error` of a failed response."""
    keeps = error.type is ErrorType.INVALID_REQUEST and error.code in FINAL_CODES
    code = error.code if keeps else _row("responses", error).stream_code
    return {"code": code, "message": _with_hint(error)}


def broken_answer(message: str) -> WireError:
    """The error of an answer that was cut off, or is none."""
    return WireError(ErrorType.SERVER, message, BAD_GATEWAY)


def context_sentence(error: WireError) -> str:
    """A context overflow in the words by which Anthropic's clients know to compact."""
    if error.tokens and error.limit:
        return f"prompt is too long: {error.tokens} tokens > {error.limit} maximum"
    return error.message if "prompt is too long" in error.message else f"prompt is too long: {error.message}"


def usual_status(type: ErrorType) -> int:
    """Of an error that came without one: in a stream, or in a body of status 200."""
    return INTERNAL if type is ErrorType.SERVER else TABLE[type].messages.status


def _row(protocol: ProtocolName, error: WireError) -> Row:
    row: Row = getattr(TABLE[error.type], protocol)
    return row


def _body(protocol: ProtocolName, row: Row, error: WireError) -> Json:
    if protocol == "messages":
        overflow = error.type is ErrorType.CONTEXT_OVERFLOW
        message = context_sentence(error) if overflow else image_sentence(error)
        details = {"details": {"error_code": error.code}} if error.code == THREAD_NOT_FOUND else {}
        return {"type": "error", "error": {"type": row.type, "message": message, **details}}
    code = row.code or error.code or None
    return {"error": {"message": error.message, "type": row.type, "param": error.param or None, "code": code}}


def _with_hint(error: WireError) -> str:
    """Codex waits as long as the message of a rate limit states."""
    if error.type is not ErrorType.RATE_LIMIT or error.retry_after is None or "try again in" in error.message:
        return error.message
    return f"{error.message} Please try again in {error.retry_after:g}s.".lstrip()

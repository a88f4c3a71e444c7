"""Report a final error to each program in the form that makes it do what helps: end the turn, or come back later.

`docs/client-behavior.md` has the measurements that the tables rely on.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.table import encode_error, usual_status
from switchyard.protocols.neutral import ErrorType, WireError

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
NO_RETRY = ("x-should-retry", "false")
SOON_SECONDS = 60.0
"""A recovery within this time is worth the client's own wait."""


class Form(StrEnum):
    ERROR = "error"
    """An error status, or the protocol's error event where the stream has begun."""
    FAILED = "response.failed"
    """The failed response of a stream; an error status where no stream is wanted."""
    CUT = "cut"
    """The connection is closed without an end of the answer."""


class Situation(StrEnum):
    """What decides instead of the error's type."""

    RECOVERS_SOON = "recovers_soon"
    """The next try is possible soon, and the time for holding the request is used up."""
    SHUTTING_DOWN = "shutting_down"
    """Switchyard ends while nothing of the answer has been sent."""


Cause = ErrorType | Situation


class Ending(msgspec.Struct, frozen=True):
    """How one program gets one cause. None: the upstream's own status, the cause's own type."""

    form: Form
    why: str
    status: int | None = None
    type: ErrorType | None = None
    stream_type: ErrorType | None = None
    """the type where the stream has begun, if it is another one"""
    stops_retries: bool = False
    """with `x-should-retry: false`"""
    hints: bool = False
    """with `retry-after` where the recovery is known"""


class Reply(msgspec.Struct, frozen=True):
    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


# --- Claude Code ---------------------------------------------------------------


def _stop(
    type: ErrorType, why: str, *, status: int | None = None, stream_type: ErrorType = ErrorType.SERVER
) -> Ending:
    return Ending(Form.ERROR, why, status or usual_status(type), type, stream_type, stops_retries=True)


_KEY = _stop(
    ErrorType.PERMISSION, "401 would be repeated for minutes; 403 ends the turn and shows the message"
)
_CREDIT = _stop(
    ErrorType.BILLING, "429 would be repeated for minutes; 402 ends the turn and shows the message"
)
_SERVICE = _stop(
    ErrorType.SERVER, "ends the turn and shows the message; `overloaded_error` would be repeated", status=503
)
_OF_REQUEST: Mapping[ErrorType, str] = {
    ErrorType.INVALID_REQUEST: "repeats the request without features that the service may have rejected",
    ErrorType.CONTEXT_OVERFLOW: "`prompt is too long` makes it compact the conversation",
    ErrorType.TOO_LARGE: "ends the turn and advises you to send less",
}

CLAUDE_CODE: Mapping[Cause, Ending] = {
    **dict.fromkeys(ErrorType, _SERVICE),
    **{type: _stop(type, why, stream_type=type) for type, why in _OF_REQUEST.items()},
    ErrorType.MODEL_NOT_FOUND: _stop(
        ErrorType.MODEL_NOT_FOUND, "tries once more, then offers to pick another model"
    ),
    **dict.fromkeys((ErrorType.AUTHENTICATION, ErrorType.PERMISSION), _KEY),
    **dict.fromkeys((ErrorType.BILLING, ErrorType.QUOTA), _CREDIT),
    Situation.RECOVERS_SOON: Ending(Form.CUT, "repeats the request, with pauses that grow to half a minute"),
    Situation.SHUTTING_DOWN: Ending(Form.CUT, "repeats the request, which then reaches the restarted daemon"),
}

# --- Codex ---------------------------------------------------------------------

_FAILED = Ending(
    Form.FAILED,
    "`invalid_prompt` ends the turn and shows the message; other codes hide the message or are repeated",
    400,
    ErrorType.INVALID_REQUEST,
)

CODEX: Mapping[Cause, Ending] = {
    **dict.fromkeys(ErrorType, _FAILED),
    ErrorType.CONTEXT_OVERFLOW: Ending(
        Form.FAILED,
        "`context_length_exceeded` ends the turn and advises you to start a new conversation",
        400,
        ErrorType.CONTEXT_OVERFLOW,
    ),
    Situation.RECOVERS_SOON: Ending(
        Form.FAILED,
        "`rate_limit_exceeded` makes it wait for exactly the time in the message",
        429,
        ErrorType.RATE_LIMIT,
        hints=True,
    ),
    Situation.SHUTTING_DOWN: Ending(Form.CUT, "repeats the stream and waits until a daemon listens again"),
}

CLIENT_KEY = Ending(
    Form.ERROR,
    "renews its login, or ends the turn and shows the message",
    usual_status(ErrorType.AUTHENTICATION),
    ErrorType.AUTHENTICATION,
    stops_retries=True,
)
"""Claude Code and Codex: the key that the upstream refused is their own."""

# --- every other program -------------------------------------------------------

_AS_IT_IS = Ending(Form.ERROR, "programs have their own rules for each status", hints=True)

OTHER: Mapping[Cause, Ending] = dict.fromkeys((*ErrorType, *Situation), _AS_IT_IS)

ENDINGS: Mapping[ClientProgram, Mapping[Cause, Ending]] = {
    ClientProgram.CLAUDE_CODE: CLAUDE_CODE,
    ClientProgram.CODEX: CODEX,
    ClientProgram.OTHER: OTHER,
}


def cause_of(error: WireError, recovery_seconds: float | None, *, hold_used_up: bool) -> Cause:
    """What decides about the form. A client is sent to wait only when Switchyard can wait no longer itself."""
    if hold_used_up and recovery_seconds is not None and recovery_seconds <= SOON_SECONDS:
        return Situation.RECOVERS_SOON
    return error.type


def reply(
    codec: Codec, error: WireError, ending: Ending, *, stream: bool, recovery_seconds: float | None = None
) -> Reply:
    """The answer to a request of which nothing was answered yet; not for an ending by a cut."""
    shown = _shown(error, ending.type, recovery_seconds)
    if ending.form is Form.FAILED and stream:
        return Reply(200, SSE, (), codec.encode_break(shown, b""))
    status, body = encode_error(codec.protocol, shown)
    status = ending.status or (error.status if 400 <= error.status < 600 else status)
    headers = [NO_RETRY] if ending.stops_retries else []
    if ending.hints and recovery_seconds is not None:
        headers.append(("retry-after", _whole_seconds(recovery_seconds)))
    return Reply(status, JSON, tuple(headers), body)


def error_in_stream(error: WireError, ending: Ending, recovery_seconds: float | None = None) -> WireError:
    """What the last event of a stream that has begun reports; not for an ending by a cut."""
    return _shown(error, ending.stream_type or ending.type, recovery_seconds)


def _shown(error: WireError, type: ErrorType | None, recovery_seconds: float | None) -> WireError:
    shown = replace(error, type=type or error.type)
    if type is not ErrorType.RATE_LIMIT or recovery_seconds is None:
        return shown
    # first, because Codex obeys the first of several times
    hint = f"Please try again in {_whole_seconds(recovery_seconds)}s."
    return replace(shown, message=f"{hint} {error.message}")


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))

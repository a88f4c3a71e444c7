"""The error that ends a matter: told so that the client's program shows it and does not ask again.

What makes the programs ask again was measured: Claude Code goes by the error's type (an overload is tried three
times, an unknown model twice, a server error with `x-should-retry: false` once); Codex repeats every error status
but 400 and a 429 without `retry-after`, and shows the message of a failed response with a terminal code.
"""

import msgspec
from msgspec.structs import replace

from switchyard.protocols.codec import Codec
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
NO_RETRY = ("x-should-retry", "false")

CALM_TYPES: dict[ProtocolName, dict[ErrorType, ErrorType]] = {
    "messages": {
        ErrorType.OVERLOADED: ErrorType.SERVER,
        ErrorType.TIMEOUT: ErrorType.SERVER,
        ErrorType.NOT_FOUND: ErrorType.INVALID_REQUEST,
        ErrorType.MODEL_NOT_FOUND: ErrorType.INVALID_REQUEST,
    },
    "chat": {},
    "responses": {},
}
"""What a type is told as, where the type itself would bring the request back."""
TERMINAL_CODE = "invalid_prompt"
CODES_OF_THEIR_OWN = frozenset({ErrorType.CONTEXT_OVERFLOW, ErrorType.QUOTA})


class LastWord(msgspec.Struct, frozen=True):
    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def last_word(codec: Codec, error: WireError, *, stream: bool, headers: dict[str, str]) -> LastWord:
    """The answer for a client whose request nobody could serve; `headers` are the request's."""
    if codec.protocol == "responses" and stream and is_codex(headers):
        return LastWord(200, SSE, (), codec.encode_break(calmed_break(codec, error), b""))
    calm = CALM_TYPES[codec.protocol].get(error.type, error.type)
    told = replace(error, type=calm)
    if calm is ErrorType.INVALID_REQUEST:
        told = replace(told, status=400)
    status, body = codec.encode_error(told)
    return LastWord(status, JSON, (NO_RETRY,), body)


def calmed_break(codec: Codec, error: WireError) -> WireError:
    """The same for a stream that has begun: a type, or a code, that ends the matter."""
    if codec.protocol != "responses":
        return replace(error, type=CALM_TYPES[codec.protocol].get(error.type, error.type))
    if error.type in CODES_OF_THEIR_OWN:
        return error
    return replace(error, code=TERMINAL_CODE, type=ErrorType.INVALID_REQUEST)


def is_codex(headers: dict[str, str]) -> bool:
    return "originator" in headers or headers.get("user-agent", "").lower().startswith("codex")

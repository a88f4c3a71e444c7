"""Read the errors of upstreams, whatever their shape, and say what went wrong in words of no protocol."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols.excess import (
    OUTPUT_BUDGET,
    OVERFLOW,
    output_limit,
    overflow_numbers,
    shared_window,
)
from switchyard.protocols.neutral import ErrorType, WireError

MAX_MESSAGE_LENGTH = 2000
MAX_READ_LENGTH = 8000
"""so much of a message, or of a page that stands for one, is looked at: patterns take their time over more"""
MAX_CODE_LENGTH = 100
MAX_DIGITS = 15
MAX_RETRY_SECONDS = 7 * 86400.0

STATUS_TYPES: Mapping[int, ErrorType] = {
    400: ErrorType.INVALID_REQUEST,
    401: ErrorType.AUTHENTICATION,
    402: ErrorType.BILLING,
    403: ErrorType.PERMISSION,
    404: ErrorType.NOT_FOUND,
    408: ErrorType.TIMEOUT,
    409: ErrorType.CONFLICT,
    413: ErrorType.TOO_LARGE,
    422: ErrorType.INVALID_REQUEST,
    429: ErrorType.RATE_LIMIT,
    503: ErrorType.OVERLOADED,
    504: ErrorType.TIMEOUT,
    524: ErrorType.TIMEOUT,
    529: ErrorType.OVERLOADED,
}
TYPE_STATUSES: Mapping[ErrorType, int] = {
    ErrorType.INVALID_REQUEST: 400,
    ErrorType.CONTEXT_OVERFLOW: 400,
    ErrorType.AUTHENTICATION: 401,
    ErrorType.BILLING: 402,
    ErrorType.PERMISSION: 403,
    ErrorType.NOT_FOUND: 404,
    ErrorType.MODEL_NOT_FOUND: 404,
    ErrorType.TIMEOUT: 504,
    ErrorType.CONFLICT: 409,
    ErrorType.TOO_LARGE: 413,
    ErrorType.RATE_LIMIT: 429,
    ErrorType.QUOTA: 429,
    ErrorType.SERVER: 500,
    ErrorType.OVERLOADED: 529,
}
"""The status of an error that came without one: in a stream, or in a body of status 200."""

NAMES: Mapping[ErrorType, str] = {
    ErrorType.INVALID_REQUEST: """
        invalid_request_error invalid_request bad_request badrequesterror invalid_argument invalid_prompt
        unsupported_parameter unsupported_value invalid_value 40001 40302 2013""",
    ErrorType.CONTEXT_OVERFLOW: """
        context_length_exceeded context_length_exceeded_error context_window_exceeded
        model_context_window_exceeded exceed_context_size_error 40303 1039 1261""",
    ErrorType.AUTHENTICATION: """
        authentication_error invalid_authentication_error invalid_api_key unauthorized unauthenticated
        40101 40102 1004 2049""",
    ErrorType.BILLING: """
        billing_error insufficient_balance insufficient_user_quota payment_required
        billing_hard_limit_reached exceeded_current_quota_error 1008""",
    ErrorType.PERMISSION: "permission_error permission_denied permission_denied_error forbidden 40103",
    ErrorType.NOT_FOUND: "not_found_error not_found notfounderror",
    ErrorType.MODEL_NOT_FOUND: "model_not_found model_not_found_error resource_not_found_error 40301",
    ErrorType.TIMEOUT: "timeout_error timeout request_timeout deadline_exceeded 1001 50006",
    ErrorType.CONFLICT: "conflict_error conflict",
    ErrorType.TOO_LARGE: "request_too_large payload_too_large",
    ErrorType.RATE_LIMIT: """
        rate_limit_error rate_limit_exceeded rate_limit_reached_error ratelimiterror too_many_requests
        resource_exhausted requests tokens 42901 1002""",
    ErrorType.QUOTA: "insufficient_quota quota_exceeded usage_limit_reached usage_not_included 42902 2056",
    ErrorType.SERVER: """
        api_error server_error internal_error internal_server_error internalservererror internal
        1000 1013 50001 50002 50003 50004 50005""",
    ErrorType.OVERLOADED: """
        overloaded_error overloaded server_overloaded server_is_overloaded engine_overloaded_error slow_down
        unavailable service_unavailable service_unavailable_error 42903""",
}
"""Types, codes and states as upstreams spell them; the numbers are FastChat's (five digits), MiniMax's and Zhipu's."""
NAMED_TYPES = {name: type for type, names in NAMES.items() for name in names.split()}
VAGUE_TYPES = {ErrorType.INVALID_REQUEST, ErrorType.SERVER, ErrorType.NOT_FOUND}
"""Names so general that a status says more."""

EXHAUSTED = re.compile(
    r"(?i)insufficient[_ ](?:quota|balance|credits?|funds)|exceeded your current quota"
    r"|quota (?:is |has been )?(?:exceeded|exhausted)|out of (?:credits?|quota)|credit balance is too low"
    r"|usage limit|billing hard limit|monthly (?:spend|usage|limit)|not enough (?:credits?|balance)"
    r"|requires more credits|余额不足|额度|欠费"
)
UNKNOWN_MODEL = re.compile(
    r"(?i)model\b[^.,;]{0,100}?(?:not found|does ?n[o']t exist|not exist|not available|is unknown)"
    r"|(?:unknown|invalid|no such|unsupported) model\b|not a valid model|no available channel for model"
    r"|^model: \S+$|模型不存在"
)
OVERLOAD = re.compile(
    r"(?i)\boverloaded\b|over capacity|at capacity|server (?:is )?busy|no available channel"
)
BAD_KEY = re.compile(
    r"(?i)(?:invalid|incorrect|missing|expired)[a-z ]{0,20} (?:api[ -]?key|x-api-key|token|credential)"
)
RETRY_HINT = re.compile(
    r"(?i)(?:try again|retry)[a-z ]{0,12} in (\d{1,12}(?:\.\d{1,12})?) ?(ms|s|seconds?|m|minutes?)\b"
)
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}

KEYS = (
    (
        re.compile(r"\b(?:sk|pk|xai|gsk|nvapi|hf|r8|AIza)[-_][A-Za-z0-9_*.\-]{6,}|\bAIza[A-Za-z0-9_-]{20,}"),
        "[key]",
    ),
    (re.compile(r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{8,}"), r"\1 [key]"),
    (
        re.compile(r"(?i)\b(api[_-]?key|token|secret)([\"']?\s*[:=]\s*[\"']?)[A-Za-z0-9._-]{12,}"),
        r"\1\2[key]",
    ),
)
TAGS = re.compile(r"(?s)<(script|style)\b.*?</\1>|<!--.*?-->|<[^<>]*>")
TITLE = re.compile(r"(?is)<title[^<>]*>(.*?)</title>")

REPLY_FIELDS = ("choices", "content", "output", "delta", "response", "role", "item", "part", "data")
"""A body with one of these is a reply, whatever else it says."""


class _Told(msgspec.Struct, frozen=True):
    """What an error body says, not yet judged. `names` are its codes and types."""

    message: str
    names: tuple[str, ...] = ()
    code: str = ""
    param: str = ""
    status: int = 0
    tokens: int | None = None
    limit: int | None = None


def read_error(status: int, body: bytes) -> WireError:
    """The error of a reply that failed, of whatever form: JSON, HTML, plain text, nothing."""
    parsed = _parsed(body)
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    told = (
        (_told(parsed) or _Told(_fallback_message(parsed)))
        if isinstance(parsed, dict)
        else _Told(_plain_text(body))
    )
    if not told.message:
        told = replace(told, message=_status_message(status))
    return _judged(told, status)


def read_embedded_error(data: dict[str, Any]) -> WireError | None:
    """The error inside a body of status 200 or a stream record, or None if that is a regular one."""
    if data.get("type") == "response.failed" and isinstance(data.get("response"), dict):
        told = _told(data["response"]) or _Told("the response failed")
    else:
        regular = not data.get("error") and any(data.get(field) is not None for field in REPLY_FIELDS)
        found = None if regular else _told(data)
        if found is None:
            return None
        told = found
    return _judged(told, told.status if told.status >= 400 else 0)


def context_sentence(error: WireError) -> str:
    """A context overflow in the words by which Anthropic's clients know to compact."""
    if error.tokens and error.limit:
        return f"prompt is too long: {error.tokens} tokens > {error.limit} maximum"
    return error.message if "prompt is too long" in error.message else f"prompt is too long: {error.message}"


# --- shapes -------------------------------------------------------------------


def _told(body: dict[str, Any]) -> _Told | None:
    """The first shape that fits; None if the body tells no error."""
    error = body.get("error")
    if isinstance(error, dict) and error:
        return _told_object(error)
    if isinstance(error, str) and error:
        return _told_text(error, body)
    base = body.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return _Told(
            _text(base.get("status_msg")), _names(base.get("status_code")), _text(base.get("status_code"))
        )
    if body.get("error_code"):
        return _Told(_text(body.get("text")), _names(body["error_code"]), _text(body["error_code"]))
    if isinstance(body.get("detail"), str | list | dict) and body["detail"]:
        return _told_detail(body["detail"])
    if body.get("type") == "error" or body.get("object") == "error" or isinstance(body.get("message"), str):
        return _told_object(body)
    if isinstance(body.get("msg"), str) and body.get("code") not in (0, 200, None):
        return _told_object({**body, "message": body["msg"]})
    if isinstance(body.get("errors"), list) and body["errors"]:
        first = body["errors"][0]
        return _told_object(first) if isinstance(first, dict) else _Told(_text(first))
    return None


def _told_object(error: Mapping[str, Any]) -> _Told:
    """`{message, type, code, param}`, with Google's `status` and what OpenRouter and llama.cpp add."""
    code = error.get("code")
    status = _number(code) or _number(error.get("status")) or _number(error.get("http_code")) or 0
    message = _text(error.get("message")) or _text(error.get("detail")) or _text(error.get("msg"))
    metadata = error.get("metadata")
    raw = _text(metadata.get("raw")) if isinstance(metadata, Mapping) else ""
    names = _names(code, error.get("type"), error.get("status"))
    return _Told(
        message=f"{message}: {raw}" if raw and raw != message else message,
        names=names,
        code="" if code is None else _text(code),
        param=_text(error.get("param")),
        status=status if 400 <= status < 600 else 0,
        tokens=_number(error.get("n_prompt_tokens")),
        limit=_number(error.get("n_ctx")),
    )


def _told_text(error: str, body: Mapping[str, Any]) -> _Told:
    """`{"error": "text"}`, where some put a type or a message beside it."""
    message = _text(body.get("message")) or _text(body.get("error_description"))
    nested = _parsed(error.encode("utf-8", "replace")) if error.lstrip().startswith("{") else None
    if isinstance(nested, dict) and (inner := _told(nested)):
        return inner
    return _Told(
        message or error,
        _names(body.get("code"), body.get("error_type"), body.get("type"), error),
        _text(body.get("code")),
    )


def _told_detail(detail: Any) -> _Told:
    """FastAPI's `detail`: a text, an object, or a list of refused fields."""
    if isinstance(detail, dict):
        return _told(detail) or _told_object(detail)
    if isinstance(detail, str):
        return _Told(detail)
    problems = [problem for problem in detail if isinstance(problem, dict)]
    places = [_place(problem) for problem in problems]
    told = "; ".join(f"{place}: {_text(p.get('msg'))}" for place, p in zip(places, problems, strict=True))
    return _Told(told or "; ".join(map(str, detail)), param=places[0] if places else "")


def _place(problem: Mapping[str, Any]) -> str:
    location = problem.get("loc")
    steps = location if isinstance(location, list) else []
    return ".".join(str(step) for step in steps if step != "body")


def _plain_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()[:MAX_READ_LENGTH]
    if "<" not in text[:200]:
        return text
    title = TITLE.search(text)
    return " ".join(TAGS.sub(" ", title.group(1) if title else text).split())


def _fallback_message(body: Mapping[str, Any]) -> str:
    return msgspec.json.encode(body).decode() if body else ""


def _status_message(status: int) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    return f"the upstream answered {status}{phrase} and did not say why"


# --- judgement ----------------------------------------------------------------


def _judged(told: _Told, status: int) -> WireError:
    told = replace(told, message=told.message[:MAX_READ_LENGTH], code=told.code[:MAX_CODE_LENGTH])
    type = _type(told, status)
    error = WireError(
        type=type,
        message=_presentable(told.message),
        status=status if status >= 400 else TYPE_STATUSES[type],
        code=told.code,
        param=told.param,
        retry_after=_retry_after(told.message)
        if type in (ErrorType.RATE_LIMIT, ErrorType.OVERLOADED)
        else None,
    )
    return _with_numbers(error, told)


def _with_numbers(error: WireError, told: _Told) -> WireError:
    """How many tokens were too many. A prompt that leaves room for a shorter answer is not itself too long."""
    if error.type not in (ErrorType.CONTEXT_OVERFLOW, ErrorType.INVALID_REQUEST):
        return error
    shared = shared_window(told.message)
    if shared is not None and shared.leaves_room:
        invalid = replace(error, type=ErrorType.INVALID_REQUEST, param="max_tokens")
        return replace(invalid, tokens=shared.prompt, limit=shared.window)
    if shared is not None:
        overflow = replace(error, type=ErrorType.CONTEXT_OVERFLOW)
        return replace(overflow, tokens=shared.prompt + shared.answer, limit=shared.window)
    if error.type is ErrorType.CONTEXT_OVERFLOW:
        tokens, limit = _overflow_numbers(told)
        return replace(error, tokens=tokens, limit=limit)
    if OUTPUT_BUDGET.search(told.message):
        return replace(error, param=told.param or "max_tokens", limit=output_limit(told.message))
    return error


def _type(told: _Told, status: int) -> ErrorType:
    """The named type if it is a telling one, then the text, then the status, then a vague name."""
    named = [NAMED_TYPES[name] for name in told.names if name in NAMED_TYPES]
    telling = next((type for type in named if type not in VAGUE_TYPES), None)
    if telling is ErrorType.CONTEXT_OVERFLOW:
        return telling
    vague = named[0] if named else None
    known = telling or STATUS_TYPES.get(status) or vague or _type_of_range(status)
    return _refined(known, told.message, status)


def _type_of_range(status: int) -> ErrorType:
    return ErrorType.INVALID_REQUEST if 400 <= status < 500 else ErrorType.SERVER


def _refined(type: ErrorType, message: str, status: int) -> ErrorType:
    """What the text adds to a type: the distinctions that many upstreams make only there."""
    match type:
        case ErrorType.INVALID_REQUEST | ErrorType.TOO_LARGE | ErrorType.SERVER | ErrorType.NOT_FOUND:
            if OUTPUT_BUDGET.search(message) and type is ErrorType.INVALID_REQUEST:
                return type
            for pattern, refined in TEXT_TYPES:
                if pattern.search(message):
                    return refined
        case ErrorType.RATE_LIMIT if EXHAUSTED.search(message) and not RETRY_HINT.search(message):
            return ErrorType.QUOTA
        case ErrorType.PERMISSION if EXHAUSTED.search(message):
            return ErrorType.BILLING
        case ErrorType.BILLING if status == 429:
            return ErrorType.QUOTA
    return type


TEXT_TYPES: tuple[tuple[re.Pattern[str], ErrorType], ...] = (
    (OVERFLOW, ErrorType.CONTEXT_OVERFLOW),
    (UNKNOWN_MODEL, ErrorType.MODEL_NOT_FOUND),
    (EXHAUSTED, ErrorType.BILLING),
    (BAD_KEY, ErrorType.AUTHENTICATION),
    (OVERLOAD, ErrorType.OVERLOADED),
)


def _overflow_numbers(told: _Told) -> tuple[int | None, int | None]:
    if told.tokens and told.limit:
        return told.tokens, told.limit
    tokens, limit = overflow_numbers(told.message)
    return tokens or told.tokens, limit or told.limit


def _retry_after(message: str) -> float | None:
    found = RETRY_HINT.search(message)
    if not found:
        return None
    unit = found.group(2).lower()
    return min(float(found.group(1)) * (SECONDS.get(unit) or SECONDS[unit[0]]), MAX_RETRY_SECONDS)


def _presentable(message: str) -> str:
    for key, replacement in KEYS:
        message = key.sub(replacement, message)
    return message[:MAX_MESSAGE_LENGTH]


# --- values -------------------------------------------------------------------


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _text(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case str():
            return value
        case dict() | list():
            return msgspec.json.encode(value).decode()
    return str(value)


def _names(*values: object) -> tuple[str, ...]:
    return tuple(_text(value).strip().lower().replace(" ", "_") for value in values if value is not None)


def _number(value: object) -> int | None:
    match value:
        case bool():
            return None
        case int():
            return value if abs(value) < 10**MAX_DIGITS else None
        case str() if value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
            return int(value)
    return None

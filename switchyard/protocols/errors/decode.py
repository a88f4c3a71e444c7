"""Decode the errors of upstreams, whatever their shape: what they report, and the numbers in it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols.errors.meaning import Report, quotes_request, type_of
from switchyard.protocols.errors.table import usual_status
from switchyard.protocols.errors.token_limits import (
    OUTPUT_BUDGET,
    output_limit,
    overflow_numbers,
    shared_window,
)
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.body import BodyHints, read_body
from switchyard.protocols.retry_hints.values import LONG_WINDOW_SECONDS
from switchyard.protocols.wire import json_text, parsed

NO_EXPLANATION = "the upstream reported an error without an explanation"
MAX_MESSAGE_LENGTH = 2000
MAX_READ_LENGTH = 8000
"""so much of a message, or of a page that stands for one, is looked at: patterns take their time over more"""
MAX_CODE_LENGTH = 100
MAX_DIGITS = 15
MAX_NESTED = 2
"""errors inside the text of an error"""

KEYS = tuple(
    (late(pattern), instead)
    for pattern, instead in (
        (
            r"\b(?:(?:sk|pk|xai|gsk|nvapi|hf|r8|AIza)[-_][A-Za-z0-9_*.\-]{6,}|AIza[A-Za-z0-9_-]{20,})[A-Za-z0-9_.+/=-]*",
            "[key]",
        ),
        (r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{8,}", r"\1 [key]"),
        (
            r"(?i)\b(api[_-]?key|token|secret)([\"']?\s*[:=]\s*[\"']?)[A-Za-z0-9._-]{12,}[A-Za-z0-9._+/=-]*",
            r"\1\2[key]",
        ),
    )
)
TAGS = late(r"(?s)<(script|style)\b.*?</\1>|<!--.*?-->|<[^<>]*>")
TITLE = late(r"(?is)<title[^<>]*>(.*?)</title>")
PHRASES = {int(status): f" {status.phrase}" for status in HTTPStatus}

REPLY_FIELDS = ("choices", "content", "output", "delta", "response", "role", "item", "part", "data")
"""A body with one of these is an answer, whatever else it contains."""
OWN_NAMES = ("message", "Message", "error_message", "error_msg", "errorMessage")
"""Where errors keep their words in a body that holds nothing else."""
MESSAGE_NAMES = (*OWN_NAMES, "msg", "text", "faultstring", "detail", "reason")


class _Reported(msgspec.Struct, frozen=True):
    """What an error body reports, not yet judged. `names` are its codes and types."""

    message: str
    names: tuple[str, ...] = ()
    code: str = ""
    param: str = ""
    status: int = 0
    tokens: int | None = None
    limit: int | None = None
    words: str = ""
    """what to judge by, where that is more than the message"""
    nested: tuple[object, ...] = ()
    """the bodies inside the message"""


def decode_error(status: int, body: bytes) -> WireError:
    """The error of a failed request, in whatever form: JSON, HTML, plain text, nothing."""
    document = parsed(body)
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict):
        reported = _reported(document) or _Reported(json_text(document) if document else "")
    else:
        reported = _Reported(_plain_text(body))
    if not reported.message.strip():
        phrase = PHRASES.get(status, "")
        unexplained = f"the upstream answered {status}{phrase} without a reason"
        reported = replace(reported, message=unexplained)
    return _judged(reported, status, document)


def decode_embedded_error(data: dict[str, Any]) -> WireError | None:
    """The error inside a body of status 200 or a stream record, or None if that is a regular one."""
    if data.get("type") == "response.failed" and isinstance(data.get("response"), dict):
        response = data["response"]
        reported = _reported(response) or _Reported("the response failed")
        return _judged(reported, reported.status, response.get("error"))
    regular = not data.get("error") and _is_answer(data)
    reported_here = None if regular else _reported(data)
    return None if reported_here is None else _judged(reported_here, reported_here.status, data)


def _is_answer(data: dict[str, Any]) -> bool:
    for field in REPLY_FIELDS:
        if data.get(field) is not None:
            return True
    return False


# --- shapes -------------------------------------------------------------------


def _reported(body: dict[str, Any]) -> _Reported | None:
    """The first shape that fits; None if the body reports no error."""
    error = body.get("error") or body.get("errors") or body.get("fault")
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict) and error:
        reported = _reported_object(error)
        return replace(reported, status=reported.status or _error_status(body.get("status_code")))
    if isinstance(error, str) and error:
        return _reported_text(error, body)
    base = body.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        code = _text(base.get("status_code"))
        return _Reported(_text(base.get("status_msg")), (f"minimax_{code}",), code)
    if body.get("error_code"):
        return _Reported(_message(body), _names(body["error_code"]), _text(body["error_code"]))
    if isinstance(body.get("detail"), str | list | dict) and body["detail"]:
        return _reported_detail(body["detail"])
    if "error" in (body.get("type"), body.get("object")) or any(
        isinstance(body.get(name), str) for name in OWN_NAMES
    ):
        return _reported_object(body)
    if isinstance(body.get("msg"), str) and body.get("code") not in (0, 200, None):
        return _reported_object(body)
    return None


def _message(error: Mapping[str, Any]) -> str:
    """The words of an error, wherever they stand, or those of an error inside."""
    found: object = next(filter(None, map(error.get, MESSAGE_NAMES)), None)
    inner = _reported(found) if isinstance(found, dict) else None
    return _text(found) if inner is None else inner.message


def _reported_object(error: Mapping[str, Any]) -> _Reported:
    """`{message, type, code, param}`, with Google's `status` and what OpenRouter and llama.cpp add."""
    code = error.get("code")
    statuses = (_error_status(error.get(name)) for name in ("code", "status", "http_code", "status_code"))
    message = _message(error)
    if not message and isinstance(error.get("error"), dict):
        return _reported_object(error["error"])
    metadata = error.get("metadata")
    raw = _text(metadata.get("raw") if isinstance(metadata, Mapping) else error.get("cause"))
    return _Reported(
        message=f"{message}: {raw}" if raw and raw != message else message,
        names=_names(code, error.get("type"), error.get("status")),
        code="" if code is None else _text(code),
        param=_text(error.get("param")),
        status=next(filter(None, statuses), 0),
        tokens=_number(error.get("n_prompt_tokens")),
        limit=_number(error.get("n_ctx")),
    )


def _reported_text(error: str, body: Mapping[str, Any]) -> _Reported:
    """`{"error": "text"}`, where some put a type or a message beside it."""
    message = _text(body.get("message")) or _text(body.get("error_description"))
    nested = parsed(error.encode("utf-8", "replace")) if error.lstrip().startswith("{") else None
    if isinstance(nested, dict) and (inner := _reported(nested)):
        return inner
    return _Reported(
        message or error,
        _names(body.get("code"), body.get("error_type"), body.get("type"), error),
        _text(body.get("code")),
    )


def _reported_detail(detail: Any) -> _Reported:
    """FastAPI's `detail`: a text, an object, or a list of refused fields."""
    if isinstance(detail, dict):
        return _reported(detail) or _reported_object(detail)
    if isinstance(detail, str):
        return _Reported(detail)
    problems = [problem for problem in detail if isinstance(problem, dict)]
    paths = [_path(problem) for problem in problems]
    reported = "; ".join(f"{path}: {_text(p.get('msg'))}" for path, p in zip(paths, problems, strict=True))
    return _Reported(reported or "; ".join(map(str, detail)), param=paths[0] if paths else "")


def _path(problem: Mapping[str, Any]) -> str:
    location = problem.get("loc")
    steps = location if isinstance(location, list) else []
    return ".".join(str(step) for step in steps if step != "body")


def _plain_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()[:MAX_READ_LENGTH]
    if "<" not in text[:200]:
        return text
    title = TITLE.search(text)
    return " ".join(TAGS.sub(" ", title.group(1) if title else text).split())


# --- judgement ----------------------------------------------------------------

ABOUT_REQUEST = {
    ErrorType.INVALID_REQUEST, ErrorType.CONTEXT_OVERFLOW, ErrorType.TOO_LARGE, ErrorType.NOT_FOUND,
    ErrorType.MODEL_NOT_FOUND,
}  # fmt: skip
"""No wait helps after these, whatever else the body contains."""


def _judged(reported: _Reported, status: int, body: object) -> WireError:
    reported = _with_nested(
        replace(reported, message=reported.message[:MAX_READ_LENGTH], code=reported.code[:MAX_CODE_LENGTH])
    )
    words = reported.words or reported.message
    hints = read_body((body, *reported.nested), words)
    wait = hints.reset if hints.pause is None else hints.pause
    type = type_of(Report(reported.names, words, reported.param, wait), status)
    error = WireError(
        type=type,
        message=_presentable(reported.message) if reported.message.strip() else _unexplained(reported.names),
        status=status if status >= 400 else usual_status(type),
        code=reported.code,
        param=reported.param,
    )
    return _with_numbers(error if type in ABOUT_REQUEST else _with_wait(error, hints), reported)


def _unexplained(names: tuple[str, ...]) -> str:
    known = ", ".join(dict.fromkeys(name for name in names if name not in ("", "error")))
    return f"{NO_EXPLANATION} ({known})" if known else NO_EXPLANATION


def is_unexplained(error: WireError) -> bool:
    return error.message.startswith(NO_EXPLANATION)


def _with_wait(error: WireError, hints: BodyHints) -> WireError:
    """The wait that the body asks for; a rate limit whose window ends late is a quota."""
    is_long = (hints.reset or 0) >= LONG_WINDOW_SECONDS
    if error.type is ErrorType.QUOTA or (error.type is ErrorType.RATE_LIMIT and is_long):
        wait = max(filter(None, (hints.pause, hints.reset)), default=None)
        return replace(error, type=ErrorType.QUOTA, retry_after=wait, resets_at=hints.resets_at)
    wait = hints.reset if hints.pause is None else hints.pause
    return replace(error, retry_after=wait, resets_at=hints.resets_at)


def _with_nested(reported: _Reported, depth: int = MAX_NESTED) -> _Reported:
    """Relays pass an error on as text: `upstream error: {"error": {...}}`. What is inside counts as well."""
    words = reported.words or reported.message
    begin, end = words.find('{"'), words.rfind("}") + 1
    if not depth or not 0 <= begin < end or quotes_request(words[:begin], reported.param):
        return reported
    document = parsed(words[begin:end].encode("utf-8", "replace"))
    inner = _reported(document) if isinstance(document, dict) else None
    if inner is None:
        return reported
    joined = f"{words[:begin]} {inner.message} {words[end:]}".strip()
    found = replace(
        reported,
        names=reported.names + inner.names,
        words=joined,
        param=reported.param or inner.param,
        nested=(*reported.nested, document),
    )
    return _with_nested(found, depth - 1)


def _with_numbers(error: WireError, reported: _Reported) -> WireError:
    """How many tokens were too many. A prompt that leaves room for a shorter answer is not itself too long."""
    if error.type not in (ErrorType.CONTEXT_OVERFLOW, ErrorType.INVALID_REQUEST):
        return error
    shared = shared_window(reported.message)
    if shared is not None and shared.leaves_enough:
        invalid = replace(error, type=ErrorType.INVALID_REQUEST, param="max_tokens")
        return replace(invalid, tokens=shared.prompt, limit=shared.window)
    if shared is not None:
        overflow = replace(error, type=ErrorType.CONTEXT_OVERFLOW)
        return replace(overflow, tokens=shared.prompt + shared.answer, limit=shared.window)
    if error.type is ErrorType.CONTEXT_OVERFLOW:
        tokens, limit = _overflow_numbers(reported)
        return replace(error, tokens=tokens, limit=limit)
    if OUTPUT_BUDGET.search(reported.message):
        return replace(error, param=reported.param or "max_tokens", limit=output_limit(reported.message))
    return error


def _overflow_numbers(reported: _Reported) -> tuple[int | None, int | None]:
    if reported.tokens and reported.limit:
        return reported.tokens, reported.limit
    tokens, limit = overflow_numbers(reported.message)
    return tokens or reported.tokens, limit or reported.limit


def _presentable(message: str) -> str:
    for key, replacement in KEYS:
        message = key.sub(replacement, message)
    return message[:MAX_MESSAGE_LENGTH]


# --- values -------------------------------------------------------------------


def _text(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case str():
            return value
        case dict() | list():
            return json_text(value)
    return str(value)


def _names(*values: object) -> tuple[str, ...]:
    return tuple(_text(value).strip().lower().replace(" ", "_") for value in values if value is not None)


def _error_status(value: object) -> int:
    """The status of an error; 0 for any other number."""
    number = _number(value) or 0
    return number if 400 <= number < 600 else 0


def _number(value: object) -> int | None:
    match value:
        case bool():
            return None
        case int():
            return value if abs(value) < 10**MAX_DIGITS else None
        case str() if value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
            return int(value)
    return None

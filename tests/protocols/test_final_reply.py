"""How each program gets each final error: the forms of `docs/client-behavior.md`."""

import json
from typing import Any

import pytest

from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.final_reply import (
    ENDINGS,
    Cause,
    Form,
    Reply,
    Situation,
    cause_of,
    error_in_stream,
    reply,
)
from switchyard.protocols.errors.table import FINAL_CODES, encode_error, usual_status
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError

CLAUDE_CODE, CODEX, OTHER = ClientProgram
CLAUDE_STATUSES: dict[ErrorType, tuple[int, str]] = {
    **dict.fromkeys(ErrorType, (503, "api_error")),
    ErrorType.INVALID_REQUEST: (400, "invalid_request_error"),
    ErrorType.CONTEXT_OVERFLOW: (400, "invalid_request_error"),
    ErrorType.TOO_LARGE: (413, "request_too_large"),
    ErrorType.MODEL_NOT_FOUND: (404, "not_found_error"),
    ErrorType.AUTHENTICATION: (403, "permission_error"),
    ErrorType.PERMISSION: (403, "permission_error"),
    ErrorType.BILLING: (402, "billing_error"),
    ErrorType.QUOTA: (402, "billing_error"),
}
CLIENT_ERRORS = (ErrorType.INVALID_REQUEST, ErrorType.CONTEXT_OVERFLOW, ErrorType.TOO_LARGE)


def error(kind: ErrorType) -> WireError:
    return WireError(kind, 'upstream "u": broke', usual_status(kind))


def replied(
    program: ClientProgram, protocol: ProtocolName, cause: Cause, *, stream: bool = True, **more: Any
) -> Reply:
    kind = cause if isinstance(cause, ErrorType) else ErrorType.OVERLOADED
    return reply(CODECS[protocol], error(kind), ENDINGS[program][cause], stream=stream, **more)


def in_body(answer: Reply) -> dict[str, Any]:
    return dict(json.loads(answer.body)["error"])


def failed(records: bytes) -> dict[str, Any]:
    lines = [line[6:] for line in records.splitlines() if line.startswith(b"data: ")]
    last = json.loads(lines[-1])
    assert last["type"] == "response.failed"
    return dict(last["response"]["error"])


def test_every_program_has_an_ending_for_every_cause() -> None:
    assert all(set(endings) == {*ErrorType, *Situation} for endings in ENDINGS.values())


@pytest.mark.parametrize(
    ("recovery", "used_up", "cause"),
    [
        (30.0, True, Situation.RECOVERS_SOON),
        (60.0, True, Situation.RECOVERS_SOON),
        (60.1, True, ErrorType.RATE_LIMIT),
        (None, True, ErrorType.RATE_LIMIT),
        (30.0, False, ErrorType.RATE_LIMIT),
    ],
)
def test_a_client_is_made_to_wait_only_when_switchyard_can_wait_no_longer(
    recovery: float | None, used_up: bool, cause: Cause
) -> None:
    assert cause_of(error(ErrorType.RATE_LIMIT), recovery, hold_used_up=used_up) is cause


# --- Claude Code ---------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ErrorType)
def test_claude_code_gets_a_status_and_a_type_that_end_the_turn(kind: ErrorType, stream: bool) -> None:
    answer = replied(CLAUDE_CODE, "messages", kind, stream=stream, recovery_seconds=7.0)
    assert (answer.status, in_body(answer)["type"]) == CLAUDE_STATUSES[kind]
    assert answer.headers == (("x-should-retry", "false"),)
    assert 'upstream "u": broke' in in_body(answer)["message"]


@pytest.mark.parametrize("kind", ErrorType)
def test_a_stream_of_claude_code_that_has_begun_ends_with_an_api_error(kind: ErrorType) -> None:
    shown = error_in_stream(error(kind), ENDINGS[CLAUDE_CODE][kind])
    assert shown.type is (kind if kind in CLIENT_ERRORS else ErrorType.SERVER)
    assert shown.message == error(kind).message


def test_claude_code_comes_back_when_its_connection_is_cut() -> None:
    assert {ENDINGS[CLAUDE_CODE][situation].form for situation in Situation} == {Form.CUT}


# --- refused images ------------------------------------------------------------

CLAUDE_CODE_WORDS = ("Could not process image", "image exceeds", "image dimensions exceed")
REFUSED_IMAGES = [
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 7 bytes > 5 bytes",
    "messages.0.content.1.image.source.base64.data: At least one of the image dimensions exceed max allowed size "
    "for many-image requests: 2000 pixels",
    "Could not process image",
    "messages.2.content.0.image.source.base64: The image was specified using the image/png media type, but the "
    "image appears to be a image/jpeg image",
    "The image data you provided does not represent a valid image. Please check your input and try again with one "
    "of the supported image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp'].",
    "You uploaded an unsupported image. Please make sure your image is valid.",
    "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide",
    "Provided image is not valid.",
    "cannot identify image file <_io.BytesIO object at 0x7f>",
    "Failed to load image: incorrect padding",
    "The image format is illegal and cannot be opened.",
    "The image length and width do not meet the model restrictions.",
    "图片输入格式/解析错误",
]
OTHER_REFUSALS = [
    "this model does not support image input",
    "No endpoints found that support image input",
    "Invalid content type. image_url is only supported by certain models.",
    'messages.3.content: Input should be a valid string, found "could not process image"',
    "max_tokens must be at most 4096",
]


def refusal(message: str, code: str = "", param: str = "") -> WireError:
    body = {"error": {"message": message, "code": code or None, "param": param or None}}
    return decode_error(400, json.dumps(body).encode())


@pytest.mark.parametrize(
    "refused",
    [
        *map(refusal, REFUSED_IMAGES),
        refusal("Bad.", code="image_parse_error"),
        refusal("Expected a base64-encoded data URL.", param="input[2].content[0].image_url"),
    ],
)
def test_a_refused_image_is_reported_in_the_words_after_which_claude_code_leaves_it_out(
    refused: WireError,
) -> None:
    answer = reply(CODECS["messages"], refused, ENDINGS[CLAUDE_CODE][refused.type], stream=True)
    message = in_body(answer)["message"]
    assert answer.status == 400
    assert any(words in message for words in CLAUDE_CODE_WORDS)
    assert message.endswith(refused.message)


@pytest.mark.parametrize("message", OTHER_REFUSALS)
def test_other_refusals_are_no_refused_images(message: str) -> None:
    refused = refusal(message)
    answer = reply(CODECS["messages"], refused, ENDINGS[CLAUDE_CODE][refused.type], stream=True)
    assert in_body(answer)["message"] == message


# --- Codex ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ErrorType)
def test_codex_gets_a_failed_response_with_a_code_that_shows_the_message(kind: ErrorType) -> None:
    answer = replied(CODEX, "responses", kind)
    assert (answer.status, answer.headers) == (200, ())
    assert answer.content_type.startswith("text/event-stream")
    overflow = kind is ErrorType.CONTEXT_OVERFLOW
    assert failed(answer.body) == {
        "code": "context_length_exceeded" if overflow else "invalid_prompt",
        "message": error(kind).message,
    }


@pytest.mark.parametrize("code", sorted(FINAL_CODES))
def test_codex_gets_the_code_of_a_refusal_that_it_explains(code: str) -> None:
    refused = WireError(ErrorType.INVALID_REQUEST, "flagged", 400, code=code)
    answer = reply(CODECS["responses"], refused, ENDINGS[CODEX][refused.type], stream=True)
    assert failed(answer.body) == {"code": code, "message": "flagged"}


@pytest.mark.parametrize("kind", ErrorType)
def test_a_stream_of_codex_that_has_begun_ends_with_the_same_code(kind: ErrorType) -> None:
    shown = error_in_stream(error(kind), ENDINGS[CODEX][kind])
    assert failed(CODECS["responses"].encode_break(shown, b"")) == failed(
        replied(CODEX, "responses", kind).body
    )


@pytest.mark.parametrize("kind", ErrorType)
def test_codex_gets_the_one_status_that_it_does_not_repeat_where_it_wants_no_stream(kind: ErrorType) -> None:
    answer = replied(CODEX, "responses", kind, stream=False)
    assert (answer.status, in_body(answer)["message"]) == (400, error(kind).message)


def test_codex_is_sent_to_wait_until_the_recovery() -> None:
    answer = replied(CODEX, "responses", Situation.RECOVERS_SOON, recovery_seconds=29.2)
    assert failed(answer.body) == {
        "code": "rate_limit_exceeded",
        "message": 'Please try again in 30s. upstream "u": broke',
    }


def test_the_time_of_the_recovery_comes_before_a_time_in_the_upstreams_words() -> None:
    limited = WireError(ErrorType.RATE_LIMIT, "Please try again in 2s", 429)
    shown = error_in_stream(limited, ENDINGS[CODEX][Situation.RECOVERS_SOON], 0.0)
    assert shown.message == "Please try again in 1s. Please try again in 2s"


def test_codex_waits_for_a_whole_answer_by_the_header() -> None:
    answer = replied(CODEX, "responses", Situation.RECOVERS_SOON, stream=False, recovery_seconds=29.2)
    assert (answer.status, answer.headers) == (429, (("retry-after", "30"),))


def test_codex_is_cut_off_by_a_daemon_that_ends() -> None:
    assert ENDINGS[CODEX][Situation.SHUTTING_DOWN].form is Form.CUT


# --- every other program -------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ErrorType)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_program_gets_the_upstreams_status_in_its_own_envelope(
    protocol: ProtocolName, kind: ErrorType, stream: bool
) -> None:
    answer = replied(OTHER, protocol, kind, stream=stream)
    assert (answer.status, answer.headers) == (usual_status(kind), ())
    assert in_body(answer) == json.loads(encode_error(protocol, error(kind))[1])["error"]


@pytest.mark.parametrize(
    ("kind", "status", "type"),
    [
        (ErrorType.MODEL_NOT_FOUND, 404, "not_found_error"),
        (ErrorType.OVERLOADED, 503, "overloaded_error"),
        (ErrorType.OVERLOADED, 529, "overloaded_error"),
        (ErrorType.RATE_LIMIT, 429, "rate_limit_error"),
        (ErrorType.TIMEOUT, 408, "timeout_error"),
        (ErrorType.SERVER, 520, "api_error"),
        (ErrorType.INVALID_REQUEST, 422, "invalid_request_error"),
    ],
)
def test_the_status_of_the_upstream_is_kept_whatever_its_type(
    kind: ErrorType, status: int, type: str
) -> None:
    answer = reply(CODECS["messages"], WireError(kind, "broke", status), ENDINGS[OTHER][kind], stream=True)
    assert (answer.status, in_body(answer)["type"]) == (status, type)


@pytest.mark.parametrize("situation", Situation)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_program_gets_the_time_of_the_recovery(protocol: ProtocolName, situation: Situation) -> None:
    answer = replied(OTHER, protocol, situation, recovery_seconds=1799.5)
    assert (answer.status, answer.headers) == (529, (("retry-after", "1800"),))


@pytest.mark.parametrize("kind", ErrorType)
def test_the_stream_of_another_program_ends_with_the_error_as_it_is(kind: ErrorType) -> None:
    assert error_in_stream(error(kind), ENDINGS[OTHER][kind], 5.0) == error(kind)

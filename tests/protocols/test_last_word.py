"""The error that ends a matter, in the form that was measured to bring no retry from the real clients."""

import json
from typing import Any

import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.last_word import calmed_break, last_word
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError

CODEX = {"originator": "codex_exec"}
STATUSES: dict[ErrorType, int] = {
    ErrorType.INVALID_REQUEST: 400,
    ErrorType.CONTEXT_OVERFLOW: 400,
    ErrorType.AUTHENTICATION: 401,
    ErrorType.BILLING: 402,
    ErrorType.PERMISSION: 403,
    ErrorType.NOT_FOUND: 404,
    ErrorType.MODEL_NOT_FOUND: 404,
    ErrorType.CONFLICT: 409,
    ErrorType.TOO_LARGE: 413,
    ErrorType.RATE_LIMIT: 429,
    ErrorType.QUOTA: 429,
    ErrorType.SERVER: 500,
    ErrorType.OVERLOADED: 529,
    ErrorType.TIMEOUT: 504,
}
TERMINAL_CODES = {"invalid_prompt", "context_length_exceeded", "insufficient_quota"}


def error(kind: ErrorType) -> WireError:
    return WireError(kind, 'upstream "u": broke', STATUSES[kind])


def test_the_table_knows_every_type() -> None:
    assert set(STATUSES) == set(ErrorType)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ErrorType)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_answer_names_its_cause_and_forbids_a_retry(
    protocol: ProtocolName, kind: ErrorType, stream: bool
) -> None:
    word = last_word(CODECS[protocol], error(kind), stream=stream, headers={"user-agent": "sdk"})
    assert 400 <= word.status < 600
    assert word.headers == (("x-should-retry", "false"),)
    assert 'upstream "u": broke' in json.loads(word.body)["error"]["message"]


@pytest.mark.parametrize("kind", ErrorType)
def test_claude_code_is_told_no_type_that_it_repeats(kind: ErrorType) -> None:
    word = last_word(CODECS["messages"], error(kind), stream=True, headers={})
    told = json.loads(word.body)["error"]["type"]
    assert told not in ("overloaded_error", "timeout_error", "not_found_error")
    if told == "invalid_request_error" and kind is not ErrorType.TOO_LARGE:
        assert word.status == 400


@pytest.mark.parametrize("kind", ErrorType)
def test_codex_is_told_by_a_failed_response_with_a_code_that_ends_the_matter(kind: ErrorType) -> None:
    word = last_word(CODECS["responses"], error(kind), stream=True, headers=CODEX)
    assert (word.status, word.headers) == (200, ())
    assert word.content_type.startswith("text/event-stream")
    assert ended(word.body)["code"] in TERMINAL_CODES
    assert 'upstream "u": broke' in ended(word.body)["message"]


@pytest.mark.parametrize("kind", ErrorType)
def test_a_stream_that_has_begun_ends_with_such_a_code_too(kind: ErrorType) -> None:
    codec = CODECS["responses"]
    assert ended(codec.encode_break(calmed_break(codec, error(kind)), b""))["code"] in TERMINAL_CODES


@pytest.mark.parametrize("kind", ErrorType)
def test_a_stream_of_claude_code_that_has_begun_ends_with_no_type_that_it_repeats(kind: ErrorType) -> None:
    told = calmed_break(CODECS["messages"], error(kind))
    assert told.type not in (ErrorType.OVERLOADED, ErrorType.TIMEOUT, ErrorType.NOT_FOUND)
    assert (told.message, told.status) == (error(kind).message, error(kind).status)


def test_a_break_of_a_chat_stream_is_told_as_it_is() -> None:
    assert all(calmed_break(CODECS["chat"], error(kind)) == error(kind) for kind in ErrorType)


def ended(body: bytes) -> dict[str, Any]:
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
    last = json.loads(lines[-1])
    assert last["type"] == "response.failed"
    return dict(last["response"]["error"])

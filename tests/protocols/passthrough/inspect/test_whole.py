"""What whole replies that pass through report."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.neutral import ErrorType, Usage, WireError
from switchyard.protocols.openai_chat.wire import NO_CHOICES
from switchyard.protocols.passthrough.inspect.inspector import Inspector, WholeSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.inspect.whole import NO_EMBEDDINGS, summarize_embeddings

MESSAGES, CHAT, RESPONSES = (INSPECTORS[protocol] for protocol in ("messages", "chat", "responses"))

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
BUSY = {"code": "server_is_overloaded", "message": "busy"}


@pytest.mark.parametrize(("inspector", "name"), [(MESSAGES, "message"), (RESPONSES, "response")])
def test_a_reply_without_content_is_an_error(inspector: Inspector, name: str) -> None:
    error = WireError(ErrorType.SERVER, f"The upstream's reply is not a {name}.", 502)
    assert inspector.summarize_whole(b'{"model":"m"}') == WholeSummary(error=error, model="m")


# --- Messages -------------------------------------------------------------------


def message(**fields: Any) -> WholeSummary:
    return MESSAGES.summarize_whole(msgspec.json.encode(fields))


def test_a_whole_message_is_read_as_a_summary() -> None:
    content = [
        {"type": "thinking", "thinking": "T", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "text", "text": "x"},
    ]
    usage = {"input_tokens": 1, "output_tokens": 2}
    assert message(type="message", model="m", content=content, usage=usage) == WholeSummary(
        usage=Usage(input=1, output=2), model="m", signatures=("S", "D")
    )
    assert message(**OVERLOADED) == WholeSummary(error=WireError(ErrorType.OVERLOADED, "busy", 529))
    assert MESSAGES.summarize_whole(b"<html>") == WholeSummary()


# --- Chat -----------------------------------------------------------------------


def completion(text: str) -> WholeSummary:
    return CHAT.summarize_whole(text.encode())


def test_a_whole_completion_is_read_as_a_summary() -> None:
    reported = '{"model":"m","choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}'
    assert completion(reported) == WholeSummary(usage=Usage(input=5, output=1), model="m")
    assert completion('{"choices": [ {"message":{}}]}') == WholeSummary()


@pytest.mark.parametrize(
    "body, expected",
    [
        ('{"error":{"message":"boom"}}', WireError(ErrorType.SERVER, "boom", 500)),
        ('{"error":{"message":"boom"},"choices":[{"message":{}}]}', WireError(ErrorType.SERVER, "boom", 500)),
        (
            '{"choices":null,"base_resp":{"status_code":1004,"status_msg":"boom"}}',
            WireError(ErrorType.AUTHENTICATION, "boom", 401, code="1004"),
        ),
        ('{"choices":[]}', WireError(ErrorType.SERVER, NO_CHOICES, 502)),
        ("{}", WireError(ErrorType.SERVER, NO_CHOICES, 502)),
        ("<html><title>Bad gateway</title></html>", WireError(ErrorType.SERVER, "Bad gateway", 502)),
    ],
)
def test_an_error_inside_a_200_is_seen(body: str, expected: WireError) -> None:
    assert completion(body) == WholeSummary(error=expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '{"object":"list","data":[{"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}',
            WholeSummary(usage=Usage(input=5), model="m"),
        ),
        ('{"data": []}', WholeSummary()),
        ('{"error":{"message":"boom"}}', WholeSummary(error=WireError(ErrorType.SERVER, "boom", 500))),
        ('{"object":"list"}', WholeSummary(error=WireError(ErrorType.SERVER, NO_EMBEDDINGS, 502))),
        ("Bad gateway", WholeSummary(error=WireError(ErrorType.SERVER, "Bad gateway", 502))),
    ],
)
def test_a_list_of_embeddings_is_read_as_a_summary(body: str, expected: WholeSummary) -> None:
    assert summarize_embeddings(body.encode()) == expected


# --- Responses ------------------------------------------------------------------


def test_a_whole_response_is_read_as_a_summary() -> None:
    body = {
        "status": "completed",
        "model": "m",
        "usage": {"input_tokens": 50, "input_tokens_details": {"cached_tokens": 20}, "output_tokens": 9},
        "error": None,
        "output": [
            {"type": "reasoning", "summary": [], "encrypted_content": "opaque"},
            {"type": "message"},
        ],
    }
    usage = Usage(30, 20, output=9)
    assert RESPONSES.summarize_whole(msgspec.json.encode(body)) == WholeSummary(usage, None, "m", ("opaque",))


@pytest.mark.parametrize("body", [{"error": BUSY}, {"status": "failed", "output": [], "error": BUSY}])
def test_an_error_in_a_whole_response_is_read(body: Any) -> None:
    overloaded = WireError(ErrorType.OVERLOADED, "busy", 529, "server_is_overloaded")
    assert RESPONSES.summarize_whole(msgspec.json.encode(body)) == WholeSummary(error=overloaded)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_a_body_of_another_kind_reports_nothing(body: bytes) -> None:
    assert RESPONSES.summarize_whole(body) == WholeSummary()

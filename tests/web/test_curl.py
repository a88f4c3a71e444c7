"""The curl command of a captured request."""

import pytest

from switchyard.exchange import Attempt
from switchyard.relay.headers import Headers
from switchyard.relay.tape import RecordedAnswer, SentRequest
from switchyard.web import curl
from switchyard.web.curl import curl_command

HEADERS: Headers = [
    ("user-agent", "claude-cli/2.1"),
    ("x-api-key", "sk-secret"),
    ("x-own", "hidden"),
    ("accept-encoding", "identity"),
]
BODY = b'{"model": "sent-model", "quote": "it\'s sk-secret"}'


def sent(
    body: bytes | None, url: str = "https://h/v1/x?key=secret", headers: Headers = HEADERS
) -> SentRequest:
    attempt = Attempt("a", "sent-model", "messages", url, "primary", 0.0)
    return SentRequest(attempt, 0.0, url, headers, body, RecordedAnswer())


def command(request: SentRequest) -> str:
    return curl_command(request, frozenset({"x-own"}), ("sk-secret",))


def test_the_command_is_the_request_as_it_was_sent_without_its_secrets() -> None:
    assert command(sent(BODY)) == " \\\n  ".join(
        [
            "curl 'https://h/v1/x?key=***'",
            "-H 'user-agent: claude-cli/2.1'",
            '-H "x-api-key: $KEY"',
            "-H 'x-own: ***'",
            """--data-binary '{"model": "sent-model", "quote": "it'"'"'s [key]"}'""",
        ]
    )


def test_a_bearer_key_keeps_its_scheme() -> None:
    assert '-H "authorization: Bearer $KEY"' in command(
        sent(BODY, headers=[("authorization", "Bearer sk-secret")])
    )


def test_a_long_body_is_expected_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curl, "MAX_BODY_CHARS", 10)
    assert command(sent(BODY)).endswith("--data-binary @request.json")


def test_there_is_none_without_the_body() -> None:
    assert command(sent(None)) == ""

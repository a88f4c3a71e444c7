"""The curl command of an exchange."""

import pytest

from switchyard.exchange import Attempt, Exchange
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.capture import Captured
from switchyard.relay.values import ClientRequest
from switchyard.settings import Upstream
from switchyard.web.curl import curl_command


def exchange(protocol: ProtocolName, url: str = "https://h/v1/x?key=secret") -> Exchange:
    attempt = Attempt("a", "sent-model", protocol, url, "primary", 0.0)
    return Exchange(id="x", at=0.0, client_protocol=protocol, requested_model="m", attempts=[attempt])


def test_a_sample_replaces_a_body_that_was_not_captured() -> None:
    upstream = Upstream(name="a", base_url="https://h", key="sk-secret", auth="x-api-key")
    assert curl_command(exchange("messages"), upstream, None) == " \\\n  ".join(
        [
            "curl 'https://h/v1/x?key=***'",
            "-H 'content-type: application/json'",
            "-H 'anthropic-version: 2023-06-01'",
            '-H "x-api-key: $KEY"',
            """-d '{"model":"sent-model","max_tokens":64,"messages":[{"role":"user","content":"hello"}]}'""",
        ]
    )


@pytest.mark.parametrize(("protocol", "is_used"), [("chat", True), ("messages", False)])
def test_a_kept_body_is_used_if_it_was_not_converted(protocol: ProtocolName, is_used: bool) -> None:
    body = b'{"model": "m", "messages": [], "quote": "it\'s"}'
    request = ClientRequest(protocol, body, read_request_summary(protocol, body, {}), [])
    command = curl_command(exchange("chat"), None, Captured(request, b"", False))
    assert ("it'\"'\"'s" in command) is is_used
    assert '"model": "sent-model"' in command if is_used else '"model":"sent-model"' in command


def test_there_is_none_for_the_demo_or_without_an_attempt() -> None:
    nobody = exchange("chat")
    nobody.attempts.clear()
    assert (curl_command(nobody, None, None), curl_command(exchange("chat", "demo:"), None, None)) == ("", "")

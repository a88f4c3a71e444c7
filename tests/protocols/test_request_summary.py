import pytest
from msgspec.structs import replace

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough.peek import WATCHED, Members
from switchyard.protocols.request_summary import RequestSummary, read_request_summary


def test_the_summary_of_a_claude_code_request() -> None:
    body = (
        b'{"model":"claude-x","messages":[],"stream":true,'
        b'"metadata":{"user_id":"{\\"device_id\\":\\"d\\",\\"session_id\\":\\"s-1\\"}"}}'
    )
    summary = read_request_summary("messages", body, {})
    assert replace(summary, members=Members()) == RequestSummary("claude-x", True, "s-1", False)
    found = {name: bytes(raw) for name in WATCHED if (raw := summary.members.get(name)) is not None}
    assert found.pop("metadata").startswith(b'{"user_id":')
    assert found == {
        "model": b'"claude-x"',
        "messages": b"[]",
        "stream": b"true",
    }


@pytest.mark.parametrize(
    ("protocol", "body", "headers", "session"),
    [
        ("messages", b'{"model":"m"}', {"x-claude-code-session-id": "h"}, "h"),
        (
            "messages",
            b'{"model":"m","metadata":{"user_id":"user_abc_account__session_0a1b2c3d-aa"}}',
            {},
            "0a1b2c3d-aa",
        ),
        ("messages", b'{"model":"m","metadata":{"user_id":"{broken"}}', {}, ""),
        ("messages", b'{"model":"m","metadata":{"user_id":7}}', {}, ""),
        ("messages", b'{"model":"m","metadata":{"user_id":"{\\"session_id\\":5}"}}', {}, ""),
        ("responses", b'{"model":"m","prompt_cache_key":"k"}', {}, "k"),
        ("responses", b'{"model":"m","prompt_cache_key":"k"}', {"session-id": "s"}, "s"),
        ("chat", b'{"model":"m","prompt_cache_key":"k"}', {}, "k"),
        ("chat", b'{"model":"m"}', {}, ""),
    ],
)
def test_the_session_is_found_wherever_clients_put_it(
    protocol: ProtocolName, body: bytes, headers: dict[str, str], session: str
) -> None:
    assert read_request_summary(protocol, body, headers).session == session


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the request body is not a JSON object", ""),
        (b"[1]", "the request body is not a JSON object", ""),
        (b'{"model":"m"', "the request body is not a JSON object", ""),
        (b'{"model":"\xff"}', "the request body is not a JSON object", ""),
        (b"[" * 100_000, "the request body is not a JSON object", ""),
        (b"{}", "model: field required; name the model to use", "model"),
        (b'{"model":""}', "model: field required; name the model to use", "model"),
        (b'{"model":7}', "model: expected a string", "model"),
        (b'{"model":"m","stream":"yes"}', "stream: expected true or false", "stream"),
        (b'{"model":"m","stream":1}', "stream: expected true or false", "stream"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence(body: bytes, message: str, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request_summary("chat", body, {})
    assert caught.value.message.startswith(message)
    assert caught.value.param == param
    assert "\n" not in caught.value.message


def test_an_absent_or_null_stream_means_no_stream() -> None:
    assert not read_request_summary("chat", b'{"model":"m","stream":null}', {}).stream
    asked = read_request_summary(
        "chat", b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}', {}
    )
    assert (asked.stream, asked.wants_usage) == (True, True)


def test_a_model_name_of_any_length_is_not_carried_about() -> None:
    with pytest.raises(BadRequest) as refused:
        read_request_summary("chat", b'{"model": "' + b"m" * 100_000 + b'"}', {})
    assert refused.value.param == "model"


PILE = b"[" + b"[]," * 100_000 + b"[]]"


@pytest.mark.parametrize("field", ["metadata", "prompt_cache_key", "stream_options"])
def test_what_is_too_large_counts_as_absent(field: str) -> None:
    body = b'{"model":"m","%b":%b}' % (field.encode(), PILE)
    for protocol in PROTOCOLS:
        summary = read_request_summary(protocol, body, {})
        assert (summary.model, summary.session, summary.wants_usage) == ("m", "", False)


@pytest.mark.parametrize("field", ["model", "stream"])
def test_what_is_no_name_and_no_wish_is_refused_however_large(field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_request_summary("chat", b'{"model":"m","%b":%b}' % (field.encode(), PILE), {})
    assert refused.value.param == field

"""A key that an upstream repeats goes no further, however it is repeated."""

import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.redaction import redacted, secrets_of
from switchyard.settings import Upstream

KEY = 'odd/"key"\\1'
ENTRY = Upstream(
    name="a", base_url="http://h", key=KEY, headers={"x-custom": "custom-secret", "x-short": "on"}
)


def test_the_key_and_custom_headers_are_blanked_wherever_they_stand() -> None:
    told = f"key {KEY} with custom-secret, on"
    error = WireError(ErrorType.INVALID_REQUEST, told, 400, code=KEY, param="custom-secret")
    body = b'{"error": "key odd/\\"key\\"\\\\1", "plain": "' + KEY.encode() + b'", "h": "custom-secret"}'

    seen = redacted(Failure(FailureKind.STATUS, error, body), secrets_of(ENTRY))

    assert seen.error == WireError(
        ErrorType.INVALID_REQUEST, "key [key] with [key], on", 400, code="[key]", param="[key]"
    )
    assert seen.body == b'{"error": "key [key]", "plain": "[key]", "h": "[key]"}'


def test_secrets_in_addresses_are_blanked_too() -> None:
    entry = Upstream(
        name="a",
        base_url="https://user:pass%40word1@h/v1?api_key=query-key&model=gpt",
        proxy="http://u:proxy-word@h:1",
    )
    assert set(secrets_of(entry)) == {"pass%40word1", "pass@word1", "query-key", "proxy-word"}


@pytest.mark.parametrize("key", ["", "x", "12345", "env:NO_SUCH_VARIABLE", "client"])
def test_what_is_no_secret_is_left_alone(key: str) -> None:
    assert secrets_of(Upstream(name="a", base_url="http://h", key=key)) == ()


def test_the_clients_own_credential_is_a_secret_where_it_is_passed_on() -> None:
    headers = [("authorization", "Bearer my-own-login"), ("x-api-key", "my-own-key"), ("user-agent", "agent")]

    assert set(secrets_of(Upstream(name="a", base_url="http://h", key="client"), headers)) == {
        "my-own-login",
        "my-own-key",
    }
    assert secrets_of(Upstream(name="a", base_url="http://h", key="key-of-its-own"), headers) == (
        "key-of-its-own",
    )

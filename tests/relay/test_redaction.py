"""A key that an upstream repeats goes no further, however it is repeated."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.redaction import (
    masked_url,
    redacted,
    redacted_bytes,
    redacted_text,
    secrets_of,
    worth_hiding,
)
from switchyard.settings import Upstream

KEY = 'odd/"key"\\1'
ENTRY = Upstream(
    name="a", base_url="http://h", key=KEY, headers={"x-custom": "custom-secret", "x-short": "on"}
)


def test_the_key_and_custom_headers_are_blanked_wherever_they_stand() -> None:
    reported = f"key {KEY} with custom-secret, on"
    error = WireError(ErrorType.INVALID_REQUEST, reported, 400, code=KEY, param="custom-secret")
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
    assert set(secrets_of(entry)) == {
        "pass%40word1",
        "pass@word1",
        "dXNlcjpwYXNzQHdvcmQx",
        "query-key",
        "proxy-word",
    }


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


LONG = "zq-0123456789-0123456789-0123456789"


def test_a_login_in_the_address_is_hidden_as_it_is_sent() -> None:
    upstream = Upstream(name="a", base_url="http://user:word-1@h", key="")
    assert secrets_of(upstream) == ("dXNlcjp3b3JkLTE=", "word-1")


@pytest.mark.parametrize(
    ("reported", "seen"),
    [
        (f"bad {LONG}!", "bad [key]!"),
        (f"cut in the key: {LONG[:-1]}", "cut in the key: [key]"),
        (f"({LONG[:20]}) and {LONG}{LONG}", "([key]) and [key][key]"),
        (f"begins alike: {LONG[:12]}", f"begins alike: {LONG[:12]}"),
        (f"another one: {LONG[:-2]}xx", "another one: [key]xx"),
    ],
)
def test_a_key_that_a_limit_on_texts_has_cut_is_blanked_as_well(reported: str, seen: str) -> None:
    assert redacted_text(reported, (LONG,)) == seen


def test_a_secret_that_begins_like_its_blank_ends() -> None:
    assert redacted_text("[key]aaaaaaaaaaaa", ("[key]aaaaaaaaa",)) == "[key]aaa"


@pytest.mark.parametrize(
    "address", ["/v1?key=sk-a%2Fb%2Bc%3D%3Dd", "/v1?key=sk-a%2fb%2bc%3d%3dd", "/sk-a/b%2Bc%3D%3Dd"]
)
def test_a_key_in_an_address_is_blanked_however_it_is_percent_encoded(address: str) -> None:
    at = address.index("sk-")
    assert (
        redacted_text(f"no such page: {address}!", ("sk-a/b+c==d",)) == f"no such page: {address[:at]}[key]!"
    )
    assert redacted_bytes(f'"{address}"'.encode(), ("sk-a/b+c==d",)) == f'"{address[:at]}[key]"'.encode()


@pytest.mark.parametrize("cut", [None, -3])
@pytest.mark.parametrize("key", ["abcdefghijklmnop+qrstuvwxyz==", "abcdefghijklmnopqrstuvw="])
def test_a_percent_encoded_key_leaves_nothing_behind_a_long_plain_beginning(
    key: str, cut: int | None
) -> None:
    for spelled in (key, quote(key, ""), quote(key, "").replace("%2B", "%2b").replace("%3D", "%3d")):
        assert redacted_text(f"GET /v1?key={spelled[:cut]}", (key,)) == "GET /v1?key=[key]"


@pytest.mark.parametrize("spelled", [b"a/b+c==d", rb"a\/b+c==d"])
def test_a_slash_in_json_hides_no_key(spelled: bytes) -> None:
    assert redacted_bytes(b'{"e": "' + spelled + b'"}', ("a/b+c==d",)) == b'{"e": "[key]"}'


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://h/v1", "https://h/v1"),
        ("https://user:pass@h:1/v1", "https://user:***@h:1/v1"),
        ("https://user:p@ss:w@h/v1", "https://user:***@h/v1"),
        ("https://token@h/v1", "https://***@h/v1"),
        ("https://h/v1?key=a&model=gpt&x_api_key=b", "https://h/v1?key=***&model=gpt&x_api_key=***"),
        ("https://h?access_token=a#f", "https://h?access_token=***"),
        ("https://h/a?client_secret=a=b&sig&sig=", "https://h/a?client_secret=***&sig&sig=***"),
        (
            "https://h/v1?api-version=2024-10-21&deployment=d",
            "https://h/v1?api-version=2024-10-21&deployment=d",
        ),
        ("demo:", "demo:"),
        ("", ""),
    ],
)
def test_an_address_is_reported_without_what_is_secret_in_it(url: str, seen: str) -> None:
    assert masked_url(url) == seen


def test_a_long_query_is_masked_in_no_time() -> None:
    assert masked_url("http://h?" + "key" * 100_000).endswith("keykey")


@pytest.mark.parametrize(
    ("reported", "seen"),
    [
        (rb'{"a": "zq\u002Dnew\u002bkey/1"}', b'{"a": "[key]"}'),
        (rb'{"zq-new\u002bkey\u002f1\n": 1}', rb'{"[key]\n": 1}'),
        (rb'{"a": "\u0022\u005cx zq\u002dnew+key\/1"}', rb'{"a": "\u0022\u005cx [key]"}'),
        (rb'{"a": "\u003cb\u003e zq-new"}', rb'{"a": "\u003cb\u003e zq-new"}'),
    ],
)
def test_a_key_with_escaped_signs_is_blanked_and_other_escapes_stay(reported: bytes, seen: bytes) -> None:
    assert redacted_bytes(reported, ("zq-new+key/1",)) == seen


@given(
    st.lists(st.text("ab-[]ky", min_size=6, max_size=9).map("sk-".__add__), min_size=8, max_size=40),
    st.lists(st.one_of(st.integers(0, 39), st.text("absk-[]ey", max_size=5)), max_size=12),
)
def test_many_secrets_that_begin_alike_are_redacted_as_one_by_one(
    found: list[str], pieces: list[int | str]
) -> None:
    secrets = worth_hiding(found)
    content = "".join(one if isinstance(one, str) else secrets[one % len(secrets)] for one in pieces).encode()
    by_one = content
    for secret in secrets:
        by_one = redacted_bytes(by_one, (secret,))
    assert redacted_bytes(content, secrets) == by_one


def test_many_secrets_that_begin_alike_are_looked_for_in_one_pass() -> None:
    secrets = worth_hiding(f"sk-{number:09}" for number in range(500))
    content = Searched(b"nothing of that kind, but sk- and sk-000000007")
    assert redacted_bytes(content, secrets) == b"nothing of that kind, but sk- and [key]"
    assert content.replaced == 1


class Searched(bytes):
    """Counts how often it is searched for a secret."""

    replaced = 0

    def replace(self, *args: Any) -> bytes:
        self.replaced += 1
        return super().replace(*args)

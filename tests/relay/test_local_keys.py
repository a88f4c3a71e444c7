"""Client keys are taken out of what a request would carry, and nothing else is."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from switchyard.relay.local_keys import INSTEAD, local_keys

LONG = "sy-Yk3Zt0q9aL7cX1vB5nM2"
SHORT = "123"
ODD = 'key/with"quotes\\and-more+=='
MARK = INSTEAD.encode()


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("key", [LONG, SHORT, ODD, "pass:word"])
@pytest.mark.parametrize(
    "value",
    [
        "{key}",
        "Bearer {key}",
        "bearer  {key} ",
        "a, {key}, b",
        'Digest username="{key}"',
        "token={key};v=1",
        "https://proxy/?k={key}",
    ],
)
def test_a_header_that_holds_a_key_is_left_out(key: str, value: str) -> None:
    given = [("x-anything", value.format(key=key)), ("user-agent", "a/1")]
    assert local_keys((key,)).out_of_headers(given) == [("user-agent", "a/1")]


@pytest.mark.parametrize("key", [LONG, SHORT, ODD, "pass:word"])
@pytest.mark.parametrize("login", ["{key}:", ":{key}", "user:{key}", "{key}"])
def test_a_key_in_a_basic_login_is_found(key: str, login: str) -> None:
    given = [("authorization", basic(login.format(key=key)))]
    assert local_keys(("other", key)).out_of_headers(given) == []


def test_a_long_key_is_found_inside_a_word_and_a_key_of_other_signs_in_every_spelling() -> None:
    given = [("x-a", f"id{LONG}end"), ("x-b", "clé-locale"), ("x-c", "clé-locale".encode().decode("latin-1"))]
    assert local_keys((LONG, "clé-locale")).out_of_headers(given) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user-agent", "claude-cli/2.1.123 (external, cli)"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "claude-code-20250219,oauth-2025-04-20"),
        ("x-request-id", "req-123-abc"),
        ("authorization", "Bearer sk-own-123456"),
        ("authorization", "Basic not/base64!"),
        ("authorization", basic("me:sk-own")),
        ("x-empty", ""),
    ],
)
def test_a_short_key_is_no_part_of_other_words(name: str, value: str) -> None:
    assert local_keys((SHORT, "claude", "2023")).out_of_headers([(name, value)]) == [(name, value)]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("beta=true", "beta=true"),
        (f"key={LONG}&beta=true", "beta=true"),
        ("beta=true&key=%31%32%33", "beta=true"),
        ("a=1&123", "a=1"),
        ("v=1.123&x=0123", "v=1.123&x=0123"),
        ("a=%zz&&b=+", "a=%zz&&b=+"),
        ("", ""),
    ],
)
def test_a_parameter_that_holds_a_key_is_left_out(query: str, left: str) -> None:
    assert local_keys((LONG, SHORT)).out_of_query(query) == left


def in_json(value: Any) -> bytes:
    return msgspec.json.encode(value)


@pytest.mark.parametrize("key", [LONG, ODD, "密钥-" + LONG, "two words of a key"])
@pytest.mark.parametrize("escaped_slashes", [False, True])
def test_a_long_key_is_replaced_wherever_a_body_spells_it(key: str, escaped_slashes: bool) -> None:
    """Claude Code reads its own settings.json when asked to, and sends it on as the result of a tool."""
    inner = in_json({"env": {"ANTHROPIC_AUTH_TOKEN": key}}).decode()
    body = in_json({"model": "m", "user": key, "messages": [{"content": f"use {key}."}, {"content": inner}]})
    if escaped_slashes:
        body = body.replace(b"/", rb"\/")

    seen = msgspec.json.decode(local_keys((key,)).out_of_body(body))

    assert seen["user"] == INSTEAD
    assert [one["content"] for one in seen["messages"]] == [
        f"use {INSTEAD}.",
        '{"env":{"ANTHROPIC_AUTH_TOKEN":"[client key]"}}',
    ]


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b'{ "user" : "123", "model": "m" }', b'{"user":"[client key]","model":"m"}'),
        (b'{"api_key":"\\u0031\\u0032\\u0033","n":"123"}', b'{"api_key":"[client key]","n":"123"}'),
        (
            b'{"metadata":{"user_id":"123","n":123},"a": [1.50]}',
            b'{"metadata":{"user_id":"[client key]","n":123},"a":[1.50]}',
        ),
    ],
)  # fmt: skip
def test_a_short_key_is_replaced_in_members_that_name_the_client(body: bytes, seen: bytes) -> None:
    assert local_keys((SHORT,)).out_of_body(body) == seen


@pytest.mark.parametrize(
    "body",
    [
        b'{ "model": "m", "messages": [{"role": "user", "content": "123"}] }',
        b'{"messages":[{"content":[{"type":"tool_use","input":{"user":"123","api_key":"123"}}]}]}',
        b'{"user":"id-123","metadata":{"user_id":"user_123","list":["123"]}, "stop":"123"}',
        b'{"user":' + b"[" * 100_000 + b'"123"',
        b'["123"]',
        b'"123',
        b"\xff\"123\"",
        b"",
    ],
)  # fmt: skip
def test_a_short_key_leaves_everything_else_byte_for_byte(body: bytes) -> None:
    assert local_keys((SHORT,)).out_of_body(body) is body


def test_without_client_keys_nothing_is_touched() -> None:
    nothing, headers = local_keys(()), [("authorization", "Bearer x")]
    assert nothing.out_of_headers(headers) is headers
    assert (nothing.out_of_query("a=b"), nothing.out_of_body(b"{}")) == ("a=b", b"{}")

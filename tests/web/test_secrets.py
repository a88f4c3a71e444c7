"""Blanking the secrets of a document."""

from typing import Any

from switchyard.web.secrets import mark, nothing, without_secrets

DOCUMENT: dict[str, Any] = {
    "upstreams": [
        {
            "name": "a",
            "base_url": "https://user:password@h/v1?key=abc",
            "key": "sk-secret",
            "headers": {"X-A": "hidden"},
            "proxy": "socks5://u:p@127.0.0.1:1080",
            "note": "kept",
        },
        {"name": "b", "base_url": "http://h", "key": "env:NAME"},
        {"name": "c", "base_url": "http://h", "key": "client"},
    ],
    "client_keys": {"sy-one": "laptop"},
    "timeouts": {"idle": 9},
}


def test_an_export_has_gaps_where_secrets_were() -> None:
    assert without_secrets(DOCUMENT, nothing) == {
        "upstreams": [
            {
                "name": "a",
                "base_url": "https://user:***@h/v1?key=***",
                "key": "",
                "headers": {"X-A": ""},
                "proxy": "socks5://u:***@127.0.0.1:1080",
                "note": "kept",
            },
            {"name": "b", "base_url": "http://h", "key": "env:NAME"},
            {"name": "c", "base_url": "http://h", "key": "client"},
        ],
        "client_keys": {},
        "timeouts": {"idle": 9},
    }


def test_a_comparison_shows_only_whether_secrets_are_equal() -> None:
    blank = mark(b"salt")
    assert blank("sk-one") == blank("sk-one") != blank("sk-two")
    assert blank("sk-one") != mark(b"other")("sk-one")
    shown = str(without_secrets(DOCUMENT, blank))
    assert not any(secret in shown for secret in ("sk-secret", "hidden", "sy-one", "password", "abc", "u:p@"))


def test_a_document_of_odd_shape_is_left_as_it_is() -> None:
    odd = {"upstreams": "none", "client_keys": [], "x": 1}
    assert without_secrets(odd, nothing) == odd


def test_a_key_under_a_misspelt_name_is_blanked_and_kept_in_the_file() -> None:
    document = {
        "upstreams": [{"name": "a", "base_url": "http://h", "api_key": "sk-one", "extra": {"token": "two"}}],
        "api_configs": [{"key": "three", "name": "old"}],
    }
    assert without_secrets(document, nothing) == {
        "upstreams": [{"name": "a", "base_url": "http://h", "api_key": "", "extra": {"token": ""}}],
        "api_configs": [{"key": "", "name": "old"}],
    }

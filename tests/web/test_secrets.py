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
        {"name": "d", "base_url": "http://h", "keys": ["sk-secret-too", "env:NAME", "sk-secret"]},
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
            {"name": "d", "base_url": "http://h", "keys": ["", "env:NAME", ""]},
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


def test_what_has_the_wrong_shape_is_blanked() -> None:
    odd = {"upstreams": "none", "client_keys": [], "timeouts": [1], "model_rules": [5], "x": 1}
    blanked = {"upstreams": "", "client_keys": "", "timeouts": "", "model_rules": [""], "x": ""}
    assert without_secrets(odd, nothing) == blanked


def test_unknown_fields_are_blanked_whatever_their_name() -> None:
    document = {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "a",
                "base_url": "http://h",
                "api_kye": "sk-one",
                "extra": {"sk-two": "x"},
                "pin": 1234,
                "timeouts": {"idle": 9, "kye": "sk-three"},
                "activation": {"at": "08:00", "kye": ["sk-four"]},
            }
        ],
        "client_kyes": {"sy-five": "laptop"},
        "prices": {"gpt*": {"input": 1, "output": 2, "kye": "sk-six"}},
        "model_rules": [{"from": "a", "to": "b", "kye": "sk-seven"}],
        "failover": {"on_status": {"429": "retry"}, "kye": "sk-eight"},
    }
    assert without_secrets(document, nothing) == {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "a",
                "base_url": "http://h",
                "api_kye": "",
                "extra": "",
                "pin": "",
                "timeouts": {"idle": 9, "kye": ""},
                "activation": {"at": "08:00", "kye": ""},
            }
        ],
        "client_kyes": "",
        "prices": {"gpt*": {"input": 1, "output": 2, "kye": ""}},
        "model_rules": [{"from": "a", "to": "b", "kye": ""}],
        "failover": {"on_status": {"429": "retry"}, "kye": ""},
    }


def test_a_comparison_shows_whether_unknown_fields_have_changed() -> None:
    shown = [without_secrets({"x": value}, mark(b"salt"))["x"] for value in ({"a": 1}, {"a": 1}, {"a": 2})]
    assert shown[0] == shown[1] != shown[2]

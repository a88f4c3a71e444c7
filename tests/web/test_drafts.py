"""Entries under edit, at their position in the file."""

from typing import Any

import pytest

from switchyard.faults import SettingsError
from switchyard.web.answers import Problem
from switchyard.web.drafts import draft_of

STORED: dict[str, Any] = {
    "upstreams": [
        {"name": "a", "base_url": "http://a", "protocol": "chat", "key": "sk-a", "note": "x"},
        {"name": "b", "base_url": "http://b", "protocol": "chat", "headers": {"X": "hidden"}},
    ]
}


def test_a_new_entry_stands_at_the_end() -> None:
    upstream = draft_of(
        STORED, {"entry": {"name": "c", "base_url": "http://c", "protocol": "chat"}}
    ).upstream()
    assert (upstream.name, upstream.key) == ("c", "")


def test_an_edited_entry_keeps_its_key_but_no_field_that_was_emptied() -> None:
    entry = {"name": "renamed", "base_url": "http://a", "protocol": "chat"}
    upstream = draft_of(STORED, {"name": "a", "entry": entry}).upstream()
    assert (upstream.name, upstream.key, upstream.note) == ("renamed", "sk-a", "")


def test_a_header_that_is_not_shown_keeps_its_value() -> None:
    entry = {"name": "b", "base_url": "http://b", "protocol": "chat", "headers": {"X": True, "Y": "new"}}
    assert draft_of(STORED, {"name": "b", "entry": entry}).upstream().headers == {"X": "hidden", "Y": "new"}


def test_errors_are_reported_by_the_fields_of_the_entry() -> None:
    with pytest.raises(SettingsError) as raised:
        draft_of(
            STORED, {"name": "b", "entry": {"name": "a", "base_url": "zzz", "protocol": "chat"}}
        ).upstream()
    assert [fault.path for fault in raised.value.faults] == ["base_url", "name"]


def test_an_entry_that_is_gone_is_reported() -> None:
    with pytest.raises(Problem, match='no upstream "gone"'):
        draft_of(STORED, {"name": "gone", "entry": {}})


def lent(stored: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    """The paths of secrets that the edit would send elsewhere."""
    document = {"upstreams": [{"name": "a", "protocol": "chat", **stored}]}
    body = {"name": "a", "entry": {"name": "a", "protocol": "chat", **entry}}
    try:
        draft_of(document, body).upstream()
    except SettingsError as refused:
        return [fault.path for fault in refused.faults]
    return []


HTTPS = {"base_url": "https://h/api", "key": "sk-a", "proxy": "http://me:secret@p:1"}
SEVERAL = {"base_url": "http://h", "keys": ["sk-a", "env:A", "sk-c"]}
AZURE = {"base_url": "https://h.azure", "key": "sk-a", "auth": "api-key", "api_version": "2025-01-01"}


@pytest.mark.parametrize(
    ("stored", "entry", "paths"),
    [
        (HTTPS, {"base_url": "https://h/api"}, []),
        (HTTPS, {"base_url": "https://h/api", "proxy": "http://other:1"}, []),
        (HTTPS, {"base_url": "https://h/api", "proxy": "http://me:***@p:1"}, []),
        (HTTPS, {"base_url": "https://h/api/v1/chat/completions", "auth": "x-api-key"}, []),
        (HTTPS, {"base_url": "https://h/api", "protocol": "responses", "api_version": "2"}, []),
        (HTTPS, {"base_url": "demo:"}, []),
        (HTTPS, {"base_url": "https://h/api2"}, ["key"]),
        (HTTPS, {"base_url": "https://h/"}, ["key"]),
        (HTTPS, {"base_url": "https://h/api/../other"}, ["key"]),
        (HTTPS, {"base_url": "https://h:8443/api"}, ["key"]),
        (HTTPS, {"base_url": "https://h/api", "headers": {"hOsT": "x"}}, ["key"]),
        (AZURE, {**AZURE, "key": "sk-b", "base_url": "https://other"}, []),
        ({**HTTPS, "base_url": "http://h"}, {"base_url": "http://h", "proxy": "http://other:1"}, ["key"]),
        ({**HTTPS, "base_url": "http://h"}, {"base_url": "http://h", "proxy": ""}, []),
        ({"base_url": "http://h", "key": ""}, {"base_url": "http://other"}, []),
        ({"base_url": "http://h", "key": "client"}, {"base_url": "http://other"}, []),
        ({"base_url": "http://h", "key": "env:A"}, {"base_url": "http://other"}, ["key"]),
        ({"base_url": "http://h", "key": "env:A"}, {"base_url": "http://h/v1", "key": "env:A"}, []),
        ({"base_url": "http://h", "key": "env:A"}, {"base_url": "http://h", "key": "env:B"}, ["key"]),
        ({"base_url": "http://h", "key": "env:A"}, {"base_url": "http://h", "key": "keyring:A"}, ["key"]),
        (SEVERAL, {"base_url": "http://h/v1"}, []),
        (SEVERAL, {"base_url": "http://other"}, ["keys[0]", "keys[2]"]),
        (SEVERAL, {"base_url": "http://other", "key": ""}, ["keys[0]", "keys[2]"]),
        (SEVERAL, {"base_url": "http://other", "keys": ["sk-new", 0, "env:A"]}, ["keys[1]"]),
        (SEVERAL, {"base_url": "http://other", "keys": ["sk-a", "sk-b"]}, []),
        (SEVERAL, {"base_url": "http://other", "keys": None, "key": 2}, ["key"]),
        (SEVERAL, {"base_url": "http://h", "keys": [0, "env:B", "env:A"]}, ["keys[1]"]),
        ({"base_url": "http://h", "key": "sk-a"}, {"base_url": "http://o", "key": None, "keys": [True]}, ["keys[0]"]),
    ],
)  # fmt: skip
def test_what_may_be_borrowed(stored: dict[str, Any], entry: dict[str, Any], paths: list[str]) -> None:
    assert lent(stored, entry) == paths

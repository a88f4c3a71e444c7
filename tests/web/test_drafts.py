"""Entries under edit, in the place they would have in the file."""

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


def test_faults_are_told_by_the_fields_of_the_entry() -> None:
    with pytest.raises(SettingsError) as raised:
        draft_of(
            STORED, {"name": "b", "entry": {"name": "a", "base_url": "zzz", "protocol": "chat"}}
        ).upstream()
    assert [fault.path for fault in raised.value.faults] == ["base_url", "name"]


def test_an_entry_that_is_gone_is_told() -> None:
    with pytest.raises(Problem, match='no upstream "gone"'):
        draft_of(STORED, {"name": "gone", "entry": {}})

"""Edits of the settings document by name, single and in sequence."""

from typing import Any

import pytest

from switchyard.web import editing

Document = dict[str, Any]


def document(*names: str, **more: Any) -> Document:
    return {"upstreams": [{"name": name, "key": f"sk-{name}"} for name in names], **more}


def names(edited: Document) -> list[str]:
    return [entry["name"] for entry in edited["upstreams"]]


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        (lambda given: editing.added(given, {"name": "x"}), ["a", "b", "c", "x"]),
        (lambda given: editing.added(given, {"name": "x"}, before="a"), ["x", "a", "b", "c"]),
        (lambda given: editing.removed(given, "b"), ["a", "c"]),
        (lambda given: editing.moved(given, "c", before="a"), ["c", "a", "b"]),
        (lambda given: editing.moved(given, "a", before=None), ["b", "c", "a"]),
        (lambda given: editing.moved(given, "a", before="c"), ["b", "a", "c"]),
        (lambda given: editing.moved(given, "b", before="b"), ["a", "b", "c"]),
        (lambda given: editing.replaced(given, "b", {"name": "renamed"}), ["a", "renamed", "c"]),
        (lambda given: editing.duplicated(given, "b")[0], ["a", "b", "b (2)", "c"]),
        (lambda given: editing.put_back(editing.removed(given, "b"), given, "b"), ["a", "b", "c"]),
        (lambda given: editing.put_back(document("z"), given, "c"), ["z", "c"]),
    ],
)
def test_an_edit_gives_a_new_document_and_leaves_the_old_one(edited: Any, expected: list[str]) -> None:
    given = document("a", "b", "c", note="kept")
    result = edited(given)
    assert names(result) == expected
    assert given == document("a", "b", "c", note="kept")


def test_what_is_beside_the_upstreams_stays() -> None:
    assert editing.removed(document("a", failover={"x": 1}), "a") == {"upstreams": [], "failover": {"x": 1}}


@pytest.mark.parametrize(
    "edit",
    [
        lambda given: editing.removed(given, "gone"),
        lambda given: editing.moved(given, "gone", None),
        lambda given: editing.moved(given, "a", "gone"),
        lambda given: editing.duplicated(given, "gone"),
        lambda given: editing.entry_of(given, "gone"),
        lambda given: editing.put_back(given, document(), "gone"),
    ],
)
def test_an_upstream_that_is_not_there_is_named(edit: Any) -> None:
    with pytest.raises(editing.NoSuchUpstream, match='There is no upstream "gone" any more'):
        edit(document("a"))


def test_a_copy_of_a_copy_gets_a_free_name_and_keeps_the_key() -> None:
    once, _ = editing.duplicated(document("a"), "a")
    twice, name = editing.duplicated(once, "a")
    assert (names(twice), name) == (["a", "a (3)", "a (2)"], "a (3)")
    assert twice["upstreams"][1] == {"name": "a (3)", "key": "sk-a", "enabled": False}


STORED = {
    "name": "a",
    "key": "sk-a",
    "note": "x",
    "headers": {"X-One": "1", "X-Two": "2"},
    "proxy": "http://u:p@h:1",
    "unknown": [1],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"note": "y"}, {"note": "y"}),
        ({"note": None, "priority": 5}, {"note": ..., "priority": 5}),
        ({"key": "sk-new"}, {"key": "sk-new"}),
        ({"headers": {"X-One": True, "X-New": "n"}}, {"headers": {"X-One": "1", "X-New": "n"}}),
        ({"headers": {"X-Unknown": True}}, {"headers": {"X-Unknown": ""}}),
        ({"proxy": "http://u:***@h:1"}, {}),
        ({"proxy": "http://u:***@other:1"}, {"proxy": "http://u:***@other:1"}),
        ({"base_url": "https://h"}, {"base_url": "https://h"}),
    ],
)
def test_fields_change_one_by_one_and_blanked_secrets_stay(changes: Any, expected: Any) -> None:
    wanted = {name: value for name, value in {**STORED, **expected}.items() if value is not ...}
    assert editing.changed_entry(STORED, changes) == wanted


SEVERAL = {"name": "a", "keys": ["sk-1", "env:B", "sk-3"]}


@pytest.mark.parametrize(
    ("stored", "changes", "expected"),
    [
        (SEVERAL, {"keys": [2, "sk-new", 0]}, {"keys": ["sk-3", "sk-new", "sk-1"]}),
        (SEVERAL, {"keys": None, "key": 1}, {"key": "env:B"}),
        (SEVERAL, {"note": "x"}, {"keys": SEVERAL["keys"], "note": "x"}),
        (SEVERAL, {"keys": [3, -1, True]}, {"keys": [3, -1, ""]}),
        ({"name": "a", "key": "sk-0"}, {"key": None, "keys": [True, "sk-1"]}, {"keys": ["sk-0", "sk-1"]}),
        ({"name": "a", "key": "sk-0"}, {"key": True}, {"key": "sk-0"}),
    ],
)
def test_stored_keys_are_named_by_their_position(stored: Any, changes: Any, expected: Any) -> None:
    assert editing.changed_entry(stored, changes) == {"name": "a", **expected}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"failover": {"error_threshold": 5}}, {"failover": {"cooldown_seconds": 1, "error_threshold": 5}}),
        ({"failover": {"cooldown_seconds": None}}, {"failover": {}}),
        ({"timeouts": {"idle": 9}}, {"timeouts": {"idle": 9}}),
        ({"prices": {}}, {"prices": {}}),
        ({"prices": None}, {"prices": ...}),
        ({"model_rules": [{"from": "a", "to": "b"}]}, {"model_rules": [{"from": "a", "to": "b"}]}),
    ],
)
def test_parts_of_the_settings_change_whole_or_field_by_field(changes: Any, expected: Any) -> None:
    given = document("a", failover={"cooldown_seconds": 1}, prices={"x": {"input": 1}})
    wanted = {name: value for name, value in {**given, **expected}.items() if value is not ...}
    assert editing.changed_settings(given, changes) == wanted


@pytest.mark.parametrize("section", ["upstreams", "client_keys", "anything"])
def test_other_parts_cannot_be_changed_this_way(section: str) -> None:
    with pytest.raises(editing.UnknownSection, match=section):
        editing.changed_settings(document("a"), {section: []})


def test_the_rules_that_name_an_upstream_are_counted_from_one() -> None:
    ruled = document("a", "b", routes=[{"upstreams": ["a", "b"]}, {}, {"upstreams": ["b"]}])
    assert editing.rules_naming(ruled, "b") == [1, 3]
    assert editing.rules_naming(ruled, "c") == editing.rules_naming({}, "b") == []

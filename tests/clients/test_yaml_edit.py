"""Keys of a YAML text and items of its lists are changed, and every other byte stays."""

from itertools import pairwise

import pytest

from switchyard.clients import yaml_edit
from switchyard.clients.edits import apply_edits
from switchyard.clients.texts import Unparsable
from tests.clients.corpus import CONFIG_YAML

ITEM = '{"name":"S","a":1,"b":["x"]}'


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", ("a",), "1", "a: 1\n"),
        ("x: 1", ("a",), '"b"', 'x: 1\na: "b"\n'),
        ("a:   1 # why\nx: 2\n", ("a",), "3", "a: 3 # why\nx: 2\n"),
        ("a:\nx: 2\n", ("a",), "3", "a: 3\nx: 2\n"),
        ("a: |\n  b\n  c\n\nx: 2\n", ("a",), "3", "a: 3\n\nx: 2\n"),
        ("a:\n  - b\n  # c\n  - d\n# e\nx: 2\n", ("a",), "3", "a: 3\n# e\nx: 2\n"),
        ("a: 1\na: 2\n", ("a",), "3", "a: 1\na: 3\n"),
        ("x: 1\r\n", ("l", "S"), ITEM, 'x: 1\r\nl:\r\n  - name: "S"\r\n    a: 1\r\n    b: ["x"]\r\n'),
        ("l:\n- name: A\n", ("l", "S"), ITEM, 'l:\n- name: "S"\n  a: 1\n  b: ["x"]\n- name: A\n'),
        (
            "l:\n  - {name: A}\n",
            ("l", "S"),
            ITEM,
            'l:\n  - name: "S"\n    a: 1\n    b: ["x"]\n  - {name: A}\n',
        ),
        ("l: []\n", ("l", "S"), ITEM, f"l: [{ITEM}]\n"),
        ("l: [{name: A}]\n", ("l", "S"), ITEM, f"l: [{ITEM}, {{name: A}}]\n"),
        (
            "l:\n  - name: S\n    a: 0\n  - name: A\n",
            ("l", "S"),
            '{"name":"S"}',
            'l:\n  - name: "S"\n  - name: A\n',
        ),
        (
            "l:\n  - name: S\n  - name: A\n",
            ("l", "S 2"),
            '{"name":"S 2"}',
            'l:\n  - name: S\n  - name: "S 2"\n  - name: A\n',
        ),
    ],
)
def test_a_key_or_an_item_is_set(text: str, path: tuple[str, ...], value: str, expected: str) -> None:
    assert yaml_edit.edited(text, {path: value}) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("a: 1 # why\nb: 2\n", ("a",), "b: 2\n"),
        ("b: 2\na:\n  - x\n  - y\n# c\n", ("a",), "b: 2\n# c\n"),
        ("a: 1\nb: 2\na: 3\n", ("a",), "b: 2\n"),
        ("l:\n  - name: A\n    x: 1\n  # c\n  - name: B\n", ("l", "A"), "l:\n  # c\n  - name: B\n"),
        ("l: [{name: A}, {name: B}]\n", ("l", "A"), "l: [{name: B}]\n"),
        ("l: [{name: A}, {name: B}]\n", ("l", "B"), "l: [{name: A}]\n"),
        ("l: [{name: A}]\n", ("l", "A"), "l: []\n"),
        ("l: 1\n", ("l", "A"), "l: 1\n"),
        ("", ("l", "A"), ""),
    ],
)
def test_a_key_or_an_item_is_removed(text: str, path: tuple[str, ...], expected: str) -> None:
    assert yaml_edit.edited(text, {path: None}) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(text for text in CONFIG_YAML if "[{" not in text),
        "models: [{name: C},  {name: S c} ]\n",
        "models: # none\n",
    ],
)
@pytest.mark.parametrize("names", [("S", "S a", "T", "S b", "B c", "T d"), ("B", "S a", "A", "S", "A c")])
def test_items_are_changed_at_once_as_one_by_one(text: str, names: tuple[str, ...]) -> None:
    text = text.removeprefix("\ufeff")
    items: dict[tuple[str, ...], str] = {("models", name): f'{{"name":"{name}","a":[1]}}' for name in names}
    by_one = text
    for path, value in items.items():
        by_one = yaml_edit.edited(by_one, {path: value})
    assert yaml_edit.edited(text, items) == by_one
    at_once = yaml_edit.edited(by_one, dict.fromkeys(items))
    for path in items:
        by_one = yaml_edit.edited(by_one, {path: None})
    assert at_once == by_one


@pytest.mark.parametrize("text", ["l:\n", "l: []\n", "l: # none\n"])
def test_an_empty_list_is_removed(text: str) -> None:
    assert yaml_edit.drop_if_empty(text, ("l",)) == ""
    assert yaml_edit.drop_if_empty("l: [1]\n", ("l",)) == "l: [1]\n"


@pytest.mark.parametrize(
    "text",
    [
        "a: 'b",
        "- a\n- b\n",
        "just text",
        "a: 1\n---\na: 2\n",
        "a: \x07\n",
        "a: " + "[" * 5000,
        "{l: [], x: 1}\n",
        "x: 1\n...\n",
        "l: &it\n  - name: A\nother: *it\n",
        "l: text\n",
        "l:\n  - text\n",
        "x: &x [*x]\n",
        "l:\n  - &it\n    name: A\n    x: {it: *it}\n",
        "a: &a [1, 1]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijkmnopqrstuvw")),
    ],
)
def test_a_form_that_cannot_be_edited_is_an_error(text: str) -> None:
    with pytest.raises(Unparsable):
        apply_edits(yaml_edit, text, {("l", "S"): {"name": "S"}})


def test_an_error_names_its_place() -> None:
    with pytest.raises(Unparsable, match="line 2, column 5"):
        yaml_edit.data("a: 1\nb: @x\n".replace("@", " @"))

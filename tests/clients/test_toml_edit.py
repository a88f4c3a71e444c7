"""Keys of a TOML text are changed, and every other byte stays."""

import tomllib
from typing import Any

import pytest

from switchyard.clients import toml_edit
from switchyard.clients.texts import Unparsable

OURS = ("model_providers", "ours", "name")


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", ("a",), "a = 1\n"),
        ("x = 1", ("a",), "x = 1\na = 1"),
        ("x = 1 # why\n\n[t]\n", ("a",), "x = 1 # why\na = 1\n\n[t]\n"),
        ("[t]\nx = 1\n", ("a",), "a = 1\n[t]\nx = 1\n"),
        ("# head\r\nx = 1\r\n", ("a",), "# head\r\nx = 1\r\na = 1\r\n"),
        ("a = '''\nx = 1\n[t]\n'''\n[t]\n", ("b",), "a = '''\nx = 1\n[t]\n'''\nb = 1\n[t]\n"),
        ('a = [ # list\n  "]", # not yet\n]\n', ("b",), 'a = [ # list\n  "]", # not yet\n]\nb = 1\n'),
        ("a = 0 # old\n", ("a",), "a = 1 # old\n"),
        ('"a" = 1979-05-27 07:32:00 # old\n', ("a",), '"a" = 1 # old\n'),
        ('a = """x"""" # old\n', ("a",), "a = 1 # old\n"),
        ("", OURS, "[model_providers.ours]\nname = 1\n"),
        ("x = 1", OURS, "x = 1\n\n[model_providers.ours]\nname = 1"),
        ("x = 1\n", OURS, "x = 1\n\n[model_providers.ours]\nname = 1\n"),
        (
            "[model_providers.ours]\n  x = 1\n\n[t]\n",
            OURS,
            "[model_providers.ours]\n  x = 1\n  name = 1\n\n[t]\n",
        ),
        (
            "[model_providers . 'ours'] # mine\n[t]\n",
            OURS,
            "[model_providers . 'ours'] # mine\nname = 1\n[t]\n",
        ),
        ("[model_providers]\nours.x = 1\n", OURS, "[model_providers]\nours.x = 1\nours.name = 1\n"),
        ("model_providers.ours.x = 1\n", OURS, "model_providers.ours.x = 1\nmodel_providers.ours.name = 1\n"),
        ("model_providers = {}\n", OURS, "model_providers = { ours.name = 1 }\n"),
        ("model_providers = { o = 1 }\n", OURS, "model_providers = { o = 1, ours.name = 1 }\n"),
        (
            "model_providers = { ours = { x = 1 }, o = 2 }\n",
            OURS,
            "model_providers = { ours = { x = 1, name = 1 }, o = 2 }\n",
        ),
        ("model_providers = { ours = { name = 0 } }\n", OURS, "model_providers = { ours = { name = 1 } }\n"),
        ("[[t]]\na = 0\n[[t]]\na = 0\n", ("a",), "a = 1\n[[t]]\na = 0\n[[t]]\na = 0\n"),
    ],
)
def test_a_key_is_set_where_its_table_is(text: str, path: tuple[str, ...], expected: str) -> None:
    changed = toml_edit.put(text, path, "1")
    assert changed == expected
    tomllib.loads(changed)


def test_a_key_spread_over_a_table_becomes_one_line() -> None:
    text = '[p.ours]\nx = 1\n\n[p.ours.headers]\n"a" = "b"\n\n[t]\n'
    path = ("p", "ours", "headers")
    assert toml_edit.raw(text, path) == '{ a = "b" }'
    assert toml_edit.put(text, path, "{ c = 1 }") == "[p.ours]\nx = 1\nheaders = { c = 1 }\n\n[t]\n"


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("a = 1\nb = 2\n", ("a",), "b = 2\n"),
        ("a = 1\nb = 2", ("b",), "a = 1"),
        ("a = 1\r\nb = 2", ("b",), "a = 1"),
        ("a = [\n 1,\n]\nb = 2\n", ("a",), "b = 2\n"),
        ("t = { a = 1, b = 2, c = 3 }\n", ("t", "a"), "t = { b = 2, c = 3 }\n"),
        ("t = { a = 1, b = 2, c = 3 }\n", ("t", "b"), "t = { a = 1, c = 3 }\n"),
        ("t = { a = 1 }\n", ("t", "a"), "t = {}\n"),
        ("x = 1\n\n[t]\na = 1\n[t.u]\nb = 1\n\n[v]\n", ("t",), "x = 1\n\n[v]\n"),
        ("x = 1\n", ("t", "a"), "x = 1\n"),
    ],
)
def test_a_key_or_table_is_taken_out(text: str, path: tuple[str, ...], expected: str) -> None:
    assert toml_edit.drop(text, path) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("x = 1\n\n[t]\n", ("t",), "x = 1\n"),
        ("x = 1\n\n[t]", ("t",), "x = 1"),
        ("[t]\n[t.u]\na = 1\n", ("t",), "[t]\n[t.u]\na = 1\n"),
        ("[t]\na = 1\n", ("t",), "[t]\na = 1\n"),
    ],
)
def test_only_an_empty_table_is_removed(text: str, path: tuple[str, ...], expected: str) -> None:
    assert toml_edit.drop_if_empty(text, path) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = \n", (2, 5)), ("a = 1\na = 2\n", (2, 6)), ("[t\n", (1, 3)), ('a = "', (1, 6))],
)
def test_an_unreadable_text_is_refused_with_the_position(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(Unparsable) as caught:
        toml_edit.data(text)
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ("C:\\Users\\me", '"C:\\\\Users\\\\me"'),
        (True, "true"),
        ({"x-api-key": "k", "a b": 1}, '{ x-api-key = "k", "a b" = 1 }'),
        ([1, "b"], '[1, "b"]'),
    ],
)
def test_values_are_rendered_in_one_line(value: Any, text: str) -> None:
    assert toml_edit.render(value) == text
    assert tomllib.loads(f"x = {text}") == {"x": value}

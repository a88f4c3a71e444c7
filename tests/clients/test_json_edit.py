"""Keys of a JSON text are changed, and every other byte stays."""

from typing import Any

import pytest

from switchyard.clients import json_edit
from switchyard.clients.texts import Unparsable


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", ("a", "b"), "1", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", ("a",), "1", '{\n  "a": 1\n}'),
        ('{"x":1}', ("a",), "1", '{"x":1,"a": 1}'),
        ('{ "x": 1 }', ("a",), "1", '{ "x": 1, "a": 1 }'),
        ('{"x":1,"env":{}}', ("env", "a"), "1", '{"x":1,"env":{"a": 1}}'),
        ('{\n\t"x": 1\n}\n', ("a",), "1", '{\n\t"x": 1,\n\t"a": 1\n}\n'),
        ('{\n    "x": 1\n}', ("e", "a"), "1", '{\n    "x": 1,\n    "e": {\n        "a": 1\n    }\n}'),
        ('{\r\n  "x": 1\r\n}', ("a",), "1", '{\r\n  "x": 1,\r\n  "a": 1\r\n}'),
        ('{\n  "x": 1 // why\n}', ("a",), "1", '{\n  "x": 1, // why\n  "a": 1\n}'),
        ('{\n  "x": 1, // why\n}', ("a",), "1", '{\n  "x": 1, // why\n  "a": 1,\n}'),
        ("{\n  // none yet\n}", ("a",), "1", '{\n  // none yet\n  "a": 1\n}'),
        ('{\n  "a": [1, {"b": 2}], "c": 3\n}', ("a",), "9", '{\n  "a": 9, "c": 3\n}'),
        ('{"a": 1, "a": 2}', ("a",), "3", '{"a": 1, "a": 3}'),
        ('{"\\u0061": 1}', ("a",), "2", '{"\\u0061": 2}'),
        ('{"s": "}, \\" // {"}', ("a",), "1", '{"s": "}, \\" // {", "a": 1}'),
    ],
)
def test_a_key_is_set_in_the_style_of_its_neighbours(
    text: str, path: tuple[str, ...], value: str, expected: str
) -> None:
    assert json_edit.put(text, path, value) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": 1}', ("a",), "{}"),
        ('{\n  "a": 1\n}\n', ("a",), "{}\n"),
        ('{"a": 1, "b": 2, "c": 3}', ("a",), '{"b": 2, "c": 3}'),
        ('{"a": 1, "b": 2, "c": 3}', ("b",), '{"a": 1, "c": 3}'),
        ('{"a": 1, "b": 2, "c": 3}', ("c",), '{"a": 1, "b": 2}'),
        ('{\n  "a": 1, // why\n  "b": 2\n}', ("b",), '{\n  "a": 1 // why\n}'),
        ('{\n  "a": 1,\n  "b": 2,\n}', ("b",), '{\n  "a": 1,\n}'),
        ('{"e": {"a": 1}, "f": 2}', ("e", "a"), '{"e": {}, "f": 2}'),
        ('{"e": {}, "f": 2}', ("e", "a"), '{"e": {}, "f": 2}'),
        ('{"e": 1}', ("e", "a"), '{"e": 1}'),
    ],
)
def test_a_key_is_taken_out_with_its_comma_and_blanks(
    text: str, path: tuple[str, ...], expected: str
) -> None:
    assert json_edit.drop(text, path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1', "line 1, column 8: expected a comma or }, found the end of the file"),
        ('{\n  "a" 1\n}', 'line 2, column 7: expected a colon, found "1"'),
        ('{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: expected a comma or }, found "\\""'),
        ("{a: 1}", 'line 1, column 2: expected a name in "" or }, found "a"'),
        ("{\"a\": 'x'}", 'line 1, column 7: expected a value, found "\'"'),
        ('{"a": "x\n"}', 'line 1, column 7: expected a complete string in one line, found "\\""'),
        ('{"a": [1 2]}', 'line 1, column 10: expected a comma or ], found "2"'),
        ("{} x", 'line 1, column 4: expected nothing after the end of the value, found "x"'),
        ("[1]", 'line 1, column 1: expected an object, found "["'),
        ("/* open", 'line 1, column 1: expected a value, found "/"'),
        ('{"a":' + "[" * 300, 'line 1, column 206: expected fewer nested brackets, found "["'),
    ],
)
def test_an_unreadable_text_is_refused_with_the_position(text: str, message: str) -> None:
    with pytest.raises(Unparsable) as caught:
        json_edit.data(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        (" \n", {}),
        ('{"a": [1, -2.5e3, true, null, "x", {"b": []}], // c\n /* d */ "e": {},}', None),
    ],
)
def test_data_is_read_with_comments_and_trailing_commas(text: str, value: Any) -> None:
    expected = {"a": [1, -2500.0, True, None, "x", {"b": []}], "e": {}} if value is None else value
    assert json_edit.data(text) == expected


def test_a_value_that_is_no_object_is_not_entered() -> None:
    with pytest.raises(Unparsable, match='"env" is not an object'):
        json_edit.put('{"env": 1}', ("env", "a"), "1")

"""The text of the settings file is strict JSON; for anything else the error names it and its position."""

from contextlib import suppress
from typing import Any

import pytest

from switchyard.faults import SettingsError
from switchyard.settings_text import decode_text

COMMENT = 'delete it, or move its text to the field "note" of an upstream'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{\n  "a": tru\n}', '$ (line 3, column 1): expected valid JSON, found the unexpected sign "}"'),
        ('{"é": x}'.encode(), '$ (line 1, column 7): expected valid JSON, found the unexpected sign "x"'),
        (
            b'{"a": 1',
            "$ (line 1, column 8): expected valid JSON, found the end of the file, something is not closed",
        ),
        (b" \n", "$ (line 2, column 1): expected valid JSON, found an empty file"),
        (b'{"a":"\xff"}', "$ (line 1, column 7): expected UTF-8 text, found other bytes"),
        ("{}".encode("utf-16"), "$: expected a file in UTF-8, found UTF-16; save it again as UTF-8"),
        ("{}".encode("utf-16-le"), "$: expected a file in UTF-8, found UTF-16; save it again as UTF-8"),
        ("{}".encode("utf-16-be"), "$: expected a file in UTF-8, found UTF-16; save it again as UTF-8"),
        *(
            (
                b"\0" * size,
                "$: expected valid JSON, found only zero bytes, as a power cut may leave them; "
                "restore an earlier version",
            )
            for size in (1, 2, 4096)
        ),
        (b"{a: 1}", "$ (line 1, column 2): expected valid JSON, found no name in double quotes"),
        (b'{"a" 1}', "$ (line 1, column 6): expected valid JSON, found something else than ':'"),
        (b"{} x", "$ (line 1, column 4): expected valid JSON, found more after the end"),
        (b'{"a": 1e999}', "$: expected valid JSON, found a number that is too large"),
        (b"[1]", "$: expected a JSON object, found [1]"),
        (b"[" * 100_000, "$: expected JSON, found brackets nested too deeply"),
    ],
)
def test_broken_json_is_reported_with_line_and_column(content: bytes, fault: str) -> None:
    assert errors_of(content) == [fault]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            b"// mine\n{}",
            f"$ (line 1, column 1): expected JSON without comments, found a // comment; {COMMENT}",
        ),
        (
            b"{} // mine",
            f"$ (line 1, column 4): expected JSON without comments, found a // comment; {COMMENT}",
        ),
        (
            b'{\n  "a": 1, // "b": 2,\n  "c": 3\n}',
            f"$ (line 2, column 11): expected JSON without comments, found a // comment; {COMMENT}",
        ),
        (
            b'{"a": /* one\nor two */ 1}',
            f"$ (line 1, column 7): expected JSON without comments, found a /* comment; {COMMENT}",
        ),
        (
            b"{}\n# mine",
            f"$ (line 2, column 1): expected JSON without comments, found a # comment; {COMMENT}",
        ),
        (
            b'{"a": [1,\n2,\n]}',
            "$ (line 2, column 2): expected valid JSON, found a comma after the last entry; delete it",
        ),
        (
            b'{"a": 1,}',
            "$ (line 1, column 8): expected valid JSON, found a comma after the last entry; delete it",
        ),
    ],
)
def test_a_comment_or_a_trailing_comma_is_refused_by_name(content: bytes, error: str) -> None:
    text = decode_text(content)
    assert [str(fault) for fault in text.faults] == [error]


def test_every_comment_and_comma_is_listed_with_what_else_is_wrong() -> None:
    content = b'{"a": 1, // one\n"b": 2, /* two */\n"c": [3,],\n"d": oops\n}'
    assert [
        error.partition(", column")[0] + error.rpartition("found")[2] for error in errors_of(content)
    ] == [
        f"$ (line 1 a // comment; {COMMENT}",
        f"$ (line 2 a /* comment; {COMMENT}",
        "$ (line 3 a comma after the last entry; delete it",
        '$ (line 4 the unexpected sign "o"',
    ]


def test_a_file_full_of_comments_is_not_listed_whole() -> None:
    assert len(decode_text(b"// mine\n" * 1000 + b"{}").faults) == 10


@pytest.mark.parametrize(
    "content",
    [
        b'{"base_url": "https://h/v1", "note": "a # and /* b */ and , ]"}',
        rb'{"note": "\"// no comment\\"}',
        b'\xef\xbb\xbf{"a": 1}',
    ],
)
def test_what_only_looks_like_a_comment_is_none(content: bytes) -> None:
    assert decode_text(content).faults == ()


def test_an_address_without_its_last_quote_is_not_taken_for_a_comment() -> None:
    assert "comment" not in " ".join(errors_of(b'{"base_url": "https://h,\n"a": 1}'))


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        (
            b'{\n"key": 1,\n"key": 2\n}',
            ["$.key (line 3, column 1): expected each name only once; line 2 has it too, found it again"],
        ),
        (
            b'{"upstreams": [\n{"name": "a",\n"models": {"x": "1",\n\n"x": "2"}}]}',
            [
                "$.upstreams[0].models.x (line 5, column 1): "
                "expected each name only once; line 3 has it too, found it again"
            ],
        ),
        (
            b'{"budget": {"b": 1},\n"budget": {"b": 2}}',
            ["$.budget (line 2, column 1): expected each name only once; line 1 has it too, found it again"],
        ),
        (b'{"a": {"b": 1}, "c": {"b": 1}, "d": ["b", "b", {"b": 1}, {"b": 1}]}', []),
    ],
)
def test_a_name_that_occurs_twice_is_an_error_that_names_both_lines(
    content: bytes, errors: list[str]
) -> None:
    assert [str(fault) for fault in decode_text(content).duplicates] == errors


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b'{"client_keys": {"geheim": "a", "geheim": "b"}}', '$.client_keys["(not shown)"]'),
        (b'{"client_kyes": {"geheim": {"key": 1, "key": 2}}}', '$["(not shown)"]'),
        (b'{"upstreams": [{"headers": {"x": "1", "x": "2"}}]}', '$.upstreams[0].headers["(not shown)"]'),
        (b'{"failover": {"on_status": {"429": "switch", "429": "retry"}}}', "$.failover.on_status.429"),
        (b'{"prices": {"a b": {"input": 1, "input": 2}}}', '$.prices["a b"].input'),
    ],
)
def test_a_name_that_occurs_twice_is_shown_only_if_it_is_no_secret(content: bytes, path: str) -> None:
    assert [fault.path for fault in decode_text(content).duplicates] == [path]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("$", (1, 1)),
        ("$.upstreams", (2, 3)),
        ("$.upstreams[1].name", (4, 6)),
        ("$.upstreams[1].weekdays[1]", (4, 39)),
        ('$["two words"]', (5, 5)),
        ("$.missing", None),
    ],
)
def test_every_value_has_its_position(path: str, place: Any) -> None:
    content = """{
  "upstreams": [
    {"name": "é"},
    {"name": "b", "weekdays": ["mon", 2]}
  ],"two words": {}
}""".encode()
    assert decode_text(content).place(path) == place


@pytest.mark.parametrize("depth", [100, 500, 900, 990, 1100])
def test_a_deeply_nested_text_is_read_or_refused(depth: int) -> None:
    with suppress(SettingsError):
        assert decode_text(b'{"a": ' * depth + b"1" * 5000 + b"}" * depth).duplicates == ()


def errors_of(content: bytes) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        decode_text(content)
    return [str(fault) for fault in caught.value.faults]

"""A document is compared with its type, and each error is a plain sentence."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from switchyard.faults import Fault, Inspection, SettingsError, child, described

Size = Literal["small", "large"]


class Box(msgspec.Struct, frozen=True, kw_only=True):
    label: Annotated[str, Meta(min_length=1)]
    size: Size = "small"
    weight: Annotated[float, Meta(gt=0, le=10)] | None = None
    parts: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    words: dict[str, str] | list[str] = {}
    by_code: dict[Annotated[str, Meta(pattern="^[0-9]+$", title="digits")], Size] = {}
    secret: str = ""


def faults_of(raw: Any) -> list[str]:
    inspection = Inspection({}, frozenset({"secret"}))
    inspection.struct(Box, raw, "$")
    return [str(fault) for fault in inspection.faults]


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ([], "$: expected an object, found []"),
        ({}, "$.label: expected text that is not empty, found nothing"),
        ({"label": ""}, '$.label: expected text that is not empty, found ""'),
        ({"label": "a", "size": "huge"}, '$.size: expected one of "small", "large", found "huge"'),
        ({"label": "a", "weight": 0}, "$.weight: expected a number above 0 and at most 10, found 0"),
        ({"label": "a", "parts": 1}, "$.parts: expected a list, found 1"),
        ({"label": "a", "parts": [1, 0]}, "$.parts[1]: expected a whole number at least 1, found 0"),
        ({"label": "a", "words": 5}, "$.words: expected an object or a list, found 5"),
        ({"label": "a", "words": {"x-1": 5}}, '$.words["x-1"]: expected text, found 5'),
        ({"label": "a", "words": ["x", 5]}, "$.words[1]: expected text, found 5"),
        ({"label": "a", "by_code": {"12": "s"}}, '$.by_code.12: expected one of "small", "large", found "s"'),
        ({"label": "a", "by_code": {"xy": "small"}}, '$.by_code.xy: expected digits, found "xy"'),
        ({"label": "a", "secret": 12345}, "$.secret: expected text, found (not shown)"),
    ],
)
def test_an_error_states_where_what_was_expected_and_what_was_found(raw: Any, fault: str) -> None:
    assert faults_of(raw) == [fault]


def test_a_valid_value_has_no_error() -> None:
    raw = {
        "label": "a",
        "size": "large",
        "weight": None,
        "parts": [1],
        "words": ["x"],
        "by_code": {"1": "small"},
    }
    assert faults_of(raw) == []


def test_one_error_does_not_hide_the_next() -> None:
    assert len(faults_of({"label": 1, "size": 2, "weight": "3", "parts": ["x", "y"], "words": {"a": 1}})) == 6


def test_a_near_miss_is_pointed_out_where_a_value_is_missing() -> None:
    assert faults_of({"labl": "a"}) == [
        '$.label: expected text that is not empty, found nothing, but the unknown field "labl"'
    ]


def test_unknown_fields_are_warnings_with_a_suggestion() -> None:
    inspection = Inspection({}, frozenset())
    inspection.struct(Box, {"label": "a", "wieght": 1, "$comment": "x", "other": 2}, "$")
    assert inspection.warnings == [
        "$.wieght: unknown field, kept without effect; did you mean `weight`?",
        "$.other: unknown field, kept without effect",
    ]


def test_a_field_that_is_there_is_not_suggested() -> None:
    inspection = Inspection({}, frozenset())
    inspection.struct(Box, {"label": "a", "weight": 1, "last_weight": 2}, "$")
    assert inspection.warnings == ["$.last_weight: unknown field, kept without effect"]


def test_a_long_value_is_shortened() -> None:
    assert faults_of({"label": "a", "size": "x" * 100}) == [
        '$.size: expected one of "small", "large", found "' + "x" * 56 + "..."
    ]


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (Annotated[int, Meta(ge=1, le=100)], "a whole number from 1 to 100"),
        (float, "a number"),
        (Annotated[float, Meta(description="x")], "a number"),
        (bool, "true or false"),
        (dict[str, str], "an object"),
        (tuple[str, ...], "a list"),
        (int | None, "a whole number"),
    ],
)
def test_types_are_described_in_the_words_of_a_user(hint: Any, words: str) -> None:
    assert described(hint) == words


def test_paths_quote_names_that_are_no_plain_words() -> None:
    assert child("$", "plain_1") == "$.plain_1"
    assert child("$", "two words") == '$["two words"]'
    assert child("$", "plain", quoted=True) == '$["plain"]'


def test_an_error_with_a_position_in_the_text_names_it() -> None:
    assert (
        str(Fault("$", "valid JSON", "a comma", 3, 7))
        == "$ (line 3, column 7): expected valid JSON, found a comma"
    )


def test_the_exception_holds_all_errors_and_lists_them() -> None:
    faults = (Fault("$.a", "text"), Fault("$.b", "a number", "x"))
    error = SettingsError(faults)
    assert (error.faults, str(error)) == (faults, "$.a: expected text; $.b: expected a number, found x")

"""Schemas of tools in the dialect of an upstream that does not know all of JSON Schema."""

from typing import Any

import pytest

from switchyard.protocols.tools.dialect import in_dialect

Json = dict[str, Any]


def of(**properties: Any) -> Json:
    return {"type": "object", "properties": properties}


DEFS = {"x": {"type": "object", "properties": {"a": {"type": "string"}}}}
PLAIN: tuple[tuple[Json, Json], ...] = (
    (
        {**of(p={"$ref": "#/$defs/x", "type": "object", "description": "d"}), "$defs": DEFS},
        {**of(p={"$ref": "#/$defs/x"}), "$defs": DEFS},
    ),
    (
        {**of(p={"$ref": "#/definitions/x"}), "definitions": DEFS},
        {**of(p=DEFS["x"]), "definitions": DEFS},
    ),
    (
        of(p={"type": "object", "anyOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}]}),
        of(
            p={
                "anyOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}},
                    {"type": "object", "required": ["a"]},
                ]
            }
        ),
    ),
    (of(p={"description": "d"}), of(p={"type": "string", "description": "d"})),
    (of(p={"enum": [1, 2]}), of(p={"type": "integer", "enum": [1, 2]})),
    (of(p={"items": {"type": "string"}}), of(p={"type": "array", "items": {"type": "string"}})),
    (of(p={"type": None}), of(p={"type": "string"})),
    (of(p={"type": ["string", "null"]}), of(p={"type": "string"})),
    ({"type": None, "properties": {}}, of()),
    ({}, of()),
    (
        of(type={"type": "string"}, format={"type": "string"}),
        of(type={"type": "string"}, format={"type": "string"}),
    ),
)


@pytest.mark.parametrize(("schema", "expected"), PLAIN)
def test_a_schema_becomes_plain(schema: Json, expected: Json) -> None:
    assert in_dialect(schema, full=False, without=()) == expected


def test_a_union_at_the_root_becomes_one_object() -> None:
    branches = [of(a={"type": "string"}), of(b={"type": "string"})]
    written = in_dialect({"anyOf": branches}, full=False, without=())
    assert (written["type"], sorted(written["properties"]), "anyOf" in written) == (
        "object",
        ["a", "b"],
        False,
    )


WITHOUT: tuple[tuple[tuple[str, ...], Json, Json], ...] = (
    (("format",), of(p={"type": "string", "format": "uri"}), of(p={"type": "string"})),
    (("format",), of(format={"type": "string"}), of(format={"type": "string"})),
    (("$ref",), {**of(p={"$ref": "#/$defs/x"}), "$defs": DEFS}, of(p=DEFS["x"])),
    (
        ("oneOf",),
        of(p={"oneOf": [{"type": "string"}, {"type": "integer"}]}),
        of(p={"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    ),
    (("anyOf",), of(p={"anyOf": [{"type": "null"}, {"type": "integer"}]}), of(p={"type": "integer"})),
    (
        ("allOf",),
        of(p={"allOf": [{"type": "string"}, {"minLength": 1}]}),
        of(p={"type": "string", "minLength": 1}),
    ),
    (("const",), of(p={"const": "a"}), of(p={"enum": ["a"]})),
)


@pytest.mark.parametrize(("without", "schema", "expected"), WITHOUT)
def test_a_refused_keyword_is_expressed_in_others(
    without: tuple[str, ...], schema: Json, expected: Json
) -> None:
    assert in_dialect(schema, full=True, without=without) == expected


@pytest.mark.parametrize("full", [True, False])
def test_a_schema_that_refers_to_itself_ends(full: bool) -> None:
    endless = {**of(p={"$ref": "#/$defs/n"}), "$defs": {"n": of(n={"$ref": "#/$defs/n"})}}
    written = in_dialect(endless, full=full, without=("$ref",))
    assert "$ref" not in str(written)


def test_no_schema_grows_without_end() -> None:
    wide = {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n"}, "c": {"$ref": "#/$defs/n"}}
    endless = {**of(**wide), "$defs": {"n": of(**wide)}}
    assert len(str(in_dialect(endless, full=True, without=("$ref",)))) < 1_000_000

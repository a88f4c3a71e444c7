"""Write the schema of a tool in the dialect of an upstream that does not know all of JSON Schema."""

from collections.abc import Collection, Mapping
from typing import Any

from switchyard.protocols.tools.schema import definition, merged_union, object_schema
from switchyard.protocols.wire import Json, entries

UNIONS = ("anyOf", "oneOf")
MAPS = ("properties", "$defs", "definitions", "patternProperties")
"""Their members are named by the author of the schema: their names are no keywords."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "not", "contains")
REFERENCE = "$ref"
OWN_REFERENCE = "#/$defs/"
MAX_DEPTH = 24
"""of references within references: schemas may refer to themselves"""
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def in_dialect(schema: Json, *, full: bool, without: Collection[str]) -> Json:
    """The schema with an object at its root. `full`: all forms are known but for the keywords `without`."""
    written = _written(schema, schema, full, frozenset(without), MAX_DEPTH)
    rooted = object_schema(written)
    return rooted if full else _written(rooted, rooted, full, frozenset(without), MAX_DEPTH)


def _written(schema: Any, root: Json, full: bool, without: frozenset[str], depth: int) -> Any:
    if not isinstance(schema, dict):
        return schema
    if REFERENCE in schema and (REFERENCE in without or not _is_plain(schema[REFERENCE], full)):
        return _resolved(schema, root, full, without, depth)
    if REFERENCE in schema and not full:
        return {REFERENCE: schema[REFERENCE]} | {name: schema[name] for name in MAPS if name in schema}
    written = {name: _inner(name, value, root, full, without, depth) for name, value in schema.items()}
    written = _without_keywords(written, without)
    return written if full else _typed(_with_types_inside(written))


def _is_plain(reference: object, full: bool) -> bool:
    return isinstance(reference, str) and (full or reference.startswith(OWN_REFERENCE))


def _resolved(schema: Json, root: Json, full: bool, without: frozenset[str], depth: int) -> Json:
    """What the reference means, in its place; an object of any form where it leads too deep or nowhere."""
    reference = schema[REFERENCE]
    meant = definition(reference, root) if isinstance(reference, str) else None
    if meant is None or not depth:
        return {"type": "object"}
    beside = {name: value for name, value in schema.items() if name != REFERENCE}
    return dict(_written({**meant, **beside}, root, full, without, depth - 1))


def _inner(name: str, value: Any, root: Json, full: bool, without: frozenset[str], depth: int) -> Any:
    if name in MAPS and isinstance(value, dict):
        return {key: _written(one, root, full, without, depth) for key, one in value.items()}
    if name in LISTS and isinstance(value, list):
        return [_written(one, root, full, without, depth) for one in value]
    return _written(value, root, full, without, depth) if name in SINGLE else value


def _without_keywords(schema: Json, without: frozenset[str]) -> Json:
    left = {name: value for name, value in schema.items() if name not in without}
    if REFERENCE in without:
        left = {name: value for name, value in left.items() if name not in ("$defs", "definitions")}
    if "const" in schema and "const" in without:
        left.setdefault("enum", [schema["const"]])
    for union in ("allOf", *UNIONS):
        branches = [one for one in entries(schema.get(union)) if isinstance(one, dict)]
        if union in without and branches:
            left = _without_union(left, branches, union, without)
    return left


def _without_union(schema: Json, branches: list[Json], union: str, without: frozenset[str]) -> Json:
    if union == "oneOf" and "anyOf" not in without:
        return {"anyOf": branches, **schema}
    if any(isinstance(one.get("properties"), Mapping) for one in branches):
        return {**merged_union(schema, branches, union), "type": "object"}
    if union == "allOf":
        return {name: value for one in (*branches, schema) for name, value in one.items()}
    return {**next((one for one in branches if one.get("type") != "null"), branches[0]), **schema}


def _with_types_inside(schema: Json) -> Json:
    """The type beside a union moves into its branches."""
    union = next((name for name in UNIONS if isinstance(schema.get(name), list)), None)
    if union is None:
        return schema
    type_ = schema.get("type")
    branches = [
        {"type": type_, **one} if type_ and isinstance(one, dict) and not _has_form(one) else one
        for one in schema[union]
    ]
    return {**{name: value for name, value in schema.items() if name != "type"}, union: branches}


def _has_form(schema: Json) -> bool:
    return bool(schema.get("type")) or any(name in schema for name in (REFERENCE, *LISTS))


def _typed(schema: Json) -> Json:
    """The schema with one type."""
    type_ = schema.get("type")
    if isinstance(type_, list):
        type_ = next((one for one in type_ if one != "null"), "string")
    if not type_ and not _has_form(schema):
        type_ = _type_by_form(schema)
    left = {name: value for name, value in schema.items() if name != "type"}
    return {"type": type_, **left} if type_ else left


def _type_by_form(schema: Json) -> str:
    if "items" in schema:
        return "array"
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    examples = [
        *entries(schema.get("enum")),
        *(schema[name] for name in ("const", "default") if name in schema),
    ]
    return TYPES.get(type(examples[0]), "string") if examples else "string"

"""Write the schema of a tool in the dialect of an upstream that does not know all of JSON Schema."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from switchyard.protocols.tools.schema import definition, merged_union, object_schema
from switchyard.protocols.wire import Json, entries

UNIONS = ("anyOf", "oneOf")
DEFINITIONS = ("$defs", "definitions")
MAPS = ("properties", "patternProperties", *DEFINITIONS)
"""Their members are named by the author of the schema: their names are no keywords."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "not", "contains")
REFERENCE = "$ref"
OWN_REFERENCE = "#/$defs/"
MAX_RESOLVED = 200
"""references: each may hold further ones"""
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def in_dialect(schema: Json, *, full: bool, without: Collection[str]) -> Json:
    """The schema with an object at its root. `full`: all forms are known but for the keywords `without`."""
    writer = _Writer(schema, full, frozenset(without))
    rooted = object_schema(writer.written(schema))
    return rooted if full else _Writer(rooted, full, frozenset(without)).written(rooted)


@dataclass(slots=True)
class _Writer:
    """Writes the parts of one schema; `open`: the references that are being resolved."""

    root: Json
    full: bool
    without: frozenset[str]
    open: tuple[str, ...] = ()
    resolved: int = 0

    def written(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        reference = schema.get(REFERENCE)
        if isinstance(reference, str) and not self._keeps(reference):
            return self._meant(schema, reference)
        if isinstance(reference, str) and not self.full:
            return {REFERENCE: reference} | {name: schema[name] for name in MAPS if name in schema}
        whole = schema if self.full else _with_types_inside(schema)
        written = {name: self._inner(name, value) for name, value in whole.items()}
        written = _without_keywords(written, self.without)
        return written if self.full else _typed(written)

    def _keeps(self, reference: str) -> bool:
        return REFERENCE not in self.without and (self.full or reference.startswith(OWN_REFERENCE))

    def _meant(self, schema: Json, reference: str) -> Json:
        """What the reference means, in its place; an object of any form where it refers to itself or to nothing."""
        meant = definition(reference, self.root)
        if meant is None or reference in self.open or self.resolved >= MAX_RESOLVED:
            return {"type": "object"}
        self.resolved += 1
        self.open = (*self.open, reference)
        beside = {name: value for name, value in schema.items() if name != REFERENCE}
        written = self.written({**meant, **beside})
        self.open = self.open[:-1]
        return dict(written)

    def _inner(self, name: str, value: Any) -> Any:
        if name in MAPS and isinstance(value, dict):
            if name in DEFINITIONS and REFERENCE in self.without:
                return value
            return {key: self.written(one) for key, one in value.items()}
        if name in LISTS and isinstance(value, list):
            return [self.written(one) for one in value]
        # an empty schema allows anything: there is nothing to write
        return self.written(value) if name in SINGLE and value else value


def _without_keywords(schema: Json, without: frozenset[str]) -> Json:
    left = {name: value for name, value in schema.items() if name not in without}
    if REFERENCE in without:
        left = {name: value for name, value in left.items() if name not in DEFINITIONS}
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

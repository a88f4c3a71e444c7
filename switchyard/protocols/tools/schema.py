"""Declare tools to every upstream as functions whose schema is an object.

The neutral arguments of the kinds `local_shell`, `shell`, `apply_patch` and `tool_search` are objects of the
schemas below: only kind "custom" needs its arguments wrapped.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.tools.names import unique_names


def object_of(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


STRING = {"type": "string"}
STRINGS = {"type": "array", "items": STRING}
INTEGER = {"type": "integer"}
CHANGES = {"type": "string", "enum": ["create_file", "update_file", "delete_file"]}
WHOLE_TEXT = {"type": "string", "description": "The whole free-form text, exactly as meant."}
CUSTOM_SCHEMA: dict[str, Any] = object_of("input", input=WHOLE_TEXT) | {"additionalProperties": False}
SCHEMAS: Mapping[neutral.ToolKind, dict[str, Any]] = {
    "local_shell": object_of("command", command=STRINGS, workdir=STRING, timeout_ms=INTEGER),
    "shell": object_of("commands", commands=STRINGS, timeout_ms=INTEGER, max_output_length=INTEGER),
    "apply_patch": object_of(
        "operation", operation=object_of("type", "path", type=CHANGES, path=STRING, diff=STRING)
    ),
    "tool_search": object_of("query", query=STRING, limit=INTEGER),
}
DESCRIPTIONS: Mapping[neutral.ToolKind, str] = {
    "local_shell": "Runs a command on the user's machine; `command` is the program and its arguments.",
    "shell": "Runs shell commands on the user's machine, one after the other.",
    "apply_patch": "Creates, updates or deletes one file; `diff` is the change in V4A diff format.",
    "tool_search": "Searches further tools that can be called once they are found.",
}
CUSTOM_NOTE = "This tool takes free-form text: put the whole text, unwrapped, into `input`."
GRAMMAR_NOTE = "The text must follow this {syntax} grammar:\n{definition}"
UNIONS = ("anyOf", "oneOf", "allOf")


class Function(msgspec.Struct, frozen=True):
    """A tool as it goes over the wire: a function, unless `tool.kind` is "custom" and that was allowed."""

    wire_name: str
    description: str
    parameters: dict[str, Any]
    strict: bool | None
    tool: neutral.Tool


def to_functions(
    tools: tuple[neutral.Tool, ...], *, custom: bool
) -> tuple[tuple[Function, ...], Mapping[str, neutral.Tool]]:
    """The tools under unique legal names, and which tool each name means. `custom`: custom tools stay such.

    Of several declarations of one tool the first counts. A name clash is won by the tool that bears the name
    without namespace and unchanged; the others get a number.
    """
    names = unique_names(_distinct(tools))
    functions = tuple(_function(tool, name, custom) for name, tool in names.items())
    return functions, names


def object_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with an object at its root, as upstreams demand; a union there becomes one object of all."""
    schema = _resolved(dict(parameters), parameters)
    for union in UNIONS:
        branches = schema.pop(union, None)
        if isinstance(branches, list):
            schema = merged_union(schema, [_resolved(branch, parameters) for branch in branches], union)
    schema["type"] = "object"
    if not isinstance(schema.get("properties"), Mapping):
        schema["properties"] = {}
    return schema


def fits_strict(schema: object) -> bool:
    """OpenAI's strict mode: every object closed, all of its properties required."""
    parts = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, list):
            parts += part
        elif isinstance(part, Mapping):
            reported = part.get("properties")
            properties = reported if isinstance(reported, Mapping) else {}
            if (reported is not None or part.get("type") == "object") and not _is_closed(part, properties):
                return False
            parts += (*properties.values(), *_definitions(part), part.get("items"), part.get("anyOf"))
    return True


def _is_closed(schema: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    required = schema.get("required")
    names = set(map(str, required)) if isinstance(required, list) else set()
    return schema.get("additionalProperties") is False and names == set(properties)


def _definitions(schema: Mapping[str, Any]) -> list[Any]:
    parts = (schema.get(name) for name in ("$defs", "definitions"))
    return [definition for part in parts if isinstance(part, Mapping) for definition in part.values()]


def _distinct(tools: Iterable[neutral.Tool]) -> list[neutral.Tool]:
    first: dict[tuple[str, str, bool], neutral.Tool] = {}
    for tool in tools:
        first.setdefault((tool.namespace, tool.name, tool.kind in SCHEMAS), tool)
    return list(first.values())


def _function(tool: neutral.Tool, name: str, custom: bool) -> Function:
    if tool.kind == "custom":
        if custom:
            return Function(name, tool.description, {}, None, tool)
        return Function(name, _custom_description(tool), CUSTOM_SCHEMA, None, tool)
    parameters = tool.parameters or SCHEMAS.get(tool.kind, {})
    description = tool.description or DESCRIPTIONS.get(tool.kind, "")
    return Function(name, description, object_schema(parameters), tool.strict, tool)


def _custom_description(tool: neutral.Tool) -> str:
    parts = [tool.description, CUSTOM_NOTE]
    if tool.grammar:
        syntax, definition = tool.grammar
        parts.append(GRAMMAR_NOTE.format(syntax=syntax, definition=definition))
    return "\n\n".join(part for part in parts if part)


def _resolved(schema: object, root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, a reference of its own into the root's definitions replaced by what it means."""
    if not isinstance(schema, Mapping):
        return {}
    resolved = dict(schema)
    reference = resolved.get("$ref")
    target = definition(reference, root) if isinstance(reference, str) else None
    if target is not None:
        del resolved["$ref"]
        resolved = {**target, **resolved}
    return resolved


def definition(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def merged_union(schema: dict[str, Any], branches: list[dict[str, Any]], union: str) -> dict[str, Any]:
    """The properties of all branches; required is what every branch requires (of `allOf`: any)."""
    branches = [branch for branch in branches if isinstance(branch.get("properties"), Mapping)]
    if not branches:
        return schema
    properties: dict[str, Any] = {}
    for part in (*branches, schema):
        properties |= part.get("properties") or {}
    requirements = [dict.fromkeys(branch.get("required") or ()) for branch in branches]
    if union == "allOf":
        required = {name: None for names in requirements for name in names}
    else:
        required = {name: None for name in requirements[0] if all(name in names for names in requirements)}
    merged = {**schema, "properties": properties}
    required = dict.fromkeys(schema.get("required") or ()) | required
    if required:
        merged["required"] = list(required)
    if union != "allOf":
        alternatives = " or ".join("{" + ", ".join(branch["properties"]) + "}" for branch in branches)
        merged["description"] = f"{schema.get('description', '')} Give one of: {alternatives}.".strip()
    return merged

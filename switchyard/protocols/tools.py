"""Lower tools to what every upstream knows, named functions, and raise the calls back to the client's tools.

The neutral arguments of the kinds `local_shell`, `shell`, `apply_patch` and `tool_search` are objects of the
schemas below: only kind "custom" needs its arguments wrapped.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.ids import shortened

MAX_NAME_LENGTH = 64
FORBIDDEN_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
NAMESPACE_SEPARATOR = "__"

STRING = {"type": "string"}
STRINGS = {"type": "array", "items": STRING}
INTEGER = {"type": "integer"}

CUSTOM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole free-form text, exactly as meant."}},
    "required": ["input"],
    "additionalProperties": False,
}
SCHEMAS: Mapping[neutral.ToolKind, dict[str, Any]] = {
    "local_shell": {
        "type": "object",
        "properties": {"command": STRINGS, "workdir": STRING, "timeout_ms": INTEGER},
        "required": ["command"],
    },
    "shell": {
        "type": "object",
        "properties": {"commands": STRINGS, "timeout_ms": INTEGER, "max_output_length": INTEGER},
        "required": ["commands"],
    },
    "apply_patch": {
        "type": "object",
        "properties": {
            "operation": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                    "path": STRING,
                    "diff": STRING,
                },
                "required": ["type", "path"],
            }
        },
        "required": ["operation"],
    },
    "tool_search": {
        "type": "object",
        "properties": {"query": STRING, "limit": INTEGER},
        "required": ["query"],
    },
}
DESCRIPTIONS: Mapping[neutral.ToolKind, str] = {
    "local_shell": "Runs a command on the user's machine; `command` is the program and its arguments.",
    "shell": "Runs shell commands on the user's machine, one after the other.",
    "apply_patch": "Creates, updates or deletes one file; `diff` is the change in V4A diff format.",
    "tool_search": "Searches further tools that can be called once they are found.",
}
CUSTOM_NOTE = "This tool takes free-form text: put the whole text, unwrapped, into `input`."
GRAMMAR_NOTE = "The text must follow this {syntax} grammar:\n{definition}"

LIKELY_INPUT_NAMES = ("input", "patch", "content", "command", "text", "code")
"""Where models put the text of a custom tool, likeliest first."""
PATCH_TOOL = "apply_patch"
PATCH_START = "*** Begin Patch"
PATCH_WRAPPED = re.compile(r"(?s)\*\*\* Begin Patch.*\*\*\* End Patch")
CONTROL_CHARACTERS = {code: f"\\u{code:04x}" for code in range(32)}

UNIONS = ("anyOf", "oneOf", "allOf")


class LoweredTool(msgspec.Struct, frozen=True):
    """A tool as it goes over the wire: a function, unless `tool.kind` is "custom" and that was allowed."""

    wire_name: str
    description: str
    parameters: dict[str, Any]
    strict: bool | None
    tool: neutral.Tool


# --- declarations -------------------------------------------------------------


def lower_tools(
    tools: tuple[neutral.Tool, ...], *, custom: bool
) -> tuple[tuple[LoweredTool, ...], Mapping[str, neutral.Tool]]:
    """The tools under unique legal names, and which tool each name means. `custom`: custom tools stay such.

    Of several declarations of one tool the first counts. A name clash is won by the tool that bears the name
    without namespace and unchanged; the others get a number.
    """
    names = _wire_names(_distinct(tools))
    lowered = tuple(_lowered(tool, name, custom) for name, tool in names.items())
    return lowered, names


def object_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with an object at its root, as upstreams demand; a union there becomes one object of all."""
    schema = _resolved(dict(parameters), parameters)
    for union in UNIONS:
        branches = schema.pop(union, None)
        if isinstance(branches, list):
            schema = _merged(schema, [_resolved(branch, parameters) for branch in branches], union)
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


# --- calls, to the upstream ---------------------------------------------------


def wire_name(name: str, namespace: str, tools: Mapping[str, neutral.Tool]) -> str:
    """The name of a tool in history and tool_choice; also for a tool that is no longer declared."""
    wanted = (namespace, name)
    declared = (wire for wire, tool in tools.items() if (tool.namespace, tool.name) == wanted)
    return next(declared, _legal_name(name, namespace))


def wire_arguments(call: neutral.ToolCall, *, custom: bool) -> str:
    """The arguments as JSON text; the input of a custom call is wrapped unless `custom` is allowed.

    What a model once wrote that is no JSON is wrapped too: many servers read the arguments of a history.
    """
    if call.kind == "custom":
        return call.arguments if custom else _json({"input": call.arguments})
    if not call.arguments.strip():
        return "{}"
    return call.arguments if _is_json(call.arguments) else _json({"_raw": call.arguments})


# --- calls, from the upstream -------------------------------------------------


def raised_call(call_id: str, wire: str, tools: Mapping[str, neutral.Tool]) -> neutral.ToolCall:
    """The client's own tool called, arguments still empty. An undeclared name is for the client to answer."""
    tool = tools.get(wire)
    if tool is None:
        return neutral.ToolCall(call_id, wire, "")
    return neutral.ToolCall(call_id, tool.name, "", tool.kind, tool.namespace)


def raised_arguments(wire_arguments: str, tool: neutral.Tool | None) -> str:
    """The neutral arguments of a call that came as a function; invalid JSON stays as it is."""
    if tool is None or tool.kind != "custom":
        return _unwrapped_object(wire_arguments)
    text = _unwrapped_input(wire_arguments)
    return _bare_patch(text) if tool.name == PATCH_TOOL else text


# --- how ----------------------------------------------------------------------


def _distinct(tools: Iterable[neutral.Tool]) -> list[neutral.Tool]:
    first: dict[tuple[str, str, bool], neutral.Tool] = {}
    for tool in tools:
        first.setdefault((tool.namespace, tool.name, tool.kind in SCHEMAS), tool)
    return list(first.values())


def _wire_names(tools: list[neutral.Tool]) -> dict[str, neutral.Tool]:
    """Names in the order of the tools, given out in the order of precedence."""
    names: dict[int, str] = {}
    for position in sorted(range(len(tools)), key=lambda position: _precedence(tools[position])):
        legal = _legal_name(tools[position].name, tools[position].namespace)
        names[position] = _free_name(legal, set(names.values()))
    return {names[position]: tool for position, tool in enumerate(tools)}


def _precedence(tool: neutral.Tool) -> tuple[bool, bool]:
    return bool(tool.namespace), _legal_name(tool.name, tool.namespace) != tool.name


def _legal_name(name: str, namespace: str) -> str:
    full = f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name
    return shortened(FORBIDDEN_IN_NAMES.sub("_", full), MAX_NAME_LENGTH)


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        suffix = f"_{number}"
        free = name[: MAX_NAME_LENGTH - len(suffix)] + suffix
    return free


def _lowered(tool: neutral.Tool, name: str, custom: bool) -> LoweredTool:
    if tool.kind == "custom":
        if custom:
            return LoweredTool(name, tool.description, {}, None, tool)
        return LoweredTool(name, _custom_description(tool), CUSTOM_SCHEMA, None, tool)
    parameters = tool.parameters or SCHEMAS.get(tool.kind, {})
    description = tool.description or DESCRIPTIONS.get(tool.kind, "")
    return LoweredTool(name, description, object_schema(parameters), tool.strict, tool)


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
    target = _definition(reference, root) if isinstance(reference, str) else None
    if target is not None:
        del resolved["$ref"]
        resolved = {**target, **resolved}
    return resolved


def _definition(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _merged(schema: dict[str, Any], branches: list[dict[str, Any]], union: str) -> dict[str, Any]:
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


def _unwrapped_object(text: str) -> str:
    if text.strip() in ("", "null"):
        return "{}"
    if text.lstrip().startswith('"'):
        inner = _parsed(text)
        if isinstance(inner, str) and isinstance(_parsed(inner), dict):
            return inner
    return text


def _unwrapped_input(text: str) -> str:
    wrapped = _parsed(text)
    if wrapped is None:
        # local models break lines inside JSON strings
        wrapped = _parsed(text.strip().translate(CONTROL_CHARACTERS))
    if isinstance(wrapped, str):
        inner = _parsed(wrapped)
        return wrapped if not isinstance(inner, dict) else _unwrapped_input(wrapped)
    if not isinstance(wrapped, dict):
        return text
    strings = {name: value for name, value in wrapped.items() if isinstance(value, str)}
    for name in LIKELY_INPUT_NAMES:
        if name in strings:
            return strings[name]
    return next(iter(strings.values())) if len(wrapped) == len(strings) == 1 else text


def _bare_patch(text: str) -> str:
    """The patch without a fence or here-document around it."""
    if text.startswith(PATCH_START):
        return text
    patch = PATCH_WRAPPED.search(text)
    return patch.group() if patch else text


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _parsed(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

"""Decode and encode tool calls as Responses items: every kind of tool has types of its own.

https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Callable, Mapping

from switchyard.protocols import neutral
from switchyard.protocols.ids import openai_call_id
from switchyard.protocols.wire import Json, fields, json_text, parsed_object, text

CALL_KINDS: Mapping[str, neutral.ToolKind] = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "tool_search_call": "tool_search",
}
CALL_TYPES: Mapping[neutral.ToolKind, str] = {kind: type for type, kind in CALL_KINDS.items()}

OUTPUT_KINDS: Mapping[str, neutral.ToolKind] = {
    "function_call_output": "function",
    "custom_tool_call_output": "custom",
    "local_shell_call_output": "local_shell",
    "shell_call_output": "shell",
    "apply_patch_call_output": "apply_patch",
    "tool_search_output": "tool_search",
}

ID_PREFIXES: Mapping[neutral.ToolKind, str] = {
    "function": "fc_",
    "custom": "ctc_",
    "local_shell": "lsh_",
    "shell": "sh_",
    "apply_patch": "apc_",
    "tool_search": "tsc_",
}

FIXED_NAMES: Mapping[neutral.ToolKind, str] = {
    "local_shell": "local_shell",
    "shell": "shell",
    "apply_patch": "apply_patch",
    "tool_search": "tool_search",
}
"""Tools that the protocol itself names."""


def decode_call(item: Json) -> neutral.ToolCall:
    """The call of an item whose type is in `CALL_KINDS`."""
    kind = CALL_KINDS[item["type"]]
    return neutral.ToolCall(
        id=text(item.get("call_id")) or text(item.get("id")),
        name=FIXED_NAMES.get(kind) or text(item.get("name")),
        arguments=_DECODERS[kind](item),
        kind=kind,
        namespace=text(item.get("namespace")),
    )


def encode_call(call: neutral.ToolCall, *, id: str = "", status: str = "") -> Json:
    """The item of a call; `id` and `status` are for answers; a history has neither."""
    item: Json = {"type": CALL_TYPES[call.kind]}
    if id:
        item["id"] = id
    if status:
        item["status"] = status
    item["call_id"] = openai_call_id(call.id)
    return item | _ENCODERS[call.kind](call)


def _decode_function(item: Json) -> str:
    return _object_text(item.get("arguments"))


def _decode_custom(item: Json) -> str:
    return text(item.get("input"))


def _decode_local_shell(item: Json) -> str:
    action = fields(item.get("action"))
    return _arguments(
        command=action.get("command"),
        workdir=action.get("working_directory"),
        timeout_ms=action.get("timeout_ms"),
        env=action.get("env") or None,
    )


def _decode_shell(item: Json) -> str:
    action = fields(item.get("action"))
    return _arguments(
        commands=action.get("commands"),
        timeout_ms=action.get("timeout_ms"),
        max_output_length=action.get("max_output_length"),
    )


def _decode_apply_patch(item: Json) -> str:
    return _arguments(operation=item.get("operation"))


def _encode_function(call: neutral.ToolCall) -> Json:
    return {**_named(call), "arguments": call.arguments or "{}"}


def _encode_custom(call: neutral.ToolCall) -> Json:
    return {**_named(call), "input": call.arguments}


def _encode_local_shell(call: neutral.ToolCall) -> Json:
    reported = parsed_object(call.arguments)
    command = reported.get("command")
    action = {
        "type": "exec",
        "command": ["bash", "-lc", command] if isinstance(command, str) else command or [],
        "env": reported.get("env") or {},
    }
    for field, value in (
        ("timeout_ms", reported.get("timeout_ms")),
        ("working_directory", reported.get("workdir") or reported.get("working_directory")),
    ):
        if value is not None:
            action[field] = value
    return {"action": action}


def _encode_shell(call: neutral.ToolCall) -> Json:
    reported = parsed_object(call.arguments)
    commands = reported.get("commands")
    return {
        "action": {
            "commands": [commands] if isinstance(commands, str) else commands or [],
            "timeout_ms": reported.get("timeout_ms"),
            "max_output_length": reported.get("max_output_length"),
        }
    }


def _encode_apply_patch(call: neutral.ToolCall) -> Json:
    reported = parsed_object(call.arguments)
    return {"operation": reported.get("operation", reported)}


def _encode_tool_search(call: neutral.ToolCall) -> Json:
    return {"execution": "client", "arguments": parsed_object(call.arguments)}


_DECODERS: Mapping[neutral.ToolKind, Callable[[Json], str]] = {
    "function": _decode_function,
    "custom": _decode_custom,
    "local_shell": _decode_local_shell,
    "shell": _decode_shell,
    "apply_patch": _decode_apply_patch,
    "tool_search": _decode_function,
}
_ENCODERS: Mapping[neutral.ToolKind, Callable[[neutral.ToolCall], Json]] = {
    "function": _encode_function,
    "custom": _encode_custom,
    "local_shell": _encode_local_shell,
    "shell": _encode_shell,
    "apply_patch": _encode_apply_patch,
    "tool_search": _encode_tool_search,
}


def _named(call: neutral.ToolCall) -> Json:
    return {"name": call.name, "namespace": call.namespace} if call.namespace else {"name": call.name}


def _object_text(arguments: object) -> str:
    """Some servers send the object itself, or nothing for no arguments."""
    if isinstance(arguments, str):
        return arguments or "{}"
    return json_text(arguments or {})


def _arguments(**fields: object) -> str:
    return json_text({name: value for name, value in fields.items() if value is not None})

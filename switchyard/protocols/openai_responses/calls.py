"""Decode and encode tool calls as Responses items: every kind of tool has types of its own.

https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Callable, Mapping

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.ids import new_id, openai_call_id
from switchyard.protocols.wire import Json, fields, json_text, parsed_object, text

SHELL_LIMITS = ("timeout_ms", "max_output_length")
FIXED = frozenset({"local_shell", "shell", "apply_patch", "tool_search"})
"""Kinds of tools that the protocol itself names, each after its kind."""


def decode_call(item: Json) -> neutral.ToolCall:
    """The call of an item whose type is in `CALL_KINDS`."""
    kind = CALL_KINDS[item["type"]]
    return neutral.ToolCall(
        id=text(item.get("call_id")) or text(item.get("id")),
        name=kind if kind in FIXED else text(item.get("name")),
        arguments=KINDS[kind].decode(item),
        kind=kind,
        namespace=text(item.get("namespace")),
    )


def encode_call(call: neutral.ToolCall, *, status: str = "") -> Json:
    """The item of a call; in answers it has a `status` and an id of its own, in a history neither."""
    kind = KINDS[call.kind]
    item: Json = {"type": kind.type}
    if status:
        item |= {"id": new_id(kind.prefix), "status": status}
    return item | {"call_id": openai_call_id(call.id)} | kind.encode(call)


def _decode_function(item: Json) -> str:
    """Some servers send the object itself, or nothing for no arguments."""
    arguments = item.get("arguments")
    return arguments or "{}" if isinstance(arguments, str) else json_text(arguments or {})


def _named(call: neutral.ToolCall) -> Json:
    return {"name": call.name, "namespace": call.namespace} if call.namespace else {"name": call.name}


def _decode_local_shell(item: Json) -> str:
    action = fields(item.get("action"))
    return _present_text(
        command=action.get("command"),
        workdir=action.get("working_directory"),
        timeout_ms=action.get("timeout_ms"),
        env=action.get("env") or None,
    )


def _encode_local_shell(call: neutral.ToolCall) -> Json:
    given = parsed_object(call.arguments)
    command = given.get("command")
    action = _present(
        type="exec",
        command=["bash", "-lc", command] if isinstance(command, str) else command or [],
        env=given.get("env") or {},
        timeout_ms=given.get("timeout_ms"),
        working_directory=given.get("workdir") or given.get("working_directory"),
    )
    return {"action": action}


def _decode_shell(item: Json) -> str:
    action = fields(item.get("action"))
    return _present_text(**{name: action.get(name) for name in ("commands", *SHELL_LIMITS)})


def _encode_shell(call: neutral.ToolCall) -> Json:
    given = parsed_object(call.arguments)
    commands = given.get("commands")
    shown = [commands] if isinstance(commands, str) else commands or []
    return {"action": {"commands": shown, **{name: given.get(name) for name in SHELL_LIMITS}}}


def _encode_patch(call: neutral.ToolCall) -> Json:
    given = parsed_object(call.arguments)
    return {"operation": given.get("operation", given)}


def _present(**members: object) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def _present_text(**members: object) -> str:
    return json_text(_present(**members))


class Kind(msgspec.Struct, frozen=True):
    """One kind of call: the type of its items and of their outputs, the prefix of its ids, and its arguments."""

    type: str
    output: str
    prefix: str
    decode: Callable[[Json], str]
    encode: Callable[[neutral.ToolCall], Json]


KINDS: Mapping[neutral.ToolKind, Kind] = {
    "function": Kind(
        *("function_call", "function_call_output", "fc_", _decode_function),
        lambda call: {**_named(call), "arguments": call.arguments or "{}"},
    ),
    "custom": Kind(
        *("custom_tool_call", "custom_tool_call_output", "ctc_"),
        lambda item: text(item.get("input")),
        lambda call: {**_named(call), "input": call.arguments},
    ),
    "local_shell": Kind(
        "local_shell_call", "local_shell_call_output", "lsh_", _decode_local_shell, _encode_local_shell
    ),
    "shell": Kind("shell_call", "shell_call_output", "sh_", _decode_shell, _encode_shell),
    "apply_patch": Kind(
        *("apply_patch_call", "apply_patch_call_output", "apc_"),
        lambda item: _present_text(operation=item.get("operation")),
        _encode_patch,
    ),
    "tool_search": Kind(
        *("tool_search_call", "tool_search_output", "tsc_", _decode_function),
        lambda call: {"execution": "client", "arguments": parsed_object(call.arguments)},
    ),
}
CALL_KINDS = {kind.type: name for name, kind in KINDS.items()}
OUTPUT_KINDS = {kind.output: name for name, kind in KINDS.items()}

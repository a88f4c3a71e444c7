"""Translate the arguments of calls: as functions for an upstream, and back to the tool of the client."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.wire import fields, is_json, json_text, parsed

LIKELY_INPUT_NAMES = ("input", "patch", "content", "command", "text", "code")
"""Where models put the text of a custom tool, likeliest first."""
FREE_KINDS = ("function", "custom")
"""Kinds that a tool may be declared with under any name."""
PATCH_TOOL = "apply_patch"
PATCH_START = "*** Begin Patch"
PATCH_WRAPPED = re.compile(r"(?s)\*\*\* Begin Patch.*\*\*\* End Patch")
CONTROL_CHARACTERS = {code: f"\\u{code:04x}" for code in range(32)}


def encode_arguments(call: neutral.ToolCall, *, custom: bool) -> str:
    """The arguments as JSON text; the input of a custom call is wrapped unless `custom` is allowed.

    What a model once wrote that is no JSON is wrapped too: many servers parse the arguments of a history.
    """
    if call.kind == "custom":
        return call.arguments if custom else json_text({"input": call.arguments})
    if not call.arguments.strip():
        return "{}"
    return call.arguments if is_json(call.arguments) else json_text({"_raw": call.arguments})


def restore_call(call_id: str, wire: str, tools: Mapping[str, neutral.Tool]) -> neutral.ToolCall:
    """The client's own tool called, arguments still empty. An undeclared name is for the client to answer."""
    tool = tools.get(wire)
    if tool is None:
        return neutral.ToolCall(call_id, wire, "")
    return neutral.ToolCall(call_id, tool.name, "", tool.kind, tool.namespace)


def restore_arguments(encode_arguments: str, tool: neutral.Tool | None) -> str:
    """The neutral arguments of a call that came as a function; invalid JSON stays as it is."""
    if tool is None or tool.kind != "custom":
        return _unwrapped_object(encode_arguments)
    text = _unwrapped_input(encode_arguments)
    return _bare_patch(text) if tool.name == PATCH_TOOL else text


def arguments_for(text: str, tool: neutral.Tool | None) -> str:
    """The free-form text of a call of another kind as the arguments of a function: an object."""
    if isinstance(parsed(text), dict):
        return text
    properties = list(fields(dict(tool.parameters).get("properties"))) if tool is not None else []
    return json_text({properties[0] if len(properties) == 1 else "input": text})


def as_declared(request: neutral.Request) -> neutral.Request:
    """The calls of earlier turns and their results in the kind that their tools are declared with now."""
    declared = {(tool.namespace, tool.name): tool for tool in request.tools if tool.kind in FREE_KINDS}
    if not declared:
        return request
    calls = {
        block.id: tool
        for message in request.messages
        for block in message.content
        if isinstance(block, neutral.ToolCall)
        and block.kind in FREE_KINDS
        and (tool := declared.get((block.namespace, block.name))) is not None
        and tool.kind != block.kind
    }
    if not calls:
        return request
    messages = tuple(
        replace(message, content=tuple(_as_declared(block, calls) for block in message.content))
        for message in request.messages
    )
    return replace(request, messages=messages)


def _as_declared(block: neutral.Block, calls: Mapping[str, neutral.Tool]) -> neutral.Block:
    if isinstance(block, neutral.ToolResult) and (tool := calls.get(block.call_id)) is not None:
        return replace(block, kind=tool.kind)
    if not isinstance(block, neutral.ToolCall) or (tool := calls.get(block.id)) is None:
        return block
    is_custom = tool.kind == "custom"
    arguments = (restore_arguments if is_custom else arguments_for)(block.arguments, tool)
    return replace(block, kind=tool.kind, arguments=arguments)


def _unwrapped_object(text: str) -> str:
    if text.strip() in ("", "null"):
        return "{}"
    if text.lstrip().startswith('"'):
        inner = parsed(text)
        if isinstance(inner, str) and isinstance(parsed(inner), dict):
            return inner
    return text


def _unwrapped_input(text: str) -> str:
    wrapped = parsed(text)
    if wrapped is None:
        # local models break lines inside JSON strings
        wrapped = parsed(text.strip().translate(CONTROL_CHARACTERS))
    if isinstance(wrapped, str):
        inner = parsed(wrapped)
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

"""Give what clients write in the form of another protocol the form of Chat: parts of messages, and declared tools.

Cursor sends the calls of Anthropic and the tools of Responses in Chat requests.
"""

from typing import Any

from switchyard.protocols.media import data_url
from switchyard.protocols.wire import Json, entries, fields, json_text, text

CALL, RESULT, IMAGE = "tool_use", "tool_result", "image"
FOREIGN = (CALL, RESULT, IMAGE)
DECLARED = ("name", "description", "parameters", "strict", "format")


def own_messages(message: Any) -> list[Any]:
    """The message in the form of Chat, the very same if it has that; results are messages of their own."""
    content = fields(message).get("content")
    if not isinstance(content, list) or not any(fields(part).get("type") in FOREIGN for part in content):
        return [message]
    results = [_result(part) for part in content if fields(part).get("type") == RESULT]
    calls = [_call(part) for part in content if fields(part).get("type") == CALL]
    rest = [_own_part(part) for part in content if fields(part).get("type") not in (CALL, RESULT)]
    if not rest and not calls:
        return results
    rewritten = {**message, "content": rest or None}
    if calls:
        rewritten["tool_calls"] = [*entries(message.get("tool_calls")), *calls]
    return [*results, rewritten]


def own_tool(tool: Any) -> Any:
    """The tool with its declaration under its type, the very same if it has that."""
    given = fields(tool)
    kind = text(given.get("type")) or "function"
    if kind not in ("function", "custom") or not text(given.get("name")) or kind in given:
        return tool
    declared = {name: given[name] for name in DECLARED if name in given}
    if "input_schema" in given:
        declared["parameters"] = given["input_schema"]
    if "format" in declared:
        declared["format"] = _own_format(declared["format"])
    rest = {name: value for name, value in given.items() if name not in (*DECLARED, "input_schema", "type")}
    return {**rest, "type": kind, kind: declared}


def _own_format(format: Any) -> Any:
    grammar = {name: value for name, value in fields(format).items() if name != "type"}
    if fields(format).get("type") != "grammar" or "grammar" in grammar:
        return format
    return {"type": "grammar", "grammar": grammar}


def _call(part: Json) -> Json:
    arguments = json_text(part.get("input") or {})
    function = {"name": part.get("name"), "arguments": arguments}
    return {"id": part.get("id"), "type": "function", "function": function}


def _result(part: Json) -> Json:
    content = part.get("content")
    if isinstance(content, list):
        content = [_own_part(inner) for inner in content]
    return {"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": content or ""}


def _own_part(part: Any) -> Any:
    return _image(part) if fields(part).get("type") == IMAGE and fields(part.get("source")) else part


def _image(part: Json) -> Json:
    source = fields(part.get("source"))
    data = data_url(text(source.get("media_type")), text(source.get("data")))
    return {"type": "image_url", "image_url": {"url": text(source.get("url")) or data}}

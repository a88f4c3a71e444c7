"""The demo model's Responses: https://platform.openai.com/docs/api-reference/responses-streaming"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchyard.demo.dialect import Dialect, StreamedReply, pieces
from switchyard.demo.openai_error import error_body
from switchyard.demo.prompt import (
    NotUnderstood,
    Offered,
    Prompt,
    Turn,
    last_turn,
    objects,
    required_text,
    texts,
)
from switchyard.demo.reply import Reply
from switchyard.protocols import sse
from switchyard.protocols.neutral import ToolCall

RESULTS = ("function_call_output", "custom_tool_call_output", "tool_search_output", "local_shell_call_output")
Event = dict[str, Any]


def read(body: Mapping[str, Any]) -> Prompt:
    text, results, spoken = last_turn(_turns(body.get("input")))
    return Prompt(
        model=required_text(body, "model"),
        text=text,
        results=results,
        tools=dict(_all_tools(body)),
        stream=body.get("stream") is True,
        follows_a_reply=spoken,
    )


def _turns(items: Any) -> Iterator[Turn]:
    if isinstance(items, str):
        yield "user", items
    elif not isinstance(items, list):
        raise NotUnderstood("`input` must be a string or a list")
    for item in objects(items):
        if item.get("type") in RESULTS:
            yield "result", " ".join(texts(item.get("output")))
        elif item.get("role") == "user":
            yield from (("user", text) for text in texts(item.get("content")))
        elif item.get("role") == "assistant":
            yield "assistant", ""


def _all_tools(body: Mapping[str, Any]) -> Iterator[tuple[str, Offered]]:
    """Codex also sends tools in an input item, for models that read them there."""
    yield from _tools(body.get("tools"))
    for item in objects(body.get("input")):
        if item.get("type") == "additional_tools":
            yield from _tools(item.get("tools"))


def _tools(tools: Any, namespace: str = "") -> Iterator[tuple[str, Offered]]:
    for tool in objects(tools):
        match tool.get("type"):
            case "namespace":
                yield from _tools(tool.get("tools"), str(tool.get("name")))
            case "custom":
                yield str(tool.get("name")), Offered("custom", namespace)
            case "tool_search":
                yield "tool_search", Offered("tool_search")
            case "function":
                yield str(tool.get("name")), Offered("function", namespace)


def whole(reply: Reply, prompt: Prompt, at: int) -> bytes:
    items = [_message(reply), *(_call(reply, call) for call in reply.calls)]
    return msgspec.json.encode(_response(reply, at, "completed", items))


def stream_reply(reply: Reply, prompt: Prompt, at: int) -> StreamedReply:
    started = _response(reply, at, "in_progress", [])
    items = [_message(reply), *(_call(reply, call) for call in reply.calls)]
    number = _Numbered()
    return StreamedReply(
        opening=(
            number("response.created", response=started),
            number("response.in_progress", response=started),
        ),
        content=tuple(number(**event) for event in _content(reply)),
        ending=(number("response.completed", response=_response(reply, at, "completed", items)),),
    )


class _Numbered:
    """Encodes events with the sequence number that each event of a stream carries."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, type: str, **fields: Any) -> bytes:
        event = {"type": type, "sequence_number": self._next} | fields
        self._next += 1
        return sse.encode(msgspec.json.encode(event), type)


def _content(reply: Reply) -> Iterator[Event]:
    yield from _message_events(reply)
    for index, call in enumerate(reply.calls, 1):
        yield from _call_events(reply, call, index)


def _message_events(reply: Reply) -> Iterator[Event]:
    message = _message(reply)
    empty = message | {"status": "in_progress", "content": []}
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
    yield {"type": "response.content_part.added", **place, "part": _part("")}
    for text in pieces(reply.text):
        yield {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": reply.text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _part(reply.text)}
    yield {"type": "response.output_item.done", "output_index": 0, "item": message}


def _call_events(reply: Reply, call: ToolCall, index: int) -> Iterator[Event]:
    item = _call(reply, call)
    place = {"item_id": item["id"], "output_index": index}
    field = "input" if call.kind == "custom" else "arguments"
    event = "response.custom_tool_call_input" if call.kind == "custom" else "response.function_call_arguments"
    empty: Any = {} if call.kind == "tool_search" else ""
    yield {
        "type": "response.output_item.added",
        "output_index": index,
        "item": item | {"status": "in_progress", field: empty},
    }
    if call.kind != "tool_search":
        for part in pieces(call.arguments):
            yield {"type": f"{event}.delta", **place, "delta": part}
        yield {"type": f"{event}.done", **place, field: call.arguments, "name": call.name}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "type": "message",
        "id": f"msg_{reply.id}",
        "status": "completed",
        "role": "assistant",
        "content": [_part(reply.text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(reply: Reply, call: ToolCall) -> dict[str, Any]:
    head = {"status": "completed", "call_id": f"call_{call.id}"}
    match call.kind:
        case "custom":
            item = {
                "type": "custom_tool_call",
                "id": f"ctc_{call.id}",
                "name": call.name,
                "input": call.arguments,
            }
        case "tool_search":
            arguments = msgspec.Raw(call.arguments.encode())
            return head | {
                "type": "tool_search_call",
                "id": f"tsc_{call.id}",
                "execution": "client",
                "arguments": arguments,
            }
        case _:
            item = {
                "type": "function_call",
                "id": f"fc_{call.id}",
                "name": call.name,
                "arguments": call.arguments,
            }
    return head | item | ({"namespace": call.namespace} if call.namespace else {})


def _response(reply: Reply, at: int, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = reply.usage
    usage_wire = {
        "input_tokens": usage.total_input,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total,
    }
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": at,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "usage": usage_wire if status == "completed" else None,
        "metadata": {},
    }


RESPONSES = Dialect(read, stream_reply, whole, error_body)

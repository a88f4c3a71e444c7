"""Build the responses of an upstream: one `Reply`, encoded in each of the three protocols.

Written from the public API references and independent of the daemon's own codecs, so that the two cannot share a
mistake.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Protocol = Literal["messages", "chat", "responses"]
PROTOCOLS: tuple[Protocol, ...] = ("messages", "chat", "responses")
Record = dict[str, Any]

CREATED = 1_780_000_000


@dataclass(frozen=True)
class Usage:
    """Disjoint parts: `fresh` input excludes cached and cache-written tokens."""

    fresh: int = 11
    cache_read: int = 0
    cache_write: int = 0
    output: int = 7
    reasoning: int = 0

    @property
    def whole_input(self) -> int:
        return self.fresh + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Call:
    """A tool call. A string as `input` makes it a freeform (custom) call."""

    name: str
    input: dict[str, Any] | str
    id: str = "call_1"
    namespace: str = ""

    @property
    def is_custom(self) -> bool:
        return isinstance(self.input, str)

    @property
    def text(self) -> str:
        return self.input if isinstance(self.input, str) else json.dumps(self.input)


@dataclass(frozen=True)
class Reply:
    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    """the model name that the upstream reports; empty: the requested one"""
    stop: str = ""
    """the protocol's own stop reason; empty: the usual one"""
    id: str = "scripted"
    """Claude Code joins responses with the same id into one message, so a conversation needs different ones"""
    seal: str = "c2VhbGVkIHRoaW5raW5n"
    """the opaque data beside the thinking"""
    fingerprint: str = ""
    """`system_fingerprint` of a Chat answer"""


def body(protocol: Protocol, reply: Reply, model: str = "m") -> bytes:
    """The whole answer of a request without streaming."""
    return json.dumps(_BODIES[protocol](reply, reply.model or model)).encode()


def records(
    protocol: Protocol, reply: Reply, model: str = "m", include_usage: bool = True, piece: int = 8
) -> list[bytes]:
    """The SSE events of a streamed response; texts and arguments are split into `piece` characters."""
    named = reply.model or model
    if protocol == "chat":
        chunks = [_data(chunk) for chunk in _chat_stream(reply, named, piece, include_usage)]
        return [*chunks, b"data: [DONE]\n\n"]
    stream = _messages_stream if protocol == "messages" else _responses_stream
    return [_event(record) for record in stream(reply, named, piece)]


def error_body(protocol: Protocol, message: str, kind: str = "api_error", code: str | None = None) -> bytes:
    if protocol == "messages":
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def error_records(protocol: Protocol, message: str, kind: str = "overloaded_error") -> list[bytes]:
    """How a stream with status 200 reports that it failed."""
    if protocol == "messages":
        return [_event({"type": "error", "error": {"type": kind, "message": message}})]
    if protocol == "chat":
        return [_data({"error": {"message": message, "type": kind, "code": None}})]
    failed = _response(Reply(), "m", "failed", []) | {"error": {"code": "server_error", "message": message}}
    return [_event({"type": "response.failed", "sequence_number": 2, "response": failed})]


def _data(record: Record) -> bytes:
    return b"data: " + json.dumps(record).encode() + b"\n\n"


def _event(record: Record) -> bytes:
    return b"event: " + str(record["type"]).encode() + b"\n" + _data(record)


def _pieces(text: str, piece: int) -> list[str]:
    return [text[start : start + piece] for start in range(0, len(text), piece)]


# --- Messages ------------------------------------------------------------------


def _messages_usage(usage: Usage) -> Record:
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


def _messages_blocks(reply: Reply) -> list[Record]:
    thinking = (
        [{"type": "thinking", "thinking": reply.thinking, "signature": reply.seal}] if reply.thinking else []
    )
    text = [{"type": "text", "text": reply.text}] if reply.text else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in reply.calls
    ]
    return [*thinking, *text, *calls]


def _messages_envelope(
    reply: Reply, model: str, content: list[Record], stop: str | None, usage: Record
) -> Record:
    head = {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": model}
    return {**head, "content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def _messages_stop(reply: Reply) -> str:
    return reply.stop or ("tool_use" if reply.calls else "end_turn")


def _messages_body(reply: Reply, model: str) -> Record:
    usage = _messages_usage(reply.usage)
    return _messages_envelope(reply, model, _messages_blocks(reply), _messages_stop(reply), usage)


def _messages_stream(reply: Reply, model: str, piece: int) -> Iterator[Record]:
    opening = _messages_usage(reply.usage) | {"output_tokens": 1}
    yield {"type": "message_start", "message": _messages_envelope(reply, model, [], None, opening)}
    for index, block in enumerate(_messages_blocks(reply)):
        start, deltas = _messages_pieces(block, piece)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": _messages_stop(reply), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": reply.usage.output}}
    yield {"type": "message_stop"}


def _messages_pieces(block: Record, piece: int) -> tuple[Record, list[Record]]:
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": part} for part in _pieces(block["text"], piece)]
            return {"type": "text", "text": ""}, deltas
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": part} for part in _pieces(block["thinking"], piece)
            ]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature]
        case _:
            parts = _pieces(json.dumps(block["input"]), piece)
            return block | {"input": {}}, [
                {"type": "input_json_delta", "partial_json": part} for part in ["", *parts]
            ]


# --- Chat Completions ----------------------------------------------------------


def _chat_origin(reply: Reply) -> Record:
    return {"system_fingerprint": reply.fingerprint} if reply.fingerprint else {}


def _chat_usage(usage: Usage) -> Record:
    return {
        "prompt_tokens": usage.whole_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.whole_input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _chat_call(call: Call) -> Record:
    if call.is_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.text}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}}


def _chat_stop(reply: Reply) -> str:
    return reply.stop or ("tool_calls" if reply.calls else "stop")


def _chat_body(reply: Reply, model: str) -> Record:
    message: Record = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if reply.calls:
        message["tool_calls"] = [_chat_call(call) for call in reply.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _chat_stop(reply)}
    head = {"id": f"chatcmpl-{reply.id}", "object": "chat.completion", "created": CREATED, "model": model}
    head |= _chat_origin(reply)
    return {**head, "choices": [choice], "usage": _chat_usage(reply.usage)}


def _chat_stream(reply: Reply, model: str, piece: int, include_usage: bool) -> Iterator[Record]:
    head = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        **_chat_origin(reply),
    }
    no_usage: Record = {"usage": None} if include_usage else {}

    def chunk(delta: Record, finish: str | None = None) -> Record:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], **no_usage}

    yield chunk({"role": "assistant", "content": ""})
    for part in _pieces(reply.thinking, piece):
        yield chunk({"reasoning_content": part})
    for part in _pieces(reply.text, piece):
        yield chunk({"content": part})
    for index, call in enumerate(reply.calls):
        kind, payload = ("custom", "input") if call.is_custom else ("function", "arguments")
        first = {"index": index, "id": call.id, "type": kind, kind: {"name": call.name, payload: ""}}
        yield chunk({"tool_calls": [first]})
        for part in _pieces(call.text, piece):
            yield chunk({"tool_calls": [{"index": index, kind: {payload: part}}]})
    yield chunk({}, _chat_stop(reply))
    if include_usage:
        yield {**head, "choices": [], "usage": _chat_usage(reply.usage)}


# --- Responses -----------------------------------------------------------------


def _responses_usage(usage: Usage) -> Record:
    return {
        "input_tokens": usage.whole_input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.whole_input + usage.output,
    }


def _responses_items(reply: Reply) -> list[Record]:
    items: list[Record] = []
    if reply.thinking:
        summary = [{"type": "summary_text", "text": reply.thinking}]
        items.append(
            {"type": "reasoning", "id": f"rs_{reply.id}", "summary": summary, "encrypted_content": reply.seal}
        )
    if reply.text:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        message = {
            "type": "message",
            "id": f"msg_{reply.id}_text",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        items.append(message)
    return items + [_responses_call(call) for call in reply.calls]


def _responses_call(call: Call) -> Record:
    named: Record = {"call_id": call.id, "name": call.name, "status": "completed"}
    if call.namespace:
        named["namespace"] = call.namespace
    if call.is_custom:
        return {"type": "custom_tool_call", "id": f"ctc_{call.id}", **named, "input": call.text}
    return {"type": "function_call", "id": f"fc_{call.id}", **named, "arguments": call.text}


def _response(reply: Reply, model: str, status: str, output: list[Record]) -> Record:
    done = status in ("completed", "incomplete")
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _responses_usage(reply.usage) if done else None,
        "metadata": {},
    }


def _responses_body(reply: Reply, model: str) -> Record:
    return _response(reply, model, "completed", _responses_items(reply))


def _responses_stream(reply: Reply, model: str, piece: int) -> Iterator[Record]:
    for number, record in enumerate(_responses_records(reply, model, piece)):
        yield {"type": record.pop("type"), "sequence_number": number, **record}


def _responses_records(reply: Reply, model: str, piece: int) -> Iterator[Record]:
    items = _responses_items(reply)
    yield {"type": "response.created", "response": _response(reply, model, "in_progress", [])}
    yield {"type": "response.in_progress", "response": _response(reply, model, "in_progress", [])}
    for index, item in enumerate(items):
        yield from _ITEMS[item["type"]](index, item, piece)
    yield {"type": "response.completed", "response": _response(reply, model, "completed", items)}


def _message_item(index: int, item: Record, piece: int) -> Iterator[Record]:
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    opening = item | {"status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": opening}
    yield {"type": "response.content_part.added", **where, "part": part | {"text": ""}}
    for text in _pieces(part["text"], piece):
        yield {"type": "response.output_text.delta", **where, "delta": text, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _reasoning_item(index: int, item: Record, piece: int) -> Iterator[Record]:
    where = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    part = item["summary"][0]
    yield {"type": "response.output_item.added", "output_index": index, "item": item | {"summary": []}}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": part | {"text": ""}}
    for text in _pieces(part["text"], piece):
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": text}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _call_item(index: int, item: Record, piece: int) -> Iterator[Record]:
    payload, name = (
        ("input", "custom_tool_call_input")
        if item["type"] == "custom_tool_call"
        else ("arguments", "function_call_arguments")
    )
    where = {"item_id": item["id"], "output_index": index}
    opening = item | {"status": "in_progress", payload: ""}
    yield {"type": "response.output_item.added", "output_index": index, "item": opening}
    for text in _pieces(item[payload], piece):
        yield {"type": f"response.{name}.delta", **where, "delta": text}
    yield {"type": f"response.{name}.done", **where, payload: item[payload]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


_ITEMS: dict[str, Callable[[int, Record, int], Iterator[Record]]] = {
    "message": _message_item,
    "reasoning": _reasoning_item,
    "function_call": _call_item,
    "custom_tool_call": _call_item,
}
_BODIES: dict[Protocol, Callable[[Reply, str], Record]] = {
    "messages": _messages_body,
    "chat": _chat_body,
    "responses": _responses_body,
}

"""The demo model's Chat Completions: https://platform.openai.com/docs/api-reference/chat"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchyard.demo.dialect import Dialect, StreamedReply, pieces
from switchyard.demo.openai_error import error_body
from switchyard.demo.prompt import (
    Offered,
    Prompt,
    Turn,
    last_turn,
    objects,
    required_list,
    required_text,
    texts,
)
from switchyard.demo.reply import Reply
from switchyard.protocols import sse
from switchyard.protocols.neutral import ToolCall

DONE = sse.encode(b"[DONE]")


def read(body: Mapping[str, Any]) -> Prompt:
    text, results, spoken = last_turn(_turns(required_list(body, "messages")))
    options = body.get("stream_options")
    return Prompt(
        model=required_text(body, "model"),
        text=text,
        results=results,
        tools=dict(_tools(body)),
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        follows_a_reply=spoken,
    )


def _turns(messages: list[Any]) -> Iterator[Turn]:
    for message in objects(messages):
        match message.get("role"):
            case "assistant":
                yield "assistant", ""
            case "tool" | "function":
                yield "result", " ".join(texts(message.get("content")))
            case "user":
                yield from (("user", text) for text in texts(message.get("content")))


def _tools(body: Mapping[str, Any]) -> Iterator[tuple[str, Offered]]:
    for tool in objects(body.get("tools")):
        kind = tool.get("type")
        definition = tool.get(str(kind))
        if isinstance(definition, dict):
            yield str(definition.get("name")), Offered("custom" if kind == "custom" else "function")


def whole(reply: Reply, prompt: Prompt, at: int) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
    if reply.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in reply.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
    return msgspec.json.encode(
        {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion",
            "created": at,
            "model": reply.model,
            "choices": [choice],
            "usage": _usage(reply),
            "system_fingerprint": None,
        }
    )


def stream_reply(reply: Reply, prompt: Prompt, at: int) -> StreamedReply:
    chunk = _Chunk(reply, prompt, at)
    ending = [chunk.delta({}, _finish_reason(reply))]
    if prompt.include_usage:
        ending.append(chunk.encode([], _usage(reply)))
    return StreamedReply(
        opening=(chunk.delta({"role": "assistant", "content": ""}),),
        content=tuple(chunk.delta(delta) for delta in _deltas(reply)),
        ending=(*ending, DONE),
    )


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    for text in pieces(reply.text):
        yield {"content": text}
    for index, call in enumerate(reply.calls):
        yield {"tool_calls": [{"index": index} | _call(call, "")]}
        for part in pieces(call.arguments):
            yield {"tool_calls": [{"index": index} | _call_payload(call, part)]}


class _Chunk:
    """Encodes the chunks of one response, which share their first fields."""

    def __init__(self, reply: Reply, prompt: Prompt, at: int) -> None:
        self._head = {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion.chunk",
            "created": at,
            "model": reply.model,
        }
        self._include_usage = prompt.include_usage

    def delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        return self.encode(
            [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}], None
        )

    def encode(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        reported = {"usage": usage} if self._include_usage else {}
        return sse.encode(msgspec.json.encode(self._head | {"choices": choices} | reported))


def _call(call: ToolCall, arguments: str) -> dict[str, Any]:
    payload = _call_payload(call, arguments)
    kind = next(iter(payload))
    return {"id": f"call_{call.id}", "type": kind, kind: {"name": call.name} | payload[kind]}


def _call_payload(call: ToolCall, arguments: str) -> dict[str, Any]:
    if call.kind == "custom":
        return {"custom": {"input": arguments}}
    return {"function": {"arguments": arguments}}


def _finish_reason(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


CHAT = Dialect(read, stream_reply, whole, error_body)

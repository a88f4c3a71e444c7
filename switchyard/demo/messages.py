"""The demo model's Anthropic Messages: https://docs.anthropic.com/en/api/messages-streaming"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchyard.demo.dialect import Dialect, StreamedReply, pieces
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

ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def read(body: Mapping[str, Any]) -> Prompt:
    text, results, spoken = last_turn(_turns(required_list(body, "messages")))
    return Prompt(
        model=required_text(body, "model"),
        text=text,
        results=results,
        tools={str(tool.get("name")): Offered() for tool in objects(body.get("tools"))},
        stream=body.get("stream") is True,
        follows_a_reply=spoken,
    )


def _turns(messages: list[Any]) -> Iterator[Turn]:
    for message in objects(messages):
        content = message.get("content")
        if message.get("role") == "assistant":
            yield "assistant", ""
        elif message.get("role") == "user":
            blocks = [{"text": content}] if isinstance(content, str) else objects(content)
            for block in blocks:
                if block.get("type") == "tool_result":
                    yield "result", " ".join(texts(block.get("content")))
                else:
                    yield from (("user", text) for text in texts([block]))


def whole(reply: Reply, prompt: Prompt, at: int) -> bytes:
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}]
    content += [
        {
            "type": "tool_use",
            "id": _call_id(call.id),
            "name": call.name,
            "input": msgspec.Raw(call.arguments.encode()),
        }
        for call in reply.calls
    ]
    return msgspec.json.encode(
        _message(reply, content, _usage(reply, reply.usage.output)) | {"stop_reason": _stop_reason(reply)}
    )


def stream_reply(reply: Reply, prompt: Prompt, at: int) -> StreamedReply:
    message = _message(reply, [], _usage(reply, 1))
    return StreamedReply(
        opening=(_event("message_start", message=message), _event("ping")),
        content=tuple(_blocks(reply)),
        ending=(
            _event(
                "message_delta",
                delta={"stop_reason": _stop_reason(reply), "stop_sequence": None},
                usage={"output_tokens": reply.usage.output},
            ),
            _event("message_stop"),
        ),
    )


def _blocks(reply: Reply) -> Iterator[bytes]:
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for text in pieces(reply.text):
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    yield _event("content_block_stop", index=0)
    for index, call in enumerate(reply.calls, 1):
        block = {"type": "tool_use", "id": _call_id(call.id), "name": call.name, "input": {}}
        yield _event("content_block_start", index=index, content_block=block)
        for part in ("", *pieces(call.arguments)):
            yield _event(
                "content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": part}
            )
        yield _event("content_block_stop", index=index)


def _message(reply: Reply, content: list[dict[str, Any]], usage: dict[str, int]) -> dict[str, Any]:
    return {
        "id": f"msg_{reply.id}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(reply: Reply, output: int) -> dict[str, int]:
    return {
        "input_tokens": reply.usage.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.usage.cache_read,
        "output_tokens": output,
    }


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.calls else "end_turn"


def _call_id(id: str) -> str:
    return f"toolu_{id}"


def _event(type: str, **fields: Any) -> bytes:
    return sse.encode(msgspec.json.encode({"type": type} | fields), type)


def error_body(status: int, message: str) -> bytes:
    type = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return msgspec.json.encode({"type": "error", "error": {"type": type, "message": message}})


MESSAGES = Dialect(read, stream_reply, whole, error_body)

"""Read and write whole Chat replies.

https://platform.openai.com/docs/api-reference/chat/object
"""

from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.ids import new_id, openai_call_id
from switchyard.protocols.openai_chat.encode_stream import EMPTY_ARGUMENTS, url_citation
from switchyard.protocols.openai_chat.wire import finish_reason
from switchyard.protocols.usage import chat_usage


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    message = _message(response)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(response.stop_reason, refused=message["refusal"] is not None),
    }
    return msgspec.json.encode(
        {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": request.received_at,
            "model": request.model,
            "choices": [choice],
            "usage": chat_usage(response.usage or neutral.Usage()),
        }
    )


def _message(response: neutral.Response) -> dict[str, Any]:
    """`content` is null only where calls stand for it; the texts of several blocks run on."""
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    length = 0
    for position, block in enumerate(response.content):
        match block:
            case neutral.Text(text):
                texts.append(text)
                annotations += (
                    url_citation(citation, length, length + len(text))
                    for citation in response.citations.get(position, ())
                )
                length += len(text)
            case neutral.Refusal(text):
                refusals.append(text)
            case neutral.Thinking(text) if text:
                thoughts.append(text)
            case neutral.ToolCall():
                calls.append(_call(block, is_whole=block.id not in response.incomplete))
    content = "".join(texts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not (calls or refusals) else None,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": annotations,
    }
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: neutral.ToolCall, *, is_whole: bool) -> dict[str, Any]:
    id = openai_call_id(call.id)
    if call.kind == "custom":
        return {"id": id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    arguments = call.arguments or (EMPTY_ARGUMENTS if is_whole else "")
    return {"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

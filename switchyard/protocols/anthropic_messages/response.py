"""Whole Messages replies: an upstream's body read, a client's body written.

https://platform.claude.com/docs/en/api/messages
"""

from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.encode_request import text_block
from switchyard.protocols.anthropic_messages.signatures import is_redacted, sealed
from switchyard.protocols.anthropic_messages.stream import (
    StreamDecoder,
    citation_of,
    reason_for,
    refusal_details,
    search_blocks,
)
from switchyard.protocols.anthropic_messages.wire import (
    STOP_WORDS,
    WireDelta,
    WireEvent,
    arguments_of,
)
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.decode import read_embedded_error
from switchyard.protocols.ids import anthropic_call_id, new_id
from switchyard.protocols.neutral import ErrorType, StopReason, WireError
from switchyard.protocols.usage import anthropic_usage
from switchyard.protocols.wire import decode_object

UNREADABLE = WireError(ErrorType.SERVER, "The upstream's reply is not a message.", 502)

Wire = dict[str, Any]


# --- reading ------------------------------------------------------------------


def decode_response(body: bytes, sent: SentRequest) -> list[neutral.Event]:
    """The reply as the events its stream would have been, so that both are read by the same rules."""
    decoder = StreamDecoder(sent)
    message = decode_object(body)
    events: list[neutral.Event] = []
    if message is None:
        decoder.fail(UNREADABLE, events)
    elif (error := read_embedded_error(message)) is not None:
        decoder.fail(error, events)
    elif not isinstance(content := message.get("content"), list | str):
        decoder.fail(UNREADABLE, events)
    else:
        for event in _as_stream(message, [text_block(content)] if isinstance(content, str) else content):
            events += decoder.take(event)
    return events


def _as_stream(message: Wire, content: list[Any]) -> list[WireEvent]:
    events = [WireEvent("message_start", message=message)]
    for index, block in enumerate(content):
        if not isinstance(block, dict):
            continue
        events.append(WireEvent("content_block_start", index, content_block=block))
        for citation in block.get("citations") or ():
            if isinstance(citation, dict):
                delta = WireDelta("citations_delta", citation=citation)
                events.append(WireEvent("content_block_delta", index, delta=delta))
        events.append(WireEvent("content_block_stop", index))
    end = WireDelta(
        stop_reason=_string(message, "stop_reason"),
        stop_sequence=_string(message, "stop_sequence"),
        stop_details=message["stop_details"] if isinstance(message.get("stop_details"), dict) else None,
    )
    return [*events, WireEvent("message_delta", delta=end), WireEvent("message_stop")]


def _string(fields: Wire, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


# --- writing ------------------------------------------------------------------


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    searches_are_wanted = any(tool.name == "web_search" for tool in request.hosted_tools)
    content: list[Wire] = []
    for index, block in enumerate(response.content):
        citations = response.citations.get(index, ()) if searches_are_wanted else ()
        if searches_are_wanted or not isinstance(block, neutral.WebSearch):
            content += _blocks(block, citations)
    usage = anthropic_usage(response.usage or neutral.Usage())
    if searches := sum(block["type"] == "server_tool_use" for block in content):
        usage["server_tool_use"] = {"web_search_requests": searches}
    called = any(block["type"] == "tool_use" for block in content)
    reason = reason_for(response.stop_reason, called)
    message: Wire = {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": STOP_WORDS[reason],
        "stop_sequence": response.stop_sequence if reason is StopReason.STOP_SEQUENCE else None,
        "usage": usage,
    }
    if reason is StopReason.REFUSAL:
        refusals = (block.text for block in response.content if isinstance(block, neutral.Refusal))
        message["stop_details"] = refusal_details("".join(refusals))
    return msgspec.json.encode(message)


def _blocks(block: neutral.Block, citations: tuple[neutral.Citation, ...]) -> list[Wire]:
    match block:
        case neutral.Text(text) | neutral.Refusal(text):
            cited = {"citations": [citation_of(citation) for citation in citations]} if citations else {}
            return [text_block(text) | cited] if text else []
        case neutral.Thinking():
            return _thinking(block)
        case neutral.ToolCall():
            id = anthropic_call_id(block.id) if block.id else new_id("toolu_")
            return [
                {"type": "tool_use", "id": id, "name": block.name, "input": arguments_of(block.arguments)}
            ]
        case neutral.WebSearch():
            return list(search_blocks(block))
    return []


def _thinking(thinking: neutral.Thinking) -> list[Wire]:
    signature = thinking.signature
    if not thinking.text and signature is None:
        return []
    if not thinking.text and signature is not None and is_redacted(signature):
        return [{"type": "redacted_thinking", "data": sealed(signature)}]
    return [{"type": "thinking", "thinking": thinking.text, "signature": sealed(signature)}]

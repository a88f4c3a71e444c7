"""Messages streams in short: each function is one record of an upstream."""

from typing import Any

import msgspec

from switchyard.protocols import neutral, sse
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target

ISSUER = "upstream-a"
TARGET = Target("model-a", ISSUER)
CHUNK_SIZES = (1, 3, 7, 64, 100_000)


def target(**capabilities: Any) -> Target:
    return Target("model-a", ISSUER, Capabilities(**capabilities))


def sent(tools: dict[str, neutral.Tool] | None = None) -> SentRequest:
    return SentRequest(b"", TARGET, tools or {})


def record(event: dict[str, Any], name: str | None = None) -> bytes:
    return sse.encode(msgspec.json.encode(event), event["type"] if name is None else name)


def ms(input_tokens: int | None = 7, **more: Any) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
    }
    if input_tokens is not None:
        message["usage"] = {"input_tokens": input_tokens, "output_tokens": 1}
    return record({"type": "message_start", "message": message | more})


def bs(index: int, type: str, **fields: Any) -> bytes:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"id": f"toolu_{index}", "name": "f", "input": {}},
    }
    block = {"type": type, **empty.get(type, {}), **fields}
    return record({"type": "content_block_start", "index": index, "content_block": block})


DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
    "citations_delta": "citation",
}


def bd(index: int, piece: Any, type: str = "text_delta") -> bytes:
    return record(
        {"type": "content_block_delta", "index": index, "delta": {"type": type, DELTAS[type]: piece}}
    )


def args(index: int, piece: str) -> bytes:
    return bd(index, piece, "input_json_delta")


def thought(index: int, piece: str) -> bytes:
    return bd(index, piece, "thinking_delta")


def sig(index: int, piece: str) -> bytes:
    return bd(index, piece, "signature_delta")


def be(index: int) -> bytes:
    return record({"type": "content_block_stop", "index": index})


def md(stop_reason: str | None, usage: dict[str, Any] | None = None, **delta: Any) -> bytes:
    event: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": None, **delta},
    }
    if usage is not None:
        event["usage"] = usage
    return record(event)


MST = record({"type": "message_stop"})
PING = record({"type": "ping"})


def decoded(
    stream: bytes, tools: dict[str, neutral.Tool] | None = None, chunk_size: int = 100_000
) -> list[neutral.Event]:
    """The events of a stream that arrives in chunks of this size and then ends."""
    lines, decoder = sse.SseDecoder(), CODEC.stream_decoder(sent(tools))
    records = [
        record
        for start in range(0, len(stream), chunk_size)
        for record in lines.feed(stream[start : start + chunk_size])
    ]
    events = [event for record in (*records, *lines.close()) for event in decoder.decode(record)]
    return events + decoder.close()


def encoded(events: list[neutral.Event], request: neutral.Request | None = None) -> bytes:
    encoder = CODEC.stream_encoder(request or neutral.Request("client-model", ()))
    return b"".join(encoder.encode(event) for event in events)

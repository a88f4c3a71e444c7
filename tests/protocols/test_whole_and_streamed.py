"""A whole answer is what a program puts together from the stream of the same answer."""

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.fold import unfold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import (
    Block,
    Citation,
    Compaction,
    HostedTool,
    Refusal,
    Request,
    Response,
    Signature,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
    WebSearch,
)

Json = Any
FRESH_ID = re.compile(rb"(?<=_|-)[0-9a-f]{24}")
PLAIN = Request("m", (), include_usage=True, received_at=7)
SEARCHING = replace(PLAIN, hosted_tools=(HostedTool("web_search"),))
CITED = Citation("https://h/a", "A", "cited")
BLOCKS: dict[str, Block] = {
    "text": Text("Hi \u2028 there"),
    "an empty text": Text(""),
    "a refusal": Refusal("No"),
    "an empty refusal": Refusal(""),
    "thinking": Thinking("hm"),
    "signed thinking": Thinking("hm", Signature("sig", "issuer")),
    "natively signed thinking": Thinking("hm", Signature("sig")),
    "thinking without text": Thinking("", Signature("sig")),
    "redacted thinking": Thinking("", Signature("redacted:sig"), redacted=True),
    "thinking of another issuer without text": Thinking("", Signature("sig", "issuer")),
    "empty thinking": Thinking(""),
    "a call": ToolCall("t:1", "f", '{"a": [1, "\u2029"]}'),
    "a call without id": ToolCall("", "f", '{"a":1}'),
    "a call without arguments": ToolCall("t2", "f", ""),
    "a call with an empty object": ToolCall("t2", "f", "{}"),
    "a call with blank arguments": ToolCall("t2", "f", " "),
    "a call with broken arguments": ToolCall("t3", "f", '{"a": tru'),
    "a call with arguments that are no object": ToolCall("t4", "f", '"{\\"a\\":1}"'),
    "a custom call": ToolCall("t5", "patch", "free text", "custom"),
    "an empty custom call": ToolCall("t6", "patch", "", "custom"),
    "a shell call": ToolCall("t7", "shell", '{"command":["ls"]}', "local_shell"),
    "a call that was cut off": ToolCall("cut", "f", '{"a":'),
    "a call that was cut off at once": ToolCall("cut", "f", ""),
    "a search": WebSearch("ws_1", "weather", (CITED,)),
    "a summary": Compaction("all"),
}


def added_up(protocol: ProtocolName, stream: bytes) -> Json:
    lines = (line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {"))
    return ASSEMBLERS[protocol](map(msgspec.json.decode, lines))


def _message(events: Iterator[Json]) -> Json:
    message: Json = next(events)["message"]
    for event in events:
        match event["type"]:
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                _extend_block(message["content"][-1], event["delta"])
            case "message_delta":
                message |= {**event["delta"], "usage": event["usage"]}
    for block in message["content"]:
        if isinstance(block.get("input"), str):
            block["input"] = _input(block["input"])
    return message


def _input(text: str) -> Json:
    """The object in the text; a whole answer keeps what is none."""
    try:
        return msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {"_raw": text}


def _extend_block(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "input_json_delta":
            block["input"] = (block["input"] or "") + delta["partial_json"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        case kind:
            field = kind.removesuffix("_delta")
            block[field] += delta[field]


def _completion(chunks: Iterator[Json]) -> Json:
    message: Json = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
    reason, chunk = None, {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            reason = choice["finish_reason"]
            for field, piece in choice["delta"].items():
                _extend_message(message, field, piece)
    if not message["content"] and (message["refusal"] or "tool_calls" in message):
        message["content"] = None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {**chunk, "object": "chat.completion", "choices": [choice]}


def _extend_message(message: Json, field: str, piece: Any) -> None:
    if field == "annotations":
        message[field] += piece
    elif field == "tool_calls":
        calls, fragment = message.setdefault(field, []), piece[0]
        if fragment.pop("index") == len(calls):
            calls.append(fragment)
            return
        for kind, grown in fragment.items():
            for name, text in grown.items():
                calls[-1][kind][name] += text
    elif field != "role":
        message[field] = (message.get(field) or "") + piece


def _response(events: Iterator[Json]) -> Json:
    return list(events)[-1]["response"]


ASSEMBLERS: dict[ProtocolName, Callable[[Iterator[Json]], Json]] = {
    "messages": _message,
    "chat": _completion,
    "responses": _response,
}


def _named_alike(answer: Json) -> Json:
    """The answer with the same id wherever a fresh one was made."""
    return msgspec.json.decode(FRESH_ID.sub(b"x", msgspec.json.encode(answer)))


def agree(protocol: ProtocolName, response: Response, request: Request) -> None:
    encoder = CODECS[protocol].stream_encoder(request)
    streamed = added_up(protocol, b"".join(map(encoder.encode, unfold(response))))
    whole = msgspec.json.decode(CODECS[protocol].encode_response(response, request))

    assert _named_alike(whole) == _named_alike(streamed)


@pytest.mark.parametrize("request_", [PLAIN, SEARCHING], ids=["without search", "with search"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_answer_adds_up_to_its_stream(protocol: ProtocolName, request_: Request) -> None:
    usage = Usage(3, cache_read=2, output=4, reasoning=1)
    for first, second in product(BLOCKS.values(), repeat=2):
        citations = {0: (CITED,), **({2: (CITED, CITED)} if isinstance(second, Text | Refusal) else {})}
        blocks = (Text("Before"), first, second)
        response = Response(
            "id", "m", blocks, StopReason.END_TURN, usage, None, citations, frozenset({"cut"})
        )
        agree(protocol, response, request_)


@pytest.mark.parametrize("reason", StopReason)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_answer_ends_as_its_stream(protocol: ProtocolName, reason: StopReason) -> None:
    for name in ("text", "an empty text", "a refusal", "an empty refusal", "a call"):
        agree(protocol, Response("id", "m", (BLOCKS[name],), reason, Usage(3), "END"), PLAIN)
    agree(protocol, Response("id", "m", (), reason), PLAIN)

"""Whole replies: read by the rules of streams, written so that the official SDK can read them."""

from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Delta,
    ErrorType,
    Failed,
    Finished,
    HostedTool,
    Refusal,
    Request,
    Response,
    Signature,
    Started,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
    WebSearch,
    WireError,
)
from tests.protocols.anthropic_messages.script import ISSUER, sent

USAGE = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 2}
READ = Usage(input=10, cache_read=90, output=2)
START = Started("msg_1", "m", READ)
UNREADABLE = WireError(ErrorType.SERVER, "the upstream's reply is not a message", 502)


def body(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
    } | more


def call(*pieces: str, name: str = "f") -> list[neutral.Event]:
    return [BlockStarted(ToolCall("t1", name, "")), *map(Delta, pieces), BlockEnded()]


HI = {"type": "text", "text": "Hi"}
SAID: list[neutral.Event] = [BlockStarted(Text("")), Delta("Hi"), BlockEnded()]

READ_CASES: dict[str, tuple[Any, list[neutral.Event]]] = {
    "text": (body(HI), [START, *SAID, Finished(StopReason.END_TURN, READ)]),
    "a call": (
        body(
            HI,
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}},
            stop_reason="tool_use",
        ),
        [START, *SAID, *call('{"b":1,"a":2}'), Finished(StopReason.TOOL_USE, READ)],
    ),
    "a call without input": (
        body({"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
        [START, *call("{}"), Finished(StopReason.TOOL_USE, READ)],
    ),
    "thinking": (
        body({"type": "thinking", "thinking": "T", "signature": "S"}, HI),
        [
            START,
            BlockStarted(Thinking("")),
            Delta("T"),
            BlockEnded(Signature("S", ISSUER)),
            *SAID,
            Finished(StopReason.END_TURN, READ),
        ],
    ),
    "citations": (
        body(HI | {"citations": [{"type": "web_search_result_location", "url": "u", "title": "t"}]}),
        [START, *SAID[:2], Citation("u", "t"), BlockEnded(), Finished(StopReason.END_TURN, READ)],
    ),
    "content as plain text": (
        body() | {"content": "Hi"},
        [START, *SAID, Finished(StopReason.END_TURN, READ)],
    ),
    "an error in status 200": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        [Started(), Failed(WireError(ErrorType.OVERLOADED, "busy", 529))],
    ),
    "another vendor's error in status 200": (
        {"base_resp": {"status_code": 1008, "status_msg": "broke"}},
        [Started(), Failed(WireError(ErrorType.BILLING, "broke", 402, code="1008"))],
    ),
    "no message": ({"ok": True}, [Started(), Failed(UNREADABLE)]),
    "no object": ([1], [Started(), Failed(UNREADABLE)]),
}


@pytest.mark.parametrize("name", READ_CASES)
def test_a_reply_is_read_as_events(name: str) -> None:
    reply, events = READ_CASES[name]
    assert CODEC.decode_response(msgspec.json.encode(reply), sent()) == events


def test_a_page_of_html_is_no_reply() -> None:
    assert CODEC.decode_response(b"<html>", sent()) == [Started(), Failed(UNREADABLE)]


CITED = Citation("https://no", "Norway", "cold")
SEARCHING = Request("client-model", (), hosted_tools=(HostedTool("web_search"),))
PLAIN = Request("client-model", ())
FOREIGN = carrier.pack("thinking", "r", {"signature": "S"})


def written(request: Request, *content: neutral.Block, **more: Any) -> dict[str, Any]:
    reported: dict[str, Any] = {"stop_reason": StopReason.END_TURN, "usage": READ} | more
    reply: dict[str, Any] = msgspec.json.decode(
        CODEC.encode_response(Response("x", "m", content, **reported), request)
    )
    return reply


WRITE_CASES: dict[str, tuple[dict[str, Any], list[Any], str]] = {
    "text": (written(PLAIN, Text("Hi"), Text("")), [HI], "end_turn"),
    "thinking and a call": (
        written(PLAIN, Thinking("T", Signature("S", "r")), ToolCall("a:b", "f", '{"b":1,"a":2}')),
        [
            {"type": "thinking", "thinking": "T", "signature": FOREIGN},
            {"type": "tool_use", "id": "a_b_6783a31e", "name": "f", "input": {"b": 1, "a": 2}},
        ],
        "tool_use",
    ),
    "thinking without text": (
        written(PLAIN, Thinking("", Signature("S", "r"), redacted=True), Thinking("")),
        [{"type": "redacted_thinking", "data": FOREIGN}],
        "end_turn",
    ),
    "native thinking": (
        written(PLAIN, Thinking("", Signature("S")), Thinking("", Signature("redacted:D"), redacted=True)),
        [
            {"type": "thinking", "thinking": "", "signature": "S"},
            {"type": "redacted_thinking", "data": "D"},
        ],
        "end_turn",
    ),
    "unsigned thinking": (
        written(PLAIN, Thinking("T")),
        [{"type": "thinking", "thinking": "T", "signature": carrier.pack("text", "", {})}],
        "end_turn",
    ),
    "arguments that do not parse": (
        written(PLAIN, ToolCall("t1", "f", "{bad")),
        [{"type": "tool_use", "id": "t1", "name": "f", "input": {"_raw": "{bad"}}],
        "tool_use",
    ),
    "a call cut off": (
        written(PLAIN, ToolCall("t1", "f", '{"a":'), stop_reason=StopReason.MAX_TOKENS),
        [{"type": "tool_use", "id": "t1", "name": "f", "input": {"_raw": '{"a":'}}],
        "max_tokens",
    ),
    "big numbers stay exact": (
        written(PLAIN, ToolCall("t1", "f", '{"n":123456789012345678901234567890}')),
        [{"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 123456789012345678901234567890}}],
        "tool_use",
    ),
    "an unwanted search": (written(PLAIN, WebSearch("w", "q"), Text("Hi")), [HI], "end_turn"),
    "citations nobody asked for": (written(PLAIN, Text("Hi"), citations={0: (CITED,)}), [HI], "end_turn"),
    "citations": (
        written(SEARCHING, Text("Hi"), citations={0: (CITED,)}),
        [
            HI
            | {
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://no",
                        "title": "Norway",
                        "cited_text": "cold",
                        "encrypted_index": "",
                    }
                ]
            }
        ],
        "end_turn",
    ),
    "nothing": (written(PLAIN), [], "end_turn"),
}


@pytest.mark.parametrize("name", WRITE_CASES)
def test_a_reply_is_written_for_the_client(name: str) -> None:
    reply, content, stop_reason = WRITE_CASES[name]
    assert reply == {
        "id": reply["id"],
        "type": "message",
        "role": "assistant",
        "model": "client-model",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 90,
            "output_tokens": 2,
        },
    }
    assert reply["id"].startswith("msg_")


def test_a_refusal_is_reported_with_its_explanation() -> None:
    reply = written(PLAIN, Refusal("No."), stop_reason=StopReason.REFUSAL)
    assert reply["content"] == [{"type": "text", "text": "No."}]
    assert reply["stop_details"] == {"type": "refusal", "category": None, "explanation": "No."}


def test_a_search_counts_in_the_usage() -> None:
    reply = written(SEARCHING, WebSearch("w", "q", (CITED,)))
    assert [block["type"] for block in reply["content"]] == ["server_tool_use", "web_search_tool_result"]
    assert reply["content"][0]["id"] == reply["content"][1]["tool_use_id"]
    assert reply["usage"]["server_tool_use"] == {"web_search_requests": 1}


def test_a_stop_sequence_is_named() -> None:
    reply = written(PLAIN, Text("Hi"), stop_reason=StopReason.STOP_SEQUENCE, stop_sequence="END")
    assert (reply["stop_reason"], reply["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize("name", WRITE_CASES)
def test_the_official_sdk_reads_every_reply(name: str) -> None:
    reply, content, stop_reason = WRITE_CASES[name]
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=reply)))
    with anthropic.Anthropic(api_key="k", base_url="http://upstream", http_client=http) as client:
        message = client.messages.create(
            model="m", max_tokens=10, messages=[{"role": "user", "content": "x"}]
        )
    assert [block.type for block in message.content] == [block["type"] for block in content]
    assert message.stop_reason == stop_reason and message.usage.cache_read_input_tokens == 90


# --- errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "type_", "message"),
    [
        (WireError(ErrorType.INVALID_REQUEST, "m", 422), 400, "invalid_request_error", "m"),
        (
            WireError(ErrorType.CONTEXT_OVERFLOW, "maximum context length is 10", 400, tokens=12, limit=10),
            400,
            "invalid_request_error",
            "prompt is too long: 12 tokens > 10 maximum",
        ),
        (
            WireError(ErrorType.CONTEXT_OVERFLOW, "your input is too large", 413),
            400,
            "invalid_request_error",
            "prompt is too long: your input is too large",
        ),
        (WireError(ErrorType.AUTHENTICATION, "m", 401), 401, "authentication_error", "m"),
        (WireError(ErrorType.BILLING, "m", 402), 402, "billing_error", "m"),
        (WireError(ErrorType.PERMISSION, "m", 403), 403, "permission_error", "m"),
        (WireError(ErrorType.NOT_FOUND, "m", 404), 404, "not_found_error", "m"),
        (WireError(ErrorType.MODEL_NOT_FOUND, "m", 400), 404, "not_found_error", "m"),
        (WireError(ErrorType.TIMEOUT, "m", 408), 504, "timeout_error", "m"),
        (WireError(ErrorType.CONFLICT, "m", 409), 409, "conflict_error", "m"),
        (WireError(ErrorType.TOO_LARGE, "m", 413), 413, "request_too_large", "m"),
        (WireError(ErrorType.RATE_LIMIT, "m", 429), 429, "rate_limit_error", "m"),
        (WireError(ErrorType.QUOTA, "m", 402), 429, "rate_limit_error", "m"),
        (WireError(ErrorType.SERVER, "m", 500), 500, "api_error", "m"),
        (WireError(ErrorType.SERVER, "m", 200), 502, "api_error", "m"),
        (WireError(ErrorType.OVERLOADED, "m", 503), 529, "overloaded_error", "m"),
    ],
)
def test_errors_have_the_status_and_type_that_clients_know(
    error: WireError, status: int, type_: str, message: str
) -> None:
    body = {"type": "error", "error": {"type": type_, "message": message}}
    assert encode_error("messages", error) == (status, msgspec.json.encode(body))


def test_every_type_of_error_can_be_reported() -> None:
    for type_ in ErrorType:
        assert encode_error("messages", WireError(type_, "m", 500))[0] >= 400


def test_an_upstreams_error_is_read() -> None:
    body = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"r"}'
    assert decode_error(404, body) == WireError(ErrorType.MODEL_NOT_FOUND, "model: x", 404)

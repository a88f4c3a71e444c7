"""Whole Chat replies, read as the same walk as a stream, and written from a folded one."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.fold import fold
from switchyard.protocols.neutral import StopReason, Usage
from switchyard.protocols.openai_chat.decode_stream import decode_response
from switchyard.protocols.openai_chat.encode_stream import encode_response
from tests.protocols.openai_chat.chunks import check_walk, counts, fragment, script, sent


def reply(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return msgspec.json.encode({"id": "c1", "model": "m", "choices": [choice], **fields})


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
OTHER = {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}

WHOLE: dict[str, tuple[bytes, list[str]]] = {
    "text": (reply({"content": "a"}), ["+text", "a", "-", "= end_turn"]),
    "reasoning": (
        reply({"content": "a", "reasoning_content": "t"}),
        ["+thinking", "t", "-", "+text", "a", "-", "= end_turn"],
    ),
    "a refusal": (reply({"content": None, "refusal": "no"}), ["+refusal", "no", "-", "= refusal"]),
    "calls": (
        reply({"content": "a", "tool_calls": [CALL, OTHER]}, "tool_calls"),
        ["+text", "a", "-", "+function a f", '{"x":1}', "-", "+function b g", "{}", "-", "= tool_use"],
    ),
    "calls called a stop": (
        reply({"content": None, "tool_calls": [CALL]}),
        ["+function a f", '{"x":1}', "-", "= tool_use"],
    ),
    "a broken call stays what it is": (
        reply({"tool_calls": [fragment(None, "a", "f", '{"x":')]}, "tool_calls"),
        ["+function a f", '{"x":', "-", "= tool_use"],
    ),
    "a call cut off": (
        reply({"tool_calls": [fragment(None, "a", "f", '{"x":')]}, "length"),
        ["+function a f", '{"x":', "- cut", "= max_tokens"],
    ),
    "calls without ids and indices": (
        reply({"tool_calls": [fragment(None, "a", "f", None), fragment(None, "b", "f", None)]}, "tool_calls"),
        ["+function a f", "{}", "-", "+function b f", "{}", "-", "= tool_use"],
    ),
    "no reason to stop": (reply({"content": "a"}, None), ["+text", "a", "-", "= end_turn"]),
    "nothing said": (reply({"content": ""}), ["= end_turn"]),
    "content filter": (reply({"content": ""}, "content_filter"), ["= refusal"]),
    "no choices": (b'{"id":"c1","choices":[]}', ["! the upstream's reply has no choices"]),
    "nothing known": (b'{"ok":true}', ["! the upstream's reply has no choices"]),
    "an error": (b'{"error":{"message":"boom"}}', ["! boom"]),
    "MiniMax's error": (
        b'{"choices":null,"base_resp":{"status_code":1008,"status_msg":"boom"}}',
        ["! boom"],
    ),
    "no JSON": (b"<html>", ["! the upstream sent records that are not JSON"]),
}


@pytest.mark.parametrize("body, expected", WHOLE.values(), ids=WHOLE)
def test_a_whole_reply_is_the_same_walk_as_a_stream(body: bytes, expected: list[str]) -> None:
    events = decode_response(body, sent())
    check_walk(events)
    assert script(events) == expected


def test_usage_of_a_whole_reply() -> None:
    body = reply({"content": "a"}, usage=counts(50, 20, 9))
    assert decode_response(body, sent())[-1] == neutral.Finished(
        StopReason.END_TURN, Usage(input=30, cache_read=20, output=9)
    )


REQUEST = neutral.Request("asked", (), received_at=1700000000)


def reported(
    *content: neutral.Block, stop: StopReason = StopReason.END_TURN, **fields: Any
) -> dict[str, Any]:
    response = neutral.Response("r", "other", content, stop, **fields)
    written: dict[str, Any] = msgspec.json.decode(encode_response(response, REQUEST))
    return written


def test_a_reply_is_written_whole() -> None:
    written = reported(
        neutral.Thinking("T"),
        neutral.Text("Look"),
        neutral.ToolCall("call_1", "w", '{"city":"Oslo"}'),
        stop=StopReason.TOOL_USE,
        usage=Usage(input=30, cache_read=20, output=9, reasoning=4),
    )
    assert written.pop("id").startswith("chatcmpl-")
    assert written == {
        "object": "chat.completion",
        "created": 1700000000,
        "model": "asked",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Look",
                    "refusal": None,
                    "annotations": [],
                    "reasoning_content": "T",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "w", "arguments": '{"city":"Oslo"}'},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 50,
            "completion_tokens": 9,
            "total_tokens": 59,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }


@pytest.mark.parametrize(
    "content, expected, finish",
    [
        ((neutral.Text("a"), neutral.Text("b")), {"content": "ab", "refusal": None}, "stop"),
        ((), {"content": "", "refusal": None}, "stop"),
        ((neutral.Refusal("no"),), {"content": None, "refusal": "no"}, "stop"),
        ((neutral.Thinking("", redacted=True),), {"content": "", "refusal": None}, "content_filter"),
        (
            (neutral.ToolCall("a", "p", "*** Begin", "custom"),),
            {
                "content": None,
                "refusal": None,
                "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "p", "input": "*** Begin"}}],
            },
            "tool_calls",
        ),
        (
            (neutral.ToolCall("a", "f", ""),),
            {
                "content": None,
                "refusal": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "tool_calls",
        ),
    ],
)
def test_messages_of_replies(
    content: tuple[neutral.Block, ...], expected: dict[str, Any], finish: str
) -> None:
    reasons = {"stop": StopReason.END_TURN, "tool_calls": StopReason.TOOL_USE}
    choice = reported(*content, stop=reasons.get(finish, StopReason.REFUSAL))["choices"][0]
    assert choice["message"] == {"role": "assistant", "annotations": [], **expected}
    assert choice["finish_reason"] == finish


def test_citations_point_into_the_whole_text() -> None:
    citations = {1: (neutral.Citation("https://x", "X"),)}
    written = reported(neutral.Text("ab"), neutral.Text("cde"), citations=citations)
    assert written["choices"][0]["message"]["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"start_index": 2, "end_index": 5, "title": "X", "url": "https://x"},
        }
    ]


def test_reading_what_was_written_gives_the_same_reply() -> None:
    content = (neutral.Text("Look"), neutral.ToolCall("call_1", "w", '{"city":"Oslo"}'))
    response = neutral.Response(
        "r", "m", content, StopReason.TOOL_USE, Usage(input=30, cache_read=20, output=9)
    )
    read = fold(decode_response(encode_response(response, REQUEST), sent()))
    assert isinstance(read, neutral.Response)
    assert (read.content, read.stop_reason, read.usage) == (
        response.content,
        response.stop_reason,
        response.usage,
    )

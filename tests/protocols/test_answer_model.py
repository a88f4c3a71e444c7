"""Whole answers in each pair of protocols, against a small model written from the protocols' own specifications.

Unlike the round trips of `test_nine_pairs.py`, nothing here is written or read by a codec but the conversion itself.
"""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request, convert_response
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from tests.bed.examples import modelled_in_part

PAIRS = [(upstream, client) for upstream in PROTOCOLS for client in PROTOCOLS if upstream != client]
Json = dict[str, Any]


class Call(NamedTuple):
    id: str
    arguments: Json


class Tokens(NamedTuple):
    """Disjoint parts of the prompt, and the answer with its reasoning."""

    fresh: int
    read: int
    written: int
    answer: int
    reasoning: int

    @property
    def prompt(self) -> int:
        return self.fresh + self.read + self.written


class Said(NamedTuple):
    """What a model said: texts and calls in their order, and why it stopped."""

    content: tuple[str | Call, ...]
    stop: str
    """end, length, filter"""
    tokens: Tokens

    @property
    def texts(self) -> str:
        return "".join(one for one in self.content if isinstance(one, str))

    @property
    def calls(self) -> list[Call]:
        return [one for one in self.content if isinstance(one, Call)]


# --- requests of the clients ---------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
FUNCTION = {"name": "read", "description": "Reads.", "parameters": SCHEMA}
ASKED: dict[ProtocolName, Json] = {
    "messages": {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"name": "read", "description": "Reads.", "input_schema": SCHEMA}],
    },
    "chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    "responses": {"model": "m", "input": "Hello", "tools": [{"type": "function", **FUNCTION}]},
}


# --- answers as upstreams write them ---------------------------------------------------


def messages_body(said: Said) -> Json:
    tokens = said.tokens
    blocks = [
        {"type": "text", "text": one}
        if isinstance(one, str)
        else {"type": "tool_use", "id": one.id, "name": "read", "input": one.arguments}
        for one in said.content
    ]
    reasons = {"end": "tool_use" if said.calls else "end_turn", "length": "max_tokens", "filter": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks,
        "stop_reason": reasons[said.stop],
        "stop_sequence": None,
        "usage": {
            "input_tokens": tokens.fresh,
            "cache_read_input_tokens": tokens.read,
            "cache_creation_input_tokens": tokens.written,
            "output_tokens": tokens.answer,
            "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        },
    }


def chat_body(said: Said) -> Json:
    tokens = said.tokens
    calls = [
        {
            "id": one.id,
            "type": "function",
            "function": {"name": "read", "arguments": json.dumps(one.arguments)},
        }
        for one in said.calls
    ]
    message: Json = {"role": "assistant", "content": said.texts or None}
    reasons = {"end": "tool_calls" if calls else "stop", "length": "length", "filter": "content_filter"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": message | ({"tool_calls": calls} if calls else {}),
                "finish_reason": reasons[said.stop],
            }
        ],
        "usage": {
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.answer,
            "total_tokens": tokens.prompt + tokens.answer,
            "prompt_tokens_details": {"cached_tokens": tokens.read, "cache_write_tokens": tokens.written},
            "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
        },
    }


def responses_body(said: Said) -> Json:
    tokens = said.tokens
    items = [
        {
            "type": "message",
            "id": f"msg_{number}",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": one, "annotations": []}],
        }
        if isinstance(one, str)
        else {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": one.id,
            "name": "read",
            "arguments": json.dumps(one.arguments),
            "status": "completed",
        }
        for number, one in enumerate(said.content)
    ]
    why = {"length": "max_output_tokens", "filter": "content_filter"}.get(said.stop)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed" if why is None else "incomplete",
        "incomplete_details": None if why is None else {"reason": why},
        "error": None,
        "model": "m",
        "output": items,
        "usage": {
            "input_tokens": tokens.prompt,
            "input_tokens_details": {"cached_tokens": tokens.read, "cache_write_tokens": tokens.written},
            "output_tokens": tokens.answer,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.prompt + tokens.answer,
        },
    }


# --- answers as clients read them --------------------------------------------------------


def read_messages(body: Json) -> Said:
    usage, content = body["usage"], []
    for block in body["content"]:
        is_text = block["type"] == "text"
        content.append(block["text"] if is_text else Call(block["id"], block["input"]))
    reasons = {
        "end_turn": "end",
        "tool_use": "end with calls",
        "max_tokens": "length",
        "refusal": "filter",
    }
    tokens = Tokens(
        usage["input_tokens"],
        usage["cache_read_input_tokens"],
        usage["cache_creation_input_tokens"],
        usage["output_tokens"],
        usage.get("output_tokens_details", {}).get("thinking_tokens", 0),
    )
    return Said(tuple(content), reasons[body["stop_reason"]], tokens)


def read_chat(body: Json) -> Said:
    [choice] = body["choices"]
    message, usage = choice["message"], body["usage"]
    calls = [
        Call(call["id"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or []
    ]
    texts = [text for text in (message["content"], message.get("refusal")) if text]
    reasons = {
        "stop": "end",
        "tool_calls": "end with calls",
        "length": "length",
        "content_filter": "filter",
    }
    details = usage["prompt_tokens_details"]
    read, written = details["cached_tokens"], details.get("cache_write_tokens", 0)
    tokens = Tokens(
        usage["prompt_tokens"] - read - written,
        read,
        written,
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Said((*texts, *calls), reasons[choice["finish_reason"]], tokens)


def read_responses(body: Json) -> Said:
    content: list[str | Call] = []
    is_refused = False
    for item in body["output"]:
        if item["type"] == "function_call":
            content.append(Call(item["call_id"], json.loads(item["arguments"])))
            continue
        for part in item["content"]:
            is_refused = is_refused or part["type"] == "refusal"
            content.append(part["refusal"] if part["type"] == "refusal" else part["text"])
    why = str((body.get("incomplete_details") or {}).get("reason", ""))
    assert (body["status"] == "incomplete") is bool(why)
    has_calls = any(isinstance(one, Call) for one in content)
    stop = {"max_output_tokens": "length", "content_filter": "filter"}.get(
        why, "filter" if is_refused else "end with calls" if has_calls else "end"
    )
    usage = body["usage"]
    read = usage["input_tokens_details"]["cached_tokens"]
    written = usage["input_tokens_details"].get("cache_write_tokens", 0)
    tokens = Tokens(
        usage["input_tokens"] - read - written,
        read,
        written,
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
    )
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Said(tuple(content), stop, tokens)


WRITE = {"messages": messages_body, "chat": chat_body, "responses": responses_body}
READ = {"messages": read_messages, "chat": read_chat, "responses": read_responses}


# --- the property ----------------------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn) -> Said:
    stop = draw(st.sampled_from(["end", "end", "length", "filter"]))
    texts = st.sampled_from(["Hello.", "你好 ", "two\nlines", '{"a": 1}'])
    # at the limit, no arguments are those of a call that has just begun
    at_least = 1 if stop == "length" else 0
    arguments = st.dictionaries(
        st.sampled_from(["path", "n"]), st.sampled_from(["a/b", 2**60, [], {"x": None}]), min_size=at_least
    )
    # what a filter cut off is a text
    pieces = texts if stop == "filter" else texts | arguments
    content = draw(st.lists(pieces, min_size=1, max_size=4))
    named = [one if isinstance(one, str) else Call(f"call_{place}", one) for place, one in enumerate(content)]
    answer = draw(st.integers(1, 500))
    counts = st.integers(0, 10**6)
    tokens = Tokens(
        draw(st.integers(1, 10**6)), draw(counts), draw(counts), answer, draw(st.integers(0, answer))
    )
    return Said(tuple(named), stop, tokens)


def expected(said: Said, upstream: ProtocolName, client: ProtocolName) -> Said:
    """The texts, the calls in their order, the tokens; Chat has all texts before all calls."""
    stop = "end with calls" if said.stop == "end" and said.calls else said.stop
    content: list[str | Call] = []
    in_order: tuple[str | Call, ...] = said.content
    if "chat" in (upstream, client):
        in_order = (said.texts, *said.calls)
    for one in in_order:
        if isinstance(one, str) and content and isinstance(content[-1], str):
            content[-1] += one
        elif one:
            content.append(one)
    return Said(tuple(content), stop, said.tokens)


def joined(said: Said) -> Said:
    """Neighbouring texts are one."""
    return expected(said, "messages", "messages")._replace(stop=said.stop)


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
@given(said=answers())
@modelled_in_part
def test_an_answer_says_what_the_upstream_has_said(
    upstream: ProtocolName, client: ProtocolName, said: Said
) -> None:
    request = CODECS[client].decode_request(json.dumps(ASKED[client]).encode())
    sent = convert_request(request, CODECS[upstream], Target("m", "issuer"))
    body = json.dumps(WRITE[upstream](said)).encode()

    converted = convert_response(CODECS[upstream], CODECS[client], body, sent, request)

    assert converted.failed is None
    assert joined(READ[client](json.loads(converted.body))) == expected(said, upstream, client)

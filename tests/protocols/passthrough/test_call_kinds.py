"""Calls that pass through get the kind that their tool is declared with; all others stay byte for byte."""

import json
from typing import Any

import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.call_kinds import CallKinds
from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.sse import MAX_CONTAINERS, RecordTooLarge
from tests.protocols.sdks import said_to

EDIT = {"type": "custom", "name": "edit"}
LOOK = {"type": "function", "name": "look", "parameters": {"properties": {"where": {"type": "string"}}}}
DECLARED: dict[str, dict[str, Any]] = {
    "at the top": {"tools": [LOOK, EDIT]},
    "in a namespace": {"tools": [{"type": "namespace", "name": "n", "tools": [LOOK, EDIT]}]},
    "in the input": {"input": [{"type": "additional_tools", "tools": [LOOK, EDIT]}]},
}
CHAT = {
    "tools": [
        {"type": "custom", "custom": {"name": "edit"}},
        {"type": "function", "function": {"name": "look", "parameters": LOOK["parameters"]}},
    ]
}


def kinds(protocol: ProtocolName, request: dict[str, Any]) -> CallKinds:
    return CallKinds(protocol, watched_members(json.dumps({"model": "m", **request}).encode()))


def function(name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments}


def custom(name: str, given: str) -> dict[str, Any]:
    return {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": name, "input": given}


@pytest.mark.parametrize("place", DECLARED)
def test_a_whole_answer_has_the_declared_kinds(place: str) -> None:
    body = {
        "output": [function("edit", '{"input":"a\\nb"}'), custom("look", "there"), function("look", "{}")]
    }
    fixed = json.loads(kinds("responses", DECLARED[place]).fixed_body(json.dumps(body).encode()))
    shown = [(item["type"], item.get("input", item.get("arguments"))) for item in fixed["output"]]
    assert shown == [
        ("custom_tool_call", "a\nb"),
        ("function_call", '{"where":"there"}'),
        ("function_call", "{}"),
    ]


RIGHT: list[tuple[ProtocolName, dict[str, Any], dict[str, Any]]] = [
    ("responses", DECLARED["at the top"], {"output": [function("look", "{}"), custom("edit", "x")]}),
    ("responses", DECLARED["at the top"], {"output": [function("unknown", "{}")]}),
    ("responses", {}, {"output": [custom("edit", "x")]}),
    ("chat", CHAT, {"choices": [{"message": {"content": 'say "custom"'}}]}),
    ("messages", {"tools": [{"name": "edit"}]}, {"content": [{"type": "tool_use", "name": "edit"}]}),
]


@pytest.mark.parametrize(("protocol", "request_", "answer"), RIGHT)
def test_an_answer_that_is_right_stays_byte_for_byte(
    protocol: ProtocolName, request_: dict[str, Any], answer: dict[str, Any]
) -> None:
    body = json.dumps(answer, indent=1).encode()
    assert kinds(protocol, request_).fixed_body(body) is body


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**about, "choices": [choice]}).encode() + b"\n\n"


def called(arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": 0, "function": {"name": more.pop("name", None), "arguments": arguments}, **more}


FIRST = {"id": "call_1", "type": "function", "name": "edit"}
STREAMS: dict[str, list[bytes]] = {
    "in pieces": [
        chunk(role="assistant", tool_calls=[called("", **FIRST)]),
        chunk(tool_calls=[called('{"input":')]),
        chunk(tool_calls=[called('"a b"}')]),
        chunk("tool_calls"),
        b"data: [DONE]\n\n",
    ],
    "at once, with the end": [
        chunk("tool_calls", role="assistant", tool_calls=[called('{"input":"a b"}', **FIRST)]),
        b"data: [DONE]\n\n",
    ],
    "after a text": [
        chunk(role="assistant", content="x"),
        chunk(tool_calls=[called('{"input":"a b"}', **FIRST)]),
        chunk("tool_calls"),
        b"data: [DONE]\n\n",
    ],
}


@pytest.mark.parametrize("size", [1, 50, 100_000])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_chat_has_the_declared_kinds(name: str, size: int) -> None:
    whole = b"".join(STREAMS[name])
    stream = PassthroughStream(CODECS["chat"], "m", kinds=kinds("chat", CHAT))
    out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.close()
    said = said_to("chat", out)
    assert (said.calls, said.stop) == ((("edit", "a b"),), "tool_calls")
    assert stream.finished


def test_calls_before_a_record_that_is_too_large_have_the_declared_kind() -> None:
    call = {"type": "response.output_item.done", "output_index": 0, "item": function("edit", '{"input":"a"}')}
    record = b"data: %b\n\n" % json.dumps(call).encode()
    large = record.replace(b'"output_index"', b'"x": [' + b"[]," * MAX_CONTAINERS + b'[]], "output_index"')
    stream = PassthroughStream(CODECS["responses"], "m", kinds=kinds("responses", DECLARED["at the top"]))
    with pytest.raises(RecordTooLarge) as raised:
        stream.feed(record * 2 + large + record)
    assert raised.value.given.count(b'"custom_tool_call"') == 2
    assert b"function_call" not in raised.value.given

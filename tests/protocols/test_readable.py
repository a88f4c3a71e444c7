"""Requests and answers for people: the same conversation reads alike in all three protocols."""

import json
from typing import Any

import pytest

from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.readable import Part, neutral_parts, readable_request
from switchyard.protocols.readable_answer import readable_answer
from tests.bed import wire
from tests.bed.wire import Call, Reply

CONVERSATION: dict[str, Any] = {
    "model": "m",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
    ],
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "found"}]},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
}
PARTS = [
    ("system", "text", "Be short.", ""),
    ("user", "text", "hi", ""),
    ("assistant", "call", '{\n  "a": 1\n}', "read"),
    ("tool", "result", "found", ""),
    ("user", "image", "image/png (4 characters of data)", ""),
    ("user", "text", "go on", ""),
]


def body_in(protocol: ProtocolName) -> bytes:
    body = json.dumps(CONVERSATION).encode()
    if protocol == "messages":
        return body
    return CODECS[protocol].encode_request(CODECS["messages"].decode_request(body), Target("m", "x")).body


def in_short(part: Part) -> tuple[str, str, str, str]:
    return (part.role, part.kind, part.text, part.name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_conversation_reads_alike_in_every_protocol(protocol: ProtocolName) -> None:
    read = readable_request(protocol, body_in(protocol))
    assert read is not None
    assert [in_short(part) for part in read.parts] == PARTS
    (tool,) = read.tools
    assert in_short(tool) == ("", "tool", "Reads.", "read")
    assert tool.members["parameters"] == {"type": "object", "properties": {}}
    assert read.fields["model"] == "m"


ODD: list[tuple[ProtocolName, dict[str, Any], list[tuple[str, str, str, str]]]] = [
    ("messages", {"messages": [{"role": "user", "content": [5, {"type": "new", "a": 1}]}]},
     [("user", "text", "5", ""), ("user", "other", '{\n  "type": "new",\n  "a": 1\n}', "new")]),
    ("messages", {"messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "document", "source": {"type": "url", "url": "https://h/a.pdf"}}]}]},
     [("assistant", "thinking", "hm", ""), ("assistant", "file", "https://h/a.pdf", "")]),
    ("messages", {"messages": "nonsense", "tools": [3], "system": {"a": 1}}, []),
    ("chat", {"messages": [{"role": "developer", "content": "Be."},
                           {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [
                               {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}]},
                           {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://h/i"}}]},
                           {"role": "user", "content": ""}]},
     [("system", "text", "Be.", ""), ("assistant", "thinking", "hm", ""), ("assistant", "call", "*** Begin", "patch"),
      ("user", "image", "https://h/i", ""), ("user", "text", "", "")]),
    ("responses", {"input": "hi"}, [("user", "text", "hi", "")]),
    ("responses", {"input": [{"role": "user", "content": "hi"},
                             {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                             {"type": "local_shell_call", "action": {"command": ["ls"]}},
                             {"type": "local_shell_call_output", "output": "a.txt"},
                             {"type": "item_reference", "id": "i"}]},
     [("user", "text", "hi", ""), ("assistant", "thinking", "hm", ""),
      ("assistant", "call", '{\n  "command": [\n    "ls"\n  ]\n}', "local_shell_call"),
      ("tool", "result", "a.txt", ""),
      ("", "other", '{\n  "type": "item_reference",\n  "id": "i"\n}', "item_reference")]),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "body", "parts"), ODD)
def test_every_form_is_readable(
    protocol: ProtocolName, body: dict[str, Any], parts: list[tuple[str, str, str, str]]
) -> None:
    read = readable_request(protocol, json.dumps(body).encode())
    assert read is not None
    assert [in_short(part) for part in read.parts] == parts


def test_what_a_part_has_besides_its_text_is_kept() -> None:
    read = readable_request("messages", body_in("messages"))
    assert read is not None
    assert read.parts[0].members == {"cache_control": {"type": "ephemeral"}}


def test_a_body_that_is_no_object_is_not_readable() -> None:
    assert [readable_request("chat", body) for body in (b"", b"[1]", b'{"a": ')] == [None] * 3


def test_members_of_two_protocols_stand_for_the_same() -> None:
    assert neutral_parts("messages", "stop_sequences") == neutral_parts("chat", "stop") == {"stop"}
    assert neutral_parts("chat", "no_such_member") == frozenset()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_reads_alike_in_every_protocol_and_as_far_as_it_goes(protocol: ProtocolName) -> None:
    reply = Reply("Hello", thinking="hm", calls=(Call("read", {"a": 1}),))
    records = wire.records(protocol, reply, "m")
    whole = readable_answer(CODECS[protocol], b"".join(records), is_stream=True)
    assert [in_short(part) for part in whole.parts] == [
        ("assistant", "thinking", "hm", ""),
        ("assistant", "text", "Hello", ""),
        ("assistant", "call", '{\n  "a": 1\n}', "read"),
    ]
    assert (whole.error, whole.stop) == ("", "tool_use")
    cut = readable_answer(CODECS[protocol], b"".join(records[: len(records) // 2]), is_stream=True)
    assert cut.parts[0].text == "hm" and "ended before its answer was complete" in cut.error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_garbage_reads_as_an_error(protocol: ProtocolName) -> None:
    for body, is_stream in ((b"{}", False), (b"[" * 100_000, False), (b"data: [[[\n\n", True), (b"", True)):
        read = readable_answer(CODECS[protocol], body, is_stream=is_stream)
        assert (read.parts, bool(read.error)) == ((), True)

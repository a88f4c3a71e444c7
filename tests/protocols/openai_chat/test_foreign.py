"""What clients write in Chat requests in the form of another protocol is read for what it is, and sent as Chat."""

import json
from typing import Any

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from tests.protocols.repair.repairing import repair_request
from tests.protocols.validators import (
    check_chat_request,
    check_messages_request,
    check_responses_request,
)

CHECKS = {
    "messages": check_messages_request,
    "chat": check_chat_request,
    "responses": check_responses_request,
}
GRAMMAR = {"syntax": "lark", "definition": "start: x"}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
FLAT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "type": "custom",
            "name": "ApplyPatch",
            "description": "d",
            "format": {"type": "grammar", **GRAMMAR},
        },
        {
            "type": "custom",
            "custom": {
                "name": "ApplyPatch",
                "description": "d",
                "format": {"type": "grammar", "grammar": GRAMMAR},
            },
        },
    ),
    (
        {"type": "function", "name": "read", "description": "d", "parameters": SCHEMA},
        {"type": "function", "function": {"name": "read", "description": "d", "parameters": SCHEMA}},
    ),
    (
        {"name": "read", "description": "d", "input_schema": SCHEMA},
        {"type": "function", "function": {"name": "read", "description": "d", "parameters": SCHEMA}},
    ),
]
USER = {"role": "user", "content": "Read it"}
CALLING = {
    "role": "assistant",
    "content": [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t0", "name": "read", "input": {"path": "a"}},
    ],
}
CALLED = {
    "role": "assistant",
    "content": [{"type": "text", "text": "Let me look."}],
    "tool_calls": [
        {"id": "t0", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}}
    ],
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
ANSWERING = {
    "role": "user",
    "content": [
        {"type": "tool_result", "tool_use_id": "t0", "content": [{"type": "text", "text": "hello"}]},
        {"type": "text", "text": "Go on"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ],
}
ANSWERED = [
    {"role": "tool", "tool_call_id": "t0", "content": [{"type": "text", "text": "hello"}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Go on"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ],
    },
]
MESSAGES = [USER, CALLING, ANSWERING]
OWN_MESSAGES = [USER, CALLED, *ANSWERED]


def body(messages: list[Any], tools: list[Any]) -> dict[str, Any]:
    return {"model": "m", "messages": messages, "tools": tools}


@pytest.mark.parametrize(("flat", "own"), FLAT)
def test_it_is_sent_on_as_chat(flat: dict[str, Any], own: dict[str, Any]) -> None:
    sent = body(MESSAGES, [flat])
    assert repair_request("chat", sent, Target("m", "u", Capabilities()))
    assert sent == body(OWN_MESSAGES, [own])


def test_what_is_chat_already_stays_as_it_is() -> None:
    sent = body(OWN_MESSAGES, [own for _, own in FLAT])
    assert not repair_request("chat", sent, Target("m", "u", Capabilities()))


@pytest.mark.parametrize(("flat", "own"), FLAT)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_it_is_converted_as_if_it_were_chat(
    upstream: ProtocolName, flat: dict[str, Any], own: dict[str, Any]
) -> None:
    encoded = []
    for given in (body(MESSAGES, [flat]), body(OWN_MESSAGES, [own])):
        request = CODECS["chat"].decode_request(json.dumps(given).encode())
        encoded.append(json.loads(CODECS[upstream].encode_request(request, Target("m", "u")).body))
    assert encoded[0] == encoded[1]
    CHECKS[upstream](encoded[0])
    assert "hello" in json.dumps(encoded[0]) and PNG in json.dumps(encoded[0])


@pytest.mark.parametrize("kind", [[], {}, {"type": "text"}, None, 1])
def test_a_part_whose_type_is_no_text_is_not_foreign(kind: object) -> None:
    sent: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": [{"type": kind}]}]}
    assert not repair_request("chat", sent, Target("m", "u", Capabilities()))
    with pytest.raises(BadRequest, match=r"messages\[0\].content\[0\].type"):
        CODECS["chat"].decode_request(json.dumps(sent).encode())

"""Chat requests that pass through: changed only where this upstream needs it."""

import copy
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.content import JSON_SCHEMA_SENTENCE
from switchyard.protocols.history import as_reminder
from tests.protocols.repair.repairing import repair_request

OWN = {"type": "reasoning.encrypted", "data": carrier.pack("reasoning", "issuer", {})}
FOREIGN = {"type": "reasoning.encrypted", "data": carrier.pack("reasoning", "other", {})}
NATIVE = {"type": "reasoning.encrypted", "data": "gAAAA"}
TEXT_S = {"type": "text", "text": "S"}
CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def repaired(body: dict[str, Any], **capabilities: Any) -> tuple[bool, dict[str, Any]]:
    return repair_request("chat", body, Target("m", "issuer", Capabilities(**capabilities))), body


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "developer", "content": "a"}], "max_completion_tokens": 5},
        {"messages": [], "max_tokens": 5, "stop": ["A", "B", "C", "D", "E"], "unknown": {"x": 1}},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"messages": [{"role": "assistant", "tool_calls": CALLS, "reasoning_details": [OWN, NATIVE]}]},
        {},
    ],
)
def test_nothing_is_changed_by_default(body: dict[str, Any]) -> None:
    before = dict(body)
    assert repaired(body) == (False, before)


REPAIRS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"stream": True, "stream_options": None}, {}, {"stream": True}),
    (
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {},
        {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}},
    ),
    (
        {"max_tokens": 5},
        {"max_tokens_field": "max_completion_tokens"},
        {"max_completion_tokens": 5},
    ),
    (
        {"max_tokens": 5, "max_completion_tokens": 6},
        {"max_tokens_field": "max_completion_tokens"},
        {"max_completion_tokens": 6},
    ),
    ({"max_tokens": 9, "seed": 1}, {"max_output_tokens": 5}, {"max_tokens": 5, "seed": 1}),
    (
        {"max_tokens": 9},
        {"max_output_tokens": 5, "max_tokens_field": "max_completion_tokens"},
        {"max_completion_tokens": 5},
    ),
    ({"max_completion_tokens": 5}, {"max_tokens_field": "max_tokens"}, {"max_tokens": 5}),
    (
        {
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "developer", "content": [{"type": "text", "text": "D"}]},
                {"role": "user", "content": "a"},
                {"role": "system", "content": "b"},
                {"role": "user", "content": [{"type": "text", "text": "c"}]},
                {"role": "assistant", "content": None, "tool_calls": CALLS},
                {"role": "system", "content": [{"type": "text", "text": "d"}]},
                {"role": "tool", "tool_call_id": "1", "content": "r"},
                {"role": "assistant", "content": "e"},
                {"role": "system", "content": "f"},
            ]
        },
        {"mid_system": False},
        {
            "messages": [
                {"role": "system", "content": [TEXT_S, {"type": "text", "text": "D"}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": f"a\n\n{as_reminder('b')}"},
                        {"type": "text", "text": "c"},
                    ],
                },
                {"role": "assistant", "content": None, "tool_calls": CALLS},
                {"role": "tool", "tool_call_id": "1", "content": "r"},
                {"role": "user", "content": as_reminder("d")},
                {"role": "assistant", "content": "e"},
                {"role": "user", "content": as_reminder("f")},
            ]
        },
    ),
    (
        {"messages": [{"role": "system", "content": "S"}, {"role": "system", "content": "T"}]},
        {"mid_system": False},
        {"messages": [{"role": "system", "content": "S\n\nT"}]},
    ),
    ({"stop": ["A"]}, {"stop": False}, {}),
    ({"stop": ["A", "B", "C"]}, {"max_stops": 2}, {"stop": ["A", "B"]}),
    ({"seed": 1, "user": "u"}, {"dropped_fields": ("seed", "absent")}, {"user": "u"}),
    (
        {"temperature": 0.2, "top_p": 1, "parallel_tool_calls": True, "seed": 1},
        {"sampling": False, "parallel_tool_calls": False},
        {"seed": 1},
    ),
    ({"stream_options": {"include_usage": True}}, {"include_usage": False}, {}),
    ({"reasoning_effort": "max"}, {"efforts": ("low", "high")}, {"reasoning_effort": "high"}),
    ({"reasoning_effort": "max"}, {"reasoning_effort": "none"}, {}),
    (
        {"reasoning_effort": "none"},
        {"efforts": ("high", "max"), "thinking_switch": True},
        {"thinking": {"type": "disabled"}},
    ),
    (
        {"response_format": {"type": "json_object"}, "seed": 1},
        {"dropped_fields": ("seed",), "json_schema": False},
        {"response_format": {"type": "json_object"}},
    ),
    (
        {
            "messages": [],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        },
        {"json_schema": False},
        {
            "messages": [
                {"role": "system", "content": JSON_SCHEMA_SENTENCE.format(schema='{"type":"object"}')}
            ]
        },
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
        {"images": False},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "[image omitted: the model reads no images]"}],
                }
            ]
        },
    ),
    (
        {"messages": [{"role": "developer", "content": "a"}]},
        {"developer_role": False},
        {"messages": [{"role": "system", "content": "a"}]},
    ),
    (
        {"messages": [{"role": "assistant", "reasoning_details": [OWN, FOREIGN, NATIVE]}]},
        {},
        {"messages": [{"role": "assistant", "reasoning_details": [OWN, NATIVE]}]},
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": CALLS}]},
        {"reasoning_history": "required"},
        {"messages": [{"role": "assistant", "tool_calls": CALLS, "reasoning_content": "(not recorded)"}]},
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": CALLS, "reasoning": "T"}]},
        {"reasoning_history": "required"},
        {
            "messages": [
                {"role": "assistant", "tool_calls": CALLS, "reasoning": "T", "reasoning_content": "T"}
            ]
        },
    ),
]


@pytest.mark.parametrize(("body", "capabilities", "expected"), REPAIRS)
def test_a_request_is_fitted_to_its_upstream(
    body: dict[str, Any], capabilities: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert repaired(copy.deepcopy(body), **capabilities) == (True, expected)


@pytest.mark.parametrize("messages", ["a question", {"role": "user"}, 5, None])
def test_messages_that_are_no_list_are_left_to_the_upstreams_own_words(messages: object) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    body = {"messages": messages, "response_format": schema, "seed": 1}
    refused = {"json_schema": False, "dropped_fields": ("seed",), "reasoning_history": "required"}
    assert repaired(body, **refused) == (True, {"messages": messages, "response_format": schema})


@pytest.mark.parametrize(
    "body, capabilities",
    [
        ({"stream": True}, {"include_usage": False}),
        ({"stream": True}, {}),
        ({"stream": False}, {}),
        ({"messages": [{"role": "assistant", "content": "a"}]}, {"reasoning_history": "required"}),
    ],
)
def test_repairs_stop_at_what_they_are_for(body: dict[str, Any], capabilities: dict[str, Any]) -> None:
    before = dict(body)
    assert repaired(body, **capabilities) == (False, before)

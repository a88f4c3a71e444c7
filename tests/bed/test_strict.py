"""The strict upstream refuses what the vendors refuse: one broken rule at a time."""

import json
from typing import Any

import pytest

from tests.bed.strict import Strict
from tests.bed.upstream import Received
from tests.bed.wire import Protocol

PATHS: dict[Protocol, str] = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
ASKED = {"role": "user", "content": "Hi"}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}
THOUGHT = {"type": "thinking", "thinking": "T", "signature": "c2VhbA=="}
BUDGET = {"type": "enabled", "budget_tokens": 1024}
SEALED = {"type": "reasoning", "summary": [], "encrypted_content": "c2VhbA=="}
FUNCTION = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "Qk0="}}
MARKED = {**THOUGHT, "cache_control": {"type": "ephemeral"}}
OPEN_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}, "strict": True},
}
BROKEN_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
ANSWER = {"role": "tool", "tool_call_id": "c", "content": "r"}

BROKEN: tuple[tuple[Protocol, dict[str, Any], str], ...] = (
    ("messages", {"messages": [ASKED], "store": False}, "unknown fields"),
    ("messages", {"messages": [ASKED, ASKED]}, "in a row"),
    ("messages", {"messages": [ASKED, CALLED, ASKED]}, "for calls"),
    ("messages", {"messages": [ASKED, CALLED, RESULT], "thinking": BUDGET}, "Expected `thinking`"),
    (
        "messages",
        {"messages": [ASKED, {"role": "assistant", "content": [THOUGHT]}, ASKED]},
        "not issued here",
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "odd": 1}]}]},
        "odd",
    ),
    ("messages", {"messages": [ASKED, CALLED]}, "no results"),
    ("messages", {"messages": [ASKED], "max_tokens": 0}, "max_tokens"),
    ("messages", {"messages": [ASKED], "temperature": 1.5}, "temperature"),
    ("messages", {"messages": [ASKED], "metadata": {"user_id": "u" * 257}}, "user_id"),
    ("messages", {"messages": [ASKED], "tools": [TOOL | {"parameters": {}}]}, "parameters"),
    ("messages", {"messages": [ASKED], "tools": [TOOL | {"type": "function"}]}, "unknown kind"),
    ("messages", {"messages": [ASKED], "tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
    ("messages", {"messages": [ASKED], "output_config": {"effort": "minimal"}}, "effort"),
    ("messages", {"messages": [{"role": "user", "content": [PICTURE]}]}, "media_type"),
    ("messages", {"messages": [ASKED, {"role": "assistant", "content": [MARKED]}, ASKED]}, "cache_control"),
    ("chat", {"messages": [ASKED], "system": "S"}, "unknown fields"),
    ("chat", {"messages": [ASKED], "stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ("chat", {"messages": [ASKED], "tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
    ("chat", {"messages": [ASKED], "prompt_cache_key": "k" * 65}, "prompt_cache_key"),
    ("chat", {"messages": [ASKED], "response_format": OPEN_FORMAT}, "json_schema"),
    (
        "chat",
        {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [BROKEN_CALL]}, ANSWER]},
        "arguments",
    ),
    (
        "chat",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]},
        "image_url",
    ),
    (
        "chat",
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
        "unknown kind",
    ),
    ("chat", {"messages": [ASKED, {"role": "assistant", "tool_calls": [FUNCTION]}]}, "no results"),
    (
        "chat",
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": "T"}]},
        "reasoning_content",
    ),
    ("responses", {"input": [ASKED, SEALED, {"role": "assistant", "content": "x"}]}, "not issued here"),
    ("responses", {"input": [ASKED], "max_tokens": 5}, "unknown fields"),
    ("responses", {"input": [{"type": "tool_call", "id": "x"}]}, "unknown kind"),
    ("responses", {"input": [ASKED], "max_output_tokens": 5}, "max_output_tokens"),
    ("responses", {"input": []}, "empty"),
    ("responses", {"input": [ASKED], "include": ["everything"]}, "include"),
    ("responses", {"input": [ASKED], "reasoning": {"effort": "high", "budget": 1}}, "budget"),
    (
        "responses",
        {"input": [ASKED], "tools": [{"type": "function", "name": "f", "parameters": {}}]},
        "strict",
    ),
    (
        "responses",
        {"input": [ASKED], "text": {"format": {"type": "json_schema", "json_schema": {}}}},
        "json_schema",
    ),
    ("responses", {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "unknown kind"),
)
KEPT: tuple[tuple[Protocol, dict[str, Any]], ...] = (
    ("messages", {"messages": [ASKED]}),
    ("chat", {"messages": [ASKED]}),
    ("responses", {"input": [ASKED]}),
)


def received(protocol: Protocol, body: dict[str, Any]) -> Received:
    whole = {"model": "m", **({"max_tokens": 9000} if protocol == "messages" else {}), **body}
    return Received("POST", PATHS[protocol], [], json.dumps(whole).encode(), 0.0)


@pytest.mark.parametrize(("protocol", "body", "fault"), BROKEN)
def test_a_broken_rule_is_refused(protocol: Protocol, body: dict[str, Any], fault: str) -> None:
    rules = Strict("u")
    with pytest.raises(AssertionError, match=fault):
        rules.check(received(protocol, body))


@pytest.mark.parametrize(("protocol", "body"), KEPT)
def test_a_proper_request_passes(protocol: Protocol, body: dict[str, Any]) -> None:
    Strict("u").check(received(protocol, body))


def test_a_name_that_occurs_twice_is_refused() -> None:
    request = received("chat", {"messages": [ASKED]})
    request.body = request.body[:-1] + b',"model":"m"}'
    with pytest.raises(AssertionError, match="told twice"):
        Strict("u").check(request)


def test_what_was_issued_may_come_back() -> None:
    rules = Strict("u")
    seal = rules.issue("c2VhbA==")
    rules.check(received("responses", {"input": [ASKED, SEALED, {"role": "assistant", "content": "x"}]}))
    assert rules.returned == {seal}

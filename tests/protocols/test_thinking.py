"""The `-thinking` suffix in each protocol, and histories without the thinking of others."""

import copy
from typing import Any

import pytest

from switchyard.protocols import neutral
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Message, Reasoning, Request, Text, Thinking
from switchyard.protocols.repair.tables import TABLES
from switchyard.protocols.thinking import with_thinking, without_history

Body = dict[str, Any]

TURNED_ON: tuple[tuple[ProtocolName, Body, Body], ...] = (
    (
        "messages",
        {"max_tokens": 64_000, "temperature": 0.3, "top_k": 5},
        {"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}, "temperature": 1},
    ),
    (
        "messages",
        {"max_tokens": 4000},
        {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2976}, "temperature": 1},
    ),
    (
        "messages",
        {"max_tokens": 500},
        {"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 1},
    ),
    (
        "messages",
        {},
        {"max_tokens": 17_024, "thinking": {"type": "enabled", "budget_tokens": 16_000}, "temperature": 1},
    ),
    (
        "messages",
        {"max_tokens": 64_000, "thinking": {"type": "disabled"}},
        {"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}, "temperature": 1},
    ),
    ("messages", {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
    ("chat", {}, {"reasoning_effort": "high"}),
    ("chat", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ("responses", {}, {"reasoning": {"effort": "high", "summary": "auto"}}),
    ("responses", {"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "low", "summary": "auto"}}),
)


@pytest.mark.parametrize(("protocol", "body", "expected"), TURNED_ON)
def test_thinking_is_turned_on_in_the_words_of_the_protocol(
    protocol: ProtocolName, body: Body, expected: Body
) -> None:
    TABLES[protocol].turn_thinking_on(body)
    assert body == expected


def request(**more: Any) -> Request:
    return Request("m", (Message("user", (Text("Hello"),)),), **more)


def test_thinking_is_turned_on_in_the_neutral_form() -> None:
    asked = with_thinking(request(temperature=0.3, top_k=5))
    assert asked == request(reasoning=Reasoning(effort="high", enabled=True, summary="auto"))


@pytest.mark.parametrize("reasoning", [Reasoning(effort="low"), Reasoning(enabled=True, adaptive=True)])
def test_what_the_client_requests_of_thinking_is_kept(reasoning: Reasoning) -> None:
    assert with_thinking(request(reasoning=reasoning)) == request(reasoning=reasoning)


def test_the_neutral_history_loses_thinking_alone() -> None:
    thought = Message("assistant", (Thinking("T", neutral.Signature("s")), Text("Hi")))
    asked = Request("m", (Message("user", (Text("Hello"),)), thought))
    assert without_history(asked).messages == (asked.messages[0], Message("assistant", (Text("Hi"),)))


def thinking(signature: str) -> Body:
    return {"type": "thinking", "thinking": "T", "signature": signature}


REDACTED = {"type": "redacted_thinking", "data": "theirs"}
CALL = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}
TEXT = {"type": "text", "text": "Hi"}
ITEM = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"}
OWN_ITEM = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "own"}
FUNCTION_CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": "r"}

Stripping = tuple[ProtocolName, frozenset[str] | None, Body, Body]
STRIPPED: tuple[Stripping, ...] = (
    (
        "messages",
        None,
        {"messages": [{"role": "assistant", "content": [thinking("own"), REDACTED, TEXT]}]},
        {"messages": [{"role": "assistant", "content": [TEXT]}]},
    ),
    (
        "messages",
        frozenset({"theirs"}),
        {
            "messages": [
                {"role": "assistant", "content": [thinking("own"), thinking("theirs"), REDACTED, TEXT]}
            ]
        },
        {"messages": [{"role": "assistant", "content": [thinking("own"), TEXT]}]},
    ),
    (
        "messages",
        frozenset({"theirs"}),
        {"messages": [{"role": "assistant", "content": "Hi"}], "thinking": {"type": "adaptive"}},
        {"messages": [{"role": "assistant", "content": "Hi"}], "thinking": {"type": "adaptive"}},
    ),
    (
        # a message must not be left without content
        "messages",
        None,
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [thinking("x")]},
                {"role": "user", "content": "b"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
            ]
        },
    ),
    (
        "chat",
        None,
        {"messages": [{"role": "assistant", "content": "Hi", "reasoning_content": "T", "reasoning": "T"}]},
        {"messages": [{"role": "assistant", "content": "Hi"}]},
    ),
    (
        "chat",
        frozenset({"theirs"}),
        {"messages": [{"role": "assistant", "content": "Hi", "reasoning_content": "T"}]},
        {"messages": [{"role": "assistant", "content": "Hi", "reasoning_content": "T"}]},
    ),
    (
        "responses",
        frozenset({"theirs"}),
        {"input": [ITEM, FUNCTION_CALL, OUTPUT, OWN_ITEM]},
        {"input": [{key: FUNCTION_CALL[key] for key in FUNCTION_CALL if key != "id"}, OUTPUT, OWN_ITEM]},
    ),
    ("responses", None, {"input": [OWN_ITEM]}, {"input": []}),
    ("responses", None, {"input": [FUNCTION_CALL, OUTPUT]}, {"input": [FUNCTION_CALL, OUTPUT]}),
    ("responses", None, {"input": "Hello"}, {"input": "Hello"}),
)


@pytest.mark.parametrize(("protocol", "only", "body", "expected"), STRIPPED)
def test_a_history_that_passes_through_loses_what_others_have_signed(
    protocol: ProtocolName, only: frozenset[str] | None, body: Body, expected: Body
) -> None:
    stripped = copy.deepcopy(body)
    TABLES[protocol].strip_thinking(stripped, only)
    assert stripped == expected


LOOP = [
    {"role": "user", "content": "Go"},
    {"role": "assistant", "content": [thinking("theirs"), CALL]},
    RESULT,
]


def test_a_tool_loop_that_lost_its_thinking_goes_on_without_a_budget() -> None:
    clear = {"type": "clear_thinking_20251015"}
    body: Body = {
        "messages": copy.deepcopy(LOOP),
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "context_management": {"edits": [clear]},
    }
    TABLES["messages"].strip_thinking(body, frozenset({"theirs"}))
    assert body == {"messages": [LOOP[0], {"role": "assistant", "content": [CALL]}, RESULT]}


def test_adaptive_thinking_goes_on_in_a_tool_loop() -> None:
    body: Body = {"messages": copy.deepcopy(LOOP), "thinking": {"type": "adaptive"}}
    TABLES["messages"].strip_thinking(body, frozenset({"theirs"}))
    assert body["thinking"] == {"type": "adaptive"}

"""Ids of calls, adapted and made unique."""

import re

import pytest

from switchyard.protocols.ids import anthropic_call_id, new_id, openai_call_id, unique_call_ids
from switchyard.protocols.neutral import Message, Text, ToolCall, ToolResult


def test_a_new_id_is_fresh_and_of_the_expected_form() -> None:
    first, second = new_id("call_"), new_id("call_")
    assert first != second
    assert re.fullmatch(r"call_[a-zA-Z0-9]{24}", first)


@pytest.mark.parametrize(
    ("id", "adapted"),
    [
        ("toolu_01-a", "toolu_01-a"),
        ("functions.bash:0", "functions_bash_0_8497fe9c"),
        ("functions_bash:0", "functions_bash_0_76a3a432"),
        ("é", "__4a99557e"),
        ("", ""),
    ],
)
def test_an_id_is_brought_into_the_characters_that_anthropic_allows(id: str, adapted: str) -> None:
    assert anthropic_call_id(id) == adapted
    assert anthropic_call_id(adapted) == adapted


def test_an_id_is_shortened_to_what_openai_allows() -> None:
    shortest_changed = "c" * 65
    assert openai_call_id("c" * 64) == "c" * 64
    assert len(openai_call_id(shortest_changed)) == 64
    assert openai_call_id(shortest_changed) == openai_call_id(shortest_changed)
    assert openai_call_id(shortest_changed) != openai_call_id("c" * 66)


def test_calls_of_one_id_get_ids_of_their_own_with_their_results() -> None:
    def turn(*ids: str) -> tuple[Message, Message]:
        calls = tuple(ToolCall(id, "f", "{}") for id in ids)
        return Message("assistant", calls), Message("user", tuple(ToolResult(id, ()) for id in ids))

    messages = (*turn("a", "b"), *turn("a"), *turn("a", "a"), *turn("a_2"))
    assert unique_call_ids(messages) == (
        *turn("a", "b"),
        *turn("a_3"),
        *turn("a_4", "a_5"),
        *turn("a_2"),
    )


def test_a_result_belongs_to_the_latest_turn_even_if_an_earlier_call_was_never_answered() -> None:
    def call(id: str) -> Message:
        return Message("assistant", (ToolCall(id, "f", "{}"),))

    messages = (
        call("a"),
        Message("user", (Text("stop"),)),
        call("a"),
        Message("user", (ToolResult("a", ()),)),
    )
    renamed = (call("a"), messages[1], call("a_2"), Message("user", (ToolResult("a_2", ()),)))
    assert unique_call_ids(messages) == renamed


def test_a_second_result_of_a_call_keeps_its_id() -> None:
    call = Message("assistant", (ToolCall("a", "f", "{}"),))
    results = Message("user", (ToolResult("a", ()), ToolResult("a", (Text("again"),)), ToolResult("x", ())))
    assert unique_call_ids((call, results)) == (call, results)

"""Conversations in the shape that strict upstreams demand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.protocols import history
from switchyard.protocols.history import (
    as_reminder,
    text_of,
    well_formed,
    without_billing_line,
    without_mid_system,
)
from switchyard.protocols.neutral import (
    Block,
    Image,
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)


def user(*blocks: Block | str) -> Message:
    return Message("user", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def assistant(*blocks: Block | str) -> Message:
    return Message("assistant", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def system(text: str) -> Message:
    return Message("system", (Text(text),))


def call(id: str) -> ToolCall:
    return ToolCall(id, "f", "{}")


def result(id: str, text: str = "3C") -> ToolResult:
    return ToolResult(id, (Text(text),))


def missing(id: str) -> ToolResult:
    return ToolResult(id, (Text("(no result recorded)"),), is_error=True)


IMAGE = Image("image/png", "AAAA")

CASES = {
    "what is well formed stays": (
        (user("hi"), assistant(Thinking("t"), "a", call("1")), user(result("1"), "and"), assistant("done")),
        (user("hi"), assistant(Thinking("t"), "a", call("1")), user(result("1"), "and"), assistant("done")),
    ),
    "nothing stays nothing": ((), ()),
    "blank texts and empty messages vanish": (
        (user("a", " \n"), assistant(""), user("b", ToolResult("x", ())), assistant(Refusal(""))),
        (user("a", "b", "[tool output x]"),),
    ),
    "a blank text inside a result vanishes": (
        (assistant(call("1")), user(ToolResult("1", (Text(" "), IMAGE)))),
        (assistant(call("1")), user(ToolResult("1", (IMAGE,)))),
    ),
    "three messages of one role are one": (
        (user("a"), user("b"), user("c"), assistant("d"), assistant("e"), assistant("f")),
        (user("a", "b", "c"), assistant("d", "e", "f")),
    ),
    "the calls of consecutive answers are answered by consecutive messages": (
        (
            user("a"),
            assistant(call("1")),
            assistant("b", call("2")),
            user(result("2")),
            user("c", result("1")),
        ),
        (user("a"), assistant(call("1"), "b", call("2")), user(result("1"), result("2"), "c")),
    ),
    "messages of one role are merged, system messages are not": (
        (system("a"), system("b"), user("c"), user("d"), assistant("e"), assistant("f")),
        (system("a"), system("b"), user("c", "d"), assistant("e", "f")),
    ),
    "of several results the last counts": (
        (assistant(call("1")), user(result("1", "old"), result("1", "new"))),
        (assistant(call("1")), user(result("1", "new"))),
    ),
    "results come first and in the order of the calls": (
        (assistant(call("1"), call("2")), user("also", result("2"), result("1"))),
        (assistant(call("1"), call("2")), user(result("1"), result("2"), "also")),
    ),
    "a result that comes too late moves to its call": (
        (assistant(call("1")), user("wait"), assistant("ok"), user(result("1"), "so")),
        (assistant(call("1")), user(result("1"), "wait"), assistant("ok"), user("so")),
    ),
    "results in several messages are gathered": (
        (assistant(call("1"), call("2")), user(result("1")), user(result("2")), assistant("x")),
        (assistant(call("1"), call("2")), user(result("1"), result("2")), assistant("x")),
    ),
    "a result without call is told as text": (
        (user(ToolResult("1", (Text("3C"), IMAGE)), "so")),
        (user("[tool output 1]\n3C", IMAGE, "so"),),
    ),
    "a result before its call is an orphan too": (
        (user(result("1")), assistant(call("1"))),
        (user("[tool output 1]\n3C"), assistant(call("1")), user(missing("1"))),
    ),
    "a call without result gets one when the talk went on": (
        (assistant(call("1"), call("2")), user(result("2"), "go on")),
        (assistant(call("1"), call("2")), user(missing("1"), result("2"), "go on")),
    ),
    "calls at the very end are answered too: every upstream demands it": (
        (user("a"), assistant(call("1"), "b")),
        (user("a"), assistant(call("1"), "b"), user(missing("1"))),
    ),
    "a system message between calls and results moves behind them": (
        (assistant(call("1")), system("s"), user(result("1"), "b"), assistant("c")),
        (assistant(call("1")), user(result("1"), "b"), system("s"), assistant("c")),
    ),
    "a system message after open calls makes them answered": (
        (assistant(call("1")), system("s")),
        (assistant(call("1")), user(missing("1")), system("s")),
    ),
    "text between a call and its result joins the turn": (
        (assistant(call("1")), assistant("Look"), user(result("1"))),
        (assistant(call("1"), "Look"), user(result("1"))),
    ),
    "ids used again are told apart": (
        (assistant(call("1")), user(result("1", "a")), assistant(call("1")), user(result("1", "b"))),
        (assistant(call("1")), user(result("1", "a")), assistant(call("1_2")), user(result("1_2", "b"))),
    ),
}


@pytest.mark.parametrize(("messages", "shaped"), CASES.values(), ids=CASES.keys())
def test_a_conversation_is_brought_into_shape(
    messages: tuple[Message, ...], shaped: tuple[Message, ...]
) -> None:
    messages = messages if isinstance(messages, tuple) else (messages,)
    assert well_formed(messages) == shaped
    assert well_formed(shaped) is shaped


TEXTS = (Text("a"), Text(" "))
HAVE: dict[Role, tuple[Block, ...]] = {
    "user": (*TEXTS, IMAGE, result("1"), result("2")),
    "assistant": (*TEXTS, call("1"), call("2")),
    "system": TEXTS,
}
MESSAGES = st.sampled_from(tuple(HAVE.items())).flatmap(
    lambda have: st.builds(
        Message, st.just(have[0]), st.lists(st.sampled_from(have[1]), max_size=3).map(tuple)
    )
)


@given(st.lists(MESSAGES, max_size=5).map(tuple))
@settings(max_examples=400)
def test_a_well_formed_conversation_is_one_that_no_step_would_change(messages: tuple[Message, ...]) -> None:
    once = history.shaped(messages)
    assert history.is_well_formed(once)
    assert not history.is_well_formed(messages) or once == messages


@pytest.mark.parametrize(
    ("given", "folded"),
    [
        ((system("a"), user("b")), (system("a"), user("b"))),
        ((user("a"), system("s"), assistant("b")), (user("a", as_reminder("s")), assistant("b"))),
        ((user("a"), assistant("b"), system("s")), (user("a"), assistant("b"), user(as_reminder("s")))),
        (
            (assistant(call("1")), system("s"), user("b", result("1"))),
            (assistant(call("1")), user(result("1"), as_reminder("s"), "b")),
        ),
    ],
)
def test_later_system_messages_become_reminders(
    given: tuple[Message, ...], folded: tuple[Message, ...]
) -> None:
    assert without_mid_system(given) == folded


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((), ()),
        (("Be kind.",), ("Be kind.",)),
        (("x-anthropic-billing-header: cc_version=1; cch=ab;", "Be kind."), ("Be kind.",)),
        (("x-anthropic-billing-header: a\nBe kind.",), ("Be kind.",)),
        (("Be kind.", "x-anthropic-billing-header: a"), ("Be kind.", "x-anthropic-billing-header: a")),
        (("It says x-anthropic-billing-header: a",), ("It says x-anthropic-billing-header: a",)),
    ],
)
def test_the_billing_line_is_removed_from_the_first_block_only(
    given: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    assert without_billing_line(given) == kept


def test_the_text_of_a_message_is_all_of_its_texts() -> None:
    assert text_of((Thinking("t"), Text("a"), IMAGE, Text(""), Refusal("b"))) == "a\n\nb"

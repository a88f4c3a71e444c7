"""Blocks and pieces in any order become the walk."""

from collections.abc import Callable

import pytest

from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Delta,
    Event,
    Failed,
    Finished,
    Refusal,
    Signature,
    Started,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from switchyard.protocols.walk import BLANK, CUT_OFF, CallDraft, Draft, Walk, settled

TEXT, CALL = Text(""), ToolCall("c", "f", "")
PATCH = Tool("apply_patch", kind="custom")
END = StopReason.END_TURN


def text_that_waits_for_a_call(walk: Walk) -> None:
    call = CallDraft(CALL)
    walk.place(call)
    walk.say(TEXT, "a")
    walk.say(TEXT, "b")
    walk.cite_last(Citation("u"))
    walk.add_arguments(call, '{"x":1}')
    walk.finish_draft(call)
    walk.finish(END)


def text_that_opens_again(walk: Walk) -> None:
    text, call = Draft(TEXT), CallDraft(CALL)
    walk.add(text, "a")
    walk.place(call)
    walk.finish_draft(call)
    walk.add(text, "b")
    walk.finish(END)


def a_call_whose_name_comes_late(walk: Walk) -> None:
    call = CallDraft()
    walk.place(call)
    walk.add_arguments(call, '{"x":')
    call.block = CALL
    walk.advance()
    walk.add_arguments(call, "1}")
    walk.finish(END)


def calls_in_reverse_order(walk: Walk) -> None:
    later, first = CallDraft(ToolCall("d", "g", ""), order=1), CallDraft(CALL)
    walk.place(later)
    walk.place(first)
    walk.finish_draft(later)
    walk.finish_draft(first)
    walk.finish(END)


def wrapped_input(walk: Walk) -> None:
    call = CallDraft(CALL, PATCH)
    walk.place(call)
    walk.add_arguments(call, '{"input":"x')
    walk.add_arguments(call, 'y"}')
    walk.finish(END)


def a_call_that_was_cut_off(walk: Walk) -> None:
    call = CallDraft(CALL)
    walk.place(call)
    walk.add_arguments(call, '{"x":')
    walk.finish(StopReason.MAX_TOKENS)


def a_late_signature(walk: Walk) -> None:
    thinking = Draft(Thinking(""))
    walk.add(thinking, "a")
    walk.say(TEXT, "b")
    walk.sign(thinking, Signature("s"))
    walk.finish(END)


def a_refusal_beside_the_content(walk: Walk) -> None:
    walk.finish(StopReason.REFUSAL, explanation="no")


def nothing_after_the_end(walk: Walk) -> None:
    walk.finish(END)
    walk.say(TEXT, "a")
    walk.add_whole(TEXT)


def endless_whitespace(walk: Walk) -> None:
    call = CallDraft(CALL)
    walk.place(call)
    walk.add_arguments(call, '{"x":')
    walk.add_arguments(call, " " * 600)
    walk.add_arguments(call, "1}")


def a_stream_that_breaks_off(walk: Walk) -> None:
    walk.say(TEXT, "a")
    walk.break_off()


WHOLE_CALL: list[Event] = [BlockStarted(CALL), Delta('{"x":1}'), BlockEnded()]
WALKS: list[tuple[Callable[[Walk], None], list[Event]]] = [
    (
        text_that_waits_for_a_call,
        [
            *WHOLE_CALL,
            BlockStarted(TEXT),
            Delta("ab"),
            Citation("u"),
            BlockEnded(),
            Finished(StopReason.TOOL_USE),
        ],
    ),
    (
        text_that_opens_again,
        [
            BlockStarted(TEXT),
            Delta("a"),
            BlockEnded(),
            BlockStarted(CALL),
            Delta("{}"),
            BlockEnded(),
            BlockStarted(TEXT),
            Delta("b"),
            BlockEnded(),
            Finished(StopReason.TOOL_USE),
        ],
    ),
    (
        a_call_whose_name_comes_late,
        [BlockStarted(CALL), Delta('{"x":'), Delta("1}"), BlockEnded(), Finished(StopReason.TOOL_USE)],
    ),
    (
        calls_in_reverse_order,
        [
            BlockStarted(CALL),
            Delta("{}"),
            BlockEnded(),
            BlockStarted(ToolCall("d", "g", "")),
            Delta("{}"),
            BlockEnded(),
            Finished(StopReason.TOOL_USE),
        ],
    ),
    (wrapped_input, [BlockStarted(CALL), Delta("xy"), BlockEnded(), Finished(StopReason.TOOL_USE)]),
    (
        a_call_that_was_cut_off,
        [
            BlockStarted(CALL),
            Delta('{"x":'),
            BlockEnded(complete=False),
            Finished(StopReason.MAX_TOKENS),
        ],
    ),
    (
        a_late_signature,
        [
            BlockStarted(Thinking("")),
            Delta("a"),
            BlockEnded(),
            BlockStarted(TEXT),
            Delta("b"),
            BlockEnded(),
            Finished(END),
        ],
    ),
    (
        a_refusal_beside_the_content,
        [BlockStarted(Refusal("")), Delta("no"), BlockEnded(), Finished(StopReason.REFUSAL)],
    ),
    (nothing_after_the_end, [Finished(END)]),
    (endless_whitespace, [BlockStarted(CALL), Delta('{"x":'), BlockEnded(complete=False), Failed(BLANK)]),
    (
        a_stream_that_breaks_off,
        [BlockStarted(TEXT), Delta("a"), BlockEnded(complete=False), Failed(CUT_OFF)],
    ),
]


@pytest.mark.parametrize(
    ("steps", "events"), WALKS, ids=[steps.__name__.replace("_", " ") for steps, _ in WALKS]
)
def test_pieces_in_any_order_become_the_walk(steps: Callable[[Walk], None], events: list[Event]) -> None:
    walk = Walk()
    steps(walk)
    assert walk.taken() == [Started(), *events]


@pytest.mark.parametrize(
    ("reported", "called", "refused", "reason"),
    [
        ("end_turn", True, False, "tool_use"),
        ("stop_sequence", True, True, "tool_use"),
        ("pause", True, False, "tool_use"),
        ("max_tokens", True, True, "max_tokens"),
        ("context_window", True, False, "context_window"),
        ("refusal", True, False, "refusal"),
        ("compaction", True, False, "compaction"),
        ("end_turn", False, True, "refusal"),
        ("tool_use", False, False, "end_turn"),
        ("stop_sequence", False, False, "stop_sequence"),
    ],
)
def test_the_stop_reason_is_settled_by_the_content(
    reported: str, called: bool, refused: bool, reason: str
) -> None:
    assert settled(StopReason(reported), called=called, refused=refused) == reason

"""Stop sequences that the upstream was not told."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchyard.protocols.filters import StopScanner
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Delta,
    Event,
    Finished,
    Started,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)

END = Finished(StopReason.END_TURN)


def scanned(stops: tuple[str, ...], *events: Event) -> list[Event]:
    scanner = StopScanner(stops)
    return [passed for event in events for passed in scanner.feed(event)]


def stopped(stop: str) -> Finished:
    return Finished(StopReason.STOP_SEQUENCE, stop_sequence=stop)


@pytest.mark.parametrize(
    ("pieces", "passed"),
    [
        (["a", "b"], [Delta("a"), Delta("b"), BlockEnded(), END]),
        (["aSTOPb", "c"], [Delta("a"), BlockEnded(), stopped("STOP")]),
        (["aS", "TO", "P", "c"], [Delta("a"), BlockEnded(), stopped("STOP")]),
        (["STOP"], [BlockEnded(), stopped("STOP")]),
        (["aST", "ART"], [Delta("a"), Delta("START"), BlockEnded(), END]),
        (["aSTO"], [Delta("a"), Delta("STO"), BlockEnded(), END]),
        (["SSTOP"], [Delta("S"), BlockEnded(), stopped("STOP")]),
        (["x\n\n", "Human: y"], [Delta("x"), BlockEnded(), stopped("\n\nHuman:")]),
        (["STOP \n\nHuman:"], [BlockEnded(), stopped("STOP")]),
    ],
)
def test_text_ends_at_the_first_stop_sequence(pieces: list[str], passed: list[Event]) -> None:
    stream: list[Event] = [Started(), BlockStarted(Text("")), *map(Delta, pieces), BlockEnded(), END]
    assert scanned(("STOP", "\n\nHuman:"), *stream) == [Started(), BlockStarted(Text("")), *passed]


def test_neither_thinking_nor_arguments_are_scanned() -> None:
    stream: list[Event] = [
        Started(),
        BlockStarted(Thinking("")),
        Delta("STOP"),
        BlockEnded(),
        BlockStarted(ToolCall("c", "f", "")),
        Delta('{"a":"STOP"}'),
        BlockEnded(),
        END,
    ]
    assert scanned(("STOP",), *stream) == stream


def test_a_stop_sequence_after_a_call_leaves_the_call_to_be_run() -> None:
    call: list[Event] = [BlockStarted(ToolCall("c", "f", "")), Delta("{}"), BlockEnded()]
    said: list[Event] = [BlockStarted(Text("")), Delta("aSTOP")]
    end = [Delta("a"), BlockEnded(), Finished(StopReason.TOOL_USE)]
    assert scanned(("STOP",), *call, *said) == [*call, said[0], *end]


def test_no_stop_sequence_spans_two_blocks() -> None:
    block: list[Event] = [
        BlockStarted(Text("")),
        Delta("ST"),
        BlockEnded(),
        BlockStarted(Text("")),
        Delta("OP"),
        BlockEnded(),
    ]
    assert scanned(("STOP",), *block, END) == [*block, END]


def test_held_text_is_not_lost_when_the_stream_breaks_off() -> None:
    scanner = StopScanner(("STOP",))
    assert scanner.feed(BlockStarted(Text(""))) == [BlockStarted(Text(""))]
    assert scanner.feed(Delta("ST")) == []
    assert scanner.feed(END) == [Delta("ST"), END]
    assert not scanner.matched


def test_nothing_follows_a_match() -> None:
    scanner = StopScanner(("STOP",))
    scanner.feed(BlockStarted(Text("")))
    scanner.feed(Delta("STOP"))
    assert scanner.matched
    assert scanner.feed(Delta("more")) == scanner.feed(END) == []


@example(pieces=["b", "a", "b"], stops=["a", "bab"])
@given(
    st.lists(st.text("ab", max_size=4), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=3), max_size=2),
)
def test_the_text_passed_is_the_text_before_the_first_stop_sequence(
    pieces: list[str], stops: list[str]
) -> None:
    text = "".join(pieces)
    passed = scanned(tuple(stops), BlockStarted(Text("")), *map(Delta, pieces), BlockEnded())
    complete_first = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    reported = "".join(event.text for event in passed if isinstance(event, Delta))
    assert reported == text[: min(complete_first, default=(0, len(text)))[1]]

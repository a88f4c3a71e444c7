"""Streams folded into replies, and unfolded again."""

import pytest

from switchyard.protocols.fold import fold, unfold
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Compaction,
    Delta,
    ErrorType,
    Event,
    Failed,
    Finished,
    Refusal,
    Response,
    Signature,
    Started,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
    WebSearch,
    WireError,
)
from switchyard.protocols.walk import CUT_OFF

SIGNATURE = Signature("sig", "issuer")
CITED = Citation("https://example.com", "Example")
USAGE = Usage(input=3, output=4)
SEARCH = WebSearch("ws_1", "weather", (CITED,))

STREAM: list[Event] = [
    Started("id", "m", USAGE),
    BlockStarted(Thinking("")),
    Delta("hm"),
    Delta("m"),
    BlockEnded(SIGNATURE),
    BlockStarted(Thinking("", redacted=True)),
    BlockEnded(SIGNATURE),
    BlockStarted(SEARCH),
    BlockEnded(),
    BlockStarted(Text("")),
    Delta("Look"),
    CITED,
    BlockEnded(),
    BlockStarted(ToolCall("c1", "f", "")),
    Delta('{"a":'),
    Delta("1}"),
    BlockEnded(),
    BlockStarted(ToolCall("c2", "p", "", "custom", "ns")),
    Delta("free"),
    BlockEnded(),
    BlockStarted(Refusal("")),
    Delta("no"),
    BlockEnded(),
    BlockStarted(Compaction("all")),
    BlockEnded(),
    BlockStarted(ToolCall("c3", "f", "")),
    Delta('{"a'),
    BlockEnded(complete=False),
    Finished(StopReason.MAX_TOKENS, USAGE, None),
]
RESPONSE = Response(
    "id",
    "m",
    (
        Thinking("hmm", SIGNATURE),
        Thinking("", SIGNATURE, redacted=True),
        SEARCH,
        Text("Look"),
        ToolCall("c1", "f", '{"a":1}'),
        ToolCall("c2", "p", "free", "custom", "ns"),
        Refusal("no"),
        Compaction("all"),
        ToolCall("c3", "f", '{"a'),
    ),
    StopReason.MAX_TOKENS,
    USAGE,
    None,
    {3: (CITED,)},
    frozenset({"c3"}),
)


def test_a_stream_folds_into_a_reply() -> None:
    assert fold(STREAM) == RESPONSE


def test_a_reply_unfolds_into_a_stream_that_folds_into_it() -> None:
    assert fold(unfold(RESPONSE)) == RESPONSE


@pytest.mark.parametrize(
    ("call", "complete", "arguments"),
    [
        (ToolCall("c", "f", ""), True, "{}"),
        (ToolCall("c", "f", ""), False, ""),
        (ToolCall("c", "s", "", "local_shell"), True, "{}"),
        (ToolCall("c", "p", "", "custom"), True, ""),
    ],
)
def test_a_call_without_arguments_has_an_empty_object(call: ToolCall, complete: bool, arguments: str) -> None:
    response = fold(
        [Started(), BlockStarted(call), BlockEnded(complete=complete), Finished(StopReason.TOOL_USE)]
    )
    assert isinstance(response, Response)
    assert response.content == (ToolCall("c", call.name, arguments, call.kind),)


def test_a_stream_that_failed_folds_into_its_error() -> None:
    error = WireError(ErrorType.OVERLOADED, "busy", 529)
    assert fold([Started(), Failed(error)]) == error


def test_a_stream_without_end_folds_into_an_error() -> None:
    assert fold(STREAM[:-1]) == CUT_OFF
    assert fold([]) == CUT_OFF


def test_an_empty_reply_is_legal() -> None:
    assert fold([Started("id"), Finished(StopReason.END_TURN)]) == Response("id", "", (), StopReason.END_TURN)

"""Every way in which Chat upstreams are known to stream becomes the strict walk."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.neutral import ErrorType, StopReason
from switchyard.protocols.openai_chat.decode_stream import StreamDecoder
from switchyard.protocols.sse import Record, encode
from switchyard.protocols.walk import BLANK, CUT_OFF, NAMELESS, NO_ANSWER
from tests.protocols.openai_chat.chunks import (
    DONE,
    SIZES,
    call,
    check_walk,
    choice,
    counts,
    delta,
    events_of,
    finish,
    fragment,
    record,
    script,
    sent,
    text,
    usage,
)

END = finish("stop") + DONE
CALLED = finish("tool_calls") + DONE
TEXT_AB = ["+text", "a", "b", "-", "= end_turn"]
ONE_CALL = ["+function t0 f", '{"a"', ":1}", "-", "= tool_use"]
WHOLE_CALL = ["+function t0 f", '{"a":1}', "-", "= tool_use"]

PLAIN: dict[str, tuple[bytes, list[str]]] = {
    "text": (delta(role="assistant", content="") + text("a") + text("b") + END, TEXT_AB),
    "no role at all": (text("a") + text("b") + END, TEXT_AB),
    "another role": (delta(role="user", content="a") + delta(role="", content="b") + END, TEXT_AB),
    "empty deltas do nothing": (
        text("a")
        + delta(content="", tool_calls=[], reasoning="")
        + delta(content=None, tool_calls=None, reasoning_content=None)
        + delta(content="b", tool_calls=[])
        + END,
        TEXT_AB,
    ),
    "reasoning, then text": (
        delta(reasoning_content="a ") + delta(reasoning_content=" b") + text("c") + END,
        ["+thinking", "a ", " b", "-", "+text", "c", "-", "= end_turn"],
    ),
    "reasoning and text in one chunk": (
        delta(content="a", reasoning_content="t") + END,
        ["+thinking", "t", "-", "+text", "a", "-", "= end_turn"],
    ),
    "reasoning sent twice": (
        delta(reasoning="t", reasoning_content="t") + END,
        ["+thinking", "t", "-", "= end_turn"],
    ),
    "reasoning between texts": (
        delta(reasoning="t") + text("a") + delta(reasoning="u") + text("b") + END,
        [*"+thinking t - +text a - +thinking u - +text b -".split(), "= end_turn"],
    ),
    "reasoning in details": (
        delta(reasoning_details=[{"type": "reasoning.text", "text": "t"}, {"summary": "u"}]) + END,
        ["+thinking", "tu", "-", "= end_turn"],
    ),
    "reasoning as an object": (delta(reasoning={"text": "t"}) + END, ["+thinking", "t", "-", "= end_turn"]),
    "content in parts": (
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}])
        + delta(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
        + END,
        ["+thinking", "t", "-", *TEXT_AB],
    ),
    "a refusal": (
        delta(refusal="no") + delta(refusal="pe") + END,
        ["+refusal", "no", "pe", "-", "= refusal"],
    ),
    "a legacy text completion": (choice(text="a") + choice(text="b") + END, TEXT_AB),
    "a message instead of a delta": (choice(message={"content": "a"}) + text("b") + END, TEXT_AB),
    "a finish without delta": (text("a") + text("b") + choice(finish_reason="stop") + DONE, TEXT_AB),
    "text in the finishing chunk": (
        text("a") + choice(delta={"content": "b"}, finish_reason="stop") + DONE,
        TEXT_AB,
    ),
    "text after the finish": (text("a") + finish("stop") + text("b") + DONE, TEXT_AB),
    "text after the end": (text("a") + text("b") + END + text("c") + usage(5, 0, 1), TEXT_AB),
    "an end without finish": (text("a") + text("b") + DONE, TEXT_AB),
    "a finish without end": (text("a") + text("b") + finish("stop"), TEXT_AB),
    "the end without its blank line": (text("a") + text("b") + END.rstrip(b"\n"), TEXT_AB),
    "the end in quotes": (text("a") + text("b") + finish("stop") + b'data: "[DONE]"\n\n', TEXT_AB),
    "only the first of several choices": (
        record(
            {
                "choices": [
                    {"index": 1, "delta": {"content": "x"}},
                    {"index": 0, "delta": {"content": "a"}},
                ]
            }
        )
        + text("b")
        + END,
        TEXT_AB,
    ),
    "Azure's first chunk": (
        record({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + text("a") + text("b") + END,
        TEXT_AB,
    ),
    "one damaged record": (text("a") + b'data: {"choices":[{"del\n\n' + text("b") + END, TEXT_AB),
    "an unknown record": (text("a") + record({"type": "ping"}) + b": comment\n\n" + text("b") + END, TEXT_AB),
    "two objects in one record": (
        text("a").rstrip(b"\n") + b"\n" + text("b").rstrip(b"\n") + b"\n\n" + END,
        TEXT_AB,
    ),
    "CRLF and no space": (
        (text("a") + text("b") + END).replace(b"data: ", b"data:").replace(b"\n", b"\r\n"),
        TEXT_AB,
    ),
    "an unknown finish": (text("a") + text("b") + finish("whatever") + DONE, TEXT_AB),
    "characters of several bytes": (text("é") + text("😀") + END, ["+text", "é", "😀", "-", "= end_turn"]),
    "citations": (
        text("a")
        + delta(annotations=[{"type": "url_citation", "url_citation": {"url": "https://x", "title": "X"}}])
        + END,
        ["+text", "a", "@ https://x", "-", "= end_turn"],
    ),
    "tags stay text without the capability": (
        text("<think>x") + text("</think>a") + END,
        ["+text", "<think>x", "</think>a", "-", "= end_turn"],
    ),
    "length": (text("a") + finish("length") + DONE, ["+text", "a", "-", "= max_tokens"]),
    "content filter": (text("a") + finish("content_filter") + DONE, ["+text", "a", "-", "= refusal"]),
    "two finishes, the stronger counts": (
        text("a") + finish("length") + finish("stop") + DONE,
        ["+text", "a", "-", "= max_tokens"],
    ),
    "a call announced and not made": (text("a") + CALLED, ["+text", "a", "-", "= end_turn"]),
}

CALLS: dict[str, tuple[bytes, list[str]]] = {
    "one call, streamed": (
        call(0, "t0", "f", "") + call(0, None, None, '{"a"') + call(0, None, None, ":1}") + CALLED,
        ONE_CALL,
    ),
    "no text block before a call": (call(0, "t0", "f", '{"a":1}') + CALLED, WHOLE_CALL),
    "text, then a call": (
        text("x") + call(0, "t0", "f", '{"a":1}') + CALLED,
        ["+text", "x", "-", *WHOLE_CALL],
    ),
    "interleaved calls": (
        call(0, "t0", "f", "")
        + call(1, "t1", "g", "")
        + call(0, None, None, '{"a":1}')
        + call(1, None, None, '{"b":2}')
        + CALLED,
        ["+function t0 f", '{"a":1}', "-", "+function t1 g", '{"b":2}', "-", "= tool_use"],
    ),
    "interleaved piece by piece, there and back": (
        call(0, "t0", "f", '{"a')
        + call(1, "t1", "g", '{"b')
        + call(0, None, None, '":1')
        + call(1, None, None, '":2}')
        + call(0, None, None, "}")
        + CALLED,
        ["+function t0 f", '{"a', '":1', "}", "-", "+function t1 g", '{"b":2}', "-", "= tool_use"],
    ),
    "calls in reverse order": (
        call(1, "t1", "g", '{"b":2}') + call(0, "t0", "f", '{"a":1}') + CALLED,
        ["+function t0 f", '{"a":1}', "-", "+function t1 g", '{"b":2}', "-", "= tool_use"],
    ),
    "indices from one": (call(1, "t0", "f", '{"a":1}') + CALLED, WHOLE_CALL),
    "two calls in one chunk": (
        delta(tool_calls=[fragment(0, "t0", "f", '{"a":1}'), fragment(1, "t1", "g", '{"b":2}')]) + CALLED,
        ["+function t0 f", '{"a":1}', "-", "+function t1 g", '{"b":2}', "-", "= tool_use"],
    ),
    "id and name in every chunk": (call(0, "t0", "f", '{"a"') + call(0, "t0", "f", ":1}") + CALLED, ONE_CALL),
    "id in every chunk": (call(0, "t0", "f", '{"a"') + call(0, "t0", None, ":1}") + CALLED, ONE_CALL),
    "empty id and name in continuations": (
        call(0, "t0", "f", '{"a"') + call(0, "", "", ":1}") + CALLED,
        ONE_CALL,
    ),
    "a new id in every continuation": (
        call(0, "t0", "f", '{"a"') + call(0, "t9", None, ":1}") + CALLED,
        ONE_CALL,
    ),
    "one index for all calls": (
        call(0, "x", "f", '{"a":1}') + call(0, "y", "g", '{"b":2}') + CALLED,
        ["+function x f", '{"a":1}', "-", "+function y g", '{"b":2}', "-", "= tool_use"],
    ),
    "no index, distinguished by id": (
        call(None, "t0", "f", '{"a"')
        + call(None, None, None, ":1}")
        + call(None, "t1", "g", '{"b":2}')
        + CALLED,
        ["+function t0 f", '{"a"', ":1}", "-", "+function t1 g", '{"b":2}', "-", "= tool_use"],
    ),
    "a late name": (
        call(0, "t0", None, "") + call(0, None, None, '{"a"') + call(0, None, "f", ":1}") + CALLED,
        WHOLE_CALL,
    ),
    "a name in pieces": (
        call(0, "t0", "get_") + call(0, None, "weather") + call(0, None, None, '{"a":1}') + CALLED,
        ["+function t0 get_weather", '{"a":1}', "-", "= tool_use"],
    ),
    "a name repeated before the arguments": (
        call(0, "t0", "f", "") + call(0, "t0", "f", "") + call(0, None, None, '{"a":1}') + CALLED,
        WHOLE_CALL,
    ),
    "a late id": (call(0, None, "f", "") + call(0, "t0", None, '{"a":1}') + CALLED, WHOLE_CALL),
    "snapshots instead of increments": (
        call(0, "t0", "f", '{"a"') + call(0, None, None, '{"a":1') + call(0, None, None, '{"a":1}') + CALLED,
        ["+function t0 f", '{"a"', ":1", "}", "-", "= tool_use"],
    ),
    "an object that holds its own beginning": (
        call(0, "t0", "f", '{"a":') + call(0, None, None, '{"a":1}}') + CALLED,
        ["+function t0 f", '{"a":', '{"a":1}}', "-", "= tool_use"],
    ),
    "no arguments": (call(0, "t0", "f", "") + CALLED, ["+function t0 f", "{}", "-", "= tool_use"]),
    "arguments never sent": (call(0, "t0", "f") + CALLED, ["+function t0 f", "{}", "-", "= tool_use"]),
    "empty arguments": (call(0, "t0", "f", "{}") + CALLED, ["+function t0 f", "{}", "-", "= tool_use"]),
    "a placeholder before the arguments": (
        call(0, "t0", "f", "{}") + call(0, None, None, '{"a"') + call(0, None, None, ":1}") + CALLED,
        ONE_CALL,
    ),
    "arguments as an object": (call(0, "t0", "f", {"a": 1}) + CALLED, WHOLE_CALL),
    "arguments inside a string": (call(0, "t0", "f", '"{\\"a\\":1}"') + CALLED, WHOLE_CALL),
    "a piece after the arguments are complete": (
        call(0, "t0", "f", '{"a":1}') + call(0, None, None, '{"a":1}') + call(0, None, None, "}") + CALLED,
        WHOLE_CALL,
    ),
    "a single object instead of a list": (
        delta(tool_calls=fragment(0, "t0", "f", '{"a"'))
        + delta(tool_calls=fragment(0, "", None, ":1}"))
        + CALLED,
        ONE_CALL,
    ),
    "calls under message": (
        choice(message={"tool_calls": [fragment(0, "t0", "f", '{"a":1}')]}, finish_reason="tool_calls")
        + DONE,
        WHOLE_CALL,
    ),
    "finish stop with a call": (call(0, "t0", "f", '{"a":1}') + END, WHOLE_CALL),
    "no finish with a call": (call(0, "t0", "f", '{"a":1}') + DONE, WHOLE_CALL),
    "stop, then tool_calls": (
        call(0, "t0", "f", '{"a":1}') + finish("stop") + finish("tool_calls") + DONE,
        WHOLE_CALL,
    ),
    "a call after the finish": (finish("stop") + call(0, "t0", "f", '{"a":1}') + DONE, WHOLE_CALL),
    "text after a call": (
        call(0, "t0", "f", '{"a":1}') + text("x") + CALLED,
        [*WHOLE_CALL[:-1], "+text", "x", "-", "= tool_use"],
    ),
    "text within a call": (
        call(0, "t0", "f", '{"a"') + text("x") + text("y") + call(0, None, None, ":1}") + text("z") + CALLED,
        [*ONE_CALL[:-1], "+text", "xy", "z", "-", "= tool_use"],
    ),
    "cut off in the arguments": (
        call(0, "t0", "f", '{"a":') + finish("length") + DONE,
        ["+function t0 f", '{"a":', "- cut", "= max_tokens"],
    ),
    "cut off in the arguments by a content filter": (
        call(0, "t0", "f", '{"a":') + finish("content_filter") + DONE,
        ["+function t0 f", '{"a":', "- cut", "= refusal"],
    ),
    "cut off after a whole call": (
        call(0, "t0", "f", "{}") + finish("length") + DONE,
        ["+function t0 f", "{}", "-", "= max_tokens"],
    ),
    "cut off before the arguments": (
        call(0, "t0", "f", "") + finish("length") + DONE,
        ["+function t0 f", "- cut", "= max_tokens"],
    ),
    "braces and quotes in strings": (
        call(0, "t0", "f", '{"a":"}\\') + call(0, None, None, '"}{"') + call(0, None, None, "}") + CALLED,
        ["+function t0 f", '{"a":"}\\', '"}{"', "}", "-", "= tool_use"],
    ),
    "an undeclared tool": (
        call(0, "t0", "zzz", '{"a":1}') + CALLED,
        ["+function t0 zzz", '{"a":1}', "-", "= tool_use"],
    ),
    "a native custom call": (
        delta(
            tool_calls=[{"index": 0, "id": "t0", "type": "custom", "custom": {"name": "p", "input": "*** "}}]
        )
        + delta(tool_calls=[{"index": 0, "custom": {"input": "Begin"}}])
        + CALLED,
        ["+custom t0 p", "*** ", "Begin", "-", "= tool_use"],
    ),
    "an endless blank inside a string is text": (
        call(0, "t0", "f", '{"a":"') + call(0, None, None, " " * 600) + call(0, None, None, '"}') + CALLED,
        ["+function t0 f", '{"a":"', " " * 600, '"}', "-", "= tool_use"],
    ),
}

FAILURES: dict[str, tuple[bytes, list[str]]] = {
    "a connection cut in the text": (text("a"), ["+text", "a", "- cut", f"! {CUT_OFF.message}"]),
    "a connection cut in the reasoning": (
        delta(reasoning="t"),
        ["+thinking", "t", "- cut", f"! {CUT_OFF.message}"],
    ),
    "a connection cut in a call": (
        call(0, "t0", "f", '{"a":'),
        ["+function t0 f", '{"a":', "- cut", f"! {CUT_OFF.message}"],
    ),
    "nothing at all": (b"", [f"! {NO_ANSWER.message}"]),
    "nothing but the end": (DONE, [f"! {NO_ANSWER.message}"]),
    "an error record": (
        text("a") + record({"error": {"message": "boom", "type": "server_error"}}),
        ["+text", "a", "- cut", "! boom"],
    ),
    "an error record first": (record({"error": {"message": "boom"}}) + text("x") + END, ["! boom"]),
    "an error beside choices": (
        record(
            {
                "error": {"code": 502, "message": "boom"},
                "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
            }
        ),
        ["! boom"],
    ),
    "an error event": (encode(b'{"message":"boom"}', "error"), ["! boom"]),
    "an error event in plain words": (encode(b"boom", "error"), ["! boom"]),
    "an error as a text": (record({"error": "boom"}), ["! boom"]),
    "FastChat's error": (record({"text": "boom", "error_code": 50001}), ["! boom"]),
    "vLLM's old error": (record({"object": "error", "message": "boom", "code": 40303}), ["! boom"]),
    "MiniMax's error": (
        record({"choices": None, "base_resp": {"status_code": 2013, "status_msg": "boom"}}),
        ["! boom"],
    ),
    "a finish called error": (
        text("a") + finish("error"),
        ["+text", "a", "- cut", "! the upstream broke off its answer"],
    ),
    "a finish called error, with the reason": (finish("error", error={"message": "boom"}), ["! boom"]),
    "a call without name": (call(0, "t0", "", '{"a":1}') + CALLED, [f"! {NAMELESS.message}"]),
    "endless whitespace": (
        call(0, "t0", "f", '{"a":') + call(0, None, None, " \n" * 300),
        ["+function t0 f", '{"a":', "- cut", f"! {BLANK.message}"],
    ),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stream, expected", [*PLAIN.values(), *CALLS.values()], ids=[*PLAIN, *CALLS])
def test_what_upstreams_stream_becomes_the_strict_walk(stream: bytes, expected: list[str], size: int) -> None:
    events = events_of(stream, size=size)
    check_walk(events)
    assert script(events) == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stream, expected", FAILURES.values(), ids=FAILURES)
def test_a_stream_that_breaks_fails_and_never_ends_well(
    stream: bytes, expected: list[str], size: int
) -> None:
    events = events_of(stream, size=size)
    check_walk(events)
    assert script(events) == expected


def test_the_first_chunk_reports_id_and_model() -> None:
    assert events_of(text("a") + END)[0] == neutral.Started("c1", "m")


def test_an_error_keeps_its_type_and_status() -> None:
    failed = events_of(record({"error": {"message": "slow down", "type": "rate_limit_error", "code": 429}}))[
        -1
    ]
    assert isinstance(failed, neutral.Failed)
    assert (failed.error.type, failed.error.status) == (ErrorType.RATE_LIMIT, 429)


def test_a_missing_call_id_is_made_up_once() -> None:
    started = events_of(call(0, None, "f", "{}") + CALLED)[1]
    assert isinstance(started, neutral.BlockStarted) and isinstance(started.block, neutral.ToolCall)
    assert started.block.id.startswith("call_") and len(started.block.id) > 20


def test_arguments_stream_in_step_with_the_upstream() -> None:
    decoder = StreamDecoder(sent())
    pieces = (call(0, "t0", "f", '{"a":'), call(0, None, None, "1}"))
    reported = [decoder.decode(Record(piece[6:-2])) for piece in pieces]
    assert [script(events) for events in reported] == [["+function t0 f", '{"a":'], ["1}", "-"]]


# --- usage --------------------------------------------------------------------

USAGE = neutral.Usage(input=60, cache_read=40, output=10)
COUNTS = counts(100, 40, 10)

USAGES: dict[str, bytes] = {
    "in a chunk of its own": text("a") + finish("stop") + usage(100, 40, 10) + DONE,
    "before the finish": text("a") + usage(100, 40, 10) + END,
    "beside the text": record({"choices": [{"delta": {"content": "a"}}], "usage": COUNTS}) + END,
    "beside the finish": text("a")
    + record({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": COUNTS})
    + DONE,
    "in every chunk, growing": record({"choices": [{"delta": {"content": "a"}}], "usage": counts(100, 40, 1)})
    + record({"choices": [{"delta": {"content": "b"}}], "usage": counts(100, 40, 2)})
    + finish("stop")
    + usage(100, 40, 10)
    + DONE,
    "null around it": record({"choices": [{"delta": {"content": "a"}}], "usage": None})
    + finish("stop")
    + usage(100, 40, 10)
    + record({"choices": [], "usage": None})
    + DONE,
    "zeros after it": text("a") + finish("stop") + usage(100, 40, 10) + usage(0, 0, 0) + DONE,
    "in the choice": text("a") + finish("stop", usage=COUNTS) + DONE,
    "under x_groq": text("a") + finish("stop") + record({"choices": [], "x_groq": {"usage": COUNTS}}) + DONE,
    "DeepSeek's cache": text("a")
    + finish("stop")
    + record(
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "total_tokens": 110,
                "prompt_cache_hit_tokens": 40,
                "prompt_cache_miss_tokens": 60,
            },
        }
    )
    + DONE,
    "llama.cpp's timings": text("a")
    + record(
        {
            "choices": [{"delta": {}, "finish_reason": "stop"}],
            "timings": {"cache_n": 40, "prompt_n": 60, "predicted_n": 10},
        }
    )
    + DONE,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stream", USAGES.values(), ids=USAGES)
def test_usage_is_found_wherever_it_stands(stream: bytes, size: int) -> None:
    finished = events_of(stream, size=size)[-1]
    assert isinstance(finished, neutral.Finished)
    assert finished.usage == USAGE


def test_usage_that_nobody_reported_is_not_made_up() -> None:
    assert events_of(text("a") + END)[-1] == neutral.Finished(StopReason.END_TURN)


def test_usage_that_excludes_the_cache_is_not_reduced() -> None:
    request = sent(Capabilities(usage_excludes_cache=True))
    finished = events_of(text("a") + finish("stop") + usage(100, 40, 10) + DONE, request)[-1]
    assert finished == neutral.Finished(
        StopReason.END_TURN, neutral.Usage(input=100, cache_read=40, output=10)
    )


# --- stop sequences -----------------------------------------------------------


@pytest.mark.parametrize(
    "body, end, expected",
    [
        (b'{"stop":["END"]}', finish("stop", stop_reason="END"), "= stop_sequence END"),
        (b'{"stop":"END"}', finish("stop", stop_reason="END"), "= stop_sequence END"),
        (b'{"stop":["END"]}', finish("stop", stop_reason=128009), "= end_turn"),
        (b'{"stop":["END"]}', finish("stop", stop_reason="eos"), "= end_turn"),
        (b"{}", finish("stop", stop_reason="END"), "= end_turn"),
        (b'{"stop":["END"]}', finish("stop_sequence"), "= stop_sequence END"),
        (b'{"stop":["A","B"]}', finish("stop_sequence"), "= end_turn"),
        (b"{}", finish("eos_token"), "= end_turn"),
    ],
)
def test_the_stop_sequence_that_matched_is_reported_if_the_upstream_reports(
    body: bytes, end: bytes, expected: str
) -> None:
    events = events_of(text("a") + end + DONE, sent(body=body))
    assert script(events)[-1] == expected


# --- think tags ---------------------------------------------------------------

TAGS = Capabilities(think_tags=True)
PREFILLED = Capabilities(think_tags=True, think_open_prefilled=True)
THOUGHT = ("x", "a")

THOUGHTS: dict[str, tuple[Capabilities, bytes, tuple[str, str]]] = {
    "whole tags": (TAGS, text("<think>x") + text("</think>a"), THOUGHT),
    "split tags": (TAGS, text("<th") + text("ink>x</thi") + text("nk>a"), THOUGHT),
    "letter by letter": (TAGS, b"".join(map(text, "<think>x</think>a")), THOUGHT),
    "blank lines around": (TAGS, text("\n<think>\nx</think>\n\n") + text("a"), THOUGHT),
    "no thought": (TAGS, text("<think>\n\n</think>\n\na"), ("", "a")),
    "no tag": (TAGS, text("a"), ("", "a")),
    "almost a tag": (TAGS, text("<thin") + text("g>"), ("", "<thing>")),
    "a tag later on is text": (TAGS, text("a<think>x</think>"), ("", "a<think>x</think>")),
    "a second thought is text": (TAGS, text("<think>x</think>a<think>"), ("x", "a<think>")),
    "never closed": (TAGS, text("<think>x</th"), ("x</th", "")),
    "opened by the template": (PREFILLED, text("x</think>") + text("a"), THOUGHT),
    "opened by both": (PREFILLED, text("<think>x</think>a"), THOUGHT),
    "separated by the server after all": (PREFILLED, delta(reasoning="x") + text("a"), THOUGHT),
}


@pytest.mark.parametrize("capabilities, stream, expected", THOUGHTS.values(), ids=THOUGHTS)
def test_think_tags_are_read_where_the_upstream_writes_them(
    capabilities: Capabilities, stream: bytes, expected: tuple[str, str]
) -> None:
    events = events_of(stream + END, sent(capabilities))
    check_walk(events)
    said = {"thinking": "", "text": ""}
    kind = ""
    for event in events:
        if isinstance(event, neutral.BlockStarted):
            kind = type(event.block).__name__.lower()
        elif isinstance(event, neutral.Delta):
            said[kind] += event.text
    assert (said["thinking"], said["text"]) == expected


# --- signatures ---------------------------------------------------------------


@pytest.mark.parametrize(
    "history, payload", [("none", {}), ("reasoning_content", {"text": "tu"}), ("required", {"text": "tu"})]
)
def test_reasoning_is_marked_as_ours_and_carried_where_it_is_wanted_back(
    history: Any, payload: dict[str, str]
) -> None:
    capabilities = Capabilities(reasoning_history=history)
    events = events_of(delta(reasoning="t") + delta(reasoning="u") + text("a") + END, sent(capabilities))
    ended = next(event for event in events if isinstance(event, neutral.BlockEnded))
    assert ended.signature is not None and ended.signature.issuer == "issuer"
    assert carrier.unpack(ended.signature.payload) == carrier.Carrier("text", "issuer", payload)


# --- tools that go as functions ----------------------------------------------

PATCH = neutral.Tool("apply_patch", kind="custom")
NESTED = neutral.Tool("list", namespace="files")


def _with_tools() -> SentRequest:
    return sent(tools={"apply_patch": PATCH, "files__list": NESTED})


@pytest.mark.parametrize("size", SIZES)
def test_a_custom_tool_that_went_as_a_function_is_reported_whole_and_unwrapped(size: int) -> None:
    stream = call(0, "c", "apply_patch", '{"input":"*** Beg') + call(0, None, None, 'in Patch"}') + CALLED
    events = events_of(stream, _with_tools(), size)
    check_walk(events)
    assert script(events) == ["+custom c apply_patch", "*** Begin Patch", "-", "= tool_use"]


def test_a_custom_tool_that_went_as_a_function_and_was_cut_off_is_incomplete() -> None:
    events = events_of(
        call(0, "c", "apply_patch", '{"input":"*** Beg') + finish("length") + DONE, _with_tools()
    )
    check_walk(events)
    assert [script(events)[0], *script(events)[-2:]] == ["+custom c apply_patch", "- cut", "= max_tokens"]


def test_a_renamed_tool_gets_its_name_and_namespace_back() -> None:
    events = events_of(call(0, "c", "files__list", '{"a":1}') + CALLED, _with_tools())
    assert events[1] == neutral.BlockStarted(neutral.ToolCall("c", "list", "", namespace="files"))


# --- anything at all ----------------------------------------------------------

NAMES = st.sampled_from(
    [
        "content",
        "reasoning",
        "tool_calls",
        "function",
        "index",
        "id",
        "name",
        "arguments",
        "type",
        "text",
        "choices",
        "delta",
        "message",
        "finish_reason",
        "usage",
        "error",
        "refusal",
        "annotations",
        "custom",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from(["", "stop", "length", '{"a":', "1}", "f"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.lists(st.dictionaries(NAMES, ANYTHING, max_size=4), max_size=5), st.booleans())
def test_whatever_comes_the_walk_is_kept(deltas: list[dict[str, object]], tags: bool) -> None:
    capabilities = Capabilities(think_tags=tags, reasoning_history="reasoning_content")
    stream = b"".join(choice(delta=each) + choice(**each) + record(each) for each in deltas)
    check_walk(events_of(stream + DONE, sent(capabilities)))

"""Streams of upstreams, orderly and not, read as neutral events at every chunking."""

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Delta,
    ErrorType,
    Failed,
    Finished,
    Loss,
    Refusal,
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
from switchyard.protocols.sse import Record
from switchyard.protocols.walk import BLANK, CUT_OFF, NO_ANSWER, UNEXPLAINED
from tests.protocols.anthropic_messages.script import (
    CHUNK_SIZES,
    ISSUER,
    MST,
    PING,
    args,
    bd,
    be,
    bs,
    decoded,
    md,
    ms,
    record,
    sent,
    sig,
    thought,
)

START = Started("msg_1", "m", Usage(input=7, output=1))
BARE_START = Started()
USED = Usage(input=7, output=2)
OUT = {"output_tokens": 2}
CUSTOM = neutral.Tool("apply_patch", kind="custom")
NESTED = neutral.Tool("list", namespace="files")


def call(index: int, name: str = "f") -> BlockStarted:
    return BlockStarted(ToolCall(f"toolu_{index}", name, ""))


def text(*pieces: str) -> list[neutral.Event]:
    return [BlockStarted(Text("")), *map(Delta, pieces), BlockEnded()]


def tool(index: int, *pieces: str, complete: bool = True) -> list[neutral.Event]:
    return [call(index), *map(Delta, pieces), BlockEnded(complete=complete)]


HI = bs(0, "text") + bd(0, "Hi") + be(0)
END = md("end_turn", OUT) + MST
USE_END = md("tool_use", OUT) + MST
FOREIGN_CITATION = Loss("citations", "only sources on the web can be cited in another protocol")
OTHER_WORK = tuple(
    Loss(f"content.{name}", "no other protocol has content of this type")
    for name in ("code_execution", "code_execution_tool_result")
)
UNKNOWN_REASON = Loss("stop_reason", "'tired' is not known: the answer counts as complete")


CASES: dict[str, tuple[bytes, list[neutral.Event]]] = {
    "text": (ms() + HI + END, [START, *text("Hi"), Finished(StopReason.END_TURN, USED)]),
    "umlauts and line separators": (
        ms() + bs(0, "text") + bd(0, "é\u2028你") + be(0) + END,
        [START, *text("é\u2028你"), Finished(StopReason.END_TURN, USED)],
    ),
    "pings and unknown events are skipped": (
        PING
        + ms()
        + bs(0, "text")
        + PING
        + bd(0, "Hi")
        + record({"type": "content_block_sparkle", "index": 0})
        + b": comment\n\n"
        + be(0)
        + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "signed thinking, then text": (
        ms()
        + bs(0, "thinking")
        + thought(0, "T")
        + sig(0, "S")
        + be(0)
        + bs(1, "text")
        + bd(1, "Hi")
        + be(1)
        + END,
        [
            START,
            BlockStarted(Thinking("")),
            Delta("T"),
            BlockEnded(Signature("S", ISSUER)),
            *text("Hi"),
            Finished(StopReason.END_TURN, USED),
        ],
    ),
    "thinking whose text is kept back": (
        ms() + bs(0, "thinking") + sig(0, "S") + be(0) + END,
        [
            START,
            BlockStarted(Thinking("")),
            BlockEnded(Signature("S", ISSUER)),
            Finished(StopReason.END_TURN, USED),
        ],
    ),
    "redacted thinking": (
        ms() + bs(0, "redacted_thinking", data="D") + be(0) + END,
        [
            START,
            BlockStarted(Thinking("", redacted=True)),
            BlockEnded(Signature("redacted:D", ISSUER)),
            Finished(StopReason.END_TURN, USED),
        ],
    ),
    "text before a call": (
        ms() + HI + bs(1, "tool_use") + args(1, "") + args(1, '{"a":') + args(1, "1}") + be(1) + USE_END,
        [START, *text("Hi"), *tool(1, '{"a":', "1}"), Finished(StopReason.TOOL_USE, USED)],
    ),
    "a call without arguments": (
        ms() + bs(0, "tool_use") + be(0) + USE_END,
        [START, *tool(0, "{}"), Finished(StopReason.TOOL_USE, USED)],
    ),
    "a free-form tool is unwrapped": (
        ms()
        + bs(0, "tool_use", name="apply_patch")
        + args(0, '{"input":"*** Begin')
        + args(0, ' Patch\\n"}')
        + be(0)
        + USE_END,
        [
            START,
            BlockStarted(ToolCall("toolu_0", "apply_patch", "", kind="custom")),
            Delta("*** Begin Patch\n"),
            BlockEnded(),
            Finished(StopReason.TOOL_USE, USED),
        ],
    ),
    "a tool of a namespace": (
        ms() + bs(0, "tool_use", name="files__list") + args(0, '{"a":1}') + be(0) + USE_END,
        [
            START,
            BlockStarted(ToolCall("toolu_0", "list", "", namespace="files")),
            Delta('{"a":1}'),
            BlockEnded(),
            Finished(StopReason.TOOL_USE, USED),
        ],
    ),
    "an empty text block": (
        ms() + bs(0, "text") + bd(0, "") + be(0) + END,
        [START, Finished(StopReason.END_TURN, USED)],
    ),
    # --- repairs
    "a block that is not closed": (
        ms() + bs(0, "text") + bd(0, "a") + bs(1, "tool_use") + args(1, '{"a":1}') + USE_END,
        [START, *text("a"), *tool(1, '{"a":1}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "no message_stop": (
        ms() + HI + md("end_turn", OUT),
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "a second message_start": (
        ms() + HI + ms() + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "no message_start": (HI + END, [BARE_START, *text("Hi"), Finished(StopReason.END_TURN, Usage(output=2))]),
    "a message_delta for each count": (
        ms()
        + HI
        + md(None, {"output_tokens": 1})
        + md("end_turn", OUT)
        + md(None, {"output_tokens": 0})
        + MST,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "nothing counts after the end": (
        ms() + HI + END + HI + md("max_tokens", {"output_tokens": 9}) + MST,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "text inside the start of its block": (
        ms() + bs(0, "text", text="H") + bd(0, "i") + be(0) + END,
        [START, *text("H", "i"), Finished(StopReason.END_TURN, USED)],
    ),
    "input inside the start of its block": (
        ms() + bs(0, "tool_use", input={"b": 1, "a": 2}) + be(0) + USE_END,
        [START, *tool(0, '{"b":1,"a":2}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "input that is no object": (
        ms() + bs(0, "tool_use", input="str") + be(0) + USE_END,
        [START, *tool(0, '"str"'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "thinking whole in its start": (
        ms() + bs(0, "thinking", thinking="T", signature="S") + be(0) + END,
        [
            START,
            BlockStarted(Thinking("")),
            Delta("T"),
            BlockEnded(Signature("S", ISSUER)),
            Finished(StopReason.END_TURN, USED),
        ],
    ),
    "calls that overlap": (
        ms()
        + bs(0, "tool_use")
        + bs(1, "tool_use")
        + args(1, '{"b":')
        + args(0, '{"a":1}')
        + args(1, "2}")
        + be(0)
        + be(1)
        + USE_END,
        [START, *tool(0, '{"a":1}'), *tool(1, '{"b":2}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "calls that overlap and end out of order": (
        ms()
        + bs(0, "tool_use")
        + args(0, '{"a"')
        + bs(1, "tool_use")
        + args(1, '{"b":2}')
        + be(1)
        + args(0, ":1}")
        + be(0)
        + USE_END,
        [START, *tool(0, '{"a"', ":1}"), *tool(1, '{"b":2}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "deltas of another kind than the block": (
        ms() + bs(0, "thinking") + thought(0, "T") + bd(0, "Hi") + be(0) + END,
        [
            START,
            BlockStarted(Thinking("")),
            Delta("T"),
            BlockEnded(),
            *text("Hi"),
            Finished(StopReason.END_TURN, USED),
        ],
    ),
    "a delta without the start of its block": (
        ms() + bd(0, "Hi") + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "an unreadable record": (
        ms() + b"event: content_block_delta\ndata: {oops\n\n" + HI + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "a broken character": (
        ms() + (bs(0, "text") + bd(0, "H?") + be(0)).replace(b"?", b"\xff") + END,
        [START, *text("H\ufffd"), Finished(StopReason.END_TURN, USED)],
    ),
    "an endless nesting": (
        ms() + b"event: content_block_delta\ndata: " + b'{"a":' * 50_000 + b"\n\n" + HI + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "fields of wrong types": (
        ms()
        + record(
            {"type": "content_block_delta", "index": None, "delta": {"type": "text_delta", "text": "Hi"}}
        )
        + record({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": None}})
        + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "the type only in the event line": (
        ms()
        + HI
        + b'event: message_delta\ndata: {"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "no event lines at all": (
        (ms() + HI + END).replace(b"event: ", b": was "),
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    # --- usage
    "input only reported at the end": (
        ms(0)
        + HI
        + md("end_turn", {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 2})
        + MST,
        [
            Started("msg_1", "m", Usage(output=1)),
            *text("Hi"),
            Finished(StopReason.END_TURN, Usage(input=10, cache_read=90, output=2)),
        ],
    ),
    "zero at the end does not wipe the start": (
        ms(10) + HI + md("end_turn", {"input_tokens": 0, "output_tokens": 2}) + MST,
        [
            Started("msg_1", "m", Usage(input=10, output=1)),
            *text("Hi"),
            Finished(StopReason.END_TURN, Usage(input=10, output=2)),
        ],
    ),
    "no usage at all": (
        ms(None) + HI + md("end_turn") + MST,
        [Started("msg_1", "m"), *text("Hi"), Finished(StopReason.END_TURN)],
    ),
    # --- stop reasons
    "cut off by max_tokens inside a call": (
        ms() + bs(0, "tool_use") + args(0, '{"a":') + be(0) + md("max_tokens", OUT) + MST,
        [START, *tool(0, '{"a":', complete=False), Finished(StopReason.MAX_TOKENS, USED)],
    ),
    "cut off by a filter inside a call": (
        ms()
        + bs(0, "tool_use")
        + args(0, '{"a":')
        + be(0)
        + md("refusal", OUT, stop_details={"explanation": "No."})
        + MST,
        [
            START,
            *tool(0, '{"a":', complete=False),
            BlockStarted(Refusal("")),
            Delta("No."),
            BlockEnded(),
            Finished(StopReason.REFUSAL, USED),
        ],
    ),
    "arguments inside a string": (
        ms() + bs(0, "tool_use") + args(0, '"{\\"a\\"') + args(0, ':1}"') + be(0) + USE_END,
        [START, *tool(0, '{"a":1}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "arguments of endless whitespace": (
        ms() + bs(0, "tool_use") + args(0, '{"a":') + args(0, " " * 600),
        [START, *tool(0, '{"a":', complete=False), Failed(BLANK)],
    ),
    "cut off by max_tokens after a call": (
        ms() + bs(0, "tool_use") + args(0, '{"a":1}') + be(0) + md("max_tokens", OUT) + MST,
        [START, *tool(0, '{"a":1}'), Finished(StopReason.MAX_TOKENS, USED)],
    ),
    "end_turn in spite of a call": (
        ms() + bs(0, "tool_use") + args(0, '{"a":1}') + be(0) + END,
        [START, *tool(0, '{"a":1}'), Finished(StopReason.TOOL_USE, USED)],
    ),
    "tool_use without a call": (
        ms() + HI + USE_END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED)],
    ),
    "a null reason at the end is a filter's": (
        ms() + HI + md(None, OUT) + MST,
        [START, *text("Hi"), Finished(StopReason.REFUSAL, USED)],
    ),
    "no message_delta": (
        ms() + HI + MST,
        [START, *text("Hi"), Finished(StopReason.END_TURN, Usage(input=7, output=1))],
    ),
    "a stop sequence": (
        ms() + HI + md("stop_sequence", OUT, stop_sequence="END") + MST,
        [START, *text("Hi"), Finished(StopReason.STOP_SEQUENCE, USED, "END")],
    ),
    "the window is full": (
        ms() + HI + md("model_context_window_exceeded", OUT) + MST,
        [START, *text("Hi"), Finished(StopReason.CONTEXT_WINDOW, USED)],
    ),
    "a pause": (
        ms() + HI + md("pause_turn", OUT) + MST,
        [START, *text("Hi"), Finished(StopReason.PAUSE, USED)],
    ),
    "an unknown reason": (
        ms() + HI + md("tired", OUT) + MST,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED, losses=(UNKNOWN_REASON,))],
    ),
    "a refusal with its explanation": (
        ms() + md("refusal", OUT, stop_details={"type": "refusal", "explanation": "No."}) + MST,
        [START, BlockStarted(Refusal("")), Delta("No."), BlockEnded(), Finished(StopReason.REFUSAL, USED)],
    ),
    # --- breaks
    "the connection ends inside a text": (
        ms() + bs(0, "text") + bd(0, "Hi"),
        [START, BlockStarted(Text("")), Delta("Hi"), BlockEnded(complete=False), Failed(CUT_OFF)],
    ),
    "the connection ends between blocks": (ms() + HI, [START, *text("Hi"), Failed(CUT_OFF)]),
    "the connection ends at once": (b"", [BARE_START, Failed(NO_ANSWER)]),
    "an error inside": (
        ms()
        + HI
        + record({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        + END,
        [START, *text("Hi"), Failed(WireError(ErrorType.OVERLOADED, "Overloaded", 529))],
    ),
    "an error first": (
        record({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}),
        [BARE_START, Failed(WireError(ErrorType.RATE_LIMIT, "slow", 429))],
    ),
    "an error of another shape": (
        ms() + b'data: {"error":{"message":"boom","code":"server_error"}}\n\n',
        [START, Failed(WireError(ErrorType.SERVER, "boom", 500, code="server_error"))],
    ),
    "an error in plain text": (
        ms() + b"event: error\ndata: boom\n\n",
        [START, Failed(WireError(ErrorType.SERVER, "boom", 500))],
    ),
    "an error event without data": (
        ms() + b"event: error\n\n",
        [
            START,
            Failed(UNEXPLAINED),
        ],
    ),
    # --- searches
    "a search of the upstream": (
        ms()
        + bs(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={})
        + args(0, '{"query":')
        + args(0, '"Oslo"}')
        + be(0)
        + bs(
            1,
            "web_search_tool_result",
            tool_use_id="srvtoolu_1",
            content=[{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "x"}],
        )
        + be(1)
        + bs(2, "text")
        + bd(2, "Hi")
        + bd(
            2,
            {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"},
            "citations_delta",
        )
        + bd(2, {"type": "char_location", "start_char_index": 1}, "citations_delta")
        + be(2)
        + END,
        [
            START,
            BlockStarted(WebSearch("srvtoolu_1", "Oslo", (Citation("u", "t"),))),
            BlockEnded(),
            BlockStarted(Text("")),
            Delta("Hi"),
            Citation("u", "t", "c"),
            BlockEnded(),
            Finished(StopReason.END_TURN, USED, losses=(FOREIGN_CITATION,)),
        ],
    ),
    "other work of the upstream is left out": (
        ms()
        + bs(0, "server_tool_use", id="srvtoolu_1", name="code_execution", input={})
        + args(0, '{"code":"1"}')
        + be(0)
        + bs(1, "code_execution_tool_result", tool_use_id="srvtoolu_1", content={})
        + be(1)
        + bs(2, "text")
        + bd(2, "Hi")
        + be(2)
        + END,
        [START, *text("Hi"), Finished(StopReason.END_TURN, USED, losses=OTHER_WORK)],
    ),
}


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_read_as_neutral_events(name: str, chunk_size: int) -> None:
    stream, events = CASES[name]
    tools = {"apply_patch": CUSTOM, "files__list": NESTED}
    assert decoded(stream, tools, chunk_size) == events


def test_a_call_without_id_gets_one() -> None:
    events = decoded(ms() + bs(0, "tool_use", id="") + be(0) + USE_END)
    started = events[1]
    assert isinstance(started, BlockStarted) and isinstance(started.block, ToolCall)
    assert started.block.id.startswith("toolu_") and len(started.block.id) > 20


def test_pieces_are_given_on_at_once() -> None:
    decoder = CODEC.stream_decoder(sent())
    pieces = [
        decoder.decode(Record(record.partition(b"data: ")[2].strip(), ""))
        for record in (ms(), bs(0, "tool_use"), args(0, '{"a":'), args(0, "1}"))
    ]
    assert pieces == [[START], [call(0)], [Delta('{"a":')], [Delta("1}")]]


def test_long_streams_of_nonsense_never_break_the_walk() -> None:
    records = [
        ms(),
        HI,
        bs(0, "tool_use"),
        args(0, "{"),
        be(3),
        be(0),
        bd(9, "x"),
        thought(0, "y"),
        md(None),
        PING,
    ]
    for seed in range(200):
        order = [records[(seed * 7 + step * step) % len(records)] for step in range(12)]
        events = decoded(b"".join(order))
        assert_is_a_walk(events, msgspec.json.encode([record.decode() for record in order]))


def assert_is_a_walk(events: list[neutral.Event], script: bytes) -> None:
    """`Started block* (Finished | Failed)`, each block `BlockStarted Delta* BlockEnded`."""
    is_open = False
    assert isinstance(events[0], Started), script
    for position, event in enumerate(events):
        match event:
            case Started():
                assert position == 0, script
            case BlockStarted():
                assert not is_open, script
                is_open = True
            case Delta() | Citation():
                assert is_open, script
            case BlockEnded():
                assert is_open, script
                is_open = False
            case Finished() | Failed():
                assert position == len(events) - 1 and not is_open, script
    assert isinstance(events[-1], Finished | Failed), script

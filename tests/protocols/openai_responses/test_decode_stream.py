"""Streams of Responses upstreams, exact and less exact ones, as neutral walks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Delta,
    ErrorType,
    Failed,
    Finished,
    Refusal,
    Started,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Usage,
    WireError,
)
from switchyard.protocols.openai_responses.decode_stream import StreamDecoder
from switchyard.protocols.sse import Record
from switchyard.protocols.walk import CUT_OFF, NO_ANSWER
from tests.protocols.openai_responses.streams import (
    CHUNK_SIZES,
    ISSUER,
    added,
    arguments,
    call,
    check_walk,
    created,
    decoded,
    done,
    ended,
    event,
    message,
    said,
    sent,
)

USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 59,
}
START = Started("resp_1", "m")
TRUNCATED = Failed(CUT_OFF)
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
    "encrypted_content": "opaque",
}


def signature(item: Any) -> neutral.Signature:
    return neutral.Signature(carrier.pack("reasoning", ISSUER, item), ISSUER)


def summary(index: int, delta: str) -> bytes:
    return event("response.reasoning_summary_text.delta", output_index=0, summary_index=index, delta=delta)


def text_block(words: str, complete: bool = True) -> list[neutral.Event]:
    return [BlockStarted(Text("")), Delta(words), BlockEnded(complete=complete)]


def call_block(id: str, name: str, words: str, complete: bool = True) -> list[neutral.Event]:
    return [BlockStarted(ToolCall(id, name, "")), Delta(words), BlockEnded(complete=complete)]


def finished(reason: str, usage: Usage | None = None) -> Finished:
    return Finished(StopReason(reason), usage)


CASES: dict[str, tuple[bytes, list[neutral.Event]]] = {
    "a text": (
        created()
        + added(0, **message())
        + said(0, "Hé")
        + said(0, "llo")
        + event("response.output_text.done", output_index=0, content_index=0, text="Héllo")
        + done(0, **message("Héllo"))
        + ended(output=[message("Héllo")], usage=USAGE),
        [START, *text_block("Héllo"), finished("end_turn", Usage(30, 20, output=9, reasoning=4))],
    ),
    "arguments that come only when done": (
        created()
        + added(0, **call())
        + event("response.function_call_arguments.done", output_index=0, arguments='{"x":1}')
        + done(0, **call(arguments='{"x":1}'))
        + ended(),
        [START, *call_block("a", "f", '{"x":1}'), finished("tool_use")],
    ),
    "arguments that come only with the finished item": (
        created() + added(0, **call()) + done(0, **call(arguments='{"x":1}')) + ended(),
        [START, *call_block("a", "f", '{"x":1}'), finished("tool_use")],
    ),
    "arguments sent twice": (
        created()
        + added(0, **call())
        + arguments(0, '{"x":1}')
        + event("response.function_call_arguments.done", output_index=0, arguments='{"x":1}')
        + done(0, **call(arguments='{"x":1}'))
        + ended(output=[call(arguments='{"x":1}')]),
        [START, *call_block("a", "f", '{"x":1}'), finished("tool_use")],
    ),
    "a call whose final response is empty": (
        created()
        + added(0, **call())
        + arguments(0, "{}")
        + done(0, **call(arguments="{}"))
        + ended(output=[]),
        [START, *call_block("a", "f", "{}"), finished("tool_use")],
    ),
    "a call without arguments": (
        created() + added(0, **call()) + done(0, **call(arguments="")) + ended(),
        [START, *call_block("a", "f", "{}"), finished("tool_use")],
    ),
    "a call that is only finished in the last response": (
        created() + added(0, **call()) + arguments(0, '{"x"') + ended(output=[call(arguments='{"x":1}')]),
        [START, *call_block("a", "f", '{"x":1}'), finished("tool_use")],
    ),
    "a whole reply in the last response": (
        created() + ended(output=[message("Look"), call(arguments="{}")]),
        [START, *text_block("Look"), *call_block("a", "f", "{}"), finished("tool_use")],
    ),
    "a last response that leaves the reasoning out": (
        created()
        + summary(0, "X")
        + done(0, **{**REASONING, "summary": [], "encrypted_content": None})
        + said(1, "Hi")
        + done(1, **message("Hi"))
        + ended(output=[message("Hi")]),
        [
            START,
            BlockStarted(Thinking("")),
            Delta("X"),
            BlockEnded(),
            *text_block("Hi"),
            finished("end_turn"),
        ],
    ),
    "other ids in the last response": (
        created() + added(0, **message()) + said(0, "Hi") + ended(output=[message("Hi", id="msg_other")]),
        [START, *text_block("Hi"), finished("end_turn")],
    ),
    "deltas of an item that was never added": (
        created() + said(0, "Hi") + ended(),
        [START, *text_block("Hi"), finished("end_turn")],
    ),
    "reasoning that comes only when done": (
        created()
        + event("response.reasoning_text.done", output_index=0, content_index=0, text="hm")
        + event("response.output_text.done", output_index=1, content_index=0, text="Hi")
        + ended(),
        [
            START,
            BlockStarted(Thinking("")),
            Delta("hm"),
            BlockEnded(),
            *text_block("Hi"),
            finished("end_turn"),
        ],
    ),
    "reasoning sent as summary and as text": (
        created()
        + summary(0, "short")
        + event("response.reasoning_text.delta", output_index=0, content_index=0, delta="long")
        + ended(),
        [START, BlockStarted(Thinking("")), Delta("short"), BlockEnded(), finished("end_turn")],
    ),
    "two summaries in one thinking block with one signature": (
        created() + summary(0, "one") + summary(1, "two") + done(0, **REASONING) + ended(output=[REASONING]),
        [
            START,
            BlockStarted(Thinking("")),
            Delta("one\n\ntwo"),
            BlockEnded(signature(REASONING)),
            finished("end_turn"),
        ],
    ),
    "reasoning without encrypted content": (
        created() + done(0, type="reasoning", summary=[{"type": "summary_text", "text": "X"}]) + ended(),
        [START, BlockStarted(Thinking("")), Delta("X"), BlockEnded(), finished("end_turn")],
    ),
    "reasoning without words": (
        created() + done(0, **{**REASONING, "summary": []}) + ended(),
        [
            START,
            BlockStarted(Thinking("", signature({**REASONING, "summary": []}), redacted=True)),
            BlockEnded(signature({**REASONING, "summary": []})),
            finished("end_turn"),
        ],
    ),
    "interleaved calls": (
        created()
        + added(0, **call("a", "f"))
        + added(1, **call("b", "g"))
        + arguments(1, '{"k":')
        + arguments(0, "{}")
        + arguments(1, "1}")
        + done(0, **call("a", "f", arguments="{}"))
        + done(1, **call("b", "g", arguments='{"k":1}'))
        + ended(),
        [START, *call_block("a", "f", "{}"), *call_block("b", "g", '{"k":1}'), finished("tool_use")],
    ),
    "text within a call": (
        created()
        + added(0, **call())
        + arguments(0, '{"x"')
        + said(1, "Hi")
        + arguments(0, ":1}")
        + done(0, **call(arguments='{"x":1}'))
        + ended(),
        [START, *call_block("a", "f", '{"x":1}'), *text_block("Hi"), finished("tool_use")],
    ),
    "arguments under another id": (
        created()
        + event("response.output_item.added", item=call())
        + event("response.function_call_arguments.delta", item_id="other", delta="{}")
        + event("response.output_item.done", item=call(arguments="{}"))
        + ended(),
        [START, *call_block("a", "f", "{}"), finished("tool_use")],
    ),
    "a refusal": (
        created()
        + event("response.refusal.delta", output_index=0, content_index=0, delta="No")
        + done(0, type="message", content=[{"type": "refusal", "refusal": "No."}])
        + ended(),
        [START, BlockStarted(Refusal("")), Delta("No."), BlockEnded(), finished("refusal")],
    ),
    "a source": (
        created()
        + said(0, "Hi")
        + event(
            "response.output_text.annotation.added",
            output_index=0,
            annotation={"type": "url_citation", "url": "https://x", "title": "X"},
        )
        + ended(),
        [
            START,
            BlockStarted(Text("")),
            Delta("Hi"),
            Citation("https://x", "X"),
            BlockEnded(),
            finished("end_turn"),
        ],
    ),
    "a search": (
        created()
        + done(
            0,
            type="web_search_call",
            id="ws_1",
            action={"type": "search", "query": "q", "sources": [{"url": "https://x"}]},
        )
        + said(1, "Hi")
        + ended(),
        [
            START,
            BlockStarted(neutral.WebSearch("ws_1", "q", (Citation("https://x"),))),
            BlockEnded(),
            *text_block("Hi"),
            finished("end_turn"),
        ],
    ),
    "a compaction": (
        created() + done(0, type="compaction", id="cmp_1", encrypted_content="opaque") + ended(),
        [START, BlockStarted(neutral.Compaction("opaque")), BlockEnded(), finished("end_turn")],
    ),
    "the end by length": (
        created()
        + added(0, **call())
        + arguments(0, '{"x":')
        + ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        [START, *call_block("a", "f", '{"x":', complete=False), finished("max_tokens")],
    ),
    "a call cut off by a content filter": (
        created()
        + added(0, **call())
        + arguments(0, '{"x":')
        + ended("incomplete", incomplete_details={"reason": "content_filter"}),
        [START, *call_block("a", "f", '{"x":', complete=False), finished("refusal")],
    ),
    "a signature for reasoning that was announced and has no words": (
        created() + summary(0, "") + done(0, **{**REASONING, "summary": []}) + ended(),
        [
            START,
            BlockStarted(Thinking("")),
            BlockEnded(signature({**REASONING, "summary": []})),
            finished("end_turn"),
        ],
    ),
    "arguments inside a string": (
        created() + done(0, **call(arguments='"{\\"x\\":1}"')) + ended(),
        [START, *call_block("a", "f", '{"x":1}'), finished("tool_use")],
    ),
    "a cut call in the output": (
        created() + ended("incomplete", output=[call(arguments='{"x":', status="incomplete")]),
        [START, *call_block("a", "f", '{"x":', complete=False), finished("max_tokens")],
    ),
    "the end by a content filter": (
        created() + ended("incomplete", incomplete_details={"reason": "content_filter"}),
        [START, finished("refusal")],
    ),
    "an incomplete response in an event of completion": (
        created() + said(0, "Hi") + event("response.completed", response={"status": "incomplete"}),
        [START, *text_block("Hi"), finished("max_tokens")],
    ),
    "a failed response": (
        created() + said(0, "Hi") + ended("failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
        [
            START,
            *text_block("Hi", complete=False),
            Failed(WireError(ErrorType.RATE_LIMIT, "slow", 429, "rate_limit_exceeded")),
        ],
    ),
    "an error event": (
        created() + event("error", code="server_is_overloaded", message="busy", param=None),
        [START, Failed(WireError(ErrorType.OVERLOADED, "busy", 529, "server_is_overloaded"))],
    ),
    "a bare error": (
        created() + b'data: {"error":{"message":"boom","type":"server_error"}}\n\n',
        [START, Failed(WireError(ErrorType.SERVER, "boom", 500))],
    ),
    "a cancelled response": (
        created() + event("response.completed", response={"status": "cancelled"}),
        [START, Failed(WireError(ErrorType.SERVER, "the upstream cancelled the response", 502))],
    ),
    "a stream that breaks off in a text": (
        created() + said(0, "Hi"),
        [START, *text_block("Hi", complete=False), TRUNCATED],
    ),
    "a stream that breaks off in a call": (
        created() + added(0, **call()) + arguments(0, '{"x":'),
        [START, *call_block("a", "f", '{"x":', complete=False), TRUNCATED],
    ),
    "nothing at all": (b"", [Started(), Failed(NO_ANSWER)]),
    "no end but the sentinel": (created() + b"data: [DONE]\n\n", [START, TRUNCATED]),
    "an answer without an end but the sentinel": (
        created() + said(0, "Hi") + b"data: [DONE]\n\n",
        [START, *text_block("Hi"), finished("end_turn")],
    ),
    "a damaged record": (
        created() + b"data: {nonsense\n\n" + said(0, "Hi") + ended(),
        [START, *text_block("Hi"), finished("end_turn")],
    ),
    "what nobody knows": (
        created()
        + event("response.new_thing", x=1)
        + event("keepalive")
        + said(0, "Hi")
        + ended()
        + said(0, "!"),
        [START, *text_block("Hi"), finished("end_turn")],
    ),
    "names only in the event line": (
        b'event: response.output_text.delta\ndata: {"output_index":0,"delta":"Hi"}\n\n'
        b'event: response.completed\ndata: {"response":{}}\n\n',
        [Started(), *text_block("Hi"), finished("end_turn")],
    ),
    "no blank line at the end": (
        (created() + said(0, "Hi") + ended()).rstrip(b"\n"),
        [START, *text_block("Hi"), finished("end_turn")],
    ),
}


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_read_as_a_walk(name: str, chunk_size: int) -> None:
    stream, events = CASES[name]
    assert decoded(stream, chunk_size=chunk_size) == events


def test_text_is_reported_as_it_comes() -> None:
    decoder = StreamDecoder(sent())
    record = Record(b'{"type":"response.output_text.delta","output_index":0,"delta":"a"}')
    decoder.decode(record)
    assert decoder.decode(record) == [Delta("a")]


APPLY_PATCH = Tool("apply_patch", kind="custom")
GREP = Tool("grep", namespace="files")
SEARCH = Tool("tool_search", kind="tool_search")

RESTORED: list[tuple[dict[str, Any], dict[str, Tool], ToolCall]] = [
    (
        call("c", "apply_patch", arguments='{"input":"*** Begin Patch"}'),
        {"apply_patch": APPLY_PATCH},
        ToolCall("c", "apply_patch", "*** Begin Patch", "custom"),
    ),
    (
        call("c", "files__grep", arguments='{"q":1}'),
        {"files__grep": GREP},
        ToolCall("c", "grep", '{"q":1}', namespace="files"),
    ),
    (
        call("c", "grep", arguments="{}", namespace="files"),
        {},
        ToolCall("c", "grep", "{}", namespace="files"),
    ),
    (
        call("c", "tool_search", arguments='{"query":"x"}'),
        {"tool_search": SEARCH},
        ToolCall("c", "tool_search", '{"query":"x"}', "tool_search"),
    ),
    (call("c", "zzz", arguments="{}"), {"apply_patch": APPLY_PATCH}, ToolCall("c", "zzz", "{}")),
    (call("c", "f", arguments="{bad"), {}, ToolCall("c", "f", "{bad")),
    (
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "raw"},
        {"apply_patch": APPLY_PATCH},
        ToolCall("c", "apply_patch", "raw", "custom"),
    ),
    (
        {
            "type": "local_shell_call",
            "call_id": "c",
            "action": {"type": "exec", "command": ["ls"], "working_directory": "/x"},
        },
        {},
        ToolCall("c", "local_shell", '{"command":["ls"],"workdir":"/x"}', "local_shell"),
    ),
    (
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "x"}},
        {},
        ToolCall("c", "tool_search", '{"query":"x"}', "tool_search"),
    ),
]


@pytest.mark.parametrize(("item", "tools", "expected"), RESTORED)
def test_a_call_is_restored_to_the_clients_tool(
    item: dict[str, Any], tools: dict[str, Tool], expected: ToolCall
) -> None:
    started = {**item, **({"arguments": ""} if "arguments" in item else {})}
    events = decoded(created() + added(0, **started) + done(0, **item) + ended(), sent(**tools))
    start, words, end = events[1:4]
    assert isinstance(start, BlockStarted) and isinstance(start.block, ToolCall) and isinstance(words, Delta)
    reported = start.block
    assert ToolCall(reported.id, reported.name, words.text, reported.kind, reported.namespace) == expected
    assert (end, events[-1]) == (BlockEnded(), finished("tool_use"))


def test_a_call_without_id_gets_one() -> None:
    events = decoded(created() + done(0, type="function_call", name="f", arguments="{}") + ended())
    assert isinstance(events[1], BlockStarted) and isinstance(events[1].block, ToolCall)
    assert events[1].block.id.startswith("call_")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "x", "function_call", "message", "reasoning"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "summary", "action", "status", "name"]), inner
        )
    ),
    max_leaves=6,
)
FIELDS = [
    "item",
    "response",
    "part",
    "annotation",
    "delta",
    "text",
    "arguments",
    "output_index",
    "item_id",
    "error",
]
TYPES = [
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.annotation.added",
    "response.content_part.done",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
    "",
]


@given(
    st.lists(
        st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(FIELDS), json_values)), max_size=6
    )
)
def test_no_stream_makes_the_decoder_stumble(records: list[tuple[str, dict[str, Any]]]) -> None:
    stream = b"".join(event(type, **fields) for type, fields in records)
    decoded(stream)


def test_tokens_beside_the_cache_are_not_subtracted_again() -> None:
    target = Target("m", ISSUER, Capabilities(usage_excludes_cache=True))
    events = decoded(created() + ended(usage=USAGE), SentRequest(b"", target))
    assert events[-1] == finished("end_turn", Usage(50, 20, output=9, reasoning=4))
    check_walk(events)

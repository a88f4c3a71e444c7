"""Whatever an upstream streams, in whatever pieces, each client is told the same in its own protocol.

A random walk of events is written by the upstream's codec, converted, checked, and read by the client's codec.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_request, convert_response
from switchyard.protocols.fold import fold, unfold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.sse import Record
from tests.protocols.sdks import Said, said_to
from tests.protocols.validators import (
    check_chat_request,
    check_chat_stream,
    check_messages_request,
    check_messages_stream,
    check_responses_request,
    check_responses_stream,
    records_of,
)

CHECK_STREAM: dict[ProtocolName, Callable[[Iterable[Record]], None]] = {
    "messages": check_messages_stream,
    "chat": lambda records: check_chat_stream(records, include_usage=True),
    "responses": check_responses_stream,
}
CHECK_REQUEST = {
    "messages": check_messages_request,
    "chat": check_chat_request,
    "responses": check_responses_request,
}
PAIRS = [(upstream, client) for upstream in PROTOCOLS for client in PROTOCOLS]

READ = neutral.Tool("read", "Reads.", {"type": "object", "properties": {"path": {"type": "string"}}})
SEARCH = neutral.Tool("search", "Searches.", {"type": "object", "properties": {}}, namespace="docs")
PATCH = neutral.Tool("apply_patch", "Patches.", kind="custom", grammar=("lark", "start: x"))
TOOLS: dict[ProtocolName, tuple[neutral.Tool, ...]] = {
    "messages": (READ,),
    "chat": (READ, PATCH),
    "responses": (READ, PATCH, SEARCH),
}
"""what a client can declare in its protocol"""


def request_of(client: ProtocolName) -> neutral.Request:
    return neutral.Request(
        model="asked",
        messages=(neutral.Message("user", (neutral.Text("please"),)),),
        tools=TOOLS[client],
        max_tokens=4000,
        stream=True,
        include_usage=True,
    )


# --- random replies -----------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | st.sampled_from(
    ["a\u2028b", '"\\\n', "data: x\n\n", "</think>", "[DONE]", " ", "é", "😀", "event: error\r\n"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
arguments = (
    st.dictionaries(texts, values, max_size=3).map(lambda value: msgspec.json.encode(value).decode())
) | st.sampled_from(["", "{}", '{ "a" : 1.0, "b": -0.5e-7 }', '{\n  "a": {}\n}', '{"a":"{}"}'])
usages = st.builds(
    neutral.Usage,
    input=st.integers(1, 10**6),
    cache_read=st.integers(0, 10**6),
    cache_write_5m=st.integers(0, 10**4),
    output=st.integers(2, 10**5),
    reasoning=st.integers(0, 2),
)


@st.composite
def calls(draw: st.DrawFn, tools: tuple[neutral.Tool, ...]) -> neutral.ToolCall:
    tool = draw(st.sampled_from(tools))
    given = draw(texts if tool.kind == "custom" else arguments)
    return neutral.ToolCall("", tool.name, given, tool.kind, tool.namespace)


@st.composite
def replies(draw: st.DrawFn, client: ProtocolName) -> neutral.Response:
    block = st.builds(neutral.Text, texts) | st.builds(neutral.Thinking, texts) | calls(TOOLS[client])
    content = tuple(
        replace(block, id=f"call_{index}") if isinstance(block, neutral.ToolCall) else block
        for index, block in enumerate(draw(st.lists(block, max_size=5)))
    )
    called = any(isinstance(block, neutral.ToolCall) for block in content)
    ends = [StopReason.MAX_TOKENS, StopReason.TOOL_USE if called else StopReason.END_TURN]
    reason = draw(st.sampled_from(ends))
    return neutral.Response("id", "told", content, reason, draw(usages))


# --- the walk -----------------------------------------------------------------


def as_upstream_reports(response: neutral.Response, sent: SentRequest) -> neutral.Response:
    """The reply with the tools as the upstream was told them: other names, custom tools as functions."""
    declared = msgspec.json.decode(sent.body)["tools"]
    customs = {
        tool.get("name") or tool["custom"]["name"]
        for tool in declared
        if "input_schema" not in tool and tool["type"] == "custom"
    }
    names = {(tool.namespace, tool.name): wire for wire, tool in sent.tools.items()}
    content = []
    for block in response.content:
        if isinstance(block, neutral.ToolCall):
            wire = names[block.namespace, block.name]
            lowered = block.kind == "custom" and wire not in customs
            given = msgspec.json.encode({"input": block.arguments}).decode() if lowered else block.arguments
            block = neutral.ToolCall(block.id, wire, given, "custom" if wire in customs else "function")
        content.append(block)
    return replace(response, content=tuple(content))


def streamed_by(upstream: ProtocolName, response: neutral.Response) -> bytes:
    encoder = CODECS[upstream].stream_encoder(replace(request_of(upstream), tools=()))
    return b"".join(encoder.encode(event) for event in unfold(response))


def read_by(client: ProtocolName, stream: bytes) -> neutral.Response:
    decoder = CODECS[client].stream_decoder(own_request(client))
    events = [event for record in records_of(stream) for event in decoder.decode(record)]
    return folded(events + decoder.close())


def own_request(client: ProtocolName) -> SentRequest:
    """As if the client had spoken with an upstream of its own protocol that takes all its tools as they are."""
    return SentRequest(b"", Target("asked", ""), {tool.name: tool for tool in TOOLS[client]})


def folded(events: Sequence[neutral.Event]) -> neutral.Response:
    response = fold(events)
    assert isinstance(response, neutral.Response), response
    return response


def meaning(response: neutral.Response) -> dict[str, object]:
    """What must survive every conversion."""
    content = response.content
    usage = response.usage or neutral.Usage()
    return {
        "text": "".join(block.text for block in content if isinstance(block, neutral.Text)),
        "thinking": "".join(block.text for block in content if isinstance(block, neutral.Thinking)),
        "calls": [(block.name, said(block)) for block in content if isinstance(block, neutral.ToolCall)],
        "stop": response.stop_reason,
        "usage": (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning),
    }


def said(call: neutral.ToolCall) -> str:
    """The arguments in one spelling: whole Messages replies tell them as an object. The order of keys counts."""
    if call.kind == "custom":
        return call.arguments
    return json.dumps(json.loads(call.arguments or "{}"))


def by_its_sdk(client: ProtocolName, stream: bytes, response: neutral.Response) -> Said:
    said = replace(said_to(client, stream), stop=None)
    # at the limit a call may just have begun
    return said if response.stop_reason is not StopReason.MAX_TOKENS else replace(said, calls=())


def as_an_sdk_says(client: ProtocolName, response: neutral.Response) -> Said:
    reported = meaning(response)
    usage = response.usage or neutral.Usage()
    fresh = usage.input if client == "messages" else usage.input + usage.cache_write
    calls = [block for block in response.content if isinstance(block, neutral.ToolCall)]
    return Said(
        text=str(reported["text"]),
        thinking=str(reported["thinking"]),
        calls=tuple((full_name(call), given_to(call)) for call in calls)
        if response.stop_reason is not StopReason.MAX_TOKENS
        else (),
        usage=(fresh, usage.cache_read, usage.output),
    )


def full_name(call: neutral.ToolCall) -> str:
    return f"{call.namespace}.{call.name}" if call.namespace else call.name


def given_to(call: neutral.ToolCall) -> object:
    return call.arguments if call.kind == "custom" else json.loads(call.arguments or "{}")


def pieces(stream: bytes, points: Sequence[float]) -> list[bytes]:
    edges = [0, *sorted(int(point * len(stream)) for point in points), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def converted(
    upstream: ProtocolName, client: ProtocolName, sent: SentRequest, chunks: Sequence[bytes]
) -> bytes:
    conversion = StreamConversion(CODECS[upstream], CODECS[client], sent, request_of(client))
    out = b"".join(conversion.feed(chunk) for chunk in chunks) + conversion.close()
    assert conversion.finished and conversion.failed is None and not conversion.truncated
    return out


def sent_to(upstream: ProtocolName, client: ProtocolName) -> SentRequest:
    return convert_request(request_of(client), CODECS[upstream], Target("told", "issuer"))


# --- the properties -----------------------------------------------------------


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
@settings(max_examples=60)
@given(data=st.data(), points=st.lists(st.floats(0, 1), max_size=12))
def test_a_stream_says_the_same_to_every_client(
    upstream: ProtocolName, client: ProtocolName, data: st.DataObject, points: list[float]
) -> None:
    response = data.draw(replies(client))
    sent = sent_to(upstream, client)
    stream = streamed_by(upstream, as_upstream_reports(response, sent))
    CHECK_STREAM[upstream](records_of(stream))
    out = converted(upstream, client, sent, pieces(stream, points))
    CHECK_STREAM[client](records_of(out))
    assert meaning(read_by(client, out)) == meaning(response)
    assert by_its_sdk(client, out, response) == as_an_sdk_says(client, response)


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_whole_reply_says_the_same_to_every_client(
    upstream: ProtocolName, client: ProtocolName, data: st.DataObject
) -> None:
    response = data.draw(replies(client))
    sent = sent_to(upstream, client)
    reported = as_upstream_reports(response, sent)
    body = CODECS[upstream].encode_response(reported, request_of(upstream))
    stream = streamed_by(upstream, reported)

    def meaning_for_client(reply: bytes, wants_stream: bool) -> dict[str, object]:
        request = replace(request_of(client), stream=wants_stream)
        converted = convert_response(CODECS[upstream], CODECS[client], reply, sent, request)
        assert converted.failed is None
        if wants_stream:
            CHECK_STREAM[client](records_of(converted.body))
            return meaning(read_by(client, converted.body))
        return meaning(folded(CODECS[client].decode_response(converted.body, own_request(client))))

    for reply in (body, stream):
        for wants_stream in (True, False):
            assert meaning_for_client(reply, wants_stream) == meaning(response)


GOLDEN = neutral.Response(
    "id",
    "told",
    (
        neutral.Thinking("Hmm, é"),
        neutral.Text("Look"),
        neutral.ToolCall("call_1", "read", '{"path":"/a b"}'),
        neutral.ToolCall("call_2", "read", '{ "a" : {} }'),
    ),
    StopReason.TOOL_USE,
    neutral.Usage(input=30, cache_read=20, output=9, reasoning=4),
)


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_stream_that_comes_byte_by_byte_says_the_same(upstream: ProtocolName, client: ProtocolName) -> None:
    sent = sent_to(upstream, client)
    stream = streamed_by(upstream, as_upstream_reports(GOLDEN, sent))
    out = converted(upstream, client, sent, [stream[at : at + 1] for at in range(len(stream))])
    CHECK_STREAM[client](records_of(out))
    assert meaning(read_by(client, out)) == meaning(GOLDEN)


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_stream_cut_anywhere_never_looks_complete(upstream: ProtocolName, client: ProtocolName) -> None:
    sent = sent_to(upstream, client)
    stream = streamed_by(upstream, as_upstream_reports(GOLDEN, sent))
    ends = {
        "messages": b"event: message_delta",
        "chat": b'"finish_reason":"',
        "responses": b"event: response.completed",
    }
    complete = stream.rindex(ends[upstream])
    for cut in range(0, complete, 97):
        conversion = StreamConversion(CODECS[upstream], CODECS[client], sent, request_of(client))
        out = conversion.feed(stream[:cut]) + conversion.close()
        assert conversion.failed is not None and conversion.truncated and not conversion.finished
        if conversion.started:
            CHECK_STREAM[client](records_of(out))


LESS_REPORTED = {
    "messages": {},
    "chat": {
        StopReason.STOP_SEQUENCE: StopReason.END_TURN,
        StopReason.PAUSE: StopReason.END_TURN,
        StopReason.CONTEXT_WINDOW: StopReason.MAX_TOKENS,
    },
    "responses": {
        StopReason.STOP_SEQUENCE: StopReason.END_TURN,
        StopReason.PAUSE: StopReason.END_TURN,
        StopReason.CONTEXT_WINDOW: StopReason.MAX_TOKENS,
    },
}
"""stop reasons that a protocol has no word of its own for"""
REASONS = [reason for reason in StopReason if reason not in (StopReason.TOOL_USE, StopReason.COMPACTION)]


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_the_reason_of_the_end_is_reported_as_far_as_there_are_words(
    upstream: ProtocolName, client: ProtocolName, reason: StopReason
) -> None:
    stop = "END" if reason is StopReason.STOP_SEQUENCE else None
    content = (neutral.Refusal("Hi"),) if reason is StopReason.REFUSAL else (neutral.Text("Hi"),)
    reported = neutral.Response("id", "told", content, reason, neutral.Usage(1, output=1), stop)
    sent = sent_to(upstream, client)
    out = converted(upstream, client, sent, [streamed_by(upstream, reported)])
    CHECK_STREAM[client](records_of(out))
    read = read_by(client, out)
    by_upstream = LESS_REPORTED[upstream].get(reason, reason)
    assert read.stop_reason == LESS_REPORTED[client].get(by_upstream, by_upstream)
    assert read.stop_sequence == (stop if upstream == client == "messages" else None)
    said_in_words = "".join(
        block.text for block in read.content if isinstance(block, neutral.Text | neutral.Refusal)
    )
    assert "Hi" in said_in_words


@pytest.mark.parametrize("cut", range(len('{"path":"/a b"}')))
@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_call_that_was_cut_off_is_never_reported_as_complete(
    upstream: ProtocolName, client: ProtocolName, cut: int
) -> None:
    call = neutral.ToolCall("call_1", "read", '{"path":"/a b"}'[:cut])
    reported = replace(
        GOLDEN, content=(call,), stop_reason=StopReason.MAX_TOKENS, incomplete=frozenset({"call_1"})
    )
    sent = sent_to(upstream, client)
    out = converted(upstream, client, sent, [streamed_by(upstream, as_upstream_reports(reported, sent))])
    CHECK_STREAM[client](records_of(out))
    read = read_by(client, out)
    assert read.stop_reason is StopReason.MAX_TOKENS
    calls = [block.arguments for block in read.content if isinstance(block, neutral.ToolCall)]
    assert calls in ([call.arguments], [])
    assert client == "messages" or read.incomplete or not calls
    if client == "responses":
        assert b"response.function_call_arguments.done" not in out


@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_a_request_is_valid_for_every_upstream(upstream: ProtocolName) -> None:
    call = neutral.ToolCall("functions.read:0", "read", '{"path":"/a"}')
    patch = neutral.ToolCall("p" * 80, "apply_patch", "*** Begin Patch", "custom")
    orphan = neutral.ToolResult("nobody", (neutral.Text("lost"),))
    messages = (
        neutral.Message("user", (neutral.Text("please"), neutral.Text(" "))),
        neutral.Message("assistant", (neutral.Thinking("hm"), neutral.Text("Look"), call, patch)),
        neutral.Message("system", (neutral.Text("be brief"),)),
        neutral.Message(
            "user", (neutral.Text("and"), neutral.ToolResult(call.id, (neutral.Text("3C"),)), orphan)
        ),
        neutral.Message("assistant", (call,)),
        neutral.Message("user", (neutral.ToolResult(call.id, (), is_error=True),)),
    )
    request = replace(
        request_of("responses"), messages=messages, system=("Be kind.",), stop=("a", "b", "c", "d", "e")
    )
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer"))
    CHECK_REQUEST[upstream](msgspec.json.decode(sent.body))
    assert sent.input_estimate > 0

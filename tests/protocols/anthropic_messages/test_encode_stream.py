"""Neutral events written as streams that the validators and the official SDK accept."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Delta,
    ErrorType,
    Failed,
    Finished,
    HostedTool,
    Refusal,
    Request,
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
from tests.protocols.anthropic_messages.script import decoded, encoded
from tests.protocols.validators import check_messages_stream, records_of

Events = list[neutral.Event]

USAGE = Usage(input=30, cache_read=20, output=9)
REPORTED = {
    "input_tokens": 30,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 20,
    "output_tokens": 9,
}
SEARCHING = Request("client-model", (), hosted_tools=(HostedTool("web_search"),))
END = Finished(StopReason.END_TURN, USAGE)
USE = Finished(StopReason.TOOL_USE, USAGE)
UNSIGNED = carrier.pack("text", "", {})
FOREIGN = carrier.pack("thinking", "upstream-r", {"signature": "ITEM"})


def call(id: str, name: str, *pieces: str, complete: bool = True) -> Events:
    return [BlockStarted(ToolCall(id, name, "")), *map(Delta, pieces), BlockEnded(complete=complete)]


def text(*pieces: str) -> Events:
    return [BlockStarted(Text("")), *map(Delta, pieces), BlockEnded()]


def thinking(*pieces: str, signature: Signature | None = None) -> Events:
    return [BlockStarted(Thinking("")), *map(Delta, pieces), BlockEnded(signature)]


def shape(stream: bytes) -> list[Any]:
    """The stream in short: block starts, deltas, stops by index; the end with its reason."""
    reported: list[Any] = []
    for record in records_of(stream):
        event = msgspec.json.decode(record.data)
        match event["type"]:
            case "content_block_start":
                block = event["content_block"]
                reported.append(
                    (
                        event["index"],
                        block["type"],
                        *(block[key] for key in ("id", "name", "data") if key in block),
                    )
                )
            case "content_block_delta":
                reported.append((event["index"], next(v for k, v in event["delta"].items() if k != "type")))
            case "content_block_stop":
                reported.append(event["index"])
            case "message_delta":
                reported.append(event["delta"]["stop_reason"])
            case "error":
                reported.append(event["error"])
    return reported


CASES: dict[str, tuple[Events, list[Any]]] = {
    "text": ([*text("a", "b"), END], [(0, "text"), (0, "a"), (0, "b"), 0, "end_turn"]),
    "tools only: no empty text block": (
        [*call("t0", "f", "{}"), USE],
        [(0, "tool_use", "t0", "f"), (0, ""), (0, "{}"), 0, "tool_use"],
    ),
    "text, then a call": (
        [*text("a"), *call("t0", "f", '{"a":', "1}"), USE],
        [
            (0, "text"),
            (0, "a"),
            0,
            (1, "tool_use", "t0", "f"),
            (1, ""),
            (1, '{"a":'),
            (1, "1}"),
            1,
            "tool_use",
        ],
    ),
    "two calls": (
        [*call("t0", "f", '{"a":1}'), *call("t1", "g", '{"b":2}'), USE],
        [
            (0, "tool_use", "t0", "f"),
            (0, ""),
            (0, '{"a":1}'),
            0,
            (1, "tool_use", "t1", "g"),
            (1, ""),
            (1, '{"b":2}'),
            1,
            "tool_use",
        ],
    ),
    "the reason agrees with the calls": (
        [*call("t0", "f"), END],
        [(0, "tool_use", "t0", "f"), (0, ""), 0, "tool_use"],
    ),
    "the reason agrees with no calls": ([*text("a"), USE], [(0, "text"), (0, "a"), 0, "end_turn"]),
    "a call id with forbidden characters": (
        [*call("functions.bash:0", "bash"), USE],
        [(0, "tool_use", "functions_bash_0_8497fe9c", "bash"), (0, ""), 0, "tool_use"],
    ),
    "unsigned thinking gets a mark": (
        [*thinking("T"), *text("a"), END],
        [(0, "thinking"), (0, "T"), (0, UNSIGNED), 0, (1, "text"), (1, "a"), 1, "end_turn"],
    ),
    "foreign signatures travel in a carrier": (
        [*thinking("T", signature=Signature("ITEM", "upstream-r")), END],
        [(0, "thinking"), (0, "T"), (0, FOREIGN), 0, "end_turn"],
    ),
    "a payload that is a carrier stays as it is": (
        [*thinking("T", signature=Signature(carrier.pack("reasoning", "r", {"a": 1}), "r")), END],
        [(0, "thinking"), (0, "T"), (0, carrier.pack("reasoning", "r", {"a": 1})), 0, "end_turn"],
    ),
    "a native signature stays native": (
        [*thinking("T", signature=Signature("NATIVE")), END],
        [(0, "thinking"), (0, "T"), (0, "NATIVE"), 0, "end_turn"],
    ),
    "a signature without text is redacted thinking": (
        [*thinking(signature=Signature("ITEM", "upstream-r")), END],
        [(0, "redacted_thinking", FOREIGN), 0, "end_turn"],
    ),
    "native thinking whose text was kept back": (
        [*thinking(signature=Signature("NATIVE")), END],
        [(0, "thinking"), (0, "NATIVE"), 0, "end_turn"],
    ),
    "native redacted thinking": (
        [*thinking(signature=Signature("redacted:D")), END],
        [(0, "redacted_thinking", "D"), 0, "end_turn"],
    ),
    "empty thinking is not shown": ([*thinking(), *text("a"), END], [(0, "text"), (0, "a"), 0, "end_turn"]),
    "empty text is not shown": ([*text(), *text(""), END], ["end_turn"]),
    "nothing at all": ([END], ["end_turn"]),
    "thinking, text, thinking": (
        [*thinking("T"), *text("a"), *thinking("U"), END],
        [
            (0, "thinking"),
            (0, "T"),
            (0, UNSIGNED),
            0,
            (1, "text"),
            (1, "a"),
            1,
            (2, "thinking"),
            (2, "U"),
            (2, UNSIGNED),
            2,
            "end_turn",
        ],
    ),
    "spaces stay": (
        [*thinking("a ", " b"), END],
        [(0, "thinking"), (0, "a "), (0, " b"), (0, UNSIGNED), 0, "end_turn"],
    ),
    "a call cut off by the limit": (
        [*call("t0", "f", '{"a":', complete=False), Finished(StopReason.MAX_TOKENS, USAGE)],
        [(0, "tool_use", "t0", "f"), (0, ""), (0, '{"a":'), 0, "max_tokens"],
    ),
    "arguments in a string are unwrapped": (
        [*call("t0", "f", '"{\\"a\\"', ':1}"'), USE],
        [(0, "tool_use", "t0", "f"), (0, ""), (0, '{"a":1}'), 0, "tool_use"],
    ),
    "arguments that are no object are wrapped": (
        [*call("t0", "f", "[1,", "2]"), USE],
        [(0, "tool_use", "t0", "f"), (0, ""), (0, '{"_raw":"[1,2]"}'), 0, "tool_use"],
    ),
    "a search that nobody asked for": (
        [BlockStarted(WebSearch("ws_1", "q")), BlockEnded(), *text("a"), END],
        [(0, "text"), (0, "a"), 0, "end_turn"],
    ),
    "an error in the middle": (
        [
            BlockStarted(Text("")),
            Delta("a"),
            BlockEnded(complete=False),
            Failed(WireError(ErrorType.SERVER, "m", 502)),
        ],
        [(0, "text"), (0, "a"), {"type": "api_error", "message": "m"}],
    ),
    "a call that broke off is never ended": (
        [*call("t0", "f", '{"a":', complete=False), Failed(WireError(ErrorType.OVERLOADED, "m", 529))],
        [(0, "tool_use", "t0", "f"), (0, ""), (0, '{"a":'), {"type": "overloaded_error", "message": "m"}],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_events_are_written_block_by_block(name: str) -> None:
    events, expected = CASES[name]
    stream = encoded([Started("x", "m"), *events])
    check_messages_stream(records_of(stream))
    assert shape(stream) == expected


def test_a_text_reply_byte_for_byte() -> None:
    stream = encoded([Started("x", "m", Usage(input=30)), *text('a"\u2028é', "b"), END])
    _, _, message_id = stream.partition(b'"id":"')
    id = message_id.partition(b'"')[0].decode()
    assert id.startswith("msg_")
    assert stream.decode() == (
        "event: message_start\n"
        f'data: {{"type":"message_start","message":{{"id":"{id}","type":"message","role":"assistant",'
        '"model":"client-model","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":30,'
        '"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        "event: content_block_start\n"
        'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        "event: content_block_delta\n"
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\"\\u2028é"}}\n\n'
        "event: content_block_delta\n"
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}\n\n'
        "event: content_block_stop\n"
        'data: {"type":"content_block_stop","index":0}\n\n'
        "event: message_delta\n"
        'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":'
        '{"input_tokens":30,"cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":9}}\n\n'
        "event: message_stop\n"
        'data: {"type":"message_stop"}\n\n'
    )


def end_of(stream: bytes) -> dict[str, Any]:
    events = [msgspec.json.decode(record.data) for record in records_of(stream)]
    return next(event for event in events if event["type"] == "message_delta")


@pytest.mark.parametrize(
    ("started", "finished", "expected"),
    [
        (None, None, dict.fromkeys(REPORTED, 0)),
        (None, USAGE, REPORTED),
        (Usage(input=30, cache_read=20), Usage(output=9), REPORTED),
        (Usage(input=5, output=1), USAGE, REPORTED),
    ],
)
def test_the_end_reports_all_counts(
    started: Usage | None, finished: Usage | None, expected: dict[str, int]
) -> None:
    stream = encoded([Started(usage=started), *text("a"), Finished(StopReason.END_TURN, finished)])
    assert end_of(stream)["usage"] == expected


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        (
            Finished(StopReason.STOP_SEQUENCE, None, "END"),
            {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        ),
        (Finished(StopReason.END_TURN, None, "END"), {"stop_reason": "end_turn", "stop_sequence": None}),
        (Finished(StopReason.PAUSE), {"stop_reason": "pause_turn", "stop_sequence": None}),
        (
            Finished(StopReason.CONTEXT_WINDOW),
            {"stop_reason": "model_context_window_exceeded", "stop_sequence": None},
        ),
    ],
)
def test_stop_reasons_have_this_protocols_words(finished: Finished, expected: dict[str, Any]) -> None:
    assert end_of(encoded([Started(), *text("a"), finished]))["delta"] == expected


def test_a_refusal_is_text_with_its_details_at_the_end() -> None:
    refusal: Events = [BlockStarted(Refusal("")), Delta("I "), Delta("won't."), BlockEnded()]
    stream = encoded([Started(), *refusal, Finished(StopReason.REFUSAL)])
    check_messages_stream(records_of(stream))
    assert shape(stream) == [(0, "text"), (0, "I "), (0, "won't."), 0, "refusal"]
    assert end_of(stream)["delta"]["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I won't.",
    }


def test_a_search_that_the_client_asked_for_is_reported_as_its_own() -> None:
    search = WebSearch("ws_1", "Oslo", (Citation("https://no", "Norway"),))
    cited: Events = [
        BlockStarted(Text("")),
        Delta("3C"),
        Citation("https://no", "Norway", "cold"),
        BlockEnded(),
    ]
    stream = encoded([Started(), BlockStarted(search), BlockEnded(), *cited, END], SEARCHING)
    check_messages_stream(records_of(stream))
    events = [msgspec.json.decode(record.data) for record in records_of(stream)]
    use, found = (
        event["content_block"]
        for event in events
        if event["type"] == "content_block_start" and event["index"] < 2
    )
    assert use == {"type": "server_tool_use", "id": use["id"], "name": "web_search", "input": {}}
    assert found == {
        "type": "web_search_tool_result",
        "tool_use_id": use["id"],
        "content": [
            {
                "type": "web_search_result",
                "url": "https://no",
                "title": "Norway",
                "encrypted_content": "",
                "page_age": None,
            }
        ],
    }
    assert shape(stream)[1] == (0, '{"query":"Oslo"}')
    assert events[-2]["usage"]["server_tool_use"] == {"web_search_requests": 1}
    assert any(event.get("delta", {}).get("type") == "citations_delta" for event in events)


def test_what_is_written_is_read_back() -> None:
    events: Events = [
        *thinking("X", signature=Signature("S")),
        *text("Hi"),
        *call("a", "f", "{}"),
        *call("b", "g", '{"k":', "1}"),
        USE,
    ]
    again = decoded(encoded([Started(usage=Usage(input=30)), *events]))
    # our own issuer is put on what was read as native
    signed = [
        BlockEnded(Signature("S", "upstream-a")) if event == BlockEnded(Signature("S")) else event
        for event in events
    ]
    assert again[1:] == signed


# --- the official SDK ---------------------------------------------------------


class Chunks(httpx2.SyncByteStream):
    def __init__(self, body: bytes, size: int) -> None:
        self.body, self.size = body, size

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]


def sdk_message(stream: bytes, size: int = 50) -> anthropic.types.Message:
    """The message that the official SDK puts together from the stream."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Chunks(stream, size)
        )

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with anthropic.Anthropic(
        api_key="k", base_url="http://upstream", http_client=http, max_retries=0
    ) as client:
        with client.messages.stream(
            model="m", max_tokens=10, messages=[{"role": "user", "content": "x"}]
        ) as reply:
            return reply.get_final_message()


UNREADABLE_FOR_THE_SDK = {
    "a call cut off by the limit",
    "an error in the middle",
    "a call that broke off is never ended",
}


@pytest.mark.parametrize("name", sorted(set(CASES) - UNREADABLE_FOR_THE_SDK))
def test_the_official_sdk_reads_every_stream(name: str) -> None:
    events, _ = CASES[name]
    message = sdk_message(encoded([Started("x", "m"), *events]))
    assert message.usage.input_tokens == 30 and message.usage.output_tokens == 9
    folded: dict[str, str] = {}
    for event in events:
        if isinstance(event, BlockStarted):
            kind = type(event.block).__name__
        elif isinstance(event, Delta):
            folded[kind] = folded.get(kind, "") + event.text
    texts = "".join(block.text for block in message.content if block.type == "text")
    thoughts = "".join(block.thinking for block in message.content if block.type == "thinking")
    assert (texts, thoughts) == (folded.get("Text", ""), folded.get("Thinking", ""))


def test_the_golden_conversation_as_the_sdk_sees_it() -> None:
    events: Events = [
        Started("x", "m"),
        *thinking("X"),
        *text("Hi"),
        *call("a", "f", "{}"),
        *call("b", "g", '{"k":', "1}"),
        Finished(StopReason.TOOL_USE, Usage(input=30, cache_read=20, output=9, reasoning=4)),
    ]
    stream = encoded(events)
    check_messages_stream(records_of(stream))
    message = sdk_message(stream, size=1)
    thought, said, first, second = message.content
    assert thought.type == "thinking" and (thought.thinking, thought.signature) == ("X", UNSIGNED)
    assert said.type == "text" and said.text == "Hi"
    assert first.type == "tool_use" and (first.id, first.name, first.input) == ("a", "f", {})
    assert second.type == "tool_use" and (second.id, second.name, second.input) == ("b", "g", {"k": 1})
    assert message.stop_reason == "tool_use"
    assert (
        message.usage.input_tokens,
        message.usage.cache_read_input_tokens,
        message.usage.output_tokens,
    ) == (30, 20, 9)


def test_keep_alives_are_harmless_anywhere_even_first() -> None:
    encoder = CODEC.stream_encoder(Request("client-model", ()))
    stream = encoder.keep_alive()
    for event in (Started(), *text("a", "b"), END):
        stream += encoder.encode(event) + encoder.keep_alive()
    message = sdk_message(stream)
    assert [block.text for block in message.content if block.type == "text"] == ["ab"]


def test_the_sdk_raises_on_a_broken_stream() -> None:
    stream = encoded([Started(), *text("a"), Failed(WireError(ErrorType.OVERLOADED, "busy", 529))])
    with pytest.raises(anthropic.APIStatusError) as raised:
        sdk_message(stream)
    assert raised.value.body == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}


def test_an_error_before_the_start_is_an_error_event() -> None:
    error = WireError(ErrorType.CONTEXT_OVERFLOW, "too long", 400, tokens=12, limit=10)
    assert (
        encoded([Failed(error)])
        == CODEC.encode_break(error, b"")
        == (
            b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error",'
            b'"message":"prompt is too long: 12 tokens > 10 maximum"}}\n\n'
        )
    )

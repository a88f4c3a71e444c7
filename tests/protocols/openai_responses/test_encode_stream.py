"""Neutral streams as Responses events, held against what Codex and the SDK demand."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral, sse
from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.neutral import (
    BlockEnded,
    BlockStarted,
    Citation,
    Compaction,
    Delta,
    ErrorType,
    Failed,
    Finished,
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
from switchyard.protocols.openai_responses.encode_stream import StreamEncoder
from tests.protocols.validators import check_responses_stream, records_of

REQUEST = Request(
    "wanted", (), echo={"instructions": "Be brief", "temperature": 0.5}, received_at=1_700_000_000
)
OF_CODEX = msgspec.structs.replace(REQUEST, client=ClientProgram.CODEX)
END = Finished(StopReason.END_TURN, Usage(30, 20, output=9, reasoning=4))
CALLED = Finished(StopReason.TOOL_USE, Usage(1, output=1))
CUT = Finished(StopReason.MAX_TOKENS, Usage(1, output=1))
NATIVE = Signature("SIG", "claude")
OWN = Signature(carrier.pack("reasoning", "gpt", {"type": "reasoning", "encrypted_content": "x"}), "gpt")


def block(start: Any, *words: str, **end: Any) -> list[neutral.Event]:
    return [BlockStarted(start), *map(Delta, words), BlockEnded(**end)]


WALKS: dict[str, list[neutral.Event]] = {
    "empty": [END],
    "text": [*block(Text(""), "Hé", "", 'l"lo\n'), END],
    "texts in a row": [*block(Text(""), "a"), *block(Text(""), "b"), END],
    "text after a call": [
        *block(Text(""), "a"),
        *block(ToolCall("c", "f", ""), "{}"),
        *block(Text(""), "b"),
        CALLED,
    ],
    "thinking, text, thinking": [
        *block(Thinking(""), "t"),
        *block(Text(""), "a"),
        *block(Thinking(""), "u"),
        END,
    ],
    "thinking without words": [*block(Thinking("", redacted=True), signature=NATIVE), END],
    "signed thinking": [*block(Thinking(""), "t", signature=NATIVE), *block(Text(""), "a"), END],
    "refusal": [*block(Refusal(""), "No."), Finished(StopReason.REFUSAL)],
    "refusal without words": [Finished(StopReason.REFUSAL)],
    "refusal after a text": [
        *block(Text(""), "Well."),
        *block(Refusal(""), "No."),
        Finished(StopReason.REFUSAL),
    ],
    "text that a filter cut": [*block(Text(""), "a"), Finished(StopReason.REFUSAL)],
    "calls": [
        *block(ToolCall("a", "f", "")),
        *block(ToolCall("b", "g", "", namespace="ns"), '{"k":', "1}"),
        CALLED,
    ],
    "custom call": [*block(ToolCall("c", "apply_patch", "", "custom"), "*** Begin", " Patch"), CALLED],
    "empty custom call": [*block(ToolCall("c", "apply_patch", "", "custom")), CALLED],
    "tool search": [*block(ToolCall("c", "tool_search", "", "tool_search"), '{"query":"x"}'), CALLED],
    "local shell": [*block(ToolCall("c", "local_shell", "", "local_shell"), '{"command":["ls"]}'), CALLED],
    "shell": [*block(ToolCall("c", "shell", "", "shell"), '{"commands":["ls"]}'), CALLED],
    "patch": [
        *block(
            ToolCall("c", "apply_patch", "", "apply_patch"), '{"operation":{"type":"delete_file","path":"x"}}'
        ),
        CALLED,
    ],
    "cut text": [*block(Text(""), "a"), CUT],
    "cut call": [*block(Text(""), "a"), *block(ToolCall("c", "f", ""), '{"a":', complete=False), CUT],
    "cut structured call": [*block(ToolCall("c", "shell", "", "shell"), '{"a":', complete=False), CUT],
    "search": [*block(WebSearch("w", "q", (Citation("https://x"),))), *block(Text(""), "a"), END],
    "compaction": [*block(Compaction("opaque")), Finished(StopReason.COMPACTION)],
    "sources": [
        *block(Text(""), "ab"),
        BlockStarted(Text("")),
        Delta("cd"),
        Citation("https://x", "X"),
        Delta("e"),
        BlockEnded(),
        END,
    ],
    "full window": [*block(Text(""), "a"), Finished(StopReason.CONTEXT_WINDOW)],
    "pause": [*block(Text(""), "a"), Finished(StopReason.PAUSE)],
    "failed at once": [Failed(WireError(ErrorType.SERVER, "boom", 500))],
    "failed in a text": [
        BlockStarted(Text("")),
        Delta("a"),
        BlockEnded(),
        Failed(WireError(ErrorType.SERVER, "boom", 500)),
    ],
    "failed in a call": [
        *block(ToolCall("c", "f", ""), '{"a":', complete=False),
        Failed(WireError(ErrorType.SERVER, "boom", 500)),
    ],
}

BOOM = Failed(WireError(ErrorType.SERVER, "boom", 500))
WALKS |= {
    "broken off in a text": [BlockStarted(Text("")), Delta("a"), BOOM],
    "broken off in a thought": [BlockStarted(Thinking("")), Delta("a"), BOOM],
    "broken off in a call": [BlockStarted(ToolCall("c", "f", "")), Delta("{"), BOOM],
    "broken off in a structured call": [BlockStarted(ToolCall("c", "shell", "", "shell")), Delta("{"), BOOM],
}


def encoded(events: list[neutral.Event], request: Request = REQUEST) -> bytes:
    encoder = StreamEncoder(request)
    return b"".join(encoder.encode(event) for event in [Started("up", "upstream-model"), *events])


def reported(stream: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(record.data) for record in records_of(stream)]


def items_done(stream: bytes) -> list[dict[str, Any]]:
    return [event["item"] for event in reported(stream) if event["type"] == "response.output_item.done"]


def without_ids(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


@pytest.mark.parametrize("walk", WALKS)
def test_every_stream_obeys_the_protocol(walk: str) -> None:
    check_responses_stream(records_of(encoded(WALKS[walk])))
    check_responses_stream(records_of(encoded(WALKS[walk], OF_CODEX)), codex=True)


@pytest.mark.parametrize("walk", WALKS)
def test_life_signs_fit_in_anywhere(walk: str) -> None:
    encoder = StreamEncoder(OF_CODEX)
    stream = encoder.keep_alive()
    for event in WALKS[walk]:
        stream += encoder.encode(event) + encoder.keep_alive()
    check_responses_stream(records_of(stream + encoder.keep_alive()), codex=True)


@pytest.mark.parametrize("walk", WALKS)
def test_nothing_follows_the_end(walk: str) -> None:
    encoder = StreamEncoder(REQUEST)
    for event in WALKS[walk]:
        encoder.encode(event)
    assert [encoder.encode(event) for event in WALKS["empty"]] == [b""]


def test_the_golden_reply() -> None:
    events = reported(
        encoded(
            [
                *block(Thinking(""), "X"),
                *block(Text(""), "Hi"),
                *block(ToolCall("a", "f", ""), "{}"),
                *block(ToolCall("b", "g", ""), '{"k":', "1}"),
                Finished(StopReason.TOOL_USE, Usage(30, 20, output=9, reasoning=4)),
            ]
        )
    )
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in events] == list(range(24))
    response = events[-1]["response"]
    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert response["usage"] == {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 59,
    }


DONE: dict[str, list[dict[str, Any]]] = {
    "custom call": [
        {
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "c",
            "name": "apply_patch",
            "input": "*** Begin Patch",
        }
    ],
    "calls": [
        {"type": "function_call", "status": "completed", "call_id": "a", "name": "f", "arguments": "{}"},
        {
            "type": "function_call",
            "status": "completed",
            "call_id": "b",
            "name": "g",
            "namespace": "ns",
            "arguments": '{"k":1}',
        },
    ],
    "tool search": [
        {
            "type": "tool_search_call",
            "status": "completed",
            "call_id": "c",
            "execution": "client",
            "arguments": {"query": "x"},
        }
    ],
    "local shell": [
        {
            "type": "local_shell_call",
            "status": "completed",
            "call_id": "c",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        }
    ],
    "patch": [
        {
            "type": "apply_patch_call",
            "status": "completed",
            "call_id": "c",
            "operation": {"type": "delete_file", "path": "x"},
        }
    ],
    "refusal": [
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
        }
    ],
    "refusal without words": [],
    "refusal after a text": [
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Well.", "annotations": [], "logprobs": []}],
        },
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
        },
    ],
    "text that a filter cut": [
        {
            "type": "message",
            "status": "incomplete",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
        }
    ],
    "texts in a row": [
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}],
        }
    ],
    "sources": [
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "abcde",
                    "logprobs": [],
                    "annotations": [
                        {
                            "type": "url_citation",
                            "start_index": 2,
                            "end_index": 5,
                            "url": "https://x",
                            "title": "X",
                        }
                    ],
                }
            ],
        }
    ],
    "search": [
        {
            "type": "web_search_call",
            "status": "completed",
            "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://x"}]},
        },
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
        },
    ],
    "compaction": [{"type": "compaction", "encrypted_content": "opaque"}],
    "cut structured call": [],
    "failed in a call": [],
    "failed in a text": [],
}


@pytest.mark.parametrize("walk", DONE)
def test_only_finished_items_are_done(walk: str) -> None:
    assert [without_ids(item) for item in items_done(encoded(WALKS[walk]))] == DONE[walk]


def test_a_cut_call_stands_incomplete_in_an_incomplete_response() -> None:
    stream = encoded(WALKS["cut call"])
    response = reported(stream)[-1]["response"]
    assert [item["type"] for item in items_done(stream)] == ["message"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert without_ids(response["output"][-1]) == {
        "type": "function_call",
        "status": "incomplete",
        "call_id": "c",
        "name": "f",
        "arguments": '{"a":',
    }


def test_the_response_repeats_the_request() -> None:
    response = reported(encoded([END]))[-1]["response"]
    assert {
        name: response[name] for name in ("instructions", "temperature", "model", "created_at", "tools")
    } == {
        "instructions": "Be brief",
        "temperature": 0.5,
        "model": "wanted",
        "created_at": 1_700_000_000,
        "tools": [],
    }


SIGNED = [
    (NATIVE, ("thinking", "claude", {"text": "t", "signature": "SIG", "redacted": False})),
    (OWN, ("reasoning", "gpt", {"type": "reasoning", "encrypted_content": "x"})),
]


@pytest.mark.parametrize(("signature", "expected"), SIGNED)
def test_signatures_travel_in_carriers(signature: Signature, expected: tuple[str, str, Any]) -> None:
    (item,) = items_done(encoded([*block(Thinking(""), "t", signature=signature), END]))
    carried = carrier.unpack(item["encrypted_content"])
    assert carried is not None
    assert (carried.kind, carried.issuer, carried.payload) == expected


def test_unsigned_thinking_has_no_encrypted_content() -> None:
    (item,) = items_done(encoded([*block(Thinking(""), "t"), END]))
    assert without_ids(item) == {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}


CODES = [
    (WireError(ErrorType.CONTEXT_OVERFLOW, "too long", 400), "context_length_exceeded", "too long"),
    (WireError(ErrorType.QUOTA, "used up", 429), "insufficient_quota", "used up"),
    (WireError(ErrorType.BILLING, "no money", 402), "insufficient_quota", "no money"),
    (WireError(ErrorType.OVERLOADED, "busy", 529), "server_is_overloaded", "busy"),
    (WireError(ErrorType.INVALID_REQUEST, "bad", 400), "invalid_prompt", "bad"),
    (WireError(ErrorType.AUTHENTICATION, "key", 401), "invalid_prompt", "key"),
    (WireError(ErrorType.SERVER, "boom", 500), "server_error", "boom"),
    (WireError(ErrorType.TIMEOUT, "slow", 504), "server_error", "slow"),
    (
        WireError(ErrorType.RATE_LIMIT, "Slow down.", 429, retry_after=1.5),
        "rate_limit_exceeded",
        "Slow down. Please try again in 1.5s.",
    ),
]


@pytest.mark.parametrize(("error", "code", "message"), CODES)
def test_a_failure_stops_codex_or_lets_it_retry(error: WireError, code: str, message: str) -> None:
    response = reported(encoded([Failed(error)]))[-1]["response"]
    assert (response["status"], response["error"]) == ("failed", {"code": code, "message": message})


@pytest.mark.parametrize("type", ErrorType)
def test_every_error_can_be_reported(type: ErrorType) -> None:
    check_responses_stream(records_of(encoded([Failed(WireError(type, "m", 500))])))


def test_a_delta_is_one_record() -> None:
    encoder = StreamEncoder(REQUEST)
    encoder.encode(BlockStarted(Text("")))
    (record,) = sse.SseDecoder().feed(encoder.encode(Delta("ü")))
    event = msgspec.json.decode(record.data)
    assert (record.event, event["delta"], event["sequence_number"]) == ("response.output_text.delta", "ü", 4)


@pytest.mark.parametrize("walk", ["refusal without words", "text that a filter cut"])
def test_what_a_filter_stopped_is_incomplete_and_ends_the_turn_of_codex(walk: str) -> None:
    response = reported(encoded(WALKS[walk]))[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == (
        "incomplete",
        {"reason": "content_filter"},
    )
    response = reported(encoded(WALKS[walk], OF_CODEX))[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "invalid_prompt")


def test_codex_gets_a_refusal_as_text() -> None:
    (item,) = items_done(encoded(WALKS["refusal"], OF_CODEX))
    assert [(part["type"], part["text"]) for part in item["content"]] == [("output_text", "No.")]

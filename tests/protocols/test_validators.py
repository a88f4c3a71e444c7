"""The validators find what they are there to find: each fault, put into a sound stream, is seen."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.sse import Record, encode
from tests.protocols.validators import (
    check_chat_request,
    check_chat_stream,
    check_messages_request,
    check_messages_stream,
    check_responses_request,
    check_responses_stream,
    records_of,
)

Json = dict[str, Any]


def records(events: list[Json]) -> list[Record]:
    return records_of(b"".join(encode(msgspec.json.encode(event), event["type"]) for event in events))


COUNTS = {
    "input_tokens": 1,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 1,
}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": COUNTS,
}


def messages_events() -> list[Json]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    return [
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "{}"},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": COUNTS,
        },
        {"type": "message_stop"},
    ]


MESSAGES_FAULTS = {
    "no message_start": lambda events: events.pop(0),
    "two message_start": lambda events: events.insert(1, events[0]),
    "no message_stop": lambda events: events.pop(),
    "two message_delta": lambda events: events.insert(-1, events[-2]),
    "overlapping blocks": lambda events: events.insert(6, events.pop(4)),
    "gap in the indices": lambda events: events[1].update(index=1),
    "delta of another type": lambda events: events[3]["delta"].update(type="thinking_delta"),
    "block never closed": lambda events: events.pop(7),
    "no text in the start": lambda events: events[1]["content_block"].pop("text"),
    "arguments broken": lambda events: events[6]["delta"].update(partial_json="{"),
    "unknown stop_reason": lambda events: events[8]["delta"].update(stop_reason="stop"),
    "end_turn with a call": lambda events: events[8]["delta"].update(stop_reason="end_turn"),
    "usage incomplete": lambda events: events[8].update(usage={"output_tokens": 1}),
    "something after an error": lambda events: events.insert(
        2, {"type": "error", "error": {"type": "api_error", "message": "m"}}
    ),
}


def test_a_sound_messages_stream_passes() -> None:
    check_messages_stream(records(messages_events()))


@pytest.mark.parametrize("fault", MESSAGES_FAULTS)
def test_a_fault_in_a_messages_stream_is_seen(fault: str) -> None:
    events = messages_events()
    MESSAGES_FAULTS[fault](events)
    with pytest.raises((AssertionError, KeyError)):
        check_messages_stream(records(events))


def test_an_event_name_that_differs_from_the_type_is_seen() -> None:
    stream = records(messages_events())
    with pytest.raises(AssertionError, match="differs from type"):
        check_messages_stream([Record(stream[0].data, ""), *stream[1:]])


def chat_chunks() -> list[Any]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": None,
        }

    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return [
        chunk({"role": "assistant", "content": ""}),
        chunk({"tool_calls": [call]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
        chunk({}) | {"choices": [], "usage": usage},
        "[DONE]",
    ]


def chat_records(chunks: list[Any]) -> list[Record]:
    reported = [b"[DONE]" if chunk == "[DONE]" else msgspec.json.encode(chunk) for chunk in chunks]
    return records_of(b"".join(map(encode, reported)))


CHAT_FAULTS = {
    "no [DONE]": lambda chunks: chunks.pop(),
    "no usage": lambda chunks: chunks.pop(4),
    "usage too early": lambda chunks: chunks.insert(3, chunks.pop(4)),
    "no finish_reason": lambda chunks: chunks.pop(3),
    "two finish_reasons": lambda chunks: chunks.insert(3, chunks[3]),
    "role repeated": lambda chunks: chunks.insert(1, chunks[0]),
    "no role": lambda chunks: chunks.pop(0),
    "stop with a call": lambda chunks: chunks[3]["choices"][0].update(finish_reason="stop"),
    "id changes": lambda chunks: chunks[2].update(id="d"),
    "tool index from one": lambda chunks: chunks[1]["choices"][0]["delta"]["tool_calls"][0].update(index=1),
    "no type of call": lambda chunks: chunks[1]["choices"][0]["delta"]["tool_calls"][0].update(type=None),
    "name repeated": lambda chunks: chunks[2]["choices"][0]["delta"]["tool_calls"][0]["function"].update(
        name="f"
    ),
    "something after [DONE]": lambda chunks: chunks.append(chunks[0]),
}


def test_a_sound_chat_stream_passes() -> None:
    check_chat_stream(chat_records(chat_chunks()), include_usage=True)
    with pytest.raises(AssertionError):
        check_chat_stream(chat_records(chat_chunks()), include_usage=False)


@pytest.mark.parametrize("fault", CHAT_FAULTS)
def test_a_fault_in_a_chat_stream_is_seen(fault: str) -> None:
    chunks = chat_chunks()
    CHAT_FAULTS[fault](chunks)
    with pytest.raises((AssertionError, KeyError)):
        check_chat_stream(chat_records(chunks), include_usage=True)


def responses_events() -> list[Json]:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "in_progress",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    empty = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "Hi", "annotations": []}
    item = {**empty, "status": "completed", "content": [part]}
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": ""}
    called = {**call, "arguments": "{}"}
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    }
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    of_call = {"item_id": "fc_1", "output_index": 1}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": "Hi"},
        {"type": "response.output_text.done", **at, "text": "Hi"},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.added", "output_index": 1, "item": call},
        {"type": "response.function_call_arguments.delta", **of_call, "delta": "{}"},
        {"type": "response.function_call_arguments.done", **of_call, "name": "f", "arguments": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": called},
        {
            "type": "response.completed",
            "response": {**response, "status": "completed", "output": [item, called], "usage": usage},
        },
    ]


def responses_records(events: list[Json]) -> list[Record]:
    return records([{"sequence_number": number, **event} for number, event in enumerate(events)])


RESPONSES_FAULTS = {
    "no response.created": lambda events: events.pop(0),
    "no terminal event": lambda events: events.pop(),
    "part never added": lambda events: events.pop(3),
    "item never added": lambda events: events.pop(2),
    "item never done": lambda events: events.pop(7),
    "text never done": lambda events: events.pop(5),
    "text differs from its deltas": lambda events: events[4].update(delta="Ha"),
    "item id changes": lambda events: events[4].update(item_id="msg_2"),
    "gap in the output": lambda events: events[8].update(output_index=2),
    "name missing at the end of a call": lambda events: events[10].pop("name"),
    "output misses an item": lambda events: events[12]["response"]["output"].pop(),
    "usage without details": lambda events: events[12]["response"]["usage"].pop("output_tokens_details"),
    "status differs": lambda events: events[12]["response"].update(status="incomplete"),
    "sequence number repeated": lambda events: events[5].update(sequence_number=4),
    "something after the end": lambda events: events.append(events[1]),
}


def test_a_sound_responses_stream_passes() -> None:
    check_responses_stream(responses_records(responses_events()))


@pytest.mark.parametrize("fault", RESPONSES_FAULTS)
def test_a_fault_in_a_responses_stream_is_seen(fault: str) -> None:
    events = responses_events()
    RESPONSES_FAULTS[fault](events)
    with pytest.raises((AssertionError, KeyError)):
        check_responses_stream(responses_records(events))


SCHEMA = {"type": "object", "properties": {}}


def messages_request() -> Json:
    use = {"type": "tool_use", "id": "call_1", "name": "w", "input": {"city": "Oslo"}}
    return {
        "model": "m",
        "max_tokens": 2000,
        "tools": [{"name": "w", "input_schema": SCHEMA}],
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [{"type": "text", "text": "Look"}, use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "3C"}]},
        ],
    }


def chat_request() -> Json:
    call = {"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    return {
        "model": "m",
        "tools": [{"type": "function", "function": {"name": "w", "parameters": SCHEMA}}],
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "3C"},
        ],
    }


def responses_request() -> Json:
    return {
        "model": "m",
        "tools": [{"type": "function", "name": "w", "parameters": SCHEMA, "strict": False}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "call_1", "name": "w", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "3C"},
        ],
    }


REQUESTS = {
    "messages": (check_messages_request, messages_request),
    "chat": (check_chat_request, chat_request),
    "responses": (check_responses_request, responses_request),
}
REQUEST_FAULTS = [
    ("messages", lambda body: body.pop("max_tokens")),
    ("messages", lambda body: body["messages"].pop(0)),
    ("messages", lambda body: body["messages"].pop(1)),
    ("messages", lambda body: body["messages"][2]["content"].insert(0, {"type": "text", "text": "and"})),
    ("messages", lambda body: body["messages"][2]["content"].append({"type": "text", "text": " "})),
    ("messages", lambda body: body["messages"].append({"role": "assistant", "content": "so "})),
    ("messages", lambda body: body["messages"][1]["content"][1].update(id="a.b")),
    ("messages", lambda body: body.update(thinking={"type": "enabled", "budget_tokens": 2000})),
    ("messages", lambda body: body.update(thinking={"type": "adaptive"}, tool_choice={"type": "any"})),
    ("messages", lambda body: body.update(tool_choice={"type": "tool", "name": "x"})),
    ("messages", lambda body: body["tools"][0].update(input_schema={"anyOf": []})),
    ("messages", lambda body: body["messages"].pop(2)),
    (
        "messages",
        lambda body: (
            body["messages"].append({"role": "assistant", "content": "so"})
            or body.update(thinking={"type": "adaptive"})
        ),
    ),
    ("chat", lambda body: body["messages"].pop(1)),
    ("chat", lambda body: body["messages"].pop(2)),
    ("chat", lambda body: body["messages"].insert(2, {"role": "user", "content": "and"})),
    ("chat", lambda body: body["messages"][0].update(cache_control={})),
    ("chat", lambda body: body.update(tools=[])),
    ("chat", lambda body: body.pop("tools") and body.update(parallel_tool_calls=True)),
    ("chat", lambda body: body.update(stream_options={})),
    ("responses", lambda body: body["tools"][0].pop("strict")),
    ("responses", lambda body: body["input"].pop(3)),
    ("responses", lambda body: body["input"].pop(2)),
    ("responses", lambda body: body["input"][3].update(type="custom_tool_call_output")),
    ("responses", lambda body: body.update(tool_choice={"type": "function", "name": "w", "namespace": "n"})),
    ("responses", lambda body: body.update(stop=["a"])),
    ("responses", lambda body: body["input"].append({"type": "reasoning", "summary": []})),
]


@pytest.mark.parametrize("protocol", REQUESTS)
def test_a_sound_request_passes(protocol: str) -> None:
    check, request = REQUESTS[protocol]
    check(request())


@pytest.mark.parametrize(("protocol", "spoil"), REQUEST_FAULTS)
def test_a_fault_in_a_request_is_seen(protocol: str, spoil: Any) -> None:
    check, request = REQUESTS[protocol]
    body = request()
    spoil(body)
    with pytest.raises((AssertionError, KeyError)):
        check(body)

"""Answers in the shapes that services of the field give: small bodies of our own after public fixtures."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from switchyard.protocols.names import ProtocolName

Body = dict[str, Any]
CITY = '{"city":"Rome"}'
WEATHER = (("weather", {"city": "Rome"}),)
COUNTS: Body = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALLED = MappingProxyType({"messages": "tool_use", "chat": "tool_calls", "responses": "completed"})
ENDED = MappingProxyType({"messages": "end_turn", "chat": "stop", "responses": "completed"})
CUT = MappingProxyType({"messages": "max_tokens", "chat": "length", "responses": "max_output_tokens"})
FILTERED = MappingProxyType({"messages": "refusal", "chat": "content_filter", "responses": "content_filter"})


class Answer(msgspec.Struct, frozen=True):
    """`body`: whole, or the events of a stream. The rest is what every program gets of it."""

    body: Body | list[Body | str]
    text: str = "Hi"
    thinking: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    stop: Mapping[str, str] = ENDED
    losses: tuple[str, ...] = ()
    cites: str = ""

    @property
    def bytes(self) -> bytes:
        if isinstance(self.body, dict):
            return msgspec.json.encode(self.body)
        return "".join(_record(event) for event in self.body).encode()


def _record(event: Body | str) -> str:
    if isinstance(event, str):
        return f"{event}\n\n"
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n"


DONE = "data: [DONE]"


def whole(finish: str = "stop", /, about: Body | None = None, **message: Any) -> Body:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "finish_reason": finish,
        "logprobs": None,
    }
    return {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [choice],
        "usage": COUNTS,
        **(about or {}),
    }


def call(**more: Any) -> Body:
    return {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": CITY}, **more}


def chunk(
    finish: str | None = None, /, about: Body | None = None, beside: Body | None = None, **delta: Any
) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **(beside or {})}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **(about or {})}


USED: Body = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [], "usage": COUNTS}


def message(*content: Body, stop: str = "end_turn", **more: Any) -> Body:
    usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": "standard"}
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return {**about, "content": list(content), "stop_reason": stop, "usage": usage, **more}


def start(**more: Any) -> Body:
    return {"type": "message_start", "message": {**message(), "stop_reason": None, **more}}


def block(index: int, opened: Body, *deltas: Body) -> list[Body | str]:
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text_block(index: int, *words: str) -> list[Body | str]:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": word} for word in words)
    )


def stopped(reason: str = "end_turn", **more: Any) -> list[Body | str]:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


USE: Body = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
OPEN_USE: Body = {**USE, "input": {}}


def pieces(*arguments: str) -> list[Body]:
    return [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]


def response(*output: Body, **more: Any) -> Body:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    about = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    return {
        **about,
        "error": None,
        "incomplete_details": None,
        "output": list(output),
        "usage": usage,
        **more,
    }


def said(words: str = "Hi", **more: Any) -> Body:
    part = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
        **more,
    }


FUNCTION_CALL: Body = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": CITY,
    "status": "completed",
}


def created(**more: Any) -> Body:
    return {
        "type": "response.created",
        "sequence_number": 0,
        "response": response(status="in_progress", **more),
    }


def added(index: int, item: Body) -> Body:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Body) -> Body:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(words: str, index: int = 0, id: str = "msg_1") -> Body:
    about = {"item_id": id, "output_index": index, "content_index": 0}
    return {"type": "response.output_text.delta", **about, "delta": words}


def completed(*output: Body, **more: Any) -> Body:
    return {"type": "response.completed", "response": response(*output, **more)}


ANSWERS: dict[ProtocolName, dict[str, Answer]] = {
    "chat": {
        "all fields of the newest service": Answer(
            whole(
                content="Hi",
                refusal=None,
                annotations=[],
                audio=None,
                function_call=None,
                tool_calls=None,
                about={"service_tier": "default", "system_fingerprint": "fp_1", "moderation": None},
            )
        ),
        "filters beside the choice": Answer(
            whole(
                content="Hi",
                about={"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            )
        ),
        "a call, with an empty text": Answer(
            whole("tool_calls", content="", tool_calls=[call(index=0)]), text="", calls=WEATHER, stop=CALLED
        ),
        "a call that ends regularly": Answer(
            whole("stop", content=None, tool_calls=[call()]), text="", calls=WEATHER, stop=CALLED
        ),
        "arguments as an object": Answer(
            whole(
                "tool_calls", tool_calls=[call(function={"name": "weather", "arguments": {"city": "Rome"}})]
            ),
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "the function of the old interface": Answer(
            whole("function_call", content=None, function_call={"name": "weather", "arguments": CITY}),
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "reasoning under two names": Answer(
            whole(content="Hi", reasoning="Hm.", reasoning_content="Hm.", reasoning_details=[]),
            thinking="Hm.",
        ),
        "reasoning in details alone": Answer(
            whole(
                content="Hi",
                reasoning_details=[
                    {
                        "type": "reasoning.summary",
                        "summary": "Hm.",
                        "format": "openai-responses-v1",
                        "index": 0,
                    },
                    {
                        "type": "reasoning.encrypted",
                        "data": "gAAAAA",
                        "format": "openai-responses-v1",
                        "index": 1,
                    },
                ],
            ),
            thinking="Hm.",
        ),
        "reasoning as a part with a summary": Answer(
            whole(
                content=[
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
                    {"type": "text", "text": "Hi"},
                ]
            ),
            thinking="Hm.",
        ),
        "reasoning as parts within a part": Answer(
            whole(
                content=[
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True},
                    {"type": "text", "text": "Hi"},
                ]
            ),
            thinking="Hm.",
        ),
        "blocks of thinking beside their text": Answer(
            whole(
                content="Hi",
                reasoning_content="Hm.",
                thinking_blocks=[{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
                provider_specific_fields={"citations": None},
            ),
            thinking="Hm.",
        ),
        "blocks of thinking alone": Answer(
            whole(
                content="Hi", thinking_blocks=[{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
            ),
            thinking="Hm.",
        ),
        "sources of the whole answer": Answer(
            whole(
                content="Hi",
                about={"citations": ["https://example.org"], "search_results": [{"title": "t", "url": "u"}]},
            ),
            cites="https://example.org",
        ),
        "a stop sequence by name": Answer(whole("stop_sequence", content="Hi")),
        "an end of the sequence": Answer(whole("eos", content="Hi")),
        "the limit under another name": Answer(whole("max_tokens", content="Hi"), stop=CUT),
        "a filter after the text": Answer(whole("content_filter", content="Hi"), stop=FILTERED),
        "no usage at all": Answer({**whole(content="Hi"), "usage": None}),
        "a completion of the oldest interface": Answer(
            {
                "id": "c",
                "object": "text_completion",
                "model": "m",
                "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop", "logprobs": None}],
                "usage": COUNTS,
            }
        ),
        "stream: filters before the first chunk": Answer(
            [
                {
                    "choices": [],
                    "created": 0,
                    "id": "",
                    "model": "",
                    "object": "",
                    "prompt_filter_results": [],
                },
                chunk(role="assistant", content=""),
                chunk(content="Hi", beside={"content_filter_results": {"hate": {"filtered": False}}}),
                chunk("stop"),
                USED,
                DONE,
            ]
        ),
        "stream: comments and a reason of its own": Answer(
            [
                ": OPENROUTER PROCESSING",
                chunk(role="assistant", content="Hi", about={"provider": "p"}),
                ": OPENROUTER PROCESSING",
                chunk("stop", role="assistant", content="", beside={"native_finish_reason": "end_turn"}),
                {**chunk(role="assistant", content=""), "usage": {**COUNTS, "cost": 0.1, "is_byok": False}},
                DONE,
            ]
        ),
        "stream: details of reasoning": Answer(
            [
                chunk(
                    role="assistant",
                    content="",
                    reasoning="Hm.",
                    reasoning_details=[{"type": "reasoning.text", "text": "Hm.", "index": 0}],
                ),
                chunk(role="assistant", content="Hi", reasoning=None),
                chunk("stop"),
                DONE,
            ],
            thinking="Hm.",
        ),
        "stream: usage of a fast service": Answer(
            [
                chunk(role="assistant", content="", about={"x_groq": {"id": "req_1"}}),
                chunk(content="Hi"),
                chunk("stop", about={"x_groq": {"id": "req_1", "usage": COUNTS}}),
                DONE,
            ]
        ),
        "stream: padding and parts": Answer(
            [
                chunk(
                    role="assistant",
                    content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}],
                ),
                chunk(content=[{"type": "text", "text": "Hi"}], about={"p": "abcd"}),
                {**chunk("stop", content=""), "usage": COUNTS},
                DONE,
            ],
            thinking="Hm.",
        ),
        "stream: a whole call in one chunk without an index": Answer(
            [chunk(role="assistant", tool_calls=[call()]), chunk("tool_calls", content=""), DONE],
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "stream: two whole calls under one index": Answer(
            [
                chunk(
                    "stop", role="assistant", tool_calls=[call(index=0), {**call(index=0), "id": "call_2"}]
                ),
                DONE,
            ],
            text="",
            calls=WEATHER * 2,
            stop=CALLED,
        ),
        "stream: the call's name and id in every chunk": Answer(
            [
                chunk(
                    role="assistant",
                    tool_calls=[call(index=0, function={"name": "weather", "arguments": ""})],
                ),
                chunk(tool_calls=[call(index=0, function={"name": "weather", "arguments": '{"city":'})]),
                chunk(tool_calls=[call(index=0, function={"name": "weather", "arguments": '"Rome"}'})]),
                chunk("tool_calls"),
                DONE,
            ],
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "stream: members of the call that are null": Answer(
            [
                chunk(
                    role="assistant",
                    content=None,
                    tool_calls=[call(index=0, function={"name": "weather", "arguments": ""})],
                ),
                chunk(
                    role=None,
                    content=None,
                    function_call=None,
                    tool_calls=[
                        {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": CITY}}
                    ],
                ),
                chunk("tool_calls", role=None, content=None, function_call=None, tool_calls=None),
                DONE,
            ],
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "stream: timings of a local server": Answer(
            [
                chunk(role="assistant", content=None),
                chunk(content="Hi"),
                {**chunk("stop"), "timings": {"prompt_n": 10, "cache_n": 0, "predicted_n": 5}},
                DONE,
            ]
        ),
        "stream: what a local server adds": Answer(
            [
                chunk(role="assistant", content="", beside={"logprobs": None, "token_ids": None}),
                chunk(content="Hi", beside={"matched_stop": None}),
                chunk("stop", content="", beside={"stop_reason": None, "matched_stop": 151645}),
                {**USED, "metadata": {"weight_version": "default"}},
                DONE,
            ]
        ),
        "stream: the whole message in every chunk": Answer(
            [
                chunk(
                    role="assistant", content="H", beside={"message": {"role": "assistant", "content": "H"}}
                ),
                chunk(
                    role="assistant", content="i", beside={"message": {"role": "assistant", "content": "Hi"}}
                ),
                chunk("stop", content="", beside={"message": {"role": "assistant", "content": "Hi"}}),
                DONE,
            ]
        ),
        "stream: sources in every chunk": Answer(
            [
                chunk(role="assistant", content="Hi", about={"citations": ["https://example.org"]}),
                chunk("stop", content="", about={"citations": ["https://example.org"]}),
                DONE,
            ],
            cites="https://example.org",
        ),
        "stream: annotations of a search": Answer(
            [
                chunk(role="assistant", content="Hi"),
                chunk(
                    annotations=[
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://example.org",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 2,
                            },
                        }
                    ]
                ),
                chunk("stop"),
                DONE,
            ],
            cites="https://example.org",
        ),
        "stream: usage in the choice": Answer(
            [chunk(role="assistant", content="Hi"), chunk("stop", beside={"usage": COUNTS}), DONE]
        ),
        "stream: no sentinel": Answer([chunk(role="assistant", content="Hi"), chunk("stop"), USED]),
    },
    "messages": {
        "all fields of the newest service": Answer(
            message(
                {"type": "text", "text": "Hi", "citations": None},
                container=None,
                context_management={"applied_edits": []},
                stop_details=None,
                diagnostics=None,
            )
        ),
        "a call by a program": Answer(
            message({**USE, "caller": {"type": "direct"}}, stop="tool_use"),
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "a refusal without content": Answer(
            message(
                stop="refusal",
                stop_details={"type": "refusal", "category": "cyber", "explanation": "No."},
            ),
            text="No.",
            stop={"messages": "refusal", "chat": "stop", "responses": "completed"},
        ),
        "a refusal without details": Answer(
            message(stop="refusal", stop_details=None), text="", stop=FILTERED
        ),
        "the window is full": Answer(
            message({"type": "text", "text": "Hi"}, stop="model_context_window_exceeded"),
            stop={**CUT, "messages": "model_context_window_exceeded"},
        ),
        "another model took over": Answer(
            message(
                {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
                {"type": "text", "text": "Hi"},
            ),
            losses=("content.fallback",),
        ),
        "work of the service": Answer(
            message(
                {
                    "type": "server_tool_use",
                    "id": "srvtoolu_1",
                    "name": "bash_code_execution",
                    "input": {"command": "ls"},
                },
                {
                    "type": "bash_code_execution_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": {
                        "type": "bash_code_execution_result",
                        "stdout": "a",
                        "stderr": "",
                        "return_code": 0,
                    },
                },
                {"type": "text", "text": "Hi"},
            ),
            losses=("content.bash_code_execution", "content.bash_code_execution_tool_result"),
        ),
        "advice": Answer(
            message(
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "advisor", "input": {}},
                {
                    "type": "advisor_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": {"type": "advisor_result", "text": "Do it.", "stop_reason": "end_turn"},
                },
                {"type": "text", "text": "Hi"},
            ),
            losses=("content.advisor", "content.advisor_tool_result"),
        ),
        "a citation of a document": Answer(
            message(
                {
                    "type": "text",
                    "text": "Hi",
                    "citations": [
                        {
                            "type": "char_location",
                            "cited_text": "Grass",
                            "document_index": 0,
                            "document_title": "Facts",
                            "start_char_index": 0,
                            "end_char_index": 5,
                        }
                    ],
                }
            ),
            losses=("citations",),
        ),
        "stream: the usual one": Answer(
            [
                start(),
                *block(
                    0,
                    {"type": "thinking", "thinking": "", "signature": ""},
                    {"type": "thinking_delta", "thinking": "Hm."},
                    {"type": "signature_delta", "signature": "c2lnbmF0dXJl"},
                ),
                {"type": "ping"},
                *text_block(1, "H", "i"),
                *stopped(stop_details=None, container=None),
            ],
            thinking="Hm.",
        ),
        "stream: an empty first piece and quotes in pieces": Answer(
            [
                start(),
                *block(
                    0,
                    {**OPEN_USE, "caller": {"type": "direct"}},
                    *pieces("", '{"ci', 'ty": "R\\"', 'ome"', "}"),
                ),
                *stopped("tool_use"),
            ],
            text="",
            calls=(("weather", {"city": 'R"ome'}),),
            stop=CALLED,
        ),
        "stream: a call without arguments": Answer(
            [start(), *block(0, {**OPEN_USE, "name": "now"}, *pieces("")), *stopped("tool_use")],
            text="",
            calls=(("now", {}),),
            stop=CALLED,
        ),
        "stream: content in the first event": Answer(
            [
                start(content=[{"type": "text", "text": "Hi"}, USE], stop_reason="tool_use"),
                {"type": "message_stop"},
            ],
            calls=WEATHER,
            stop=CALLED,
        ),
        "stream: the input in the start of its block": Answer(
            [start(), *block(0, USE), *stopped("tool_use")], text="", calls=WEATHER, stop=CALLED
        ),
        "stream: another model takes over": Answer(
            [
                start(),
                *block(0, {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}),
                *text_block(1, "Hi"),
                *stopped(),
            ],
            losses=("content.fallback",),
        ),
        "stream: the words in the start of their block": Answer(
            [start(), *block(0, {"type": "text", "text": "Hi"}), *stopped()]
        ),
        "stream: no reason but the last event": Answer(
            [start(), *text_block(0, "Hi"), {"type": "message_stop"}]
        ),
        "stream: usage only at the end": Answer(
            [
                start(usage={"input_tokens": 0, "output_tokens": 0}),
                *text_block(0, "Hi"),
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0},
                },
                {"type": "message_stop"},
            ]
        ),
        "stream: a sentinel of Chat at the end": Answer([start(), *text_block(0, "Hi"), *stopped(), DONE]),
    },
    "responses": {
        "all fields of the newest service": Answer(
            response(
                said(phase="final_answer"), billing={"payer": "developer"}, background=False, moderation=None
            )
        ),
        "a call with a caller": Answer(
            response({**FUNCTION_CALL, "caller": {"type": "direct"}, "namespace": None}),
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "reasoning with its text": Answer(
            response(
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "Hm."}],
                    "encrypted_content": None,
                    "status": None,
                },
                said(),
            ),
            thinking="Hm.",
        ),
        "texts in two parts": Answer(
            response(
                said(content=[{"type": "output_text", "text": "H"}, {"type": "output_text", "text": "i"}])
            )
        ),
        "the limit": Answer(
            response(said(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            stop=CUT,
        ),
        "a filter": Answer(
            response(said(), status="incomplete", incomplete_details={"reason": "content_filter"}),
            stop=FILTERED,
        ),
        "a program and its call": Answer(
            response(
                {"type": "program", "id": "cm_1", "call_id": "call_9", "code": "x", "fingerprint": "gAAAAA"},
                FUNCTION_CALL,
            ),
            text="",
            calls=WEATHER,
            stop=CALLED,
            losses=("content.program",),
        ),
        "work of the service": Answer(
            response(
                {
                    "type": "code_interpreter_call",
                    "id": "ci_1",
                    "status": "completed",
                    "code": "1",
                    "outputs": None,
                },
                {
                    "type": "mcp_call",
                    "id": "mcp_1",
                    "server_label": "s",
                    "name": "e",
                    "arguments": "{}",
                    "output": "1",
                },
                said(),
            ),
            losses=("content.code_interpreter_call", "content.mcp_call"),
        ),
        "an image": Answer(
            response(
                {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
                said(),
            ),
            losses=("content.image_generation_call",),
        ),
        "stream: another id in every event": Answer(
            [
                created(id="a"),
                {"type": "response.in_progress", "response": response(status="in_progress", id="b")},
                added(0, {"type": "reasoning", "id": "c", "summary": [], "encrypted_content": None}),
                {
                    "type": "response.reasoning_summary_text.delta",
                    "item_id": "d",
                    "output_index": 0,
                    "summary_index": 0,
                    "delta": "Hm.",
                },
                done(
                    0, {"type": "reasoning", "id": "e", "summary": [{"type": "summary_text", "text": "Hm."}]}
                ),
                added(1, said(content=[], status="in_progress", id="f")),
                delta("H", 1, "g"),
                delta("i", 1, "h"),
                done(1, said(id="i")),
                completed(
                    {"type": "reasoning", "id": "j", "summary": [{"type": "summary_text", "text": "Hm."}]},
                    said(id="k"),
                    id="l",
                ),
            ],
            thinking="Hm.",
        ),
        "stream: only the last event": Answer([completed(said())]),
        "stream: items that are only done": Answer(
            [created(), done(0, FUNCTION_CALL), completed(FUNCTION_CALL)], text="", calls=WEATHER, stop=CALLED
        ),
        "stream: arguments at once": Answer(
            [
                created(),
                added(0, {**FUNCTION_CALL, "arguments": "", "status": "in_progress"}),
                {
                    "type": "response.function_call_arguments.done",
                    "item_id": "fc_1",
                    "output_index": 0,
                    "arguments": CITY,
                },
                done(0, FUNCTION_CALL),
                completed(FUNCTION_CALL),
            ],
            text="",
            calls=WEATHER,
            stop=CALLED,
        ),
        "stream: no output at the end": Answer(
            [created(), added(0, said(content=[])), delta("Hi"), done(0, said()), completed()]
        ),
        "stream: keep-alives": Answer(
            [
                created(),
                {"type": "keepalive", "sequence_number": 1},
                added(0, said(content=[])),
                delta("Hi"),
                done(0, said()),
                completed(said()),
            ]
        ),
        "stream: usage without details": Answer(
            [
                created(),
                added(0, said(content=[])),
                delta("Hi"),
                done(0, said()),
                completed(said(), usage=None),
            ]
        ),
    },
}

"""Chat requests, decoded from clients and encoded for upstreams of every capability."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.neutral import (
    Document,
    HostedTool,
    Image,
    Loss,
    Message,
    OutputFormat,
    Reasoning,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from switchyard.protocols.openai_chat.decode_request import decode_request
from switchyard.protocols.openai_chat.encode_request import encode_request
from tests.protocols.validators import check_chat_request

HELLO = [{"role": "user", "content": "hi"}]
SAID_HELLO = (Message("user", (Text("hi"),)),)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("w", "d", SCHEMA)
WIRE_WEATHER = {"type": "function", "function": {"name": "w", "description": "d", "parameters": SCHEMA}}


def read(**fields: Any) -> neutral.Request:
    return decode_request(msgspec.json.encode({"model": "m", "messages": HELLO, **fields}))


def read_messages(*messages: dict[str, Any]) -> neutral.Request:
    return read(messages=list(messages))


@pytest.mark.parametrize(
    ("call", "read_as"),
    [
        (
            {
                "type": "function",
                "function": {"name": "w", "arguments": "{}"},
                "custom": {"name": "", "input": ""},
            },
            ToolCall("1", "w", "{}"),
        ),
        (
            {
                "type": "custom",
                "custom": {"name": "p", "input": "x"},
                "function": {"name": "", "arguments": ""},
            },
            ToolCall("1", "p", "x", "custom"),
        ),
        ({"custom": {}, "function": {"name": "w", "arguments": "{}"}}, ToolCall("1", "w", "{}")),
        (
            {"type": "function", "function": {}, "custom": {"name": "p", "input": "x"}},
            ToolCall("1", "p", "x", "custom"),
        ),
    ],
)
def test_an_empty_member_of_a_call_hides_nothing(call: dict[str, Any], read_as: ToolCall) -> None:
    request = read_messages({"role": "assistant", "tool_calls": [{"id": "1", **call}]})
    assert request.messages == (Message("assistant", (read_as,)),)


def asked(*messages: Message, **fields: Any) -> neutral.Request:
    return neutral.Request("m", messages or SAID_HELLO, **fields)


def written(request: neutral.Request, model: str = "m", **capabilities: Any) -> dict[str, Any]:
    sent = encode_request(request, Target(model, "issuer", Capabilities(**capabilities)))
    body: dict[str, Any] = msgspec.json.decode(sent.body)
    check_chat_request(body)
    return body


def losses(request: neutral.Request, **capabilities: Any) -> list[str]:
    sent = encode_request(request, Target("m", "issuer", Capabilities(**capabilities)))
    return [loss.field for loss in sent.losses]


# --- one conversation ---------------------------------------------------------

WIRE_GOLDEN = {
    "model": "m",
    "max_completion_tokens": 100,
    "reasoning_effort": "medium",
    "tools": [WIRE_WEATHER],
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": "Look",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "w", "arguments": '{"city":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "3C"},
    ],
}
GOLDEN = neutral.Request(
    "m",
    (
        Message("user", (Text("weather?"),)),
        Message(
            "assistant",
            (Thinking("T", Signature("SIG")), Text("Look"), ToolCall("call_1", "w", '{"city":"Oslo"}')),
        ),
        Message("user", (ToolResult("call_1", (Text("3C"),)),)),
    ),
    system=("S",),
    tools=(WEATHER,),
    max_tokens=100,
    reasoning=Reasoning(effort="medium"),
)


def test_one_conversation_is_encoded_and_decoded() -> None:
    assert written(GOLDEN, max_tokens_field="max_completion_tokens") == WIRE_GOLDEN
    call = GOLDEN.messages[1].content[1:]
    unthought = (GOLDEN.messages[0], Message("assistant", call), GOLDEN.messages[2])
    assert decode_request(msgspec.json.encode(WIRE_GOLDEN)) == replace(GOLDEN, messages=unthought)


def test_the_same_request_gives_the_same_bytes() -> None:
    first, second = (encode_request(GOLDEN, Target("m", "issuer")) for _ in range(2))
    assert first.body == second.body


# --- reading ------------------------------------------------------------------

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the newer limit counts": ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
    "the older limit": ({"max_tokens": 9}, {"max_tokens": 9}),
    "sampling": (
        {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 1},
        {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 1},
    ),
    "penalties": (
        {"frequency_penalty": 1, "presence_penalty": -1, "logit_bias": {"5": 1}},
        {"frequency_penalty": 1, "presence_penalty": -1, "logit_bias": {"5": 1}},
    ),
    "one stop": ({"stop": "END"}, {"stop": ("END",)}),
    "stops": ({"stop": ["A", "B"]}, {"stop": ("A", "B")}),
    "stream": (
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "include_usage": True},
    ),
    "stream without usage": ({"stream": True, "stream_options": None}, {"stream": True}),
    "effort": ({"reasoning_effort": "xhigh"}, {"reasoning": Reasoning(effort="xhigh")}),
    "thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"reasoning": Reasoning(enabled=True, budget_tokens=2000)},
    ),
    "thinking in a form of its own": ({"thinking": {"type": "auto"}, "reasoning_effort": "default"}, {}),
    "thinking as a switch": (
        {"thinking": True, "enable_thinking": False},
        {"reasoning": Reasoning(enabled=False)},
    ),
    "thinking off": ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    "reasoning": ({"reasoning": {"effort": "low"}}, {"reasoning": Reasoning(effort="low")}),
    "template": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"reasoning": Reasoning(enabled=False)},
    ),
    "json object": (
        {"response_format": {"type": "json_object"}},
        {"output_format": OutputFormat("json_object")},
    ),
    "text format": ({"response_format": {"type": "text"}}, {}),
    "json schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
            }
        },
        {"output_format": OutputFormat("json_schema", "n", SCHEMA, True)},
    ),
    "identities": (
        {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"},
        {"user_id": "s", "session_id": "k"},
    ),
    "extras": (
        {"verbosity": "low", "service_tier": "flex", "metadata": {"a": "b"}},
        {"verbosity": "low", "service_tier": "flex", "metadata": {"a": "b"}},
    ),
    "tools": ({"tools": [WIRE_WEATHER]}, {"tools": (WEATHER,)}),
    "strict tool": (
        {"tools": [{"type": "function", "function": {"name": "w", "strict": True}}]},
        {"tools": (Tool("w", strict=True),)},
    ),
    "custom tool": (
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "p",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "start: x"},
                        },
                    },
                }
            ]
        },
        {"tools": (Tool("p", kind="custom", grammar=("lark", "start: x")),)},
    ),
    "deprecated functions": (
        {
            "functions": [{"name": "w", "description": "d", "parameters": SCHEMA}],
            "function_call": {"name": "w"},
        },
        {"tools": (WEATHER,), "tool_choice": ToolChoice("named", "w")},
    ),
    "deprecated choice": ({"function_call": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice auto": ({"tool_choice": "auto"}, {"tool_choice": ToolChoice("auto")}),
    "choice required": ({"tool_choice": "required"}, {"tool_choice": ToolChoice("required")}),
    "choice none": ({"tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice function": (
        {"tool_choice": {"type": "function", "function": {"name": "w"}}},
        {"tool_choice": ToolChoice("named", "w")},
    ),
    "choice custom": (
        {"tool_choice": {"type": "custom", "custom": {"name": "p"}}},
        {"tool_choice": ToolChoice("named", "p")},
    ),
    "choice allowed": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "w"}}],
                },
            }
        },
        {"tool_choice": ToolChoice("required", allowed=("w",))},
    ),
    "one call at a time": ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    "web search": (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
            }
        },
        {
            "hosted_tools": (
                HostedTool("web_search", {"user_location": {"city": "Oslo"}, "search_context_size": "low"}),
            )
        },
    ),
    "one choice": ({"n": 1}, {}),
    "what is lost is said": (
        {"prediction": {"type": "content", "content": "x"}, "logprobs": True, "store": False},
        {
            "losses": (
                Loss("prediction", "no other protocol has it"),
                Loss("logprobs", "no other protocol has it"),
            )
        },
    ),
}


@pytest.mark.parametrize("fields, expected", FIELDS.values(), ids=FIELDS)
def test_fields_are_decoded(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(**fields) == asked(**expected)


MESSAGES: dict[str, tuple[list[dict[str, Any]], tuple[str, ...], tuple[Message, ...]]] = {
    "leading instructions": (
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            *HELLO,
        ],
        ("a", "b"),
        SAID_HELLO,
    ),
    "later instructions": (
        [*HELLO, {"role": "developer", "content": "b"}],
        (),
        (*SAID_HELLO, Message("system", (Text("b"),))),
    ),
    "parts": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/jpeg;base64,{PNG}", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    {
                        "type": "file",
                        "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
                    },
                    {"type": "file", "file": {"filename": "f.txt", "file_data": "data:text/csv;base64,YSxi"}},
                ],
            }
        ],
        (),
        (
            Message(
                "user",
                (
                    Text("a"),
                    Image("image/png", PNG, detail="low"),
                    Image(url="https://x/y.png"),
                    Document("application/pdf", "JVBERi0x", title="f.pdf"),
                    Document("text/plain", "a,b", title="f.txt"),
                ),
            ),
        ),
    ),
    "a whole turn": (
        [
            {
                "role": "assistant",
                "reasoning_content": "t",
                "content": "a",
                "refusal": "no",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "w", "arguments": ""}},
                    {"id": "2", "type": "custom", "custom": {"name": "p", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "r"}]},
            {"role": "tool", "tool_call_id": "2", "content": "s"},
        ],
        (),
        (
            Message(
                "assistant",
                (
                    Thinking("t"),
                    Text("a"),
                    neutral.Refusal("no"),
                    ToolCall("1", "w", "{}"),
                    ToolCall("2", "p", "x", "custom"),
                ),
            ),
            Message("user", (ToolResult("1", (Text("r"),)),)),
            Message("user", (ToolResult("2", (Text("s"),), kind="custom"),)),
        ),
    ),
    "deprecated calls": (
        [
            {"role": "assistant", "content": None, "function_call": {"name": "w", "arguments": "{}"}},
            {"role": "function", "name": "w", "content": "r"},
        ],
        (),
        (
            Message("assistant", (ToolCall("call_1", "w", "{}"),)),
            Message("user", (ToolResult("call_1", (Text("r"),)),)),
        ),
    ),
}


@pytest.mark.parametrize("messages, system, expected", MESSAGES.values(), ids=MESSAGES)
def test_messages_are_decoded(
    messages: list[dict[str, Any]], system: tuple[str, ...], expected: tuple[Message, ...]
) -> None:
    request = read_messages(*messages)
    assert (request.system, request.messages) == (system, expected)


def test_names_of_speakers_are_a_loss() -> None:
    request = read_messages({"role": "user", "name": "bob", "content": "hi"})
    assert request.losses == (Loss("messages.name", "only Chat names the speakers"),)


AUDIO_PART = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.mark.parametrize(
    "fields, param",
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "bot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [AUDIO_PART]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0].file",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "zzz"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "audio"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": {}, "functions": 5}, "functions"),
        ({"tool_choice": "zzz"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'"\xff"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_request(body)


# --- writing fields -----------------------------------------------------------


@pytest.mark.parametrize(
    "fields, capabilities, expected",
    [
        ({"max_tokens": 5}, {}, {"max_tokens": 5}),
        ({"max_tokens": 5}, {"max_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 5}),
        ({"max_tokens": 9}, {"max_output_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 0}, {}, {"max_tokens": 1}),
        ({"temperature": 1.5, "top_p": 0.9}, {}, {"temperature": 1.5, "top_p": 0.9}),
        ({"temperature": 1.5}, {"max_temperature": 1.0}, {"temperature": 1.0}),
        ({"temperature": 1.5, "top_p": 0.9}, {"sampling": False}, {}),
        ({"top_k": 3}, {}, {"top_k": 3}),
        ({"top_k": 3}, {"top_k": False}, {}),
        ({"stream": True}, {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True}, {"include_usage": False}, {"stream": True}),
        ({"stream": True}, {"streams": False}, {}),
        ({}, {"stream_only": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stop": ("A", "B")}, {}, {"stop": ["A", "B"]}),
        ({"session_id": "s"}, {}, {"prompt_cache_key": "s"}),
        ({"session_id": "s"}, {"prompt_cache_key": False}, {}),
        ({"user_id": "u", "verbosity": "low"}, {}, {"safety_identifier": "u", "verbosity": "low"}),
        ({"user_id": "u", "verbosity": "low"}, {"openai_extras": False}, {}),
        ({"service_tier": "auto"}, {}, {}),
        ({"service_tier": "standard_only"}, {}, {"service_tier": "default"}),
        ({"service_tier": "flex"}, {}, {"service_tier": "flex"}),
        ({"output_format": OutputFormat("json_object")}, {}, {"response_format": {"type": "json_object"}}),
        (
            {"output_format": OutputFormat("json_schema", "n", SCHEMA, True)},
            {},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"temperature": 0.5, "seed": 1}, {"dropped_fields": ("temperature",)}, {"seed": 1}),
        ({"reasoning": Reasoning(effort="high")}, {}, {"reasoning_effort": "high"}),
        ({"reasoning": Reasoning(effort="max")}, {"efforts": ("low", "high")}, {"reasoning_effort": "high"}),
        ({"reasoning": Reasoning(enabled=False)}, {}, {"reasoning_effort": "none"}),
        ({"reasoning": Reasoning(enabled=True, budget_tokens=8191)}, {}, {"reasoning_effort": "medium"}),
        ({"reasoning": Reasoning(enabled=True, adaptive=True)}, {}, {}),
        (
            {"reasoning": Reasoning(enabled=False)},
            {"efforts": ("high", "max"), "thinking_switch": True},
            {"thinking": {"type": "disabled"}},
        ),
        (
            {"reasoning": Reasoning(effort="low")},
            {"efforts": ("high",), "thinking_switch": True},
            {"reasoning_effort": "high"},
        ),
        (
            {"reasoning": Reasoning(effort="high")},
            {"reasoning_effort": "template"},
            {"chat_template_kwargs": {"enable_thinking": True}},
        ),
        (
            {"reasoning": Reasoning(enabled=False)},
            {"reasoning_effort": "template"},
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        (
            {"reasoning": Reasoning(effort="high")},
            {"reasoning_effort": "budget"},
            {"thinking": {"type": "enabled", "budget_tokens": 16384}},
        ),
        (
            {"reasoning": Reasoning(effort="none")},
            {"reasoning_effort": "budget"},
            {"thinking": {"type": "disabled"}},
        ),
        (
            {"reasoning": Reasoning(effort="high")},
            {"reasoning_effort": "adaptive"},
            {"thinking": {"type": "enabled"}},
        ),
        ({"reasoning": Reasoning(effort="high")}, {"reasoning_effort": "none"}, {}),
        ({}, {"reasoning_effort": "template"}, {}),
    ],
)
def test_fields_are_encoded_as_the_upstream_takes_them(
    fields: dict[str, Any], capabilities: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert written(asked(**fields), **capabilities) == {"model": "m", "messages": HELLO, **expected}


@pytest.mark.parametrize(
    "fields, capabilities, lost",
    [
        ({"temperature": 1.0, "top_p": 0.5}, {"sampling": False}, ["temperature", "top_p"]),
        ({"top_k": 3}, {"top_k": False}, ["top_k"]),
        ({"max_tokens": 9}, {"max_output_tokens": 5}, ["max_tokens"]),
        ({"reasoning": Reasoning(effort="high")}, {"reasoning_effort": "none"}, ["reasoning"]),
        ({"verbosity": "low"}, {"openai_extras": False}, ["verbosity"]),
        ({"metadata": {"a": "b"}}, {}, ["metadata"]),
        ({"seed": 1}, {"dropped_fields": ("seed", "absent")}, ["seed"]),
        ({"hosted_tools": (HostedTool("web_search"),)}, {}, ["tools.web_search"]),
        ({"logprobs": 3}, {}, ["logprobs"]),
    ],
)
def test_what_the_upstream_does_not_take_is_a_loss(
    fields: dict[str, Any], capabilities: dict[str, Any], lost: list[str]
) -> None:
    assert losses(asked(**fields), **capabilities) == lost


def test_an_answer_that_the_client_began_is_continued() -> None:
    begun = asked(*SAID_HELLO, Message("assistant", (Text("{"),)))
    reported = {"continue_final_message": True, "add_generation_prompt": False}
    body = written(begun, continues_answer=True)
    assert {name: body.get(name) for name in reported} == reported
    assert not reported.keys() & written(begun).keys()
    assert not reported.keys() & written(asked(), continues_answer=True).keys()


def test_calls_are_refused_for_a_server_without_tools() -> None:
    reported = asked(*SAID_HELLO, Message("assistant", (ToolCall("1", "f", "{}"),)))
    with pytest.raises(BadRequest, match="takes no tools"):
        written(reported, tools=False)


def test_thinking_that_is_not_sent_is_a_loss() -> None:
    thought = asked(*SAID_HELLO, Message("assistant", (Thinking("T"), Text("a"))))
    assert losses(thought) == ["thinking"]
    assert losses(thought, reasoning_history="reasoning_content") == []


@pytest.mark.parametrize(
    "stops, capabilities, reported, left",
    [
        (("A", "B", "C", "D"), {}, ["A", "B", "C", "D"], ()),
        (("A", "B", "C", "D", "E"), {}, None, ("A", "B", "C", "D", "E")),
        (("A",), {"stop": False}, None, ("A",)),
    ],
)
def test_stops_that_cannot_be_sent_are_watched_for(
    stops: tuple[str, ...], capabilities: dict[str, Any], reported: list[str] | None, left: tuple[str, ...]
) -> None:
    sent = encode_request(asked(stop=stops), Target("m", "i", Capabilities(**capabilities)))
    assert msgspec.json.decode(sent.body).get("stop") == reported
    assert sent.stops == left


def test_a_user_id_that_holds_more_than_an_id_is_hashed() -> None:
    identifier = written(asked(user_id='{"account":"' + "x" * 80 + '"}'))["safety_identifier"]
    assert len(identifier) == 64 and "account" not in identifier


@pytest.mark.parametrize(
    "form, sentence",
    [
        (OutputFormat("json_object"), "a single JSON object"),
        (
            OutputFormat("json_schema", schema=SCHEMA),
            '{"type":"object","properties":{"city":{"type":"string"}}}',
        ),
    ],
)
def test_a_format_the_upstream_does_not_know_becomes_an_instruction(
    form: OutputFormat, sentence: str
) -> None:
    body = written(asked(output_format=form, system=("S",)), json_schema=False)
    assert "response_format" not in body
    assert body["messages"][0]["content"].startswith("S\n\n") and sentence in body["messages"][0]["content"]


# --- writing messages ---------------------------------------------------------


def messages_of(
    *messages: Message, system: tuple[str, ...] = (), **capabilities: Any
) -> list[dict[str, Any]]:
    body = written(asked(*messages, system=system), **capabilities)
    reported: list[dict[str, Any]] = body["messages"]
    return reported


def user(*content: neutral.Block) -> Message:
    return Message("user", content)


def assistant(*content: neutral.Block) -> Message:
    return Message("assistant", content)


CALL = ToolCall("1", "w", "{}")
WIRE_CALL = {"id": "1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
WIRE_TURN = {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]}


def test_the_system_prompt_is_one_message_without_the_billing_line() -> None:
    system = ("x-anthropic-billing-header: cc_version=2; cch=abc;", "A", "B")
    assert messages_of(*SAID_HELLO, system=system) == [{"role": "system", "content": "A\n\nB"}, *HELLO]


def test_texts_are_joined_and_blank_ones_left_out() -> None:
    assert messages_of(user(Text("a"), Text(" "), Text("b"))) == [{"role": "user", "content": "a\n\nb"}]


def test_text_beside_a_result_follows_it() -> None:
    assert messages_of(assistant(CALL), user(ToolResult("1", (Text("r"),)), Text("also do X"))) == [
        WIRE_TURN,
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {"role": "user", "content": "also do X"},
    ]


@pytest.mark.parametrize(
    "result, content",
    [
        (ToolResult("1", (Text("a"), Text("b"))), "a\n\nb"),
        (ToolResult("1", ()), ""),
        (ToolResult("1", (Text("boom"),), is_error=True), "Error: boom"),
        (ToolResult("1", (Text("Error: boom"),), is_error=True), "Error: boom"),
    ],
)
def test_results_are_text(result: ToolResult, content: str) -> None:
    assert messages_of(assistant(CALL), user(result))[1]["content"] == content


def test_images_of_results_follow_in_a_message_of_the_user() -> None:
    result = ToolResult("1", (Text("a"), Image("image/png", PNG)))
    assert messages_of(assistant(CALL), user(result, Text("b")))[1:] == [
        {"role": "tool", "tool_call_id": "1", "content": "a\n\n[attachment below]"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "[attachment of the result of tool call 1]"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "text", "text": "b"},
            ],
        },
    ]


def test_a_missing_result_is_sent_as_an_error() -> None:
    assert messages_of(assistant(CALL), user(Text("go on")))[1:] == [
        {"role": "tool", "tool_call_id": "1", "content": "Error: (no result recorded)"},
        {"role": "user", "content": "go on"},
    ]


def test_call_ids_of_several_turns_stay_apart() -> None:
    turn = (assistant(ToolCall("functions.w:0", "w", "{}")), user(ToolResult("functions.w:0", (Text("r"),))))
    ids = [message["tool_call_id"] for message in messages_of(*turn, *turn) if message["role"] == "tool"]
    assert ids == ["functions.w:0", "functions.w:0_2"]


def test_long_call_ids_are_shortened_on_both_sides() -> None:
    id = "x" * 100
    reported = messages_of(assistant(ToolCall(id, "w", "{}")), user(ToolResult(id, (Text("r"),))))
    assert (
        reported[0]["tool_calls"][0]["id"] == reported[1]["tool_call_id"]
        and len(reported[1]["tool_call_id"]) == 64
    )


def test_arguments_keep_their_order() -> None:
    reported = messages_of(assistant(ToolCall("1", "w", '{"b":1,"a":2}')), user(ToolResult("1", ())))
    assert reported[0]["tool_calls"][0]["function"]["arguments"] == '{"b":1,"a":2}'


MID_SYSTEM = (user(Text("a")), Message("system", (Text("S"),)), assistant(Text("b")), user(Text("c")))


def test_system_messages_keep_their_position_where_they_may() -> None:
    assert [message["role"] for message in messages_of(*MID_SYSTEM)] == [
        "user",
        "system",
        "assistant",
        "user",
    ]


def test_system_messages_become_reminders_where_they_may_not_stand() -> None:
    reported = messages_of(*MID_SYSTEM, mid_system=False)
    assert [message["role"] for message in reported] == ["user", "assistant", "user"]
    assert reported[0]["content"] == "a\n\n<system-reminder>\nS\n</system-reminder>"


def test_a_leading_system_message_joins_the_prompt_where_only_one_is_taken() -> None:
    reported = messages_of(Message("system", (Text("T"),)), user(Text("a")), system=("S",), mid_system=False)
    assert reported == [{"role": "system", "content": "S\n\nT"}, {"role": "user", "content": "a"}]


def test_a_system_message_does_not_part_calls_and_results() -> None:
    reported = messages_of(
        assistant(CALL), Message("system", (Text("S"),)), user(ToolResult("1", (Text("r"),)))
    )
    assert [message["role"] for message in reported] == ["assistant", "tool", "system"]


@pytest.mark.parametrize(
    "history, thinking, expected",
    [
        ("none", Thinking("T", Signature("SIG")), None),
        ("reasoning_content", Thinking("T", Signature("SIG", "other")), "T"),
        ("reasoning_content", Thinking("", redacted=True), None),
        (
            "reasoning_content",
            Thinking("", Signature(carrier.pack("text", "issuer", {"text": "T"}), "issuer")),
            "T",
        ),
        (
            "reasoning_content",
            Thinking("", Signature(carrier.pack("reasoning", "r", {"text": "T"}), "r")),
            None,
        ),
        ("required", Thinking("T"), "T"),
        ("required", Thinking("", redacted=True), "(not recorded)"),
    ],
)
def test_reasoning_goes_back_to_those_who_want_it(
    history: str, thinking: Thinking, expected: str | None
) -> None:
    reported = messages_of(assistant(thinking, CALL), user(ToolResult("1", ())), reasoning_history=history)
    assert reported[0].get("reasoning_content") == expected


def test_a_turn_that_was_only_thought_is_left_out() -> None:
    assert messages_of(user(Text("a")), assistant(Thinking("T")), user(Text("b"))) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_upstreams_that_take_only_strings_get_no_null() -> None:
    reported = messages_of(assistant(CALL), user(ToolResult("1", ())), content_parts=False)
    assert reported[0]["content"] == ""


def test_images_and_files() -> None:
    content = (
        Text("a"),
        Image("image/jpeg", PNG, detail="original"),
        Image(url="https://x"),
        Document("application/pdf", "JVBERi0x", title="f.pdf"),
        Document("text/plain", "D", title="T", context="C"),
    )
    assert messages_of(user(*content))[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://x"}},
        {"type": "file", "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}},
        {"type": "text", "text": "T\n\nC\n\nD"},
    ]


def test_an_image_for_a_model_without_vision_is_a_note_and_a_loss() -> None:
    request = asked(user(Text("a"), Image("image/png", PNG)))
    assert written(request, images=False)["messages"] == [
        {"role": "user", "content": "a\n\n[image omitted: the model reads no images]"}
    ]
    assert losses(request, images=False) == ["image"]


@pytest.mark.parametrize(
    "block, capabilities",
    [
        (Image(url="https://x"), {"image_urls": False}),
        (Document("application/pdf", "JVBERi0x"), {"files": False}),
        (Document(url="https://x/f.pdf"), {}),
        (neutral.Compaction("opaque"), {}),
    ],
)
def test_input_that_would_be_lost_is_refused(block: neutral.Block, capabilities: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        written(asked(user(block)), **capabilities)


def test_our_own_compaction_is_text() -> None:
    summary = neutral.Compaction(carrier.pack("summary", "i", {"text": "so far"}))
    assert messages_of(user(summary, Text("go on")))[0]["content"] == "so far\n\ngo on"


# --- writing tools ------------------------------------------------------------


@pytest.mark.parametrize(
    "choice, capabilities, expected",
    [
        (ToolChoice("auto"), {}, "auto"),
        (ToolChoice("none"), {}, "none"),
        (ToolChoice("required"), {}, "required"),
        (ToolChoice("named", "w"), {}, {"type": "function", "function": {"name": "w"}}),
        (ToolChoice("named", "w"), {"forced_tool_choice": False}, "auto"),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice, capabilities: dict[str, Any], expected: Any) -> None:
    assert written(asked(tools=(WEATHER,), tool_choice=choice), **capabilities)["tool_choice"] == expected


@pytest.mark.parametrize(
    "choice, sentence",
    [
        (ToolChoice("required"), "You must call one of the tools in your next reply."),
        (ToolChoice("named", "w"), "You must call the tool `w` in your next reply."),
    ],
)
def test_a_choice_that_cannot_be_forced_is_an_instruction(choice: ToolChoice, sentence: str) -> None:
    body = written(asked(tools=(WEATHER,), tool_choice=choice), forced_tool_choice=False)
    assert body["messages"][0] == {"role": "system", "content": sentence}


def test_settings_of_tools_go_with_the_last_tool() -> None:
    body = written(asked(tool_choice=ToolChoice("auto"), parallel_tool_calls=False))
    assert body == {"model": "m", "messages": HELLO}


def test_only_allowed_tools_are_sent() -> None:
    choice = ToolChoice("required", allowed=("w",))
    body = written(asked(tools=(WEATHER, Tool("x")), tool_choice=choice))
    assert (body["tools"], body["tool_choice"]) == ([WIRE_WEATHER], "required")


@pytest.mark.parametrize("capable, expected", [(True, False), (False, None)])
def test_one_call_at_a_time(capable: bool, expected: bool | None) -> None:
    request = asked(tools=(WEATHER,), parallel_tool_calls=False)
    assert written(request, parallel_tool_calls=capable).get("parallel_tool_calls") is expected


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "tool, strict",
    [
        (Tool("w", parameters=CLOSED, strict=True), True),
        (Tool("w", parameters=SCHEMA, strict=True), None),
        (Tool("w", parameters=SCHEMA, strict=False), False),
        (Tool("w", parameters={**CLOSED, "properties": {"a": SCHEMA}}, strict=True), None),
        (Tool("w", parameters=SCHEMA), None),
    ],
)
def test_strict_is_sent_only_where_the_schema_allows_it(tool: Tool, strict: bool | None) -> None:
    assert written(asked(tools=(tool,)))["tools"][0]["function"].get("strict") is strict


@pytest.mark.parametrize(
    "parameters, expected",
    [
        ({}, {"type": "object", "properties": {}}),
        (
            {"properties": {"title": {}, "format": {}}},
            {"type": "object", "properties": {"title": {}, "format": {}}},
        ),
    ],
)
def test_schemas_are_objects(parameters: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (
        written(asked(tools=(Tool("w", parameters=parameters),)))["tools"][0]["function"]["parameters"]
        == expected
    )


PATCH = Tool("apply_patch", "Patches.", kind="custom", grammar=("lark", "start: x"))
PATCHED = (
    assistant(ToolCall("1", "apply_patch", "*** Begin", "custom")),
    user(ToolResult("1", (Text("ok"),), kind="custom")),
)


def test_custom_tools_where_they_are_known() -> None:
    choice = ToolChoice("named", "apply_patch")
    body = written(asked(*PATCHED, tools=(PATCH,), tool_choice=choice), custom_tools=True)
    grammar = {"syntax": "lark", "definition": "start: x"}
    format = {"type": "grammar", "grammar": grammar}
    assert body["tools"] == [
        {"type": "custom", "custom": {"name": "apply_patch", "description": "Patches.", "format": format}}
    ]
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "apply_patch"}}
    assert body["messages"][0]["tool_calls"] == [
        {"id": "1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}
    ]


def test_custom_tools_where_they_are_not_known_are_functions() -> None:
    choice = ToolChoice("named", "apply_patch")
    body = written(asked(*PATCHED, tools=(PATCH,), tool_choice=choice))
    function = body["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"] and "start: x" in function["description"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "apply_patch"}}
    assert body["messages"][0]["tool_calls"][0]["function"] == {
        "name": "apply_patch",
        "arguments": '{"input":"*** Begin"}',
    }


def test_namespaced_tools_get_one_name_everywhere() -> None:
    tool = Tool("list", namespace="files")
    call = ToolCall("1", "list", "{}", namespace="files")
    request = asked(assistant(call), tools=(tool,), tool_choice=ToolChoice("named", "list", "files"))
    sent = encode_request(request, Target("m", "i"))
    body = msgspec.json.decode(sent.body)
    names = {
        body["tools"][0]["function"]["name"],
        body["tool_choice"]["function"]["name"],
        body["messages"][0]["tool_calls"][0]["function"]["name"],
    }
    assert names == {"files__list"}
    assert sent.tools == {"files__list": tool}


def test_web_search_is_for_models_that_search() -> None:
    options = {"user_location": {"city": "Oslo"}, "search_context_size": "low"}
    request = asked(hosted_tools=(HostedTool("web_search", options),))
    assert written(request, model="gpt-5-search-api")["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
    }
    assert "web_search_options" not in written(request)


@pytest.mark.parametrize(
    "fields, capabilities",
    [
        ({"tools": (WEATHER,)}, {"tools": False}),
        ({"hosted_tools": (HostedTool("mcp"),)}, {}),
        ({"hosted_tools": (HostedTool("web_search"),), "tool_choice": ToolChoice("named", "web_search")}, {}),
        ({"hosted_tools": (HostedTool("web_search"),), "tool_choice": ToolChoice("required")}, {}),
    ],
)
def test_tools_without_which_the_answer_would_be_another_are_refused(
    fields: dict[str, Any], capabilities: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        written(asked(**fields), **capabilities)

"""Requests of Codex and others as neutral requests; neutral requests for Responses upstreams."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.content import SUMMARY_HEADING
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import (
    Document,
    HostedTool,
    Image,
    Loss,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    Request,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)
from switchyard.protocols.openai import OMITTED_CIPHERTEXT
from switchyard.protocols.openai_responses.decode_request import decode_request
from switchyard.protocols.openai_responses.encode_request import encode_request
from tests.protocols.validators import check_responses_request

ISSUER = "gpt"
LOCAL = Capabilities(responses_items=False)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: x"}


def read(**body: Any) -> Request:
    return decode_request(msgspec.json.encode({"model": "m", "input": "hi", **body}))


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def developer(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}


def agent_message(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "agent_message", "author": "/lead", "recipient": "/lead/kid", "content": content}


def fc(id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": "{}", **fields}


def output(id: str, content: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "id": "fco_1", "call_id": id, "output": content}


def write(request: Request, capabilities: Capabilities = Capabilities()) -> SentRequest:  # noqa: B008
    return encode_request(request, Target("up", ISSUER, capabilities))


def body_of(sent: SentRequest) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(sent.body)
    check_responses_request(body)
    return body


def said(*messages: Message, **fields: Any) -> Request:
    return Request("m", messages, **fields)


HI = Message("user", (Text("hi"),))

# --- reading ------------------------------------------------------------------

CALL = ToolCall("c", "f", "{}")
ITEMS: dict[str, tuple[Any, tuple[Message, ...]]] = {
    "a string": ("hi", (HI,)),
    "an easy message": ([{"role": "user", "content": "hi"}], (HI,)),
    "both sides": (
        [
            user("hi"),
            {
                "type": "message",
                "role": "assistant",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Look"}],
            },
        ],
        (HI, Message("assistant", (Text("Look"),))),
    ),
    "a refusal": (
        [user("hi"), {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}],
        (HI, Message("assistant", (Refusal("No"),))),
    ),
    "a call and its output": (
        [user("hi"), {"role": "assistant", "content": "Look"}, fc("c", arguments=""), output("c", "3C")],
        (HI, Message("assistant", (Text("Look"), CALL)), Message("user", (ToolResult("c", (Text("3C"),)),))),
    ),
    "a namespaced call": (
        [fc("c", namespace="files")],
        (Message("assistant", (ToolCall("c", "f", "{}", namespace="files"),)),),
    ),
    "a custom call": (
        [
            {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c",
                "output": [{"type": "input_text", "text": "Done"}],
            },
        ],
        (
            Message("assistant", (ToolCall("c", "apply_patch", "*** Begin", "custom"),)),
            Message("user", (ToolResult("c", (Text("Done"),), kind="custom"),)),
        ),
    ),
    "a local shell call": (
        [
            {
                "type": "local_shell_call",
                "call_id": "c",
                "action": {"type": "exec", "command": ["ls"], "timeout_ms": 5, "env": {}},
            },
            output("c", "x"),
        ],
        (
            Message(
                "assistant",
                (ToolCall("c", "local_shell", '{"command":["ls"],"timeout_ms":5}', "local_shell"),),
            ),
            Message("user", (ToolResult("c", (Text("x"),), kind="local_shell"),)),
        ),
    ),
    "a shell call": (
        [
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "timeout"}}],
            },
        ],
        (
            Message("assistant", (ToolCall("c", "shell", '{"commands":["ls"]}', "shell"),)),
            Message(
                "user",
                (
                    ToolResult(
                        "c",
                        (Text('[{"stdout":"x","stderr":"","outcome":{"type":"timeout"}}]'),),
                        kind="shell",
                    ),
                ),
            ),
        ),
    ),
    "a patch call": (
        [
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "x"}},
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no"},
        ],
        (
            Message(
                "assistant",
                (
                    ToolCall(
                        "c", "apply_patch", '{"operation":{"type":"delete_file","path":"x"}}', "apply_patch"
                    ),
                ),
            ),
            Message("user", (ToolResult("c", (Text("no"),), True, "apply_patch"),)),
        ),
    ),
    "a tool search": (
        [
            {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "x"}},
            {
                "type": "tool_search_output",
                "call_id": "c",
                "execution": "client",
                "tools": [{"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "g"}]}],
            },
        ],
        (
            Message("assistant", (ToolCall("c", "tool_search", '{"query":"x"}', "tool_search"),)),
            Message("user", (ToolResult("c", (Text("Found tools: ns__g"),), kind="tool_search"),)),
        ),
    ),
    "an output with an image": (
        [
            fc("c"),
            output(
                "c",
                [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": f"data:image/jpg;base64,{PNG}"},
                ],
            ),
        ],
        (
            Message("assistant", (CALL,)),
            Message("user", (ToolResult("c", (Text("see"), Image("image/png", PNG))),)),
        ),
    ),
    "an output with parts as text": (
        [fc("c"), output("c", '[{"type":"input_text","text":"see"}]')],
        (Message("assistant", (CALL,)), Message("user", (ToolResult("c", (Text("see"),)),))),
    ),
    "an output of another service": (
        [fc("c"), output("c", [{"type": "new_part", "x": 1}])],
        (
            Message("assistant", (CALL,)),
            Message("user", (ToolResult("c", (Text('{"type":"new_part","x":1}'),)),)),
        ),
    ),
    "media": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "https://x/y.png", "detail": "high"},
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                    {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
                    {"type": "input_file", "file_url": "https://x/y.pdf"},
                ],
            }
        ],
        (
            Message(
                "user",
                (
                    Image(url="https://x/y.png", detail="high"),
                    Document("application/pdf", "JVBERi0=", title="a.pdf"),
                    Document("text/plain", "hi", title="a.txt"),
                    Document(url="https://x/y.pdf"),
                ),
            ),
        ),
    ),
    "native reasoning": (
        [{"type": "reasoning", "summary": [], "encrypted_content": "x"}, fc("c")],
        (
            Message(
                "assistant",
                (
                    Thinking(
                        "",
                        Signature('{"type":"reasoning","summary":[],"encrypted_content":"x"}'),
                        redacted=True,
                    ),
                    CALL,
                ),
            ),
        ),
    ),
    "carried reasoning": (
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "t"}],
                "encrypted_content": carrier.pack("reasoning", "gpt", {"type": "reasoning", "id": "rs"}),
            }
        ],
        (Message("assistant", (Thinking("t", Signature('{"type":"reasoning","id":"rs"}', "gpt")),)),),
    ),
    "carried thinking": (
        [
            {
                "type": "reasoning",
                "summary": [],
                "encrypted_content": carrier.pack(
                    "thinking", "claude", {"text": "t", "signature": "SIG", "redacted": False}
                ),
            }
        ],
        (Message("assistant", (Thinking("t", Signature("SIG", "claude")),)),),
    ),
    "carried text": (
        [
            {
                "type": "reasoning",
                "summary": [],
                "encrypted_content": carrier.pack("text", "qwen", {"text": "t"}),
            }
        ],
        (Message("assistant", (Thinking("t"),)),),
    ),
    "empty reasoning": ([{"type": "reasoning", "summary": []}, user("hi")], (HI,)),
    "a carried mark": (
        [
            {"type": "reasoning", "summary": [], "encrypted_content": carrier.pack("text", "qwen", {})},
            user("hi"),
        ],
        (HI,),
    ),
    "a search of the upstream": (
        [{"type": "web_search_call", "id": "ws", "action": {"type": "search", "query": "q"}}],
        (Message("assistant", (WebSearch("ws", "q"),)),),
    ),
    "our own compaction": (
        [{"type": "compaction", "encrypted_content": carrier.pack("summary", "", {"text": "S"})}],
        (Message("user", (Text(f"{SUMMARY_HEADING}\n\nS"),)),),
    ),
    "a foreign compaction": (
        [{"type": "compaction", "encrypted_content": "opaque"}, user("hi")],
        (Message("assistant", (neutral.Compaction("opaque"),)), HI),
    ),
    "the task of an agent": (
        [
            agent_message(
                {"type": "input_text", "text": "NEW_TASK"},
                {"type": "encrypted_content", "encrypted_content": "Reply with ALPHA."},
            )
        ],
        (Message("user", (Text("NEW_TASK"), Text("Reply with ALPHA."))),),
    ),
    "an agent's answer after a call": (
        [fc("c"), output("c", "x"), agent_message({"type": "input_text", "text": "FINAL_ANSWER"})],
        (
            Message("assistant", (CALL,)),
            Message("user", (ToolResult("c", (Text("x"),)), Text("FINAL_ANSWER"))),
        ),
    ),
    "an encrypted task": (
        [agent_message({"type": "encrypted_content", "encrypted_content": "gAAAAABo"})],
        (Message("user", (Text(OMITTED_CIPHERTEXT),)),),
    ),
    "an agent's answer as the output of a call": (
        [fc("c"), output("c", [{"type": "encrypted_content", "encrypted_content": "ALPHA"}])],
        (Message("assistant", (CALL,)), Message("user", (ToolResult("c", (Text("ALPHA"),)),))),
    ),
    "parts at the top level": (
        [
            {"type": "input_text", "text": "What is 2+2?"},
            {"type": "input_image", "image_url": "https://x/y.png"},
            {"type": "output_text", "text": "4"},
            {"type": "text", "text": "And 3+3?"},
        ],
        (
            Message("user", (Text("What is 2+2?"), Image(url="https://x/y.png"))),
            Message("assistant", (Text("4"),)),
            Message("user", (Text("And 3+3?"),)),
        ),
    ),
    "texts at the top level": (["hi"], (HI,)),
    "a text without a type": ([{"text": "hi"}], (HI,)),
    "a late developer message": (
        [user("hi"), developer("Stop"), user("hi")],
        (HI, Message("system", (Text("Stop"),)), HI),
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_items_are_decoded_as_messages(name: str) -> None:
    items, messages = ITEMS[name]
    assert read(input=items).messages == messages


def test_leading_developer_messages_are_the_system() -> None:
    request = read(instructions="A", input=[developer("B"), {"role": "system", "content": "C"}, user("hi")])
    assert (request.system, request.messages) == (("A", "B", "C"), (HI,))


TOOLS: dict[str, tuple[Any, tuple[Tool, ...]]] = {
    "function": (
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": False,
        },
        (Tool("f", "d", {"type": "object"}),),
    ),
    "strict function": ({"type": "function", "name": "f", "strict": True}, (Tool("f", strict=True),)),
    "custom": (
        {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR},
        (Tool("apply_patch", "d", kind="custom", grammar=("lark", "start: x")),),
    ),
    "namespace": (
        {
            "type": "namespace",
            "name": "ns",
            "description": "",
            "tools": [{"type": "function", "name": "a"}, {"type": "custom", "name": "b"}],
        },
        (Tool("a", namespace="ns"), Tool("b", kind="custom", namespace="ns")),
    ),
    "tool search": (
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}},
        (Tool("tool_search", "d", {"type": "object"}, "tool_search"),),
    ),
    "tool search of the service": ({"type": "tool_search"}, ()),
    "local shell": ({"type": "local_shell"}, (Tool("local_shell", kind="local_shell"),)),
    "shell": ({"type": "shell"}, (Tool("shell", kind="shell"),)),
    "apply patch": ({"type": "apply_patch"}, (Tool("apply_patch", kind="apply_patch"),)),
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_are_decoded_wherever_they_stand(name: str) -> None:
    declaration, tools = TOOLS[name]
    additional = [user("hi"), {"type": "additional_tools", "role": "developer", "tools": [declaration]}]
    found = [{"type": "tool_search_output", "call_id": None, "tools": [declaration]}, user("hi")]
    assert read(tools=[declaration]).tools == tools
    assert read(input=additional).tools == tools
    assert read(input=found).tools == tools
    assert read(input=additional).messages == (HI,)


def test_a_top_level_tool_wins() -> None:
    items = [
        {"type": "additional_tools", "tools": [{"type": "function", "name": "f", "description": "later"}]},
        user("hi"),
    ]
    assert read(tools=[{"type": "function", "name": "f", "description": "first"}], input=items).tools == (
        Tool("f", "first"),
    )


def test_hosted_search_is_decoded() -> None:
    search = {
        "type": "web_search",
        "external_web_access": False,
        "filters": {"allowed_domains": ["x.org"]},
        "user_location": {"type": "approximate", "city": "Oslo", "region": None},
        "search_context_size": "low",
    }
    options = {
        "allowed_domains": ["x.org"],
        "user_location": {"city": "Oslo"},
        "search_context_size": "low",
        "external_web_access": False,
    }
    assert read(tools=[search]).hosted_tools == (HostedTool("web_search", options),)


CACHED = {"type": "web_search", "external_web_access": False, "search_content_types": ["text", "image"]}


@pytest.mark.parametrize(
    ("search", "lost"),
    [
        (CACHED, ["web_search.search_content_types", "web_search.external_web_access"]),
        ({"type": "web_search", "external_web_access": False}, ["web_search.external_web_access"]),
        ({"type": "web_search", "external_web_access": True}, []),
        ({"type": "web_search"}, []),
    ],
)
def test_a_search_of_the_cache_is_not_made_a_live_one_silently(
    search: dict[str, Any], lost: list[str]
) -> None:
    request = read(tools=[search])
    live = CODECS["messages"].encode_request(request, Target("up", ISSUER, Capabilities()))
    assert [loss.field for loss in live.losses] == lost
    own = body_of(write(request))
    assert own["tools"] == [{name: value for name, value in search.items() if value is not True}]


CHOICES: list[tuple[Any, ToolChoice]] = [
    ("auto", ToolChoice("auto")),
    ("required", ToolChoice("required")),
    ("none", ToolChoice("none")),
    ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
    ({"type": "function", "name": "g"}, ToolChoice("named", "g", "ns")),
    ({"type": "custom", "name": "p"}, ToolChoice("named", "p")),
    ({"type": "shell"}, ToolChoice("named", "shell")),
    ({"type": "web_search"}, ToolChoice("named", "web_search")),
    (
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}, {"type": "shell"}],
        },
        ToolChoice("required", allowed=("f", "shell")),
    ),
]
CHOOSABLE = [
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "p"},
    {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "g"}]},
    {"type": "shell"},
    {"type": "web_search"},
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_the_choice_is_decoded(choice: Any, expected: ToolChoice) -> None:
    assert read(tools=CHOOSABLE, tool_choice=choice).tool_choice == expected


def test_settings_are_decoded() -> None:
    request = read(
        max_output_tokens=5,
        temperature=1,
        top_p=0.5,
        stream=True,
        parallel_tool_calls=False,
        reasoning={"effort": "high", "summary": "auto"},
        prompt_cache_key="session",
        safety_identifier="someone",
        service_tier="flex",
        metadata={"a": "b"},
        store=True,
        client_metadata={"secret": "x"},
        include=["x"],
        text={
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        },
    )
    assert request == Request(
        "m",
        (HI,),
        max_tokens=5,
        temperature=1,
        top_p=0.5,
        stream=True,
        parallel_tool_calls=False,
        reasoning=Reasoning("high", enabled=True, summary="auto"),
        session_id="session",
        user_id="someone",
        service_tier="flex",
        metadata={"a": "b"},
        verbosity="low",
        output_format=OutputFormat("json_schema", "n", {"type": "object"}, True),
        echo=request.echo,
    )
    assert sorted(request.echo) == [
        "max_output_tokens",
        "metadata",
        "parallel_tool_calls",
        "reasoning",
        "service_tier",
        "store",
        "temperature",
        "text",
        "top_p",
    ]


def test_reasoning_can_be_turned_off() -> None:
    assert read(reasoning={"effort": "none"}).reasoning == Reasoning("none", enabled=False)


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"background": True}, "without it"),
        ({"conversation": "c"}, "send all items in `input`"),
        ({"prompt": {"id": "p"}}, "send all items in `input`"),
    ],
)
def test_a_refused_field_has_its_remedy(fields: dict[str, Any], remedy: str) -> None:
    with pytest.raises(BadRequest, match=remedy):
        read(**fields)


@pytest.mark.parametrize("type", ["compaction", "compaction_summary", "context_compaction"])
@pytest.mark.parametrize("upstream", ["messages", "chat"])
def test_no_other_service_goes_on_without_what_only_its_own_can_read(
    type: str, upstream: ProtocolName
) -> None:
    request = read(input=[{"type": type, "encrypted_content": "opaque"}, user("hi")])
    with pytest.raises(BadRequest, match="only be read by the upstream that compacted it"):
        CODECS[upstream].encode_request(request, Target("up", ISSUER, Capabilities()))


def test_a_mark_of_a_compaction_holds_nothing() -> None:
    request = read(input=[user("hi"), {"type": "context_compaction"}, user("go on")])
    assert request.messages == (Message("user", (Text("hi"), Text("go on"))),) and not request.losses


def test_a_compaction_trigger_is_a_wish() -> None:
    request = read(input=[user("hi"), {"type": "compaction_trigger"}])
    assert (request.compact, request.messages) == (True, (HI,))


LOST: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "file_search"}]}, "tools.file_search"),
    ({"tools": [{"type": "code_interpreter", "container": {}}]}, "tools.code_interpreter"),
    ({"input": [user("hi"), {"type": "image_generation_call", "id": "x"}]}, "input.image_generation_call"),
    ({"truncation": "auto"}, "truncation"),
    ({"top_logprobs": 3}, "top_logprobs"),
]


@pytest.mark.parametrize(("fields", "lost"), LOST)
def test_what_is_not_carried_over_is_a_loss(fields: dict[str, Any], lost: str) -> None:
    assert [loss.field for loss in read(**fields).losses] == [lost]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "c"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"background": True}, "background"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
    ({"input": [{"id": "x"}]}, "input[0]"),
    ({"input": None}, "input"),
    ({"input": 3}, "input"),
    ({"model": ""}, "model"),
    ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0]"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0]",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        "input[0].content[0]",
    ),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0]"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
    ({"input": [{"type": "custom_tool_call_output", "output": "x"}]}, "input[0].call_id"),
    ({"tools": [{"type": "function", "parameters": {}}]}, "tools[0].name"),
    (
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "custom"}]}]},
        "tools[0].tools[0].name",
    ),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0]"),
    ({"tools": [{"type": "computer_use_preview"}]}, "tools[0]"),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
    ({"max_output_tokens": "5"}, "max_output_tokens"),
    ({"stream": 1}, "stream"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_what_cannot_be_understood_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(**fields)
    assert refusal.value.param == param and param in refusal.value.message


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found"),
        ({"conversation": "c"}, "unsupported_parameter"),
    ],
)
def test_what_needs_a_store_is_refused_by_the_services_own_code(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**fields)
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_request(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "x", "c", "message", "function_call", "user"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "call_id",
                    "output",
                    "action",
                    "arguments",
                    "tools",
                    "summary",
                    "name",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["input", "tools", "tool_choice", "reasoning", "text", "instructions"]), json_values
    )
)
def test_no_body_is_worse_than_refused(fields: dict[str, Any]) -> None:
    try:
        write(read(**fields))
    except BadRequest:
        pass


# --- writing ------------------------------------------------------------------

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
GOLDEN = Request(
    "m",
    (
        Message("user", (Text("weather?"),)),
        Message(
            "assistant",
            (
                Thinking("T", Signature("SIG", "claude")),
                Text("Look"),
                ToolCall("call_1", "w", '{"city":"Oslo"}'),
            ),
        ),
        Message("user", (ToolResult("call_1", (Text("3C"),)),)),
    ),
    system=("S",),
    tools=(Tool("w", "d", WEATHER),),
    max_tokens=100,
    reasoning=Reasoning("medium", adaptive=True),
)


def test_the_golden_request() -> None:
    sent = write(GOLDEN)
    assert body_of(sent) == {
        "model": "up",
        "max_output_tokens": 100,
        "instructions": "S",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "tools": [
            {"type": "function", "name": "w", "description": "d", "parameters": WEATHER, "strict": False}
        ],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Look", "annotations": []}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "w", "arguments": '{"city":"Oslo"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "3C"},
        ],
    }
    assert [loss.field for loss in sent.losses] == ["input.reasoning"]


def test_own_reasoning_is_replayed_as_it_was() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    payloads = (msgspec.json.encode(item).decode(), carrier.pack("reasoning", ISSUER, item))
    for payload in payloads:
        thinking = Thinking("t", Signature(payload, ISSUER))
        body = body_of(write(said(HI, Message("assistant", (thinking, Text("a"))), HI)))
        assert body["input"][1] == item


FOREIGN = [
    (Thinking("t", Signature("SIG", "claude")), Text("a")),
    (Thinking("t", Signature('{"type":"reasoning"}', "other")), Text("a")),
    (Thinking("t", Signature('{"type":"reasoning"}', "")), Text("a")),
    (Thinking("t"), Text("a")),
    (Text("a"), Thinking("t", Signature('{"type":"reasoning"}', ISSUER))),
]


@pytest.mark.parametrize("content", FOREIGN)
def test_foreign_and_dangling_reasoning_stays_behind(content: tuple[neutral.Block, ...]) -> None:
    sent = write(said(HI, Message("assistant", content), HI))
    assert [item.get("type") for item in body_of(sent)["input"]] == [None, "message", None]
    assert [loss.field for loss in sent.losses] == ["input.reasoning"]


EMPTY = {"type": "object", "properties": {}}
CLOSED = {**EMPTY, "additionalProperties": False}
KINDS = (
    Tool("f", parameters=CLOSED, strict=True),
    Tool("apply_patch", "d", kind="custom", grammar=("lark", "start: x")),
    Tool("grep", namespace="ns"),
    Tool("tool_search", "d", WEATHER, "tool_search"),
    Tool("local_shell", kind="local_shell"),
)


def test_native_tools_are_declared_as_they_are() -> None:
    assert body_of(write(said(HI, tools=KINDS)))["tools"] == [
        {"type": "function", "name": "f", "description": "", "parameters": CLOSED, "strict": True},
        {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR},
        {
            "type": "namespace",
            "name": "ns",
            "description": "The tools of ns.",
            "tools": [
                {"type": "function", "name": "grep", "description": "", "parameters": EMPTY, "strict": False}
            ],
        },
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": WEATHER},
        {"type": "local_shell"},
    ]


def test_a_schema_that_the_strict_mode_refuses_is_not_called_strict() -> None:
    (tool,) = body_of(write(said(HI, tools=(Tool("w", parameters=WEATHER, strict=True),))))["tools"]
    assert tool["strict"] is False


def test_tools_are_functions_for_local_servers() -> None:
    sent = write(said(HI, tools=KINDS), LOCAL)
    tools = body_of(sent)["tools"]
    assert [(tool["type"], tool["name"]) for tool in tools] == [
        ("function", "f"),
        ("function", "apply_patch"),
        ("function", "ns__grep"),
        ("function", "tool_search"),
        ("function", "local_shell"),
    ]
    assert sent.tools["ns__grep"] == KINDS[2]
    assert "start: x" in tools[1]["description"] and list(tools[1]["parameters"]["properties"]) == ["input"]


def test_custom_tools_stay_where_only_they_are_known() -> None:
    capabilities = Capabilities(responses_items=False, custom_tools=True)
    assert [tool["type"] for tool in body_of(write(said(HI, tools=KINDS[:2]), capabilities))["tools"]] == [
        "function",
        "custom",
    ]


HISTORY = (
    HI,
    Message(
        "assistant",
        (
            ToolCall("1", "apply_patch", "raw", "custom"),
            ToolCall("2", "grep", "{}", namespace="ns"),
            ToolCall("3", "tool_search", '{"query":"x"}', "tool_search"),
            ToolCall("4", "local_shell", '{"command":["ls"],"workdir":"/x"}', "local_shell"),
        ),
    ),
    Message(
        "user",
        (
            ToolResult("1", (Text("ok"),), kind="custom"),
            ToolResult("2", (Text("no"),), is_error=True),
            ToolResult("3", (Text("Found tools: g"),), kind="tool_search"),
            ToolResult("4", (Text("x"), Image("image/png", PNG)), kind="local_shell"),
        ),
    ),
)


def test_a_history_is_encoded_in_its_own_kinds() -> None:
    items = body_of(write(said(*HISTORY, tools=KINDS)))["input"][1:]
    assert items == [
        {"type": "custom_tool_call", "call_id": "1", "name": "apply_patch", "input": "raw"},
        {"type": "function_call", "call_id": "2", "name": "grep", "namespace": "ns", "arguments": "{}"},
        {"type": "tool_search_call", "call_id": "3", "execution": "client", "arguments": {"query": "x"}},
        {
            "type": "local_shell_call",
            "call_id": "4",
            "action": {"type": "exec", "command": ["ls"], "env": {}, "working_directory": "/x"},
        },
        {"type": "custom_tool_call_output", "call_id": "1", "output": "ok"},
        {"type": "function_call_output", "call_id": "2", "output": "Error: no"},
        {
            "type": "tool_search_output",
            "call_id": "3",
            "execution": "client",
            "status": "completed",
            "tools": [],
        },
        {"type": "local_shell_call_output", "call_id": "4", "id": "4", "output": "x"},
    ]


def test_a_history_has_only_functions_for_local_servers() -> None:
    items = body_of(write(said(*HISTORY, tools=KINDS), LOCAL))["input"][1:]
    assert items[:2] == [
        {"type": "function_call", "call_id": "1", "name": "apply_patch", "arguments": '{"input":"raw"}'},
        {"type": "function_call", "call_id": "2", "name": "ns__grep", "arguments": "{}"},
    ]
    assert {item["type"] for item in items} == {"function_call", "function_call_output"}
    assert items[-1]["output"] == [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]


WRITTEN_CHOICES: list[tuple[ToolChoice, Capabilities, Any]] = [
    (ToolChoice("auto"), Capabilities(), "auto"),
    (ToolChoice("required"), Capabilities(), "required"),
    (ToolChoice("none"), Capabilities(), "none"),
    (ToolChoice("named", "f"), Capabilities(), {"type": "function", "name": "f"}),
    (ToolChoice("named", "apply_patch"), Capabilities(), {"type": "custom", "name": "apply_patch"}),
    (ToolChoice("named", "apply_patch"), LOCAL, {"type": "function", "name": "apply_patch"}),
    (ToolChoice("named", "grep", "ns"), LOCAL, {"type": "function", "name": "ns__grep"}),
    (ToolChoice("named", "local_shell"), Capabilities(), {"type": "local_shell"}),
    (ToolChoice("named", "web_search"), Capabilities(), {"type": "web_search"}),
    (
        ToolChoice("auto", allowed=("f",)),
        Capabilities(),
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    ),
    (ToolChoice("required", allowed=("f",)), LOCAL, "required"),
    (ToolChoice("required"), Capabilities(forced_tool_choice=False), "auto"),
]


@pytest.mark.parametrize(("choice", "capabilities", "expected"), WRITTEN_CHOICES)
def test_the_choice_is_encoded_flat(choice: ToolChoice, capabilities: Capabilities, expected: Any) -> None:
    request = said(HI, tools=KINDS, hosted_tools=(HostedTool("web_search"),), tool_choice=choice)
    assert body_of(write(request, capabilities))["tool_choice"] == expected


def test_allowed_tools_are_the_only_ones_of_a_local_server() -> None:
    body = body_of(write(said(HI, tools=KINDS, tool_choice=ToolChoice("auto", allowed=("f",))), LOCAL))
    assert [tool["name"] for tool in body["tools"]] == ["f"]


def test_without_tools_their_settings_are_left_out() -> None:
    body = body_of(write(said(HI, tool_choice=ToolChoice("auto"), parallel_tool_calls=False)))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)


def test_hosted_search_is_encoded() -> None:
    options = {
        "allowed_domains": ["x"],
        "blocked_domains": ["y"],
        "max_uses": 3,
        "user_location": {"city": "Oslo"},
    }
    body = body_of(write(said(HI, hosted_tools=(HostedTool("web_search", options),))))
    location = {"type": "approximate", "city": "Oslo"}
    assert body["tools"] == [
        {"type": "web_search", "filters": {"allowed_domains": ["x"]}, "user_location": location}
    ]
    assert body["include"] == ["reasoning.encrypted_content", "web_search_call.action.sources"]


SETTINGS: list[tuple[dict[str, Any], Capabilities, dict[str, Any]]] = [
    ({"max_tokens": 5}, Capabilities(), {"max_output_tokens": 16}),
    ({"max_tokens": 0}, Capabilities(), {"max_output_tokens": 16}),
    ({"max_tokens": 99}, Capabilities(max_output_tokens=50), {"max_output_tokens": 50}),
    ({"stream": True}, Capabilities(), {"stream": True}),
    ({}, Capabilities(stream_only=True), {"stream": True}),
    ({"stream": True}, Capabilities(streams=False), {}),
    ({"reasoning": Reasoning(enabled=False)}, Capabilities(), {"reasoning": {"effort": "none"}}),
    (
        {"reasoning": Reasoning(adaptive=True, enabled=True)},
        Capabilities(),
        {"reasoning": {"summary": "auto"}},
    ),
    (
        {"reasoning": Reasoning(budget_tokens=20000)},
        Capabilities(),
        {"reasoning": {"effort": "high", "summary": "auto"}},
    ),
    (
        {"reasoning": Reasoning("max", summary="concise")},
        Capabilities(efforts=("low", "high")),
        {"reasoning": {"effort": "high", "summary": "concise"}},
    ),
    ({"session_id": "s"}, Capabilities(), {"prompt_cache_key": "s"}),
    ({"session_id": "s"}, Capabilities(prompt_cache_key=False), {}),
    (
        {"user_id": "u", "service_tier": "flex"},
        Capabilities(),
        {"safety_identifier": "u", "service_tier": "flex"},
    ),
    ({"user_id": "u", "service_tier": "flex"}, Capabilities(openai_extras=False), {}),
    ({"temperature": 1.5, "top_p": 0.5}, Capabilities(max_temperature=1), {"temperature": 1, "top_p": 0.5}),
    ({"temperature": 1.5, "top_p": 0.5}, Capabilities(sampling=False), {}),
    ({"temperature": 1.5, "top_p": 0.5}, Capabilities(dropped_fields=("temperature",)), {"top_p": 0.5}),
    (
        {"output_format": OutputFormat("json_object")},
        Capabilities(),
        {"text": {"format": {"type": "json_object"}}},
    ),
    (
        {"output_format": OutputFormat("json_schema", "n", {"type": "object"}, True), "verbosity": "low"},
        Capabilities(),
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
                "verbosity": "low",
            }
        },
    ),
    (
        {"output_format": OutputFormat("json_object")},
        Capabilities(json_schema=False),
        {"instructions": "Respond with a single JSON object and nothing else."},
    ),
    (
        {"system": ("x-anthropic-billing-header: cc_version=2", "S")},
        Capabilities(),
        {"instructions": "S"},
    ),
]


@pytest.mark.parametrize(("fields", "capabilities", "expected"), SETTINGS)
def test_settings_are_encoded_as_the_upstream_takes_them(
    fields: dict[str, Any], capabilities: Capabilities, expected: dict[str, Any]
) -> None:
    body = body_of(write(said(HI, **fields), capabilities))
    for constant in ("model", "input", "store", "include"):
        body.pop(constant)
    assert body == expected


def test_instructions_alone_get_a_turn_to_answer() -> None:
    body = body_of(write(said(system=("S",))))
    assert (body["instructions"], body["input"]) == (
        "S",
        [{"role": "user", "content": [{"type": "input_text", "text": "Continue."}]}],
    )


def test_long_identifiers_are_hashed() -> None:
    body = body_of(write(said(HI, user_id="u" * 65)))
    assert len(body["safety_identifier"]) == 64 and body["safety_identifier"] != "u" * 64


def test_stops_are_watched_for_in_the_answer() -> None:
    assert write(said(HI, stop=("END",))).stops == ("END",)


def test_only_an_upstream_that_reasons_is_requested_to_return_its_reasoning() -> None:
    body = body_of(write(said(HI, reasoning=Reasoning("high")), Capabilities(reasoning_effort="none")))
    assert "include" not in body and "reasoning" not in body


SYSTEM_LATER = said(HI, Message("system", (Text("Stop"),)))
ROLES: list[tuple[Capabilities, Any]] = [
    (Capabilities(), {"role": "developer", "content": "Stop"}),
    (Capabilities(developer_role=False), {"role": "system", "content": "Stop"}),
]


@pytest.mark.parametrize(("capabilities", "item"), ROLES)
def test_a_late_system_message_keeps_its_position(capabilities: Capabilities, item: Any) -> None:
    assert body_of(write(SYSTEM_LATER, capabilities))["input"][1] == item


def test_a_late_system_message_becomes_a_reminder() -> None:
    (item,) = body_of(write(SYSTEM_LATER, Capabilities(mid_system=False)))["input"]
    assert item["content"][1]["text"] == "<system-reminder>\nStop\n</system-reminder>"


UNSAYABLE: list[tuple[Request, Capabilities]] = [
    (said(HI, tools=KINDS), Capabilities(tools=False)),
    (said(HI, tools=KINDS, tool_choice=ToolChoice("named", "zzz")), Capabilities()),
    (said(HI, tool_choice=ToolChoice("named", "web_search")), Capabilities()),
    (
        said(HI, hosted_tools=(HostedTool("web_search"),), tool_choice=ToolChoice("named", "web_search")),
        Capabilities(hosted_web_search=False),
    ),
    (said(Message("user", (Document("application/pdf", "x"),))), Capabilities(files=False)),
    (said(Message("user", (Image(url="https://x"),))), Capabilities(image_urls=False)),
    (said(HI, Message("assistant", (neutral.Compaction("x"), Text("a"))), HI), LOCAL),
    (
        said(HI, hosted_tools=(HostedTool("code_execution"),), tool_choice=ToolChoice("required")),
        Capabilities(),
    ),
    (said(HI, hosted_tools=(HostedTool("mcp", {"name": "n", "url": "u"}),)), Capabilities()),
]


@pytest.mark.parametrize(("request_", "capabilities"), UNSAYABLE)
def test_what_would_lose_its_meaning_is_refused(request_: Request, capabilities: Capabilities) -> None:
    with pytest.raises(BadRequest):
        write(request_, capabilities)


DROPPED: list[tuple[Request, Capabilities, list[str]]] = [
    (
        said(HI, top_k=5, seed=1, frequency_penalty=0.5, logprobs=2),
        Capabilities(),
        ["top_k", "seed", "frequency_penalty", "logprobs"],
    ),
    (said(HI, temperature=1), Capabilities(sampling=False), ["temperature"]),
    (said(HI, max_tokens=99), Capabilities(max_output_tokens=50), ["max_tokens"]),
    (
        said(HI, hosted_tools=(HostedTool("web_search"),)),
        Capabilities(hosted_web_search=False),
        ["tools.web_search"],
    ),
    (said(Message("user", (Text("a"), Image("image/png", PNG)))), Capabilities(images=False), ["image"]),
    (said(HI, seed=1, temperature=1), Capabilities(dropped_fields=("temperature",)), ["seed", "temperature"]),
    (
        said(HI, hosted_tools=(HostedTool("web_search", {"blocked_domains": ["x"], "max_uses": 3}),)),
        Capabilities(),
        ["web_search.blocked_domains", "web_search.max_uses"],
    ),
]


@pytest.mark.parametrize(("request_", "capabilities", "fields"), DROPPED)
def test_what_is_not_sent_is_a_loss(request_: Request, capabilities: Capabilities, fields: list[str]) -> None:
    sent = write(request_, capabilities)
    body_of(sent)
    assert [loss.field for loss in sent.losses] == fields
    assert all(isinstance(loss, Loss) and loss.why for loss in sent.losses)


def test_the_service_itself_is_requested_to_compact() -> None:
    assert body_of_trigger(write(said(HI, compact=True))) == {"type": "compaction_trigger"}


def body_of_trigger(sent: SentRequest) -> Any:
    return msgspec.json.decode(sent.body)["input"][-1]


SAYABLE = [
    name for name in ITEMS if name not in ("carried text", "a search of the upstream", "a foreign compaction")
]


@pytest.mark.parametrize("name", SAYABLE)
def test_what_was_decoded_can_be_encoded_for_every_upstream(name: str) -> None:
    request = read(input=ITEMS[name][0])
    for capabilities in (Capabilities(), LOCAL):
        body_of(write(replace(request, messages=(HI, *request.messages, HI)), capabilities))

"""The requests of clients, decoded field by field."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.neutral import (
    Citation,
    Document,
    HostedTool,
    Image,
    Loss,
    Message,
    OutputFormat,
    Reasoning,
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

PNG = "iVBORw0KGgoAAAANSUhEUg=="
ASK = {"role": "user", "content": "x"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED = {**SCHEMA, "required": ["city"], "additionalProperties": False}


def read(**fields: Any) -> Request:
    return CODEC.decode_request(
        msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": [ASK], **fields})
    )


def blocks(role: str, *content: Any) -> tuple[neutral.Block, ...]:
    request = read(messages=[{"role": role, "content": list(content)}])
    return tuple(block for message in request.messages for block in message.content)


def test_the_smallest_request() -> None:
    assert read() == Request(
        model="m", messages=(Message("user", (Text("x"),)),), max_tokens=9, include_usage=True
    )


def test_a_request_for_counting_needs_no_max_tokens() -> None:
    assert (
        CODEC.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}').max_tokens is None
    )


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"system": "S"}, {"system": ("S",)}),
    (
        {"system": [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": " "}]},
        {"system": ("a",)},
    ),
    (
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: a"}]},
        {"system": ("x-anthropic-billing-header: a",)},
    ),
    ({"max_tokens": 0}, {"max_tokens": 0}),
    ({"stream": True}, {"stream": True}),
    ({"temperature": 0.5, "top_p": 0.9, "top_k": 40}, {"temperature": 0.5, "top_p": 0.9, "top_k": 40}),
    ({"stop_sequences": ["END", ""]}, {"stop": ("END",)}),
    ({"tool_choice": {"type": "auto"}}, {"tool_choice": ToolChoice("auto")}),
    ({"tool_choice": {"type": "any"}}, {"tool_choice": ToolChoice("required")}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice("none")}),
    ({"tool_choice": {"type": "tool", "name": "f"}}, {"tool_choice": ToolChoice("named", "f")}),
    (
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tool_choice": ToolChoice("auto"), "parallel_tool_calls": False},
    ),
    ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 4096, "display": "summarized"}},
        {"reasoning": Reasoning(budget_tokens=4096, enabled=True, summary="auto")},
    ),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        {"reasoning": Reasoning(effort="high", enabled=True, adaptive=True)},
    ),
    ({"output_config": {"effort": "xhigh"}}, {"reasoning": Reasoning(effort="xhigh")}),
    ({"output_config": {"effort": "auto"}}, {"reasoning": Reasoning()}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
        {"output_format": OutputFormat("json_schema", schema=CLOSED, strict=True)},
    ),
    (
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"output_format": OutputFormat("json_schema", schema=SCHEMA)},
    ),
    (
        {"metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"5e1f"}'}},
        {"user_id": '{"device_id":"d","account_uuid":"","session_id":"5e1f"}', "session_id": "5e1f"},
    ),
    (
        {"metadata": {"user_id": "user_ab_account__session_0a1b2c3d-4e5f"}},
        {"user_id": "user_ab_account__session_0a1b2c3d-4e5f", "session_id": "0a1b2c3d-4e5f"},
    ),
    ({"metadata": {"user_id": "someone"}}, {"user_id": "someone"}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    (
        {
            "tools": [
                {
                    "name": "w",
                    "description": "d",
                    "input_schema": SCHEMA,
                    "cache_control": {"type": "ephemeral"},
                }
            ]
        },
        {"tools": (Tool("w", "d", SCHEMA),)},
    ),
    (
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "w",
                    "input_schema": SCHEMA,
                    "strict": True,
                    "defer_loading": True,
                    "input_examples": [{"city": "Oslo"}],
                },
                {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
            ]
        },
        {"tools": (Tool("w", 'Examples of input: [{"city":"Oslo"}]', SCHEMA, strict=True),)},
    ),
    (
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 8,
                    "allowed_domains": ["a.no"],
                    "user_location": {"type": "approximate", "city": "Oslo", "region": None},
                }
            ]
        },
        {
            "hosted_tools": (
                HostedTool(
                    "web_search",
                    {"allowed_domains": ["a.no"], "max_uses": 8, "user_location": {"city": "Oslo"}},
                ),
            )
        },
    ),
    (
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"hosted_tools": (HostedTool("code_execution", {"name": "code_execution"}),)},
    ),
    (
        {"mcp_servers": [{"type": "url", "name": "n", "url": "u"}]},
        {"hosted_tools": (HostedTool("mcp", {"type": "url", "name": "n", "url": "u"}),)},
    ),
    (
        {
            "cache_control": {"type": "ephemeral"},
            "container": "c",
            "inference_geo": "eu",
            "context_management": {"edits": []},
            "speed": "fast",
            "diagnostics": {},
            "fallbacks": [],
            "thread": {},
        },
        {
            "losses": tuple(
                Loss(name, "no other protocol has it")
                for name in ("container", "inference_geo", "context_management", "speed")
            )
        },
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS, ids=lambda value: ",".join(value))
def test_each_field_is_decoded(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    reported = read(**fields)
    defaults = read()
    for name in Request.__struct_fields__:
        assert getattr(reported, name) == expected.get(name, getattr(defaults, name)), name


@pytest.mark.parametrize("type_", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
def test_tools_of_the_vendors_own_making_get_a_schema(type_: str) -> None:
    (tool,) = read(tools=[{"type": type_, "name": "its_name"}]).tools
    assert tool.name == "its_name" and tool.description
    assert tool.parameters["type"] == "object" and "command" in tool.parameters["properties"]


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": source}


def document(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **more}


TEXT = {"type": "text", "text": "t"}
SEARCH_RESULT = {"type": "search_result", "title": "T", "source": "https://s", "content": [TEXT]}

USER_BLOCKS: list[tuple[dict[str, Any], tuple[neutral.Block, ...]]] = [
    (TEXT | {"cache_control": {"type": "ephemeral"}}, (Text("t"),)),
    ({"type": "text", "text": " \n"}, ()),
    (image(type="base64", media_type="image/png", data=PNG), (Image("image/png", PNG),)),
    (image(type="base64", media_type="image/jpeg", data=PNG), (Image("image/png", PNG),)),
    (image(type="url", url="https://i"), (Image(url="https://i"),)),
    (
        document(
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, title="T", context="C"
        ),
        (Document("application/pdf", "JVBERi0=", title="T", context="C"),),
    ),
    (document({"type": "text", "media_type": "text/plain", "data": "d"}), (Document("text/plain", "d"),)),
    (document({"type": "url", "url": "https://d"}), (Document(url="https://d"),)),
    (
        document({"type": "content", "content": [TEXT, image(type="url", url="https://i")]}, title="T"),
        (Text("T"), Text("t"), Image(url="https://i")),
    ),
    (SEARCH_RESULT, (Text("T\nhttps://s\n\nt"),)),
    ({"type": "tool_result", "tool_use_id": "a"}, (ToolResult("a", ()),)),
    (
        {"type": "tool_result", "tool_use_id": "a", "content": "3C", "is_error": True},
        (ToolResult("a", (Text("3C"),), is_error=True),),
    ),
    (
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                TEXT,
                image(type="base64", media_type="image/png", data=PNG),
                document({"type": "text", "data": "d"}),
                {"type": "tool_reference", "tool_name": "f"},
            ],
        },
        (
            ToolResult(
                "a",
                (
                    Text("t"),
                    Image("image/png", PNG),
                    Document("text/plain", "d"),
                    Text("[The tool f is available.]"),
                ),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("block", "expected"), USER_BLOCKS)
def test_each_block_of_a_user_is_decoded(block: dict[str, Any], expected: tuple[neutral.Block, ...]) -> None:
    assert blocks("user", block) == expected


ITEM = carrier.pack("reasoning", "r", {"type": "reasoning"})

ASSISTANT_BLOCKS: list[tuple[tuple[dict[str, Any], ...], tuple[neutral.Block, ...]]] = [
    ((TEXT,), (Text("t"),)),
    (({"type": "thinking", "thinking": "T", "signature": "S"},), (Thinking("T", Signature("S")),)),
    (({"type": "thinking", "thinking": "T", "signature": ""},), (Thinking("T"),)),
    (
        (
            {
                "type": "thinking",
                "thinking": "T",
                "signature": carrier.pack("thinking", "a", {"signature": "S"}),
            },
        ),
        (Thinking("T", Signature("S", "a")),),
    ),
    (({"type": "thinking", "thinking": "T", "signature": ITEM},), (Thinking("T", Signature(ITEM, "r")),)),
    (({"type": "thinking", "thinking": "T", "signature": carrier.pack("text", "", {})},), (Thinking("T"),)),
    (({"type": "thinking", "thinking": "T", "signature": carrier.PREFIX + "damaged"},), (Thinking("T"),)),
    (({"type": "redacted_thinking", "data": "D"},), (Thinking("", Signature("D"), redacted=True),)),
    (({"type": "redacted_thinking", "data": ITEM},), (Thinking("", Signature(ITEM, "r"), redacted=True),)),
    (
        ({"type": "tool_use", "id": "a", "name": "f", "input": {"b": 1, "a": "é"}},),
        (ToolCall("a", "f", '{"b":1,"a":"é"}'),),
    ),
    (({"type": "tool_use", "id": "a", "name": "f"},), (ToolCall("a", "f", "{}"),)),
    (
        (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [{"type": "web_search_result", "url": "u", "title": "t"}],
            },
        ),
        (WebSearch("s", "q", (Citation("u", "t"),)),),
    ),
    (({"type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {}},), ()),
]


@pytest.mark.parametrize(("reported", "expected"), ASSISTANT_BLOCKS)
def test_each_block_of_an_assistant_is_decoded(
    reported: tuple[dict[str, Any], ...], expected: tuple[neutral.Block, ...]
) -> None:
    assert blocks("assistant", *reported) == expected


def test_unknown_output_of_a_model_is_a_loss() -> None:
    request = read(messages=[ASK, {"role": "assistant", "content": [TEXT, {"type": "sparkle"}]}])
    assert request.messages[1] == Message("assistant", (Text("t"),))
    assert request.losses == (Loss("messages.1.content.1", "no other protocol has blocks of type 'sparkle'"),)


def test_system_messages_keep_their_position() -> None:
    request = read(messages=[ASK, {"role": "system", "content": "S"}, {"role": "assistant", "content": "a"}])
    assert request.messages == (
        Message("user", (Text("x"),)),
        Message("system", (Text("S"),)),
        Message("assistant", (Text("a"),)),
    )


def user(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "model: Field required"),
    ({"messages": None}, "messages", "messages: Field required"),
    ({"messages": []}, "messages", "messages: at least one message is required"),
    (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role",
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    (
        {"messages": [{"role": "user", "content": 3}]},
        "messages.0.content",
        "messages.0.content: Input should be a string or a list of blocks",
    ),
    (
        user(TEXT, {"type": "container_upload", "file_id": "f"}),
        "messages.0.content.1",
        "messages.0.content.1: blocks of type 'container_upload' are not supported in user messages",
    ),
    (user("x"), "messages.0.content.0", "messages.0.content.0: Input should be an object"),
    (
        user({"type": "text"}),
        "messages.0.content.0.text",
        "messages.0.content.0.text: Input should be a valid string",
    ),
    (
        user(image(type="file", file_id="f")),
        "messages.0.content.0",
        "messages.0.content.0: image sources of type 'file' cannot be read by another upstream",
    ),
    (
        user(document({"type": "file", "file_id": "f"})),
        "messages.0.content.0",
        "messages.0.content.0: document sources of type 'file' cannot be read by another upstream",
    ),
    (user({"type": "image"}), "messages.0.content.0.source", "messages.0.content.0.source: Field required"),
    (
        user({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "sparkle"}]}),
        "messages.0.content.0.content.0",
        "messages.0.content.0.content.0: only text, images, documents and search results are supported here",
    ),
    ({"system": 3}, "system", "system: Input should be a string or a list of blocks"),
    ({"tools": {}}, "tools", "tools: Input should be a valid list"),
    ({"tools": ["f"]}, "tools.0", "tools.0: Input should be an object"),
    ({"tools": [{"input_schema": {}}]}, "tools.0.name", "tools.0.name: Field required"),
    (
        {"tools": [{"type": "computer_20250124", "name": "computer"}]},
        "tools.0",
        "tools.0: tools of type 'computer_20250124' are not supported by this upstream",
    ),
    (
        {"tools": [{"type": "computer_toolset_20260801"}]},
        "tools.0",
        "tools.0: tools of type 'computer_toolset_20260801' are not supported by this upstream",
    ),
    (
        {"tools": [{"type": "browser_toolset_20260801", "configs": {"zoom": {"enabled": False}}}]},
        "tools.0",
        "tools.0: tools of type 'browser_toolset_20260801' are not supported by this upstream",
    ),
    ({"tool_choice": "auto"}, "tool_choice", "tool_choice: Input should be an object"),
    (
        {"tool_choice": {"type": "some"}},
        "tool_choice.type",
        "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
    ),
    ({"stop_sequences": "END"}, "stop_sequences", "stop_sequences: Input should be a list of strings"),
    ({"max_tokens": "9"}, "max_tokens", "max_tokens: Input should be a valid number"),
    ({"max_tokens": 1.5}, "max_tokens", "max_tokens: Input should be a valid integer"),
    ({"thinking": True}, "thinking", "thinking: Input should be an object"),
]


@pytest.mark.parametrize(("fields", "param", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_understood_is_refused_by_name(
    fields: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(BadRequest) as raised:
        read(**fields)
    assert (raised.value.message, raised.value.param) == (message, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not a valid JSON object"):
        CODEC.decode_request(body)

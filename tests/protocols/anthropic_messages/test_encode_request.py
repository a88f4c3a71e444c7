"""Requests of other protocols, encoded for a Messages upstream."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages.codec import CODEC
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.neutral import (
    Compaction,
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
from tests.protocols.anthropic_messages.script import ISSUER, target
from tests.protocols.validators import check_messages_request

PNG = "iVBORw0KGgoAAAANSUhEUg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
ASK = Message("user", (Text("x"),))
TOOL = Tool("w", "d", SCHEMA)
WIRE_TOOL = {"name": "w", "description": "d", "input_schema": SCHEMA}
BARE = {"cache_control": False}


def request(*messages: Message, **fields: Any) -> Request:
    return Request("client-model", messages or (ASK,), **fields)


def send(asked: Request, **capabilities: Any) -> SentRequest:
    return CODEC.encode_request(asked, target(**(BARE | capabilities)))


def written(asked: Request, **capabilities: Any) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(send(asked, **capabilities).body)
    check_messages_request(body)
    return body


def user(*blocks: neutral.Block) -> Message:
    return Message("user", blocks)


def assistant(*blocks: neutral.Block) -> Message:
    return Message("assistant", blocks)


def test_the_smallest_request() -> None:
    assert written(request()) == {
        "model": "model-a",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": "x"}],
    }


def golden(signature: Signature | None) -> Request:
    return request(
        user(Text("weather?")),
        assistant(Thinking("T", signature), Text("Look"), ToolCall("call_1", "w", '{"city":"Oslo"}')),
        user(ToolResult("call_1", (Text("3C"),))),
        system=("S",),
        tools=(TOOL,),
        max_tokens=100,
        reasoning=Reasoning(effort="medium"),
    )


GOLDEN: dict[str, Any] = {
    "model": "model-a",
    "max_tokens": 100,
    "system": "S",
    "output_config": {"effort": "medium"},
    "thinking": {"type": "adaptive"},
    "tools": [WIRE_TOOL],
    "messages": [
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "T", "signature": "SIG"},
                {"type": "text", "text": "Look"},
                {"type": "tool_use", "id": "call_1", "name": "w", "input": {"city": "Oslo"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "3C"}]},
    ],
}


def test_the_golden_conversation() -> None:
    assert written(golden(Signature("SIG", ISSUER))) == GOLDEN


def test_the_golden_conversation_comes_back_the_same() -> None:
    body = msgspec.json.encode(GOLDEN)
    again = CODEC.decode_request(body)
    assert again.messages == golden(Signature("SIG")).messages
    assert (again.system, again.tools, again.max_tokens) == (("S",), (TOOL,), 100)


# --- single fields ------------------------------------------------------------

FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"stream": True}, {"stream": True}),
    ({"system": ("a",)}, {"system": "a"}),
    ({"system": ("a", " ", "b")}, {"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
    ({"temperature": 1.7}, {"temperature": 1.0}),
    ({"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}),
    ({"top_p": 0.9, "top_k": 4}, {"top_p": 0.9, "top_k": 4}),
    ({"stop": ("END", " \n")}, {"stop_sequences": ["END"]}),
    ({"tools": (TOOL,)}, {"tools": [WIRE_TOOL]}),
    (
        {"tools": (Tool("w"),)},
        {"tools": [{"name": "w", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    ({"tool_choice": ToolChoice("auto"), "parallel_tool_calls": False}, {}),
    (
        {"tools": (TOOL,), "tool_choice": ToolChoice("required")},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "any"}},
    ),
    (
        {"tools": (TOOL,), "tool_choice": ToolChoice("none"), "parallel_tool_calls": False},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "none"}},
    ),
    (
        {"tools": (TOOL,), "tool_choice": ToolChoice("named", "w")},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "tool", "name": "w"}},
    ),
    (
        {"tools": (TOOL,), "parallel_tool_calls": False},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    (
        {"tools": (TOOL, Tool("other")), "tool_choice": ToolChoice("required", allowed=("w",))},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "any"}},
    ),
    (
        {
            "tools": (Tool("list", namespace="files", parameters=SCHEMA),),
            "tool_choice": ToolChoice("named", "list", "files"),
        },
        {
            "tools": [{"name": "files__list", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "files__list"},
        },
    ),
    (
        {
            "hosted_tools": (
                HostedTool("web_search", {"allowed_domains": ["a"], "user_location": {"city": "Oslo"}}),
            )
        },
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "allowed_domains": ["a"],
                    "user_location": {"type": "approximate", "city": "Oslo"},
                }
            ]
        },
    ),
    ({"user_id": "u" * 300}, {"metadata": {"user_id": "u" * 256}}),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"service_tier": "flex"}, {}),
    (
        {"output_format": OutputFormat("json_schema", "n", SCHEMA, strict=True)},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    (
        {"output_format": OutputFormat("json_object"), "system": ("S",)},
        {
            "system": [
                {"type": "text", "text": "S"},
                {"type": "text", "text": "Respond with a single JSON object and nothing else."},
            ]
        },
    ),
    ({"metadata": {"k": "v"}, "echo": {"a": 1}}, {}),
]
LOST: list[tuple[dict[str, Any], list[str]]] = [
    ({"metadata": {"k": "v"}, "verbosity": "low"}, ["verbosity", "metadata"]),
    ({"service_tier": "flex"}, ["service_tier"]),
    ({"service_tier": "auto"}, []),
    (
        {"hosted_tools": (HostedTool("web_search", {"search_context_size": "low"}),)},
        ["web_search.search_context_size"],
    ),
    (
        {"hosted_tools": (HostedTool("web_search", {"allowed_domains": ["a"], "blocked_domains": ["b"]}),)},
        ["web_search.blocked_domains"],
    ),
]


@pytest.mark.parametrize(("fields", "lost"), LOST, ids=lambda value: str(value)[:60])
def test_what_this_protocol_has_no_field_for_is_a_loss(fields: dict[str, Any], lost: list[str]) -> None:
    assert [loss.field for loss in send(request(**fields)).losses] == lost


@pytest.mark.parametrize(("fields", "expected"), FIELDS, ids=lambda value: str(value)[:60])
def test_each_field_is_encoded(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    plain = {"model": "model-a", "max_tokens": 8192, "messages": [{"role": "user", "content": "x"}]}
    assert written(request(**fields)) == plain | expected


def test_a_custom_tool_becomes_a_function_and_is_remembered() -> None:
    tool = Tool("apply_patch", "Patches.", kind="custom", grammar=("lark", "start: x"))
    sent = send(request(tools=(tool,)))
    (reported,) = msgspec.json.decode(sent.body)["tools"]
    assert reported["input_schema"]["required"] == ["input"] and "start: x" in reported["description"]
    assert sent.tools == {"apply_patch": tool}


# --- thinking -----------------------------------------------------------------


def thinking_of(body: dict[str, Any]) -> tuple[Any, Any, int]:
    return body.get("thinking"), body.get("output_config", {}).get("effort"), body["max_tokens"]


ON = {"type": "adaptive"}

ADAPTIVE: list[tuple[Reasoning, int | None, tuple[Any, Any, int]]] = [
    (Reasoning(), 9000, (None, None, 9000)),
    (Reasoning(effort="none"), 9000, ({"type": "disabled"}, None, 9000)),
    (Reasoning(enabled=False), 9000, ({"type": "disabled"}, None, 9000)),
    (Reasoning(effort="minimal"), 9000, (ON, "low", 9000)),
    (Reasoning(effort="medium"), 9000, (ON, "medium", 9000)),
    (Reasoning(effort="max", summary="auto"), 9000, ({**ON, "display": "summarized"}, "max", 9000)),
    (Reasoning(budget_tokens=16384, enabled=True), 9000, (ON, "high", 9000)),
    (Reasoning(enabled=True, adaptive=True), 9000, (ON, None, 9000)),
    (Reasoning(effort="high"), None, (ON, "high", 8192 + 16384)),
]
BUDGETS: list[tuple[Reasoning, int | None, tuple[Any, Any, int]]] = [
    (Reasoning(), 9000, (None, None, 9000)),
    (Reasoning(effort="none"), 9000, (None, None, 9000)),
    (Reasoning(effort="low"), 9000, ({"type": "enabled", "budget_tokens": 2047}, None, 9000)),
    (Reasoning(effort="high"), 9000, ({"type": "enabled", "budget_tokens": 7976}, None, 9000)),
    (Reasoning(effort="high"), 2047, (None, None, 2047)),
    (Reasoning(effort="high"), None, ({"type": "enabled", "budget_tokens": 16384}, None, 8192 + 16384)),
    (
        Reasoning(budget_tokens=3000, enabled=True),
        9000,
        ({"type": "enabled", "budget_tokens": 3000}, None, 9000),
    ),
    (Reasoning(enabled=True), 90000, ({"type": "enabled", "budget_tokens": 16384}, None, 90000)),
]


@pytest.mark.parametrize(("reasoning", "max_tokens", "expected"), ADAPTIVE)
@pytest.mark.parametrize("mode", ["effort", "adaptive"])
def test_reasoning_of_adaptive_models(
    reasoning: Reasoning, max_tokens: int | None, expected: tuple[Any, Any, int], mode: str
) -> None:
    asked = request(reasoning=reasoning, max_tokens=max_tokens)
    assert thinking_of(written(asked, reasoning_effort=mode)) == expected


@pytest.mark.parametrize(("reasoning", "max_tokens", "expected"), BUDGETS)
def test_reasoning_of_models_with_a_budget(
    reasoning: Reasoning, max_tokens: int | None, expected: tuple[Any, Any, int]
) -> None:
    asked = request(reasoning=reasoning, max_tokens=max_tokens)
    assert thinking_of(written(asked, reasoning_effort="budget")) == expected


LIMITED = [
    (Reasoning(), 9000, (None, None, 5000)),
    (Reasoning(), 0, (None, None, 1)),
    (Reasoning(effort="high"), None, ({"type": "enabled", "budget_tokens": 3976}, None, 5000)),
    (Reasoning(effort="high"), 9000, ({"type": "enabled", "budget_tokens": 3976}, None, 5000)),
    (Reasoning(effort="low"), 4000, ({"type": "enabled", "budget_tokens": 2047}, None, 4000)),
]


@pytest.mark.parametrize(("reasoning", "max_tokens", "expected"), LIMITED)
def test_the_requested_answer_is_no_longer_than_the_upstream_gives(
    reasoning: Reasoning, max_tokens: int | None, expected: tuple[Any, Any, int]
) -> None:
    sent = send(
        request(reasoning=reasoning, max_tokens=max_tokens), reasoning_effort="budget", max_output_tokens=5000
    )
    assert thinking_of(msgspec.json.decode(sent.body)) == expected
    lost = [Loss("max_tokens", "this upstream gives at most 5000")] if max_tokens == 9000 else []
    assert list(sent.losses) == lost


def test_reasoning_is_lost_where_it_cannot_be_steered() -> None:
    sent = send(request(reasoning=Reasoning(effort="high")), reasoning_effort="none")
    assert "thinking" not in msgspec.json.decode(sent.body)
    assert sent.losses == (Loss("reasoning", "this upstream's thinking cannot be steered"),)


def test_efforts_are_clamped_to_what_the_model_knows() -> None:
    asked = request(reasoning=Reasoning(effort="max"), max_tokens=9000)
    assert thinking_of(written(asked, efforts=("low", "medium", "high"))) == (ON, "high", 9000)
    off = request(reasoning=Reasoning(effort="none"), max_tokens=9000)
    assert thinking_of(written(off, efforts=("low", "high"))) == ({"type": "disabled"}, None, 9000)


@pytest.mark.parametrize(
    "effort", [effort for effort in EFFORTS if effort not in ("none", "minimal", "ultra")]
)
def test_an_effort_survives_the_way_through_this_protocol(effort: neutral.Effort) -> None:
    sent = send(request(reasoning=Reasoning(effort=effort)))
    assert CODEC.decode_request(sent.body).reasoning.effort == effort


def test_a_forced_call_goes_without_thinking_but_keeps_the_effort() -> None:
    asked = request(
        tools=(TOOL,), tool_choice=ToolChoice("required"), reasoning=Reasoning(effort="high"), max_tokens=9000
    )
    assert thinking_of(written(asked)) == (None, "high", 9000)
    assert thinking_of(written(asked, reasoning_effort="budget")) == (None, None, 9000)


def test_with_a_budget_a_tool_loop_without_its_own_thinking_does_not_think() -> None:
    asked = golden(Signature("S", "upstream-r"))
    assert thinking_of(written(asked, reasoning_effort="budget")) == (None, None, 100)


def test_with_a_budget_a_tool_loop_with_its_own_thinking_thinks_on() -> None:
    asked = golden(Signature("S", ISSUER))
    body = written(Request(**{**fields_of(asked), "max_tokens": 9000}), reasoning_effort="budget")
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 7976}


def test_adaptive_models_think_on_without_it() -> None:
    body = written(golden(Signature("S", "upstream-r")))
    assert body["thinking"] == ON
    assert [block["type"] for block in body["messages"][1]["content"]] == ["text", "tool_use"]


def fields_of(asked: Request) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Request.__struct_fields__}


def test_thinking_takes_the_sampling_away() -> None:
    sent = send(request(reasoning=Reasoning(effort="low"), temperature=0.5, top_p=0.5, top_k=3))
    body = msgspec.json.decode(sent.body)
    assert not {"temperature", "top_p", "top_k"} & set(body)
    assert {loss.field for loss in sent.losses} == {"temperature", "top_p", "top_k"}


# --- messages -----------------------------------------------------------------


def messages(*reported: Message, **capabilities: Any) -> list[Any]:
    body = written(request(*reported), **capabilities)
    return [(message["role"], message["content"]) for message in body["messages"]]


def use(id: str, **input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "w", "input": input}


def result(id: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


CALL = ToolCall("a", "w", "{}")
DONE = ToolResult("a", (Text("3C"),))
ANSWERED = [("user", "x"), ("assistant", [use("a")]), ("user", [result("a", "3C")])]
SUMMARY = carrier.pack("summary", "", {"text": "So far."})

MESSAGES: dict[str, tuple[tuple[Message, ...], list[Any]]] = {
    "a call and its result": ((ASK, assistant(CALL), user(DONE)), ANSWERED),
    "text of the same turn follows the result": (
        (ASK, assistant(CALL), user(Text("also do X"), DONE)),
        [*ANSWERED[:2], ("user", [result("a", "3C"), {"type": "text", "text": "also do X"}])],
    ),
    "an interrupted call": (
        (ASK, assistant(CALL), user(Text("stop"))),
        [
            *ANSWERED[:2],
            ("user", [result("a", "(no result recorded)", is_error=True), {"type": "text", "text": "stop"}]),
        ],
    ),
    "a result told twice": ((ASK, assistant(CALL), user(ToolResult("a", (Text("1C"),)), DONE)), ANSWERED),
    "a result without call": (
        (ASK, user(DONE)),
        [("user", [{"type": "text", "text": "x"}, {"type": "text", "text": "[tool output a]\n3C"}])],
    ),
    "a forbidden id": (
        (ASK, assistant(ToolCall("functions.w:0", "w", "{}")), user(ToolResult("functions.w:0", ()))),
        [
            ("user", "x"),
            ("assistant", [use("functions_w_0_b76109c1")]),
            ("user", [result("functions_w_0_b76109c1", [])]),
        ],
    ),
    "empty arguments": ((ASK, assistant(ToolCall("a", "w", "")), user(DONE)), ANSWERED),
    "broken arguments": (
        (ASK, assistant(ToolCall("a", "w", "{bad")), user(DONE)),
        [("user", "x"), ("assistant", [use("a", _raw="{bad")]), ANSWERED[2]],
    ),
    "a custom call": (
        (ASK, assistant(ToolCall("a", "w", "free\ntext", kind="custom")), user(DONE)),
        [("user", "x"), ("assistant", [use("a", input="free\ntext")]), ANSWERED[2]],
    ),
    "an error": (
        (ASK, assistant(CALL), user(ToolResult("a", (Text("no"),), is_error=True))),
        [*ANSWERED[:2], ("user", [result("a", "no", is_error=True)])],
    ),
    "an image in a result": (
        (ASK, assistant(CALL), user(ToolResult("a", (Text("see"), Image("image/png", PNG))))),
        [
            *ANSWERED[:2],
            (
                "user",
                [
                    result(
                        "a",
                        [
                            {"type": "text", "text": "see"},
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                            },
                        ],
                    )
                ],
            ),
        ],
    ),
    "text and calls of one turn": (
        (ASK, assistant(Text("Look"), CALL), user(DONE)),
        [("user", "x"), ("assistant", [{"type": "text", "text": "Look"}, use("a")]), ANSWERED[2]],
    ),
    "an empty text before a call": ((ASK, assistant(Text(""), CALL), user(DONE)), ANSWERED),
    "a refusal": (
        (ASK, assistant(Refusal("No.")), ASK),
        [("user", "x"), ("assistant", [{"type": "text", "text": "No."}]), ("user", "x")],
    ),
    "images and documents": (
        (
            user(
                Image(url="https://i"),
                Image("image/jpg", PNG, detail="high"),
                Document("application/pdf", "JVBERi0=", title="T", context="C"),
                Document("text/plain", "d"),
                Document(url="https://d"),
            ),
        ),
        [
            (
                "user",
                [
                    {"type": "image", "source": {"type": "url", "url": "https://i"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                        "title": "T",
                        "context": "C",
                    },
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                    {"type": "document", "source": {"type": "url", "url": "https://d"}},
                ],
            )
        ],
    ),
    "a search of another upstream": (
        (ASK, assistant(WebSearch("w", "q"), Text("a")), ASK),
        [("user", "x"), ("assistant", [{"type": "text", "text": "a"}]), ("user", "x")],
    ),
    "nothing left of a turn": (
        (ASK, assistant(WebSearch("w", "q")), user(Text("y"))),
        [("user", [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}])],
    ),
    "no user at all": ((Message("system", (Text("S"),)),), [("user", "Continue.")]),
    "an assistant first": (
        (assistant(Text("a")), ASK),
        [("user", "Continue."), ("assistant", [{"type": "text", "text": "a"}]), ("user", "x")],
    ),
    "a begun reply ends without space": (
        (ASK, assistant(Text("So: "))),
        [("user", "x"), ("assistant", [{"type": "text", "text": "So:"}])],
    ),
    "a compacted conversation": (
        (user(Compaction(SUMMARY), Text("on")),),
        [("user", [{"type": "text", "text": "So far."}, {"type": "text", "text": "on"}])],
    ),
    "a system message in the middle": (
        (ASK, Message("system", (Text("S"),)), assistant(Text("a")), ASK),
        [("user", "x"), ("system", "S"), ("assistant", [{"type": "text", "text": "a"}]), ("user", "x")],
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_conversations_obey_the_rules(name: str) -> None:
    reported, expected = MESSAGES[name]
    assert messages(*reported) == expected


def test_where_system_messages_are_unknown_they_become_reminders() -> None:
    reported = messages(ASK, Message("system", (Text("S"),)), assistant(Text("a")), ASK, mid_system=False)
    reminder = {"type": "text", "text": "<system-reminder>\nS\n</system-reminder>"}
    assert reported == [
        ("user", [{"type": "text", "text": "x"}, reminder]),
        ("assistant", [{"type": "text", "text": "a"}]),
        ("user", "x"),
    ]


def test_system_messages_at_the_head_join_the_system_prompt() -> None:
    body = written(request(Message("system", (Text("b"),)), ASK, system=("a",)))
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


THOUGHTS: list[tuple[Thinking, dict[str, Any] | None]] = [
    (Thinking("T", Signature("S", ISSUER)), {"type": "thinking", "thinking": "T", "signature": "S"}),
    (Thinking("", Signature("S", ISSUER)), {"type": "thinking", "thinking": "", "signature": "S"}),
    (
        Thinking("", Signature("redacted:D", ISSUER), redacted=True),
        {"type": "redacted_thinking", "data": "D"},
    ),
    (Thinking("T", Signature("S", "upstream-r")), None),
    (Thinking("T", Signature("S")), None),
    (Thinking("T"), None),
    (Thinking("T", Signature(carrier.pack("reasoning", ISSUER, {}), ISSUER)), None),
]


@pytest.mark.parametrize(("thinking", "expected"), THOUGHTS)
def test_only_the_upstreams_own_thinking_is_replayed(
    thinking: Thinking, expected: dict[str, Any] | None
) -> None:
    sent = send(request(ASK, assistant(thinking, Text("a")), ASK))
    content = msgspec.json.decode(sent.body)["messages"][1]["content"]
    assert content == [*([expected] if expected else []), {"type": "text", "text": "a"}]
    assert [loss.field for loss in sent.losses] == ([] if expected else ["thinking"])


def test_upstreams_that_check_no_signatures_get_all_thinking() -> None:
    reported = messages(
        ASK,
        assistant(Thinking("T", Signature("S", "r")), Thinking(""), Text("a")),
        ASK,
        signed_thinking=False,
    )
    assert reported[1][1] == [
        {"type": "thinking", "thinking": "T", "signature": ""},
        {"type": "text", "text": "a"},
    ]


def test_an_upstream_without_a_name_gets_no_thinking() -> None:
    sent = CODEC.encode_request(
        request(ASK, assistant(Thinking("T", Signature("S")), Text("a")), ASK), Target("m", "")
    )
    assert b"thinking" not in sent.body


# --- capabilities -------------------------------------------------------------


def test_breakpoints_are_set_for_the_cache() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = request(
        ASK, assistant(Text("a")), ASK, assistant(Text("a")), ASK, system=("a", "b"), tools=(TOOL, Tool("z"))
    )
    body = written(asked, cache_control=True)
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, mark["cache_control"]]
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **mark}]
    assert [message["content"] for message in body["messages"] if message["role"] == "user"] == [
        "x",
        [{"type": "text", "text": "x", **mark}],
        [{"type": "text", "text": "x", **mark}],
    ]


BILLED = ("x-anthropic-billing-header: cc_version=2", "S")


def test_the_billing_line_is_kept_only_where_it_is_meant() -> None:
    asked = request(system=BILLED)
    assert [block["text"] for block in written(asked)["system"]] == list(BILLED)
    assert written(asked, billing_line=False)["system"] == "S"


def test_capabilities_that_take_something_away() -> None:
    asked = request(
        tools=(TOOL,),
        hosted_tools=(HostedTool("web_search"), HostedTool("file_search")),
        tool_choice=ToolChoice("required"),
        stop=("END",),
        temperature=0.5,
        top_k=3,
        user_id="u",
        output_format=OutputFormat("json_schema", schema=SCHEMA),
        seed=1,
        logprobs=2,
    )
    sent = send(
        asked,
        hosted_web_search=False,
        forced_tool_choice=False,
        stop=False,
        sampling=False,
        top_k=False,
        openai_extras=False,
        json_schema=False,
        dropped_fields=("max_tokens",),
    )
    assert msgspec.json.decode(sent.body) == {
        "model": "model-a",
        "system": [
            {"type": "text", "text": "You must call one of the tools in your next reply."},
            {
                "type": "text",
                "text": "Respond with a single JSON object and nothing else. It must match this JSON schema:\n"
                + msgspec.json.encode(SCHEMA).decode(),
            },
        ],
        "tools": [WIRE_TOOL],
        "tool_choice": {"type": "auto"},
        "messages": [{"role": "user", "content": "x"}],
    }
    assert sent.stops == ("END",)
    assert {loss.field for loss in sent.losses} == {
        "tools.web_search",
        "tools.file_search",
        "temperature",
        "top_k",
        "seed",
        "logprobs",
        "max_tokens",
    }


def test_a_failed_result_states_it_where_the_flag_is_ignored() -> None:
    failed = neutral.ToolResult("a", (Text("no such file"),), is_error=True)
    asked = request(
        user(Text("x")), neutral.Message("assistant", (neutral.ToolCall("a", "w", "{}"),)), user(failed)
    )
    for heeds, said in ((True, "no such file"), (False, "Error: no such file")):
        (result,) = written(asked, error_results=heeds)["messages"][2]["content"]
        assert (result["content"], result["is_error"]) == (said, True)


def test_models_that_read_no_images_get_a_note() -> None:
    sent = send(request(user(Image("image/png", PNG), Text("x"))), images=False)
    assert msgspec.json.decode(sent.body)["messages"][0]["content"] == [
        {"type": "text", "text": "[image omitted: the model reads no images]"},
        {"type": "text", "text": "x"},
    ]
    assert sent.losses == (Loss("image", "this upstream reads no images"),)


def test_text_documents_are_text_where_files_are_unknown() -> None:
    reported = messages(user(Document("text/plain", "d", title="T", context="C")), files=False)
    assert reported == [("user", "T\n\nC\n\nd")]


REFUSED: list[tuple[Request, dict[str, Any], str]] = [
    (request(tools=(TOOL,)), {"tools": False}, "takes no tools"),
    (request(user(Document("application/pdf", "x"))), {"files": False}, "reads no documents"),
    (request(user(Document("application/zip", "x"))), {}, "'application/zip' are not supported"),
    (request(user(Image("image/tiff", "x"))), {}, "'image/tiff' are not supported"),
    (request(user(Image(url="https://i"))), {"image_urls": False}, "not from a URL"),
    (request(user(Compaction("opaque"))), {}, "only be read by the upstream"),
    (request(hosted_tools=(HostedTool("mcp", {}),)), {}, "cannot run the tool 'mcp'"),
    (
        request(hosted_tools=(HostedTool("file_search"),), tool_choice=ToolChoice("named", "file_search")),
        {},
        "cannot run the tool 'file_search'",
    ),
    (
        request(hosted_tools=(HostedTool("file_search"),), tool_choice=ToolChoice("required")),
        {},
        "runs none of them",
    ),
    (request(tools=(TOOL,), tool_choice=ToolChoice("named", "zzz")), {}, "'zzz' is not among the tools"),
]


@pytest.mark.parametrize(("asked", "capabilities", "why"), REFUSED)
def test_what_would_change_the_meaning_is_refused(
    asked: Request, capabilities: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadRequest, match=why):
        send(asked, **capabilities)


def test_the_same_request_is_encoded_byte_for_byte_the_same() -> None:
    asked = golden(Signature("SIG", ISSUER))
    assert send(asked, cache_control=True).body == send(asked, cache_control=True).body

"""What the real clients send, at every kind of upstream: sound everywhere, and as strict as the vendors at theirs."""

import json
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.presets import capabilities_of
from tests.bed.shapes import check_shape
from tests.bed.strict import CHECKS

Json = dict[str, Any]

VENDORS: tuple[tuple[str, ProtocolName], ...] = (
    ("anthropic", "messages"),
    ("openai", "chat"),
    ("openai", "responses"),
)
OTHERS: tuple[tuple[str, ProtocolName], ...] = (
    ("auto", "messages"),
    ("ollama", "messages"),
    ("auto", "chat"),
    ("vllm", "chat"),
    ("llama.cpp", "chat"),
    ("ollama", "chat"),
    ("lmstudio", "chat"),
    ("deepseek", "chat"),
    ("tgi", "chat"),
    ("auto", "responses"),
    ("vllm", "responses"),
)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MARK = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {
    "type": "object",
    "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
    "required": ["b"],
}
SUMMARY = carrier.pack("summary", "", {"text": "So far."})

# --- Claude Code --------------------------------------------------------------

BASH = {"name": "Bash", "description": "Runs a command.", "input_schema": SCHEMA}
HELLO = {"role": "user", "content": [{"type": "text", "text": "hello", **MARK}]}
CLAUDE_CODE = {
    "model": "claude-sonnet-4-5[1m]",
    "max_tokens": 32000,
    "stream": True,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.d55; cch=1;"},
        {"type": "text", "text": "You are Claude Code.", **MARK},
        {"type": "text", "text": "Be brief.", **MARK},
    ],
    "tools": [BASH, {**BASH, "name": "mcp__" + "long_name_" * 9, **MARK}],
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "0a-1"})},
}


def claude(*messages: Json, **fields: Any) -> tuple[ProtocolName, Json]:
    return "messages", {**CLAUDE_CODE, "messages": list(messages or (HELLO,)), **fields}


def use(id: str, name: str = "Bash", **input: Any) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def result(id: str, content: Any = "ok", **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def assistant(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


SYSTEM = {"role": "system", "content": "<new-diagnostics>none</new-diagnostics>"}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
SEALED = {
    "type": "thinking",
    "thinking": "Hm.",
    "signature": carrier.pack("reasoning", "other", {"id": "rs"}),
}
WORD = {"type": "text", "text": "Look."}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FOUND = {"type": "web_search_result", "url": "https://u", "title": "t", "encrypted_content": "e"}

# --- Codex --------------------------------------------------------------------

EXEC = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs.",
    "strict": False,
    "parameters": SCHEMA,
}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}
PATCH = {"type": "custom", "name": "apply_patch", "description": "FREEFORM", "format": GRAMMAR}
DOCS = {
    "type": "namespace",
    "name": "mcp__docs",
    "description": "Docs",
    "tools": [{**EXEC, "name": "search"}, {**PATCH, "name": "exec"}],
}
CODEX = {
    "model": "gpt-5.5",
    "stream": True,
    "store": False,
    "tools": [
        EXEC,
        PATCH,
        {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": SCHEMA},
        {"type": "web_search", "external_web_access": False},
        DOCS,
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199a1b2-0000-7000-8000-000000000000",
    "text": {"verbosity": "low"},
    "client_metadata": {"x-codex-installation-id": "i"},
}


def codex(*items: Json, **fields: Any) -> tuple[ProtocolName, Json]:
    return "responses", {**CODEX, "input": [said("developer", "You are Codex."), *items], **fields}


def said(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "id": "msg_1", "content": [{"type": kind, "text": text}]}


def called(kind: str, id: str, name: str, **more: Any) -> Json:
    return {"type": kind, "id": f"x_{id}", "call_id": id, "name": name, **more}


def answered(kind: str, id: str, output: Any = "done") -> Json:
    return {"type": kind, "id": f"y_{id}", "call_id": id, "output": output}


TASK = said("user", "Do it.")
MAIL = {"type": "namespace", "name": "mail", "description": "m", "tools": [{**EXEC, "name": "send"}]}
LITE_TOOLS = {
    "type": "namespace",
    "name": "functions",
    "description": "f",
    "tools": [{**PATCH, "name": "exec"}],
}

CASES: dict[str, tuple[ProtocolName, Json]] = {
    "Claude Code, first turn": claude(HELLO, SYSTEM),
    "Claude Code, a running loop of parallel calls with an image and an error": claude(
        HELLO,
        assistant(THOUGHT, WORD, use("toolu_1", b="1", a="2"), use("toolu_2")),
        SYSTEM,
        user(result("toolu_2", [WORD, IMAGE], is_error=True), result("toolu_1", ""), WORD),
    ),
    "Claude Code, moved from another upstream": claude(
        HELLO,
        assistant(SEALED, use("functions.Bash:0", b="1")),
        user(result("functions.Bash:0")),
        assistant(SEALED, use("functions.Bash:0", b="2")),
        user(result("functions.Bash:0")),
    ),
    "Claude Code, a budget": claude(thinking={"type": "enabled", "budget_tokens": 31999}),
    "Claude Code, interrupted": claude(
        HELLO, assistant(WORD, use("a"), use("b")), user(result("a"), WORD), SYSTEM
    ),
    "Claude Code, cut off in a call": claude(HELLO, assistant(use("a"))),
    "Claude Code, a title": claude(
        thinking={"type": "disabled"},
        tools=[],
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    ),
    "Claude Code, a search": claude(
        HELLO,
        assistant(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]},
            WORD,
        ),
        HELLO,
        tools=[SEARCH],
    ),
    "Claude Code, thoughts alone": claude(HELLO, assistant(THOUGHT), HELLO),
    "Claude Code, orphans and blanks": claude(
        user(result("lost"), {"type": "text", "text": " "}, WORD),
        assistant({"type": "text", "text": ""}),
        HELLO,
    ),
    "Claude Code, found tools": claude(
        HELLO,
        assistant(use("a", "ToolSearch", b="mail")),
        user(result("a", [{"type": "tool_reference", "tool_name": "Mail"}])),
        tools=[BASH, {**BASH, "name": "ToolSearch"}, {**BASH, "name": "Mail", "defer_loading": True}],
    ),
    "Codex, first turn": codex(said("developer", "Sandbox."), said("user", "env"), TASK),
    "Codex, a history of all kinds": codex(
        TASK,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Z0FBQQ=="},
        said("assistant", "Look."),
        called("function_call", "c1", "exec_command", arguments='{"b":"ls"}'),
        called("custom_tool_call", "c2", "apply_patch", input="*** Begin Patch\n*** End Patch"),
        called("function_call", "c3", "search", namespace="mcp__docs", arguments=""),
        answered("function_call_output", "c1"),
        answered("custom_tool_call_output", "c2"),
        answered(
            "function_call_output",
            "c3",
            [
                {"type": "input_text", "text": "t"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        ),
        {"type": "tool_search_call", "call_id": "c4", "execution": "client", "arguments": {"b": "mail"}},
        {"type": "tool_search_output", "call_id": "c4", "execution": "client", "tools": [MAIL]},
        called("function_call", "c5", "send", namespace="mail", arguments="{}"),
        answered("function_call_output", "c5"),
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}},
        said("developer", "Now."),
        said("user", "Go on."),
    ),
    "Codex, responses-lite": (
        "responses",
        {
            **{name: value for name, value in CODEX.items() if name not in ("tools", "tool_choice")},
            "parallel_tool_calls": False,
            "reasoning": {"effort": "low", "context": "all_turns"},
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": [LITE_TOOLS]},
                said("developer", "You are Codex."),
                TASK,
                called("custom_tool_call", "c", "exec", namespace="functions", input="1"),
                answered("custom_tool_call_output", "c", [{"type": "input_text", "text": "t"}]),
            ],
        },
    ),
    "Codex, interrupted in arguments that are no JSON": codex(
        TASK, called("function_call", "c", "exec_command", arguments='{"b": "l')
    ),
    "Codex, an output twice and one of nobody": codex(
        TASK,
        answered("function_call_output", "lost"),
        called("function_call", "c", "exec_command", arguments="{}"),
        answered("function_call_output", "c", "one"),
        answered("function_call_output", "c", "two"),
    ),
    "Codex, compacted here": codex(TASK, {"type": "compaction", "encrypted_content": SUMMARY}, TASK),
    "Codex, moved from another upstream": codex(
        TASK,
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": carrier.pack("thinking", "other", {"signature": "s", "text": "Hm."}),
        },
        called("function_call", "toolu_" + "1" * 80, "exec_command", arguments="{}"),
        answered("function_call_output", "toolu_" + "1" * 80),
    ),
    "Codex, its own form of an answer": codex(
        TASK,
        text={"format": {"type": "json_schema", "name": "codex_output_schema", "schema": {"type": "object"}}},
    ),
    "Codex, without any tool": codex(TASK, tools=[]),
    "an SDK, everything": (
        "chat",
        {
            "model": "m",
            "messages": [
                {"role": "developer", "content": "S"},
                {"role": "system", "content": [{"type": "text", "text": "T"}]},
                {
                    "role": "user",
                    "name": "bob",
                    "content": [
                        {"type": "text", "text": "see"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/jpg;base64,{PNG.rstrip('=')}"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": "",
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {
                            "id": "functions.f:0",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        },
                        {"id": "2", "type": "function", "function": {"name": "f", "arguments": "{bad"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "two"}]},
                {"role": "tool", "tool_call_id": "functions.f:0", "content": "one"},
                {"role": "developer", "content": "later"},
                {"role": "user", "content": "go"},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "reasoning_effort": "high",
            "max_completion_tokens": 20000,
            "prompt_cache_key": "k" * 90,
            "user": "u",
            "temperature": 1.5,
            "top_p": 0.5,
            "stop": ["x", " "],
            "seed": 3,
            "n": 1,
        },
    ),
    "an SDK, a system message alone": (
        "chat",
        {"model": "m", "messages": [{"role": "system", "content": "S"}]},
    ),
    "an SDK, tools of old": (
        "chat",
        {
            "model": "m",
            "functions": [{"name": "f", "parameters": SCHEMA}],
            "function_call": {"name": "f"},
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "ok"},
            ],
        },
    ),
    "an SDK, no tools to choose from": (
        "chat",
        {
            "model": "m",
            "messages": [{"role": "user", "content": "x"}],
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "stop": ["a", "b", "c", "d", "e"],
            "max_tokens": 5,
        },
    ),
}


def sent_to(kind: str, protocol: ProtocolName, client: ProtocolName, body: Json) -> SentRequest:
    request = CODECS[client].decode_request(json.dumps(body).encode())
    capabilities = capabilities_of(kind, "https://h", protocol)
    return convert_request(request, CODECS[protocol], Target("sent", "issuer", capabilities))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "protocol"), VENDORS)
def test_the_vendors_take_what_the_clients_ask(kind: str, protocol: ProtocolName, case: str) -> None:
    body = json.loads(sent_to(kind, protocol, *CASES[case]).body)
    check_shape(protocol, body)
    CHECKS[protocol](body)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "protocol"), OTHERS)
def test_what_the_clients_ask_is_sound_everywhere(kind: str, protocol: ProtocolName, case: str) -> None:
    body = json.loads(sent_to(kind, protocol, *CASES[case]).body)
    if isinstance(body.get("stop"), list):
        # local servers take more than four
        body["stop"] = body["stop"][:4]
    CHECKS[protocol](body)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "protocol"), [*VENDORS, *OTHERS])
def test_the_same_request_is_always_the_same_bytes(kind: str, protocol: ProtocolName, case: str) -> None:
    first, second = (sent_to(kind, protocol, *CASES[case]).body for _ in range(2))
    assert first == second


def test_a_request_with_tools_is_refused_for_a_server_without_them() -> None:
    for case in ("Claude Code, first turn", "Codex, first turn"):
        with pytest.raises(BadRequest, match="takes no tools"):
            sent_to("fastchat", "chat", *CASES[case])

"""Requests in the shapes that programs of the field send: small bodies of our own after their public fixtures."""

from typing import Any

from switchyard.protocols.names import ProtocolName

Body = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUg=="
SCHEMA: Body = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO: Body = {"role": "user", "content": "Hello there"}
NULLS: Body = {
    "audio": None,
    "function_call": None,
    "refusal": None,
    "annotations": [],
    "provider_specific_fields": None,
}


def chat(*messages: Body, **fields: Any) -> Body:
    return {"model": "m", "messages": list(messages), **fields}


def chat_tool(name: str = "weather", **more: Any) -> Body:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **more}}


def chat_call(id: str = "call_1", **more: Any) -> Body:
    return {
        "id": id,
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
        **more,
    }


def chat_result(content: Any = "sunny", id: str = "call_1", **more: Any) -> Body:
    return {"role": "tool", "tool_call_id": id, "content": content, **more}


def asked_for_weather(**more: Any) -> Body:
    return {"role": "assistant", "content": None, "tool_calls": [chat_call()], **more}


def messages(*turns: Body, **fields: Any) -> Body:
    return {"model": "m", "max_tokens": 1000, "messages": list(turns), **fields}


def user(*blocks: Body) -> Body:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Body) -> Body:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> Body:
    return {"type": "text", "text": words, **more}


USE: Body = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
TOOL: Body = {"name": "weather", "description": "d", "input_schema": SCHEMA}


def result(content: Any = "sunny", **more: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


def responses(*items: Body, **fields: Any) -> Body:
    return {"model": "m", "input": list(items), **fields}


def said(role: str, words: str, **more: Any) -> Body:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": words}], **more}


ASK = said("user", "Hello there")
FUNCTION: Body = {
    "type": "function",
    "name": "weather",
    "parameters": SCHEMA,
    "strict": True,
    "description": "d",
}
CALL: Body = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Rome"}',
    "status": "completed",
}
OUTPUT: Body = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}

REQUESTS: dict[ProtocolName, dict[str, Body]] = {
    "chat": {
        "every optional field null": chat(
            HELLO,
            **dict.fromkeys(
                "temperature top_p n stop max_tokens max_completion_tokens presence_penalty frequency_penalty "
                "logit_bias user tools tool_choice parallel_tool_calls response_format seed stream_options "
                "reasoning_effort functions function_call metadata store service_tier modalities audio prediction "
                "verbosity".split()
            ),
            stream=False,
        ),
        "the message of an answer sent back whole": chat(
            HELLO,
            {"role": "assistant", "content": "Hi", "tool_calls": None, **NULLS},
            {"role": "user", "content": "More"},
        ),
        "a call of an answer sent back whole": chat(
            HELLO, asked_for_weather(**NULLS), chat_result(), tools=[chat_tool(strict=True)]
        ),
        "calls as they were streamed": chat(
            HELLO,
            {"role": "assistant", "tool_calls": [chat_call(index=0)], "content": ""},
            chat_result(),
            tools=[chat_tool()],
        ),
        "results out of order, named": chat(
            HELLO,
            {"role": "assistant", "content": "", "tool_calls": [chat_call("a"), chat_call("b")]},
            chat_result("windy", "b", name="weather"),
            chat_result("sunny", "a", name="weather"),
            tools=[chat_tool()],
        ),
        "arguments as an object": chat(
            HELLO,
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
                ],
            },
            chat_result(),
            tools=[chat_tool()],
        ),
        "functions of the old interface": chat(
            HELLO,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "weather", "arguments": '{"city":"Rome"}'},
            },
            {"role": "function", "name": "weather", "content": "sunny"},
            functions=[{"name": "weather", "parameters": SCHEMA}],
            function_call="auto",
        ),
        "marks for caching in parts": chat(
            {"role": "system", "content": [text("Be kind.", cache_control={"type": "ephemeral"})]},
            {
                "role": "user",
                "content": [text("Hello there", cache_control={"type": "ephemeral", "ttl": "1h"})],
            },
            tools=[{**chat_tool(), "cache_control": {"type": "ephemeral"}}],
        ),
        "blocks of thinking beside the message": chat(
            HELLO,
            asked_for_weather(
                reasoning_content="Hm.",
                thinking_blocks=[{"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJlCg=="}],
            ),
            chat_result(),
            tools=[chat_tool()],
            thinking={"type": "enabled", "budget_tokens": 1024},
        ),
        "options of a router": chat(
            HELLO,
            reasoning={"effort": "high", "exclude": False, "enabled": True},
            provider={"order": ["a"], "allow_fallbacks": False},
            models=["a/b"],
            transforms=[],
            usage={"include": True},
            plugins=[{"id": "web"}],
        ),
        "details of reasoning sent back": chat(
            HELLO,
            asked_for_weather(
                reasoning="Hm.",
                reasoning_details=[
                    {"type": "reasoning.text", "text": "Hm.", "format": "unknown", "index": 0}
                ],
            ),
            chat_result(),
            tools=[chat_tool()],
        ),
        "options of a local server": chat(
            HELLO,
            chat_template_kwargs={"enable_thinking": False},
            top_k=20,
            min_p=0.05,
            repetition_penalty=1.1,
            guided_json=SCHEMA,
            add_generation_prompt=True,
            cache_prompt=True,
            id_slot=-1,
            n_predict=100,
            keep_alive="5m",
            options={"num_ctx": 8192},
        ),
        "options of a Chinese service": chat(
            HELLO,
            enable_search=True,
            enable_thinking=True,
            thinking_budget=1000,
            result_format="message",
            do_sample=True,
        ),
        "thinking parts and a prefix": chat(
            HELLO,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": [text("Hm.")]}, text("Well,")],
                "prefix": True,
            },
            safe_prompt=False,
            random_seed=7,
        ),
        "the choice any": chat(HELLO, tools=[chat_tool()], tool_choice="any"),
        "the choice of a tool by name": chat(
            HELLO, tools=[chat_tool()], tool_choice={"type": "function", "function": {"name": "weather"}}
        ),
        "the choice of allowed tools": chat(
            HELLO,
            tools=[chat_tool(), chat_tool("news")],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
        ),
        "no tools and a choice": chat(HELLO, tools=[], tool_choice="none", parallel_tool_calls=False),
        "a tool without parameters": chat(HELLO, tools=[{"type": "function", "function": {"name": "now"}}]),
        "a tool whose parameters are empty": chat(
            HELLO,
            tools=[{"type": "function", "function": {"name": "now", "description": "", "parameters": {}}}],
        ),
        "an image and its detail": chat(
            {
                "role": "user",
                "content": [
                    text("Hello there"),
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"},
                    },
                ],
            }
        ),
        "an image as a text": chat(
            {
                "role": "user",
                "content": [
                    text("Hello there"),
                    {"type": "image_url", "image_url": "https://example.org/a.png"},
                ],
            }
        ),
        "an image in a result": chat(
            HELLO,
            asked_for_weather(),
            chat_result(
                [text("sunny"), {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
            ),
            tools=[chat_tool()],
        ),
        "a file": chat(
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                    },
                    text("Hello there"),
                ],
            }
        ),
        "parts that are plain texts": chat({"role": "user", "content": ["Hello", "there"]}),
        "a schema for the answer": chat(
            HELLO,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "w", "schema": SCHEMA, "strict": True},
            },
        ),
        "neighbours of one role and a late system message": chat(
            {"role": "system", "content": "Be kind."},
            HELLO,
            HELLO,
            {"role": "system", "content": "Be brief."},
            HELLO,
        ),
        "numbers as floats": chat(HELLO, max_tokens=4096.0, n=1, temperature=1, top_p=1),
        "a new model's fields": chat(
            {"role": "developer", "content": "Be kind."},
            HELLO,
            reasoning_effort="minimal",
            verbosity="low",
            max_completion_tokens=500,
            store=False,
            metadata={"a": "b"},
            safety_identifier="u1",
            prompt_cache_key="k",
            prompt_cache_retention="24h",
            service_tier="auto",
            prediction={"type": "content", "content": "Hi"},
        ),
        "what its issuer puts beside a call": chat(
            HELLO,
            {
                "role": "assistant",
                "tool_calls": [chat_call(extra_content={"google": {"thought_signature": "c2lnbmF0dXJl"}})],
            },
            chat_result(),
            tools=[chat_tool()],
            extra_body={"google": {"thinking_config": {"include_thoughts": True}}},
        ),
        "an empty answer in the history": chat(
            HELLO, {"role": "assistant", "content": ""}, {"role": "user", "content": "More"}
        ),
        "an answer with neither content nor calls": chat(
            HELLO, {"role": "assistant", "content": None}, HELLO
        ),
        "a result without a text": chat(HELLO, asked_for_weather(), chat_result(None), tools=[chat_tool()]),
    },
    "messages": {
        "a plain question": messages(HELLO, system="Be kind."),
        "marks for caching": messages(
            user(text("Hello there", cache_control={"type": "ephemeral", "ttl": "1h"})),
            system=[text("Be kind.", cache_control={"type": "ephemeral"})],
            tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}],
            cache_control={"type": "ephemeral"},
        ),
        "images from three sources": messages(
            user(
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                text("Hello there"),
            )
        ),
        "documents with citations": messages(
            user(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Grass is green."},
                    "title": "Facts",
                    "citations": {"enabled": True},
                },
                {
                    "type": "document",
                    "source": {"type": "content", "content": [text("Snow is white.")]},
                    "context": "c",
                },
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                },
                text("Hello there"),
            )
        ),
        "results of every kind": messages(
            HELLO,
            assistant(text("I look."), USE),
            user(
                result(
                    [
                        text("sunny"),
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ]
                )
            ),
            assistant({**USE, "id": "toolu_2"}),
            user({**result("broken", is_error=True), "tool_use_id": "toolu_2"}),
            assistant({**USE, "id": "toolu_3"}),
            user({"type": "tool_result", "tool_use_id": "toolu_3"}, text("Go on")),
            tools=[TOOL],
        ),
        "results of a search as blocks": messages(
            HELLO,
            assistant(USE),
            user(
                result(
                    [
                        {
                            "type": "search_result",
                            "source": "https://example.org",
                            "title": "Weather",
                            "content": [text("sunny")],
                            "citations": {"enabled": True},
                        }
                    ]
                )
            ),
            tools=[TOOL],
        ),
        "thinking, readable and not": messages(
            HELLO,
            assistant(
                {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJlCg=="},
                {"type": "redacted_thinking", "data": "ZW5jcnlwdGVkCg=="},
                USE,
            ),
            user(result()),
            tools=[TOOL],
            thinking={"type": "enabled", "budget_tokens": 2000},
        ),
        "tools of the vendor": messages(
            HELLO,
            tools=[
                TOOL,
                {"type": "bash_20250124", "name": "bash"},
                {
                    "type": "text_editor_20250728",
                    "name": "str_replace_based_edit_tool",
                    "max_characters": 1000,
                },
                {"type": "memory_20250818", "name": "memory"},
            ],
        ),
        "a search of the service, and its results in the history": messages(
            HELLO,
            assistant(
                {
                    "type": "server_tool_use",
                    "id": "srvtoolu_1",
                    "name": "web_search",
                    "input": {"query": "weather"},
                },
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [
                        {
                            "type": "web_search_result",
                            "url": "https://example.org",
                            "title": "Weather",
                            "encrypted_content": "ZW5jCg==",
                            "page_age": None,
                        }
                    ],
                },
                text("It is sunny.", citations=[]),
            ),
            {"role": "user", "content": "More"},
            tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}],
        ),
        "results of other tools of the service in the history": messages(
            HELLO,
            assistant(
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
                {
                    "type": "mcp_tool_use",
                    "id": "mcptoolu_1",
                    "name": "echo",
                    "server_name": "s",
                    "input": {"a": 1},
                },
                {
                    "type": "mcp_tool_result",
                    "tool_use_id": "mcptoolu_1",
                    "is_error": False,
                    "content": [text("1")],
                },
                text("It is sunny."),
            ),
            {"role": "user", "content": "More"},
        ),
        "an answer that another model took over": messages(
            HELLO,
            assistant(
                {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
                text("It is sunny."),
            ),
            {"role": "user", "content": "More"},
        ),
        "a call by a program": messages(
            HELLO,
            assistant({**USE, "caller": {"type": "direct"}}),
            user(result()),
            tools=[
                {**TOOL, "allowed_callers": ["direct"], "strict": True, "input_examples": [{"city": "Rome"}]}
            ],
        ),
        "the choice of any tool, one at a time": messages(
            HELLO, tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True}
        ),
        "the choice of none": messages(HELLO, tools=[TOOL], tool_choice={"type": "none"}),
        "sampling, stops and a user": messages(
            HELLO,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            stop_sequences=["END"],
            metadata={"user_id": "u1"},
            service_tier="auto",
        ),
        "a schema for the answer": messages(
            HELLO, output_config={"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}
        ),
        "the beginning of the answer": messages(HELLO, {"role": "assistant", "content": "The weather is"}),
        "texts without words": messages(
            user(text("Hello there"), text("")), assistant(text("")), user(text("More"))
        ),
        "tools that are loaded on demand": messages(
            HELLO,
            assistant({**USE, "name": "ToolSearch"}),
            user(result([{"type": "tool_reference", "tool_name": "weather"}])),
            tools=[{**TOOL, "name": "ToolSearch"}, {**TOOL, "defer_loading": True}],
        ),
        "edits of the context": messages(
            HELLO,
            context_management={
                "edits": [
                    {"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 9}}
                ]
            },
            inference_geo="us",
        ),
    },
    "responses": {
        "a text": {"model": "m", "input": "Hello there"},
        "messages without a type": {
            "model": "m",
            "input": [HELLO, {"role": "assistant", "content": "Hi"}, HELLO],
        },
        "every optional field null": {
            "model": "m",
            "input": "Hello there",
            **dict.fromkeys(
                "instructions max_output_tokens max_tool_calls metadata parallel_tool_calls previous_response_id "
                "prompt reasoning service_tier store temperature text tool_choice tools top_p truncation user include "
                "conversation background prompt_cache_key safety_identifier stream_options top_logprobs".split()
            ),
            "stream": False,
        },
        "the output of an answer sent back": responses(
            ASK,
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "content": [],
                "encrypted_content": "gAAAAABkZW5jcnlwdGVk",
                "status": None,
            },
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
            },
            {**CALL, "namespace": None, "caller": None},
            {**OUTPUT, "id": None, "status": None},
            tools=[FUNCTION],
            include=["reasoning.encrypted_content"],
            store=False,
        ),
        "results in parts": responses(
            ASK,
            CALL,
            {
                **OUTPUT,
                "output": [
                    {"type": "input_text", "text": "sunny"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
                ],
            },
            tools=[FUNCTION],
        ),
        "a tool with a grammar": responses(
            ASK,
            {
                "type": "custom_tool_call",
                "id": "ctc_1",
                "call_id": "call_1",
                "name": "edit",
                "input": "*** Begin",
            },
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
            tools=[
                {
                    "type": "custom",
                    "name": "edit",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
                }
            ],
        ),
        "a schema for the answer": responses(
            ASK,
            text={
                "format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True},
                "verbosity": "low",
            },
        ),
        "reasoning of a local server": responses(
            ASK,
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}],
            },
            said("assistant", "Hi"),
            ASK,
        ),
        "searches in the history": responses(
            ASK,
            {
                "id": "ws_1",
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "search", "query": "weather", "queries": ["weather"], "sources": []},
            },
            said("assistant", "It is sunny."),
            ASK,
            tools=[
                {"type": "web_search", "search_context_size": "low", "user_location": None, "filters": None}
            ],
        ),
        "a shell and patches of the client": responses(
            ASK,
            {
                "type": "shell_call",
                "id": "sh_1",
                "call_id": "call_1",
                "status": "completed",
                "action": {"commands": ["ls"], "max_output_length": 100, "timeout_ms": None},
            },
            {
                "type": "shell_call_output",
                "call_id": "call_1",
                "max_output_length": 100,
                "output": [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            },
            {
                "type": "apply_patch_call",
                "id": "apc_1",
                "call_id": "call_2",
                "status": "completed",
                "operation": {"type": "create_file", "path": "a.txt", "diff": "+hi"},
            },
            {
                "type": "apply_patch_call_output",
                "call_id": "call_2",
                "status": "completed",
                "output": "patched",
            },
            tools=[{"type": "shell"}, {"type": "apply_patch"}],
        ),
        "the local shell of older models": responses(
            ASK,
            {
                "type": "local_shell_call",
                "id": "lsh_1",
                "call_id": "call_1",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 1000},
            },
            {"type": "local_shell_call_output", "id": "call_1", "output": "a.txt"},
            tools=[{"type": "local_shell"}],
        ),
        "a search for tools by the client": responses(
            ASK,
            {
                "type": "tool_search_call",
                "id": "tsc_1",
                "call_id": "call_1",
                "execution": "client",
                "status": "completed",
                "arguments": {"goal": "weather"},
            },
            {
                "type": "tool_search_output",
                "call_id": "call_1",
                "execution": "client",
                "status": "completed",
                "tools": [{**FUNCTION, "defer_loading": True}],
            },
            tools=[{"type": "tool_search", "execution": "client", "description": "d", "parameters": SCHEMA}],
        ),
        "servers of tools in the history": responses(
            ASK,
            {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [], "error": None},
            {
                "type": "mcp_call",
                "id": "mcp_1",
                "server_label": "s",
                "name": "echo",
                "arguments": '{"a":1}',
                "output": "sunny",
                "error": None,
                "approval_request_id": None,
            },
            said("assistant", "It is sunny."),
            ASK,
        ),
        "other work of the service in the history": responses(
            ASK,
            {
                "type": "file_search_call",
                "id": "fs_1",
                "status": "completed",
                "queries": ["a"],
                "results": None,
            },
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "status": "completed",
                "code": "print(1)",
                "container_id": "c",
                "outputs": [{"type": "logs", "logs": "1"}],
            },
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
            said("assistant", "It is sunny."),
            ASK,
        ),
        "a compacted conversation": responses(
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAABkZW5jcnlwdGVk"}, ASK
        ),
        "tools in namespaces": responses(
            ASK,
            {**CALL, "namespace": "travel"},
            OUTPUT,
            tools=[{"type": "namespace", "name": "travel", "description": "d", "tools": [FUNCTION]}],
        ),
        "a file and an image": responses(
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                    {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
                    {"type": "input_text", "text": "Hello there"},
                ],
            }
        ),
        "a reasoning model's fields": responses(
            {"role": "developer", "content": "Be kind."},
            ASK,
            reasoning={"effort": "none", "summary": None, "context": "all_turns", "mode": "standard"},
            truncation="auto",
            metadata={"a": "b"},
            prompt_cache_key="k",
            prompt_cache_retention="24h",
            top_logprobs=0,
            max_tool_calls=5,
            service_tier="default",
            moderation=None,
        ),
        "a program that calls tools": responses(
            ASK,
            {**CALL, "caller": {"type": "program", "caller_id": "call_9"}},
            {**OUTPUT, "caller": {"type": "program", "caller_id": "call_9"}},
            tools=[{**FUNCTION, "allowed_callers": ["direct"], "output_schema": SCHEMA}],
        ),
    },
}

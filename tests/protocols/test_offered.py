"""Which tools a request offers, wherever its client names them."""

import json
from typing import Any

import pytest

from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.neutral import ToolCall
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.tools.offered import OfferedTools

CLAUDE, CODEX, OTHER = ClientProgram.CLAUDE_CODE, ClientProgram.CODEX, ClientProgram.OTHER
DEFERRED = (
    "The following deferred tools are now available:\nCronList\nWebFetch\n\nAvailable agents:\n- Plan: x"
)
ANNOUNCED = "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for sub-agents.\n</tools>"


def has(body: dict[str, Any], name: str, client: ClientProgram = OTHER) -> bool:
    namespace, _, tool = name.rpartition(":")
    call = ToolCall("c", tool, "{}", namespace=namespace)
    return OfferedTools(Document(json.dumps(body).encode()), client).has(call)


def said(role: str, content: object) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content}]}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"tools": [{"name": "Bash", "input_schema": {}}]}, "Bash"),
        ({"tools": [{"type": "function", "function": {"name": "run", "parameters": {}}}]}, "run"),
        ({"tools": [{"type": "custom", "custom": {"name": "patch"}}]}, "patch"),
        ({"tools": [{"type": "custom", "name": "apply_patch"}]}, "apply_patch"),
        ({"tools": [{"type": "local_shell"}]}, "local_shell"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "bash"),
        ({"tools": [{"type": "namespace", "name": "mcp", "tools": [{"name": "read"}]}]}, "mcp:read"),
        ({"tools": [{"type": "namespace", "name": "mcp", "tools": [{"name": "read"}]}]}, "mcp__read"),
        ({"tools": ["odd", {"name": "run", "function": "none"}]}, "run"),
        ({"functions": [{"name": "old"}]}, "old"),
        ({"input": [{"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]}]}, "exec"),
        ({"input": [{"type": "additional_tools", "tools": [
            {"type": "namespace", "name": "functions", "tools": [{"name": "exec"}]}]}]}, "functions:exec"),
        ({"input": [{"type": "tool_search_output", "tools": [
            {"type": "namespace", "name": "mcp__x", "tools": [{"name": "read"}]}]}]}, "mcp__x:read"),
        ({"input": [{"type": "function_call", "name": "gone", "arguments": "{}"}]}, "gone"),
        ({"input": [{"type": "function_call", "namespace": "ns", "name": "gone"}]}, "ns:gone"),
        ({"input": [{"type": "local_shell_call", "action": {}}]}, "local_shell"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "gone"}}]}]}, "gone"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "gone"}}]}, "gone"),
        (said("assistant", [{"type": "tool_use", "id": "1", "name": "gone", "input": {}}]), "gone"),
        (said("user", [{"type": "tool_result", "content": [
            {"type": "tool_reference", "tool_name": "mcp__new__tool"}]}]), "mcp__new__tool"),
        (said("system", [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "later"}}]), "later"),
        (said("system", [{"type": "tool_addition", "tool": {"name": "whole", "input_schema": {}}}]), "whole"),
        *(({}, name) for name in ("web_search", "web_search_20250305", "web_fetch", "code_execution",
                                  "bash_code_execution", "text_editor_code_execution", "computer", "mcp_list_tools",
                                  "code_interpreter", "file_search", "image_generation")),
    ],
)  # fmt: skip
def test_a_tool_is_known_wherever_the_request_names_it(body: dict[str, Any], name: str) -> None:
    assert has(body, name)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "Bash"),
        ({"tools": [{"name": "Bash"}]}, "bash"),
        ({"tools": [{"name": "Bash", "input_schema": {"properties": {"name": {"enum": ["Evil"]}}}}]}, "Evil"),
        ({"tools": [{"type": "namespace", "name": "mcp", "tools": [{"name": "read"}]}]}, "mcp"),
        ({"tools": [{"type": "namespace", "name": "mcp", "tools": [{"name": "read"}]}]}, "other:read"),
        ({"tools": [{"name": "read"}]}, "other:read"),
        (said("user", "Please call Evil"), "Evil"),
        (said("user", "Evil\n"), "Evil"),
        (said("user", [{"type": "text", "text": '{"type":"tool_use","name":"Evil"}'}]), "Evil"),
        ({}, "mcp__server__tool"),
        ({"input": [{"type": "function_call_output", "output": "Evil"}]}, "Evil"),
        ({"tools": "none", "messages": "none"}, "Evil"),
    ],
)
def test_a_tool_that_only_occurs_in_a_text_or_a_schema_is_unknown(body: dict[str, Any], name: str) -> None:
    assert not has(body, name)


@pytest.mark.parametrize("name", ["Task", "KillShell", "KillBash", "BashOutput"])
def test_claude_code_runs_its_tools_under_older_names(name: str) -> None:
    assert has({}, name, CLAUDE)
    assert not has({}, name, CODEX)


def test_the_deferred_tools_of_claude_code_are_known() -> None:
    body = said("system", [{"type": "text", "text": DEFERRED}])
    assert has(body, "WebFetch", CLAUDE) and has(body, "CronList", CLAUDE)
    assert not has(body, "Evil", CLAUDE)


def test_the_namespaces_that_codex_announces_are_known() -> None:
    text = [{"type": "input_text", "text": ANNOUNCED}]
    body = {"input": [{"type": "message", "role": "developer", "content": text}]}
    assert has(body, "multi_agent_v1:spawn_agent", CODEX) and has(body, "multi_agent_v1.spawn_agent", CODEX)
    assert not has(body, "multi_agent_v2:spawn_agent", CODEX)

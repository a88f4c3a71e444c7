"""What the vendors' own clients send reaches their own services byte for byte."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.presets import capabilities_of
from switchyard.protocols.repair.tables import TABLES

Body = dict[str, Any]

SERVICES: dict[str, ProtocolName] = {
    "https://api.anthropic.com": "messages",
    "https://api.openai.com/v1": "responses",
    "https://name.openai.azure.com": "responses",
}
MARK = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "Hello", **MARK}
CLAUDE_CODE = {
    "model": "claude-opus-5-5",
    "messages": [
        {"role": "user", "content": [TEXT]},
        {"role": "system", "content": [TEXT], "output_config": {"effort": "medium"}},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]},
        {"role": "system", "content": [], "output_config": {"effort": "max"}},
    ],
    "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332;"}, TEXT],
    "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}],
    "metadata": {"user_id": "u"},
    "max_tokens": 128000,
    "thinking": {"type": "adaptive", "display": "omitted"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 50000}},
    "speed": "fast",
    "stream": True,
}
CODEX = {
    "model": "gpt-6.2-sol",
    "input": [
        {
            "type": "additional_tools",
            "id": "at_1",
            "role": "developer",
            "tools": [{"type": "custom", "name": "exec"}],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "developer",
            "content": [{"type": "input_text", "text": "x"}],
        },
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gAAAAA"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "exec", "input": "text('x')"},
        {"type": "custom_tool_call_output", "id": "cto_1", "call_id": "c", "output": "x"},
        {"type": "configuration_update", "reasoning": {"effort": "max"}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low", "context": "all_turns"},
    "service_tier": "priority",
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "s",
    "client_metadata": {"session_id": "s"},
}
BODIES: dict[ProtocolName, Body] = {"messages": CLAUDE_CODE, "responses": CODEX}


@pytest.mark.parametrize(("base_url", "protocol"), SERVICES.items())
def test_a_vendor_gets_what_its_own_client_sends(base_url: str, protocol: ProtocolName) -> None:
    raw = msgspec.json.encode(BODIES[protocol])
    document = Document(raw)
    TABLES[protocol].repair(document, Target("m", "issuer", capabilities_of("auto", base_url, protocol)))
    assert not document.is_changed


@pytest.mark.parametrize("protocol", BODIES)
def test_an_unknown_upstream_gets_it_as_well(protocol: ProtocolName) -> None:
    document = Document(msgspec.json.encode(BODIES[protocol]))
    TABLES[protocol].repair(document, Target("m", "issuer", capabilities_of("auto", "https://h", protocol)))
    assert not document.is_changed

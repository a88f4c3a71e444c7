"""What a client sets within a field, and no other protocol has, is reported with its path."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import ProtocolName

USER = [{"role": "user", "content": "Hello"}]
BODIES: dict[ProtocolName, dict[str, Any]] = {
    "messages": {"model": "m", "max_tokens": 99, "messages": USER},
    "chat": {"model": "m", "messages": USER},
    "responses": {"model": "m", "input": USER},
}
BUDGET = {"type": "tokens", "total": 50000}
CASES: list[tuple[ProtocolName, dict[str, Any], list[str]]] = [
    (
        "messages",
        {"output_config": {"effort": "low", "task_budget": BUDGET}},
        ["output_config.task_budget"],
    ),
    ("messages", {"output_config": {"effort": "low", "task_budget": None}}, []),
    ("messages", {"metadata": {"user_id": "u", "team": "t"}}, ["metadata.team"]),
    (
        "messages",
        {
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "thinking": {"type": "adaptive"},
        },
        [],
    ),
    (
        "chat",
        {"chat_template_kwargs": {"enable_thinking": False, "keep_thinking": True}},
        ["chat_template_kwargs.keep_thinking"],
    ),
    ("chat", {"stream_options": {"include_usage": True, "include_obfuscation": False}}, []),
    ("chat", {"stream_options": {"include_usage": True, "include_obfuscation": True}}, []),
    ("responses", {"text": {"verbosity": "low", "tone": "warm"}}, ["text.tone"]),
    (
        "responses",
        {"reasoning": {"effort": "low", "mode": "pro", "context": "all_turns"}},
        ["reasoning.mode"],
    ),
    ("responses", {"reasoning": {"effort": "low", "mode": "standard", "summary": "auto"}}, []),
]


@pytest.mark.parametrize(("protocol", "members", "lost"), CASES)
def test_a_member_of_a_field_that_is_lost_is_reported(
    protocol: ProtocolName, members: dict[str, Any], lost: list[str]
) -> None:
    request = CODECS[protocol].decode_request(msgspec.json.encode({**BODIES[protocol], **members}))
    assert [loss.field for loss in request.losses] == lost

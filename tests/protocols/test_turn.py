import json
from typing import Any

import pytest

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import read_request_summary
from switchyard.protocols.turn import turn_of

MESSAGES = [{"role": "user", "content": "Fix the test"}]
CLAUDE_CODE = {"x-claude-code-session-id": "s-1"}
CODEX = {"session-id": "s-1", "thread-id": "t-1"}


def turn(body: dict[str, Any], headers: dict[str, str], protocol: ProtocolName = "messages") -> str:
    octets = json.dumps(body).encode()
    return turn_of(protocol, read_request_summary(protocol, octets, headers), headers, octets)


def claude(**changes: Any) -> dict[str, Any]:
    return {"model": "opus", "messages": MESSAGES, "max_tokens": 128000, "stream": True, **changes}


def codex(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt", "input": MESSAGES, "stream": True, "prompt_cache_key": "s-1", **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": False, "max_tokens": 64000},
        {"thinking": {"type": "disabled"}},
        {"tools": [{"name": "Bash"}]},
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=2"}]},
    ],
)
def test_a_repeat_of_claude_code_belongs_to_the_same_turn(changes: dict[str, Any]) -> None:
    assert turn(claude(**changes), CLAUDE_CODE) == turn(claude(), CLAUDE_CODE)


def test_a_repeat_of_codex_belongs_to_the_same_turn() -> None:
    repeated = codex(client_metadata={"x-codex-turn-metadata": "second"})
    assert turn(repeated, CODEX, "responses") == turn(codex(), CODEX, "responses")


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"messages": [*MESSAGES, {"role": "assistant", "content": "Done"}]}, CLAUDE_CODE),
        ({"model": "haiku"}, CLAUDE_CODE),
        ({}, {"x-claude-code-session-id": "s-2"}),
        ({}, CLAUDE_CODE | {"x-claude-code-agent-id": "a-1"}),
    ],
    ids=["the next message", "another model", "another session", "a sub-agent"],
)
def test_another_turn_of_claude_code_has_another_key(
    changes: dict[str, Any], headers: dict[str, str]
) -> None:
    assert turn(claude(**changes), headers) != turn(claude(), CLAUDE_CODE)


def test_a_sub_agent_of_codex_has_turns_of_its_own() -> None:
    headers = CODEX | {"thread-id": "t-2"}
    assert turn(codex(), headers, "responses") != turn(codex(), CODEX, "responses")


def test_the_session_id_may_stand_in_the_body_alone() -> None:
    metadata = {"user_id": json.dumps({"session_id": "12345678-0000-0000-0000-000000000000"})}
    whole = claude(metadata=metadata, stream=False, max_tokens=64000)
    assert turn(whole, {}) == turn(claude(metadata=metadata), {})
    assert turn(whole, {}) != turn(claude(), {})


@pytest.mark.parametrize("changes", [{"system": "Grade it"}, {"max_tokens": 1}, {"messages": []}])
def test_without_a_session_only_the_same_body_is_the_same_turn(changes: dict[str, Any]) -> None:
    assert turn(claude(), {}) == turn(claude(), {})
    assert turn(claude(**changes), {}) != turn(claude(), {})


def test_parts_of_the_owner_are_not_confused() -> None:
    assert turn(claude(), {"x-claude-code-agent-id": "x"}) != turn(claude(), {"thread-id": "x"})

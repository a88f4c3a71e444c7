"""Identify the program that sends a request: Claude Code and Codex act on errors in ways of their own."""

from collections.abc import Mapping
from enum import StrEnum

from switchyard.protocols.names import ProtocolName


class ClientProgram(StrEnum):
    CLAUDE_CODE = "Claude Code"
    CODEX = "Codex"
    OTHER = "other programs"


def program_of(protocol: ProtocolName, headers: Mapping[str, str]) -> ClientProgram:
    """`headers` have lower-case names."""
    agent = headers.get("user-agent", "").lower()
    if protocol == "messages" and (agent.startswith("claude-cli/") or "x-claude-code-session-id" in headers):
        return ClientProgram.CLAUDE_CODE
    if protocol == "responses" and (agent.startswith("codex") or "originator" in headers):
        return ClientProgram.CODEX
    return ClientProgram.OTHER

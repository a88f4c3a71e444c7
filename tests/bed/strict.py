"""An upstream as strict as the vendors' own: what breaks a rule of its protocol is answered 400, in plain words."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.bed.upstream import Answer, Received, Script, whole
from tests.bed.wire import Protocol, error_body
from tests.protocols.validators import (
    check_chat_request,
    check_messages_request,
    check_responses_request,
)

Json = dict[str, Any]

CHECKS = {
    "messages": check_messages_request,
    "chat": check_chat_request,
    "responses": check_responses_request,
}

FIELDS: Mapping[Protocol, frozenset[str]] = {
    "messages": frozenset(
        """model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools
        tool_choice thinking output_config context_management service_tier container mcp_servers""".split()
    ),
    "chat": frozenset(
        """model messages max_tokens max_completion_tokens stream stream_options temperature top_p stop tools
        tool_choice parallel_tool_calls reasoning_effort response_format seed frequency_penalty n
        presence_penalty logit_bias logprobs top_logprobs user metadata store service_tier verbosity
        prompt_cache_key safety_identifier modalities prediction web_search_options""".split()
    ),
    "responses": frozenset(
        """model input instructions stream stream_options max_output_tokens temperature top_p tools tool_choice
        parallel_tool_calls reasoning text include store metadata user service_tier truncation
        prompt_cache_key previous_response_id safety_identifier top_logprobs client_metadata background
        max_tool_calls conversation""".split()
    ),
}
BLOCKS: Mapping[str, frozenset[str]] = {
    kind: frozenset(f"type {fields}".split())
    for kind, fields in {
        "text": "text cache_control citations",
        "thinking": "thinking signature",
        "redacted_thinking": "data",
        "tool_use": "id name input cache_control caller",
        "tool_result": "tool_use_id content is_error cache_control",
        "image": "source cache_control",
        "document": "source cache_control title context citations",
    }.items()
}
CHAT_MESSAGE = frozenset("role content name tool_calls tool_call_id refusal".split())
ITEMS: Mapping[str, frozenset[str]] = {
    kind: frozenset(f"type {fields}".split())
    for kind, fields in {
        "message": "id role content status phase internal_chat_message_metadata_passthrough",
        "reasoning": "id summary content encrypted_content status",
        "function_call": "id call_id name arguments status namespace",
        "function_call_output": "id call_id output status",
        "custom_tool_call": "id call_id name input status namespace",
        "custom_tool_call_output": "id call_id output status",
        "compaction": "id encrypted_content",
        "additional_tools": "id role tools",
    }.items()
}
SEALS = frozenset({"signature", "encrypted_content"})
NATIVE_SEAL = re.compile(r"[A-Za-z0-9+/=]+")


@dataclass
class Strict:
    """The rules of one upstream and what it saw: the opaque data it gave out, and whoever broke a rule."""

    name: str
    issued: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    """which of its own came back"""
    broken: list[str] = field(default_factory=list)

    def issue(self, seal: str) -> str:
        self.issued.add(seal)
        return seal

    def guard(self, answer: Answer) -> Answer:
        """The answer, for requests that keep the rules."""

        def script(request: Received) -> Script:
            try:
                self.check(request)
            except AssertionError as fault:
                self.broken.append(f"{self.name} ({request.protocol}): {fault}")
                body = error_body(request.protocol, f"{fault}", "invalid_request_error")
                return whole(400, body)
            return answer(request)

        return script

    def check(self, request: Received) -> None:
        body, protocol = dict(request.json), request.protocol
        if body.get("tools") == [] and body.get("tool_choice") == "auto":
            # Codex's own way to offer no tools, which its vendor takes
            del body["tools"], body["tool_choice"]
        unknown = set(body) - FIELDS[protocol]
        assert not unknown, f"unknown fields {sorted(unknown)}"
        CHECKS[protocol](body)
        for kind, part, known in _parts(protocol, body):
            assert known is not None, f"unknown kind {kind!r}"
            assert set(part) <= known, f"unknown fields {sorted(set(part) - known)} in {kind}"
        if protocol == "messages":
            _check_thinking_of_loop(body)
        for seal in _seals(body):
            assert NATIVE_SEAL.fullmatch(seal), f"no opaque data of any vendor: {seal[:40]!r}"
            assert seal in self.issued, f"opaque data that was not issued here: {seal!r}"
            self.returned.add(seal)


def _parts(protocol: Protocol, body: Json) -> Iterator[tuple[str, Json, frozenset[str] | None]]:
    """Each part of the history with the fields it may have."""
    if protocol == "chat":
        for message in body["messages"]:
            yield message["role"], message, CHAT_MESSAGE
    elif protocol == "messages":
        for message in body["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else ():
                yield block["type"], block, BLOCKS.get(block["type"])
    elif isinstance(body["input"], list):
        for item in body["input"]:
            kind = item.get("type", "message")
            yield kind, item, ITEMS.get(kind)


def _check_thinking_of_loop(body: Json) -> None:
    """With a budget for thinking, a running tool loop must show the thinking that led to its call."""
    said = [message for message in body["messages"] if message["role"] != "system"]
    results = said[-1]["content"] if isinstance(said[-1]["content"], list) else []
    if (body.get("thinking") or {}).get("type") != "enabled" or not results or len(said) < 2:
        return
    if results[0]["type"] == "tool_result":
        first = said[-2]["content"][0]["type"]
        assert first in ("thinking", "redacted_thinking"), f"Expected `thinking`, but found `{first}`"


def _seals(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in SEALS and isinstance(inner, str) and inner:
                yield inner
            else:
                yield from _seals(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _seals(inner)

"""An upstream as strict as the vendors' own: a request that breaks a rule of its protocol gets a 400 that names it."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.bed.shapes import check_shape
from tests.bed.upstream import Answer, Received, Script, whole
from tests.bed.wire import error_body
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

SEALS = frozenset({"signature", "encrypted_content"})
NATIVE_SEAL = re.compile(r"[A-Za-z0-9+/=]+")


@dataclass
class Strict:
    """The rules of one upstream and what it saw: the opaque data it gave out, and the broken rules."""

    name: str
    issued: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    """which of its own data came back"""
    broken: list[str] = field(default_factory=list)

    def issue(self, seal: str) -> str:
        self.issued.add(seal)
        return seal

    def guard(self, answer: Answer) -> Answer:
        """The answer for requests that keep the rules."""

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
        body: Json = json.loads(request.body, object_pairs_hook=_reported_once)
        protocol = request.protocol
        if body.get("tools") == [] and body.get("tool_choice") == "auto":
            # Codex offers no tools in this form, which its vendor accepts
            del body["tools"], body["tool_choice"]
        check_shape(protocol, body)
        CHECKS[protocol](body)
        if protocol == "messages":
            _check_thinking_of_loop(body)
        for seal in _seals(body):
            assert NATIVE_SEAL.fullmatch(seal), f"no opaque data of any vendor: {seal[:40]!r}"
            assert seal in self.issued, f"opaque data that was not issued here: {seal!r}"
            self.returned.add(seal)


def _reported_once(members: list[tuple[str, Any]]) -> Json:
    """Many servers refuse an object in which a name occurs twice."""
    reported = dict(members)
    assert len(reported) == len(members), f"told twice: {[name for name, _ in members]}"
    return reported


def _check_thinking_of_loop(body: Json) -> None:
    """With a thinking budget, a running tool loop must contain the thinking that led to its call."""
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

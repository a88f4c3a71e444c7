"""Between two sides of one protocol: what passes untouched, and the few bytes that are added."""

import re
from collections.abc import Mapping
from typing import Any

from switchyard.protocols.carrier import PREFIX
from switchyard.protocols.codec import DEFAULT_CAPABILITIES, Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Loss
from switchyard.protocols.passthrough.model_name import insert_member
from switchyard.protocols.request_summary import RequestSummary

MAX_CACHE_MARKS = 4
CACHE_MARK = b'"cache_control"'
OUR_SEARCHES = "srvtoolu_swyd_"
"""ids of search blocks that a conversion made up: their upstream would not know them"""
OURS = re.compile("|".join(map(re.escape, (PREFIX, OUR_SEARCHES))).encode())
"""what a conversion has left in a conversation; one pattern, as both begin with the same letter"""
COMPACTION_TRIGGER = b'"compaction_trigger"'
HINTS = frozenset({"cache_control", "prompt_cache_key", "stream_options"})
"""Without these the answer is the same."""
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
EXPRESSED_ELSEWHERE = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
    "reasoning_effort": "thinking",
    "output_config": "thinking",
    "response_format": "messages",
}
OMITTED = {"image": b"[image omitted", "document": b"[document omitted"}
"""How the notes begin that stand for what a model cannot read."""
INCLUDE_USAGE = b'"stream_options":{"include_usage":true}'


def wants_compaction(protocol: ProtocolName, body: bytes) -> bool:
    """True if the client asks for its conversation to be compacted."""
    return protocol == "responses" and COMPACTION_TRIGGER in body


def passes_through(protocol: ProtocolName, target: Target, *, compacts: bool) -> bool:
    """False where even the same protocol needs a full conversation between us and the upstream.

    A Responses server without the newer items needs its answers raised as well as its requests lowered.
    """
    if protocol != "responses":
        return True
    return target.capabilities.compaction if compacts else target.capabilities.responses_items


def may_need_repair(body: bytes, target: Target) -> bool:
    """False if the body can be sent as it is without even parsing it; the usual case."""
    if target.capabilities != DEFAULT_CAPABILITIES or body.count(CACHE_MARK) > MAX_CACHE_MARKS:
        return True
    return OURS.search(body) is not None


def injects_usage(protocol: ProtocolName, summary: RequestSummary, target: Target) -> bool:
    """Chat upstreams report usage in a stream only when asked; the client then must not see the report."""
    return (
        protocol == "chat"
        and summary.stream
        and not summary.wants_usage
        and target.capabilities.include_usage
    )


def with_usage_asked(body: bytes) -> bytes:
    return insert_member(body, INCLUDE_USAGE)


def repair_losses(
    before: Mapping[str, Any], after: Mapping[str, Any], body: bytes, sent: bytes
) -> tuple[Loss, ...]:
    """What a repair took out of a body; `before` and `after` are its members."""
    gone = [
        name
        for name, value in before.items()
        if name not in after and value and name not in HINTS and EXPRESSED_ELSEWHERE.get(name) not in after
    ]
    fewer = [
        name for name in ("tools", "stop") if name in after and _size(after[name]) < _size(before.get(name))
    ]
    less = [name for name in LIMITS if name in after and after[name] != before.get(name, after[name])]
    omitted = [kind for kind, marker in OMITTED.items() if sent.count(marker) > body.count(marker)]
    return tuple(Loss(name, "this upstream does not take it") for name in (*gone, *fewer, *less, *omitted))


def _size(value: object) -> int:
    return len(value) if isinstance(value, list) else 0

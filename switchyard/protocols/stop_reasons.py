"""Decode why the model stopped: one table for all protocols, as imitators use the words of each other.

https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
https://platform.openai.com/docs/api-reference/chat/object
https://ai.google.dev/api/generate-content#FinishReason
"""

from collections.abc import Mapping

from switchyard.protocols.neutral import StopReason
from switchyard.protocols.wire import Json, fields, text

PREFIXES = ("finish_reason_", "stop_reason_")
NAMES: Mapping[StopReason, tuple[str, ...]] = {
    StopReason.END_TURN: (
        *("stop", "end_turn", "eos", "eos_token", "end", "done", "complete", "completed"),
        *("other", "unknown", "unspecified", "null", "none"),
    ),
    StopReason.STOP_SEQUENCE: ("stop_sequence",),
    StopReason.MAX_TOKENS: (
        *("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens"),
        *("max_length", "model_length", "token_limit"),
    ),
    StopReason.CONTEXT_WINDOW: ("model_context_window_exceeded", "context_window_exceeded"),
    StopReason.TOOL_USE: ("tool_use", "tool_calls", "tool_call", "function_call", "function_calls"),
    StopReason.REFUSAL: (
        *("refusal", "content_filter", "content_filtered", "guardrail_intervened", "sensitive"),
        *("safety", "image_safety", "recitation", "language", "blocklist", "prohibited_content", "spii"),
    ),
    StopReason.PAUSE: ("pause_turn",),
    StopReason.COMPACTION: ("compaction",),
}
REASONS = {name: reason for reason, names in NAMES.items() for name in names}
BROKEN = frozenset(
    {
        *("error", "abort", "network_error", "insufficient_system_resource"),
        *("malformed_function_call", "unexpected_tool_call"),
    }
)
"""After these the answer is none: the upstream failed, or the model's call could not be read."""


def stop_reason_of(reported: str) -> StopReason | None:
    """None for a reason that is not known. Case and prefixes (`FinishReason.STOP`) do not matter."""
    return REASONS.get(reported) or REASONS.get(_plain(reported))


def is_broken(reported: str) -> bool:
    return reported not in REASONS and _plain(reported) in BROKEN


def incomplete_reason(response: Json) -> StopReason:
    """Why a response is incomplete."""
    reason = stop_reason_of(text(fields(response.get("incomplete_details")).get("reason")))
    return reason if reason in (StopReason.REFUSAL, StopReason.CONTEXT_WINDOW) else StopReason.MAX_TOKENS


def _plain(reported: str) -> str:
    name = reported.strip().lower().rpartition(".")[2]
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name

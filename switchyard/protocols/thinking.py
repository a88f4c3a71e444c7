"""The `-thinking` suffix of a model name, said in each protocol."""

from typing import Any

from msgspec.structs import replace

from switchyard.protocols.anthropic_messages.repair import drop_thinking, is_in_unsigned_loop, rewrite_blocks
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Reasoning, Request, Thinking

BUDGET_TOKENS = 16_000
TEXT_RESERVE = 1024


def with_thinking(request: Request) -> Request:
    """The neutral request with thinking on, unless it already says something about thinking."""
    if request.reasoning.enabled or request.reasoning.effort:
        return request
    return replace(
        request,
        reasoning=Reasoning(effort="high", enabled=True, summary="auto"),
        temperature=None,
        top_k=None,
    )


def turn_on(protocol: ProtocolName, body: dict[str, Any]) -> None:
    """The same on the body of an untouched request."""
    _TURN_ON[protocol](body)


def _turn_on_messages(body: dict[str, Any]) -> None:
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        return
    limit = body.get("max_tokens") or BUDGET_TOKENS + TEXT_RESERVE
    budget = min(BUDGET_TOKENS, limit - TEXT_RESERVE)
    if budget < 1024:
        budget, limit = 1024, 1024 + max(limit, TEXT_RESERVE)
    body["max_tokens"] = limit
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    body["temperature"] = 1
    body.pop("top_k", None)


def _turn_on_chat(body: dict[str, Any]) -> None:
    body.setdefault("reasoning_effort", "high")


def _turn_on_responses(body: dict[str, Any]) -> None:
    reasoning = body.get("reasoning") or {}
    body["reasoning"] = {"effort": "high", "summary": "auto", **reasoning}


_TURN_ON = {"messages": _turn_on_messages, "chat": _turn_on_chat, "responses": _turn_on_responses}


def without_history(request: Request) -> Request:
    """The request without the thinking of earlier turns: another upstream signed it."""
    messages = tuple(
        replace(message, content=tuple(block for block in message.content if not isinstance(block, Thinking)))
        for message in request.messages
    )
    return replace(request, messages=messages)


def strip_history(protocol: ProtocolName, body: dict[str, Any], only: frozenset[str] | None = None) -> None:
    """The same on the body of an untouched request; with `only`, just the thinking signed so."""
    _STRIP[protocol](body, only)


def _strip_messages(body: dict[str, Any], only: frozenset[str] | None) -> None:
    def kept(block: dict[str, Any]) -> dict[str, Any] | None:
        return None if _is_stripped(block, MESSAGES_THINKING, only) else block

    if not rewrite_blocks(body, kept) or not is_in_unsigned_loop(body):
        return
    thinking = body.get("thinking")
    # in the middle of a tool loop the API wants the original thinking block, or no thinking at all
    if only is None or (isinstance(thinking, dict) and thinking.get("type") == "enabled"):
        drop_thinking(body)


MESSAGES_THINKING = ("thinking", "redacted_thinking")


def _is_stripped(block: Any, types: tuple[str, ...], only: frozenset[str] | None) -> bool:
    if not isinstance(block, dict) or block.get("type") not in types:
        return False
    return only is None or any(block.get(name) in only for name in ("signature", "data", "encrypted_content"))


def _strip_chat(body: dict[str, Any], only: frozenset[str] | None) -> None:
    if only is not None:
        return
    for message in body.get("messages") or ():
        for name in ("reasoning_content", "reasoning", "reasoning_details"):
            if isinstance(message, dict):
                message.pop(name, None)


def _strip_responses(body: dict[str, Any], only: frozenset[str] | None) -> None:
    items = body.get("input")
    if not isinstance(items, list):
        return
    kept = [item for item in items if not _is_stripped(item, ("reasoning",), only)]
    if len(kept) < len(items):
        # by its id an item is known to have followed its reasoning, and refused without it
        kept = [_without_id(item) for item in kept]
    body["input"] = kept


def _without_id(item: Any) -> Any:
    if not isinstance(item, dict) or str(item.get("type", "message")) not in IDENTIFIED:
        return item
    return {name: value for name, value in item.items() if name != "id"}


IDENTIFIED = ("message", "function_call", "custom_tool_call")


_STRIP = {"messages": _strip_messages, "chat": _strip_chat, "responses": _strip_responses}

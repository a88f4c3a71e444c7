"""The `-thinking` suffix of a model name, and histories without thinking, in the neutral form."""

from msgspec.structs import replace

from switchyard.protocols.neutral import Reasoning, Request, Thinking


def with_thinking(request: Request) -> Request:
    """The neutral request with thinking on, unless it already says something about thinking."""
    asked = request.reasoning
    if asked.enabled or asked.effort == "none" or (asked.effort and asked.enabled is None):
        return request
    return replace(
        request,
        reasoning=Reasoning(effort="high", enabled=True, summary="auto"),
        temperature=None,
        top_k=None,
    )


def without_history(request: Request) -> Request:
    """The request without the thinking of earlier turns: another upstream signed it."""
    messages = tuple(
        message.having(tuple(block for block in message.content if not isinstance(block, Thinking)))
        for message in request.messages
    )
    return replace(request, messages=messages)

"""The messages of a conversation and the blocks in them."""

from collections.abc import Callable
from typing import Any

from switchyard.protocols.repair.rows import Body, as_parts, field, merged, objects, same
from switchyard.protocols.wire import Json, entries


def rewrite_blocks(body: Body, by: Callable[[Json], Json | None]) -> bool:
    """Each block of the history rewritten, or dropped with None; messages left empty go too. True if any changed."""
    old = entries(body.get("messages"))
    new = [kept for message in old for kept in _with_blocks(message, by)]
    if same(old, new):
        return False
    body["messages"] = new if len(new) == len(old) else join(new)
    return True


def _with_blocks(message: Any, by: Callable[[Json], Json | None]) -> list[Any]:
    """The message, the very same where no block changed; nothing where none is left."""
    content = field(message, "content")
    if not isinstance(content, list):
        return [message]
    kept: list[Any] = []
    for block in content:
        new = by(block) if isinstance(block, dict) else block
        if new is not None or block is None:
            kept.append(new)
    if same(content, kept):
        return [message]
    return [{**message, "content": kept}] if kept else []


def join(messages: list[Any]) -> list[Any]:
    """Neighbours of one role as one message, the results of tools first."""

    def belong(first: Any, second: Any) -> bool:
        return field(first, "role") == field(second, "role") and field(first, "role") in ("user", "assistant")

    def content(first: Json, second: Json) -> list[Any]:
        blocks = [*as_parts(first.get("content")), *as_parts(second.get("content"))]
        return sorted(blocks, key=lambda block: field(block, "type") != "tool_result")

    return merged(messages, belong, content)


def messages_of(body: Body) -> list[Json]:
    return objects(body.get("messages"))


def blocks_of(message: Json) -> list[Json]:
    return objects(message.get("content"))

"""Decode what messages change as a conversation goes on: its tools, its effort, and what is still shown.

https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
https://platform.claude.com/docs/en/build-with-claude/compaction
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from switchyard.protocols.anthropic_messages.vendor_tools import NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.message_memory import KnownItem
from switchyard.protocols.neutral import Loss
from switchyard.protocols.wire import Json, entries, fields, text

ADDITION, REMOVAL = "tool_addition", "tool_removal"
COMPACTION = "compaction"
CHANGES = (ADDITION, REMOVAL, COMPACTION)
TOOLSET = "mcp_toolset"
UNTIL_NEXT_TURN = "next_user_message"
NOT_ADDED = "this upstream does not run it"

Change = tuple[int, int, Json]
"""A message, the place of a block in it, and this block."""


class Compacted(msgspec.Struct, frozen=True):
    """The summary, and where what it does not cover begins: a message and the place of a block in it."""

    summary: str
    message: int
    block: int


def changes_in(messages: list[Any]) -> list[Change]:
    """The blocks that change something, in their order; the user has none."""
    return [
        (number, place, block)
        for number, message in enumerate(messages)
        if isinstance(message, dict) and message.get("role") != "user"
        for place, block in enumerate(entries(message.get("content")))
        if isinstance(block, dict) and block.get("type") in CHANGES
    ]


def tools_in_effect(tools: list[Any], changes: Sequence[Change], losses: list[Loss]) -> list[Any]:
    """The declared tools, with those that messages define, without those that messages remove.

    A reference needs nothing: every declared tool is offered anyway, unless it was removed. What cannot be offered
    is a loss and never an error, because the message stays in the conversation.
    """
    offered = {_key(tool): tool for tool in tools}
    known = dict(offered)
    for path, change in _tool_changes(changes):
        tool = fields(change.get("tool"))
        name = text(tool.get("name"))
        if change["type"] == REMOVAL:
            offered.pop(name, None)
        elif tool.get("type") != "tool_definition":
            if name in known:
                offered.setdefault(name, known[name])
        elif _can_be_offered(definition := fields(tool.get("definition"))):
            offered[_key(definition)] = known[_key(definition)] = definition
        else:
            losses.append(Loss(path, NOT_ADDED))
    return list(offered.values())


def _key(tool: object) -> object:
    """Tools without a name, such as toolsets, are kept as they are."""
    return text(fields(tool).get("name")) or id(tool)


def _can_be_offered(definition: Json) -> bool:
    family = VERSION.sub("", text(definition.get("type")))
    return bool(text(definition.get("name"))) and family not in (*NOT_EXPRESSIBLE, TOOLSET)


def _tool_changes(changes: Sequence[Change]) -> Iterator[tuple[str, Json]]:
    """A compaction keeps those that it replaced."""
    for message, place, block in changes:
        kept = entries(block.get("tool_changes")) if block["type"] == COMPACTION else [block]
        for change in map(fields, kept):
            if change.get("type") in (ADDITION, REMOVAL):
                yield f"messages.{message}.content.{place}", change


def effort_of_turn(messages: list[Any]) -> Any:
    """The effort that the last system message with one sets; None if there is none."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "system":
            effort = fields(message.get("output_config")).get("effort")
            if effort is not None:
                return effort
    return None


def last_user_message(messages: list[Any]) -> int:
    numbers = range(len(messages) - 1, -1, -1)
    return next((number for number in numbers if _role(messages[number]) == "user"), -1)


def _role(message: object) -> Any:
    return message.role if isinstance(message, KnownItem) else fields(message).get("role")


def is_temporary(message: Json) -> bool:
    """True for a system message that holds only until the next user message."""
    return message.get("role") == "system" and message.get("clear_at") == UNTIL_NEXT_TURN


def last_compaction(changes: Sequence[Change]) -> Compacted | None:
    """The compaction that replaces all that stands before it; one without a text has failed and replaces nothing."""
    for message, place, block in reversed(changes):
        summary = text(block.get("content")) if block["type"] == COMPACTION else ""
        if summary.strip():
            return Compacted(summary, message, place + 1)
    return None

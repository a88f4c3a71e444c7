"""Decode what messages change as a conversation goes on: its tools, its effort, and what is still shown.

https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
https://platform.claude.com/docs/en/build-with-claude/compaction
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from switchyard.protocols.anthropic_messages.vendor_tools import NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.neutral import Loss
from switchyard.protocols.wire import Json, entries, fields, text

ADDITION, REMOVAL = "tool_addition", "tool_removal"
COMPACTION = "compaction"
TOOLSET = "mcp_toolset"
UNTIL_NEXT_TURN = "next_user_message"
NOT_ADDED = "this upstream does not run it"


# --- tools ----------------------------------------------------------------------


def tools_in_effect(tools: list[Any], messages: object, losses: list[Loss]) -> list[Any]:
    """The declared tools, with those that messages define, without those that messages remove.

    A reference needs nothing: every declared tool is offered anyway, unless it was removed. What cannot be offered
    is a loss and never an error, because the message stays in the conversation.
    """
    offered = {_key(tool): tool for tool in tools}
    known = dict(offered)
    for path, change in _changes(messages):
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


def _changes(messages: object) -> Iterator[tuple[str, Json]]:
    """The changes in their order; a compaction keeps those that it replaced."""
    for number, message in enumerate(entries(messages)):
        for place, block in enumerate(entries(fields(message).get("content"))):
            kind = block.get("type") if isinstance(block, dict) else None
            if kind in (ADDITION, REMOVAL, COMPACTION):
                inner = entries(block.get("tool_changes")) if kind == COMPACTION else [block]
                for change in map(fields, inner):
                    if change.get("type") in (ADDITION, REMOVAL):
                        yield f"messages.{number}.content.{place}", change


# --- effort ---------------------------------------------------------------------


def effort_of_turn(messages: object) -> Any:
    """The effort that the last system message with one sets; None if there is none."""
    for message in reversed(entries(messages)):
        effort = fields(fields(message).get("output_config")).get("effort")
        if effort is not None and fields(message).get("role") == "system":
            return effort
    return None


# --- texts that are no longer shown ---------------------------------------------


def is_cleared(messages: list[Any], number: int) -> bool:
    """True for a system message that holds only until the next user message, if that has come."""
    message = messages[number]
    if message.get("role") != "system" or message.get("clear_at") != UNTIL_NEXT_TURN:
        return False
    return any(fields(other).get("role") == "user" for other in messages[number + 1 :])


# --- compaction ----------------------------------------------------------------


class Compacted(msgspec.Struct, frozen=True):
    """The summary, and where what it does not cover begins: a message and the place of a block in it."""

    summary: str
    message: int
    block: int


def last_compaction(messages: object) -> Compacted | None:
    """The compaction that replaces all that stands before it; one without a text has failed and replaces nothing."""
    given = entries(messages)
    for number in range(len(given) - 1, -1, -1):
        blocks = entries(fields(given[number]).get("content"))
        for place in range(len(blocks) - 1, -1, -1):
            block = fields(blocks[place])
            summary = text(block.get("content")) if block.get("type") == COMPACTION else ""
            if summary.strip():
                return Compacted(summary, number, place + 1)
    return None

"""Change a request body as the settings demand: the effort and the limit of a rule, the members of an entry."""

from collections.abc import Iterable, Mapping
from typing import Any

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Effort
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.repair.rows import with_field
from switchyard.protocols.wire import entries, fields

LOWEST_OF_MESSAGES: Effort = "low"
"""Messages has no effort below it; without thinking there is none at all"""


def with_changes(protocol: ProtocolName, body: bytes, effort: Effort | None, max_tokens: int | None) -> bytes:
    """The body with these set. Raises what msgspec raises where a member cannot be decoded."""
    document = Document(body)
    if effort is not None:
        EFFORT_SETTERS[protocol](document, effort)
    if max_tokens is not None:
        document[limit_of(protocol, document)] = max_tokens
    return document.encode() if document.is_changed else body


def with_members(body: bytes, members: Mapping[str, Any], removed: Iterable[str]) -> bytes:
    """The body with these members set, and without those that are removed."""
    document = Document(body)
    for name in removed:
        document.pop(name, None)
    document.update(members)
    return document.encode() if document.is_changed else body


def limit_of(protocol: ProtocolName, document: Document) -> str:
    """The member that limits the answer; Chat has an older and a newer one."""
    if protocol == "responses":
        return "max_output_tokens"
    if protocol == "messages" or "max_tokens" in document:
        return "max_tokens"
    return "max_completion_tokens"


def _set_in_messages(document: Document, effort: Effort) -> None:
    """In the request, and in the messages that set it for their turn (Claude Code)."""
    if document.mentions(b'"output_config"'):
        messages = document.get("messages")
        if any("output_config" in fields(one) for one in entries(messages)):
            document["messages"] = [_without_effort(one) for one in entries(messages)]
    rest = fields(document.get("output_config"))
    if effort == "none":
        document["thinking"] = {"type": "disabled"}
        if "effort" in rest:
            document["output_config"] = with_field(rest, "effort", None)
        return
    document["output_config"] = rest | {"effort": LOWEST_OF_MESSAGES if effort == "minimal" else effort}


def _set_in_chat(document: Document, effort: Effort) -> None:
    document["reasoning_effort"] = effort


def _set_in_responses(document: Document, effort: Effort) -> None:
    document["reasoning"] = fields(document.get("reasoning")) | {"effort": effort}


EFFORT_SETTERS = {"messages": _set_in_messages, "chat": _set_in_chat, "responses": _set_in_responses}


def _without_effort(message: Any) -> Any:
    config = fields(fields(message).get("output_config"))
    if "effort" not in config:
        return message
    return with_field(message, "output_config", with_field(config, "effort", None) or None)

"""The system prompt, and messages that change the conversation, for upstreams that take only the plain form."""

from typing import Any

from switchyard.protocols.anthropic_messages.mid_conversation import (
    changes_in,
    effort_of_turn,
    is_temporary,
    last_compaction,
    last_user_message,
    tools_in_effect,
)
from switchyard.protocols.codec import Target
from switchyard.protocols.content import summary_turn
from switchyard.protocols.history import as_reminder, without_billing_line
from switchyard.protocols.repair.messages.blocks import join
from switchyard.protocols.repair.messages.thinking import EFFORT_MODES
from switchyard.protocols.repair.rows import (
    Body,
    as_parts,
    drop,
    field,
    objects,
    put,
    put_list,
    same,
    text_part,
    with_field,
)
from switchyard.protocols.wire import entries, fields, joined, text


def drop_billing_line(body: Body, _target: Target) -> None:
    system = body.get("system")
    first = next(iter(as_parts(system)), None)
    text = field(first, "text")
    if not isinstance(first, dict) or not isinstance(text, str):
        return
    kept = without_billing_line((text,))
    if kept == (text,):
        return
    parts = [*({**first, "text": left} for left in kept), *as_parts(system)[1:]]
    put(body, "system", "".join(kept) if isinstance(system, str) else parts)


def fold_system(body: Body, _target: Target) -> None:
    """System messages become reminders in the neighbouring user turn, behind the results of tools.

    What they change of the tools is done in `tools`.
    """
    messages = entries(body.get("messages"))
    if not any(field(message, "role") == "system" for message in messages):
        return
    _change_tools(body, messages)
    last_user = last_user_message(messages)
    folded = [_as_user(message, number < last_user) for number, message in enumerate(messages)]
    body["messages"] = join([message for message in folded if message is not None])


def _change_tools(body: Body, messages: list[Any]) -> None:
    old = entries(body.get("tools"))
    new = tools_in_effect(old, changes_in(messages), [])
    if not same(old, new):
        put(body, "tools", new)
    if old and not new:
        drop(body, ("tool_choice",))


def _as_user(message: Any, is_answered: bool) -> Any:
    """None for a message of which nothing is shown. `is_answered`: a user message follows."""
    if field(message, "role") != "system":
        return message
    texts = [text(block.get("text")) for block in objects(as_parts(message.get("content")))]
    shown = "" if is_answered and is_temporary(message) else joined(texts)
    return {"role": "user", "content": [text_part(as_reminder(shown))]} if shown else None


def raise_effort(body: Body, _target: Target) -> None:
    """The effort that the conversation sets last becomes that of the request."""
    old = entries(body.get("messages"))
    effort = effort_of_turn(old)
    new = [_without_effort(message) for message in old]
    put_list(body, "messages", old, [message for message in new if message is not None])
    if effort is not None:
        body["output_config"] = {**fields(body.get("output_config")), "effort": effort}


def raise_unknown_effort(body: Body, target: Target) -> None:
    """Where it becomes something else."""
    if target.capabilities.reasoning_effort not in EFFORT_MODES:
        raise_effort(body, target)


def _without_effort(message: Any) -> Any:
    """None for a message that has nothing else."""
    if field(message, "output_config") is None:
        return message
    return with_field(message, "output_config", None) if message.get("content") else None


def expand_compaction(body: Body, _target: Target) -> None:
    """The summary in place of what it replaced, for servers that do not know such a block."""
    messages = entries(body.get("messages"))
    compacted = last_compaction(changes_in(messages))
    if compacted is None:
        return
    summary = {"role": "user", "content": [text_part(summary_turn(compacted.summary).text)]}
    last = messages[compacted.message]
    rest = last["content"][compacted.block :]
    kept = [{**last, "content": rest}] if rest else []
    body["messages"] = join([summary, *kept, *messages[compacted.message + 1 :]])

"""Bring a conversation into the shape that strict upstreams demand."""

from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from operator import attrgetter

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.ids import unique_call_ids

NO_RESULT = "(no result recorded)"
TEXTS = (neutral.Text, neutral.Refusal)
BILLING_LINE = "x-anthropic-billing-header:"


def well_formed(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    """The conversation with every call answered once, at once and first, and nothing empty."""
    return messages if is_well_formed(messages) else shaped(messages)


def is_well_formed(messages: tuple[neutral.Message, ...]) -> bool:
    """True for the usual conversation, which `shaped` would leave as it is; seen in one pass."""
    called: set[str] = set()
    calls: list[str] = []
    before = ""
    for message in messages:
        role = message.role
        results: list[str] = []
        if not message.content or (calls and role != "user") or before == role != "system":
            return False
        for place, block in enumerate(message.content):
            if isinstance(block, neutral.ToolCall):
                if role != "assistant" or block.id in called:
                    return False
                called.add(block.id)
                calls.append(block.id)
            elif isinstance(block, neutral.ToolResult):
                if place != len(results) or any(map(_is_blank, block.content)):
                    return False
                results.append(block.call_id)
            elif isinstance(block, TEXTS) and (not block.text or block.text.isspace()):
                return False
        if role == "user":
            if results != calls:
                return False
            calls = []
        elif results:
            return False
        before = role
    return not calls


def shaped(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    """The conversation step by step as `well_formed` describes it.

    Blank texts are dropped; consecutive messages of one role are merged; the results of an assistant turn
    stand first in the user message right after it, one each (the last one, or an error if there is none); results
    without a call become text; system messages between calls and results move behind the results.
    """
    messages, results = _settled_results(unique_call_ids(_without_blanks(messages)))
    messages = _joined(messages)
    shaped: list[neutral.Message] = []
    calls: tuple[neutral.ToolCall, ...] = ()
    deferred: list[neutral.Message] = []
    for message in messages:
        if message.role == "system":
            (deferred if calls else shaped).append(message)
        elif message.role == "assistant":
            _append(shaped, message)
            calls = _calls(shaped[-1])
        else:
            rest = tuple(block for block in message.content if not isinstance(block, neutral.ToolResult))
            _append(shaped, neutral.Message("user", (*_answers(calls, results), *rest)))
            shaped += deferred
            calls, deferred = (), []
    _append(shaped, neutral.Message("user", _answers(calls, results)))
    return (*shaped, *deferred)


def without_mid_system(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    """System messages after the first turn of a well-formed conversation become reminders in the neighbouring user
    turn."""
    if not any(message.role == "system" for message in messages):
        return messages
    folded: list[neutral.Message] = []
    for message in messages:
        if message.role == "system" and any(earlier.role != "system" for earlier in folded):
            message = neutral.Message("user", (neutral.Text(as_reminder(text_of(message.content))),))
        _append(folded, message)
    return tuple(_results_first(message) for message in folded)


def as_reminder(text: str) -> str:
    return f"<system-reminder>\n{text}\n</system-reminder>"


def without_billing_line(system: tuple[str, ...]) -> tuple[str, ...]:
    """Without the attribution of the first block: its changing hash ruins prefix caches."""
    if not system or BILLING_LINE not in system[0]:
        return system
    lines = [line for line in system[0].split("\n") if not line.startswith(BILLING_LINE)]
    first = "\n".join(lines).strip("\n")
    return (first, *system[1:]) if first.strip() else system[1:]


def text_of(content: Iterable[neutral.Block]) -> str:
    """The texts of the blocks, joined with blank lines."""
    return "\n\n".join([block.text for block in content if isinstance(block, TEXTS) and block.text])


def _joined(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    """Consecutive messages of one role as one; system messages stay apart. Linear in the blocks."""
    joined: list[neutral.Message] = []
    for role, run in groupby(messages, key=attrgetter("role")):
        alike = list(run)
        if role == "system" or len(alike) == 1:
            joined += alike
        else:
            joined.append(neutral.Message(role, tuple(chain.from_iterable(one.content for one in alike))))
    return tuple(joined)


def _append(messages: list[neutral.Message], message: neutral.Message) -> None:
    """Add the message, merged into the last one if that has the same role; system messages stay apart."""
    if not message.content:
        return
    if messages and messages[-1].role == message.role != "system":
        messages[-1] = neutral.Message(message.role, messages[-1].content + message.content)
    else:
        messages.append(message)


def _without_blanks(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    kept = (message.having(_visible(message.content)) for message in messages)
    return tuple([message for message in kept if message.content])


def _visible(content: tuple[neutral.Block, ...]) -> tuple[neutral.Block, ...]:
    return tuple([_trimmed(block) for block in content if not _is_blank(block)])


def _trimmed(block: neutral.Block) -> neutral.Block:
    if not isinstance(block, neutral.ToolResult) or not any(map(_is_blank, block.content)):
        return block
    return replace(block, content=tuple(part for part in block.content if not _is_blank(part)))


def _is_blank(block: neutral.Block) -> bool:
    return isinstance(block, TEXTS) and (not block.text or block.text.isspace())


def _settled_results(
    messages: tuple[neutral.Message, ...],
) -> tuple[tuple[neutral.Message, ...], dict[str, neutral.ToolResult]]:
    """The messages with orphaned results as text, and the last result of each call."""
    called: set[str] = set()
    results: dict[str, neutral.ToolResult] = {}
    settled = []
    for message in messages:
        called.update([call.id for call in _calls(message)])
        content: list[neutral.Block] = []
        for block in message.content:
            if not isinstance(block, neutral.ToolResult):
                content.append(block)
            elif block.call_id in called:
                results[block.call_id] = block
                content.append(block)
            else:
                content += _orphan_as_text(block)
        settled.append(message.having(tuple(content)))
    return tuple(settled), results


def _orphan_as_text(result: neutral.ToolResult) -> Sequence[neutral.Block]:
    text = f"[tool output {result.call_id}]\n{text_of(result.content)}".strip()
    return neutral.Text(text), *(part for part in result.content if not isinstance(part, neutral.Text))


def _answers(
    calls: tuple[neutral.ToolCall, ...], results: dict[str, neutral.ToolResult]
) -> tuple[neutral.ToolResult, ...]:
    missing = (neutral.Text(NO_RESULT),)
    return tuple(
        results.get(call.id) or neutral.ToolResult(call.id, missing, is_error=True, kind=call.kind)
        for call in calls
    )


def _calls(message: neutral.Message) -> tuple[neutral.ToolCall, ...]:
    return tuple([block for block in message.content if isinstance(block, neutral.ToolCall)])


def _results_first(message: neutral.Message) -> neutral.Message:
    if message.role != "user":
        return message
    ordered = sorted(message.content, key=lambda block: not isinstance(block, neutral.ToolResult))
    return message.having(tuple(ordered))

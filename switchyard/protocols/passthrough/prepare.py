"""Prepare a request for an upstream of the client's own protocol: the same bytes but for what it does not take."""

from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.fields import NOT_TAKEN
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Loss
from switchyard.protocols.passthrough.model_name import insert_member, rewrite_model_name
from switchyard.protocols.passthrough.peek import HISTORY, Document
from switchyard.protocols.repair.refused import has_path
from switchyard.protocols.repair.rows import Table
from switchyard.protocols.repair.tables import TABLES
from switchyard.protocols.request_summary import LIMITS, RequestSummary
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import entries

COMPACTION_TRIGGER = b'"compaction_trigger"'
HINTS = frozenset({"cache_control", "prompt_cache_key", "stream_options"})
"""Without these the answer is the same."""
NOT_FETCHED = "Switchyard cannot fetch the answer later"
LISTS = ("tools", "stop")
EXPRESSED_ELSEWHERE = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
    "reasoning_effort": "thinking",
    "output_config": "thinking",
    "response_format": "messages",
}
OMITTED = {"image": b"[image omitted", "document": b"[document omitted"}
"""How the notes begin that stand for what a model cannot read."""
TOOL_REMOVAL = b'"tool_removal"'
INCLUDE_USAGE = b'"stream_options":{"include_usage":true}'


class Passed(msgspec.Struct, frozen=True):
    """The body for the upstream, and whether its report of usage is to be hidden from the client."""

    body: bytes
    hide_usage: bool
    losses: tuple[Loss, ...] = ()


def wants_compaction(protocol: ProtocolName, body: bytes) -> bool:
    return protocol == "responses" and COMPACTION_TRIGGER in body


def passes_through(protocol: ProtocolName, target: Target, *, compacts: bool) -> bool:
    """False where even the same protocol needs a full conversation between us and the upstream.

    A Responses server without the newer items needs its answers restored as well as its requests converted.
    """
    can = target.capabilities
    return protocol != "responses" or (can.responses_items and (can.compaction or not compacts))


def prepare(
    protocol: ProtocolName,
    body: bytes,
    summary: RequestSummary,
    target: Target,
    *,
    thinking: bool = False,
    stripped: frozenset[str] | None = frozenset(),
) -> Passed:
    """The client's body for this target, with `thinking` turned on and without the thinking that is `stripped`.

    `stripped`: signatures; None: all thinking of earlier turns. Raises BadRequest.
    """
    seen = summary.seen_in(body)
    try:
        document = Document(body, summary.members, None if seen is None else seen.signs)
        body, losses = repaired(TABLES[protocol], document, target, thinking=thinking, stripped=stripped)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(f"the request body cannot be read: {str(error)[:120]}") from None
    hide_usage = injects_usage(protocol, summary, target)
    if hide_usage and "stream_options" not in document:
        body = with_usage_asked(body)
    if summary.model != target.model:
        history = summary.members.input if protocol == "responses" else summary.members.messages
        at = -1 if seen is None or body is not seen.body else seen.start
        body = rewrite_model_name(body, target.model, history, at)
    return Passed(body, hide_usage, losses)


def repaired(
    table: Table,
    document: Document,
    target: Target,
    *,
    thinking: bool = False,
    stripped: frozenset[str] | None = frozenset(),
) -> tuple[bytes, tuple[Loss, ...]]:
    """The body as this target takes it, the very same bytes if nothing is changed, and what was lost.

    Raises what msgspec raises where a member cannot be decoded.
    """
    if thinking:
        table.turn_thinking_on(document)
    table.repair(document, target)
    if stripped or stripped is None:
        table.strip_thinking(document, stripped)
    if not document.is_changed:
        return document.body, ()
    sent = document.encode()
    return sent, (*_losses(document, sent), *_nested_losses(document, target))


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


def _nested_losses(document: Document, target: Target) -> tuple[Loss, ...]:
    """The fields inside members that this upstream refuses; without marks for caching, which change no answer."""
    paths = [
        path for path in target.capabilities.dropped_fields if "." in path and "cache_control" not in path
    ]
    before = Document(document.body)
    return tuple(Loss(path, NOT_TAKEN) for path in paths if has_path(before, path))


def _losses(document: Document, sent: bytes) -> tuple[Loss, ...]:
    looked_at = sorted(name for name in document.changed if name not in document or name in (*LIMITS, *LISTS))
    before = {name: value for name in looked_at if (value := document.original(name)) is not None}
    # what stands for a part that the model cannot read can only be in a conversation that was changed
    is_rewritten = not document.changed.isdisjoint(HISTORY)
    texts = (document.body, sent) if is_rewritten else (b"", b"")
    return repair_losses(before, document, *texts)


def repair_losses(
    before: Mapping[str, Any], after: Mapping[str, Any], body: bytes, sent: bytes
) -> tuple[Loss, ...]:
    """What a repair took out of a body; `before` and `after` are its members."""
    gone = [
        name
        for name, value in before.items()
        if name not in after and value and name not in HINTS and EXPRESSED_ELSEWHERE.get(name) not in after
    ]
    fewer = [name for name in LISTS if name in after and _size(after[name]) < _size(before.get(name))]
    less = [name for name in LIMITS if name in after and after[name] != before.get(name, after[name])]
    noted = [(kind, marker) for kind, marker in OMITTED.items() if marker in sent]
    omitted = [kind for kind, marker in noted if sent.count(marker) > body.count(marker)]
    removed = body.count(TOOL_REMOVAL)
    if removed and _size(before.get("tools")) - _size(after.get("tools")) <= removed:
        # by the client itself
        gone, fewer = _without_tools(gone), _without_tools(fewer)
    return (
        *(Loss(name, NOT_FETCHED if name == "background" else NOT_TAKEN) for name in (*gone, *fewer)),
        *(Loss(name, f"this upstream gives at most {after[name]}") for name in less),
        *(Loss(name, NOT_TAKEN) for name in omitted),
    )


def _without_tools(names: list[str]) -> list[str]:
    return [name for name in names if name not in ("tools", "tool_choice")]


def _size(value: object) -> int:
    """Without the placeholders, which no model may call."""
    return sum(not is_placeholder(entry) for entry in entries(value))

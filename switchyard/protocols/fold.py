"""Fold a stream of events into a whole reply, and unfold it again: one walk, so that both forms always agree."""

from collections.abc import Iterable

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.neutral import WireError
from switchyard.protocols.walk import CUT_OFF


def fold(events: Iterable[neutral.Event]) -> neutral.Response | WireError:
    """The reply that the events add up to, or the error that ended them."""
    started = neutral.Started()
    end: neutral.Finished | neutral.Failed = neutral.Failed(CUT_OFF)
    content: list[neutral.Block] = []
    citations: dict[int, tuple[neutral.Citation, ...]] = {}
    incomplete: set[str] = set()
    open: neutral.Block | None = None
    texts: list[str] = []
    cited: list[neutral.Citation] = []
    for event in events:
        if isinstance(event, neutral.Delta):
            texts.append(event.text)
        elif isinstance(event, neutral.BlockStarted):
            open, texts, cited = event.block, [], []
        elif isinstance(event, neutral.BlockEnded):
            if open is None:
                continue
            if cited:
                citations[len(content)] = tuple(cited)
            if isinstance(open, neutral.ToolCall) and not event.complete:
                incomplete.add(open.id)
            content.append(_filled(open, "".join(texts), event))
            open = None
        elif isinstance(event, neutral.Started):
            started = event
        elif isinstance(event, neutral.Citation):
            cited.append(event)
        else:
            end = event
    if isinstance(end, neutral.Failed):
        return end.error
    return neutral.Response(
        id=started.id,
        model=started.model,
        content=tuple(content),
        stop_reason=end.stop_reason,
        usage=end.usage or started.usage,
        stop_sequence=end.stop_sequence,
        citations=citations,
        incomplete=frozenset(incomplete),
    )


def unfold(response: neutral.Response) -> list[neutral.Event]:
    """The stream of this reply, each block's text as one delta."""
    events: list[neutral.Event] = [neutral.Started(response.id, response.model, response.usage)]
    for index, block in enumerate(response.content):
        events += _unfolded(block, response.citations.get(index, ()), response.incomplete)
    return [*events, neutral.Finished(response.stop_reason, response.usage, response.stop_sequence)]


def _filled(block: neutral.Block, text: str, end: neutral.BlockEnded) -> neutral.Block:
    match block:
        case neutral.Text() | neutral.Refusal():
            return replace(block, text=block.text + text)
        case neutral.Thinking():
            return replace(block, text=block.text + text, signature=end.signature or block.signature)
        case neutral.ToolCall(kind="custom"):
            return replace(block, arguments=block.arguments + text, signature=end.signature)
        case neutral.ToolCall():
            arguments = block.arguments + text
            filled = arguments if arguments.strip() or not end.complete else "{}"
            return replace(block, arguments=filled, signature=end.signature)
    return block


def _unfolded(
    block: neutral.Block, citations: tuple[neutral.Citation, ...], incomplete: frozenset[str]
) -> list[neutral.Event]:
    match block:
        case neutral.Text(text) | neutral.Refusal(text):
            return [neutral.BlockStarted(type(block)("")), *_delta(text), *citations, neutral.BlockEnded()]
        case neutral.Thinking(text, signature):
            empty = replace(block, text="", signature=None)
            return [neutral.BlockStarted(empty), *_delta(text), neutral.BlockEnded(signature)]
        case neutral.ToolCall(id=id, arguments=arguments):
            end = neutral.BlockEnded(block.signature, complete=id not in incomplete)
            unfilled = replace(block, arguments="", signature=None)
            return [neutral.BlockStarted(unfilled), *_delta(arguments), end]
        case neutral.WebSearch() | neutral.Compaction():
            return [neutral.BlockStarted(block), neutral.BlockEnded()]
    return []


def _delta(text: str) -> list[neutral.Event]:
    return [neutral.Delta(text)] if text else []

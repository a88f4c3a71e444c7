"""Fold a stream of events into a whole reply, and unfold it again: one walk, so that both forms always agree."""

from collections.abc import Iterable

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.neutral import WireError
from switchyard.protocols.walk import CUT_OFF


def fold(events: Iterable[neutral.Event]) -> neutral.Response | WireError:
    """The reply that the events add up to, or the error that ended them."""
    folding = Folding()
    for event in events:
        folding.take(event)
    return folding.result()


def unfold(response: neutral.Response) -> list[neutral.Event]:
    """The stream of this reply, each block's text as one delta."""
    events: list[neutral.Event] = [neutral.Started(response.id, response.model, response.usage)]
    for index, block in enumerate(response.content):
        events += _unfolded(block, response.citations.get(index, ()), response.incomplete)
    return [*events, neutral.Finished(response.stop_reason, response.usage, response.stop_sequence)]


class Folding:
    """A reply that grows event by event."""

    def __init__(self) -> None:
        self._started = neutral.Started()
        self._content: list[neutral.Block] = []
        self._open: neutral.Block | None = None
        self._texts: list[str] = []
        self._cited: list[neutral.Citation] = []
        self._citations: dict[int, tuple[neutral.Citation, ...]] = {}
        self._incomplete: set[str] = set()
        self._end: neutral.Finished | WireError = CUT_OFF

    def take(self, event: neutral.Event) -> None:
        match event:
            case neutral.Delta(text):
                self._texts.append(text)
            case neutral.BlockStarted(block):
                self._open, self._texts, self._cited = block, [], []
            case neutral.BlockEnded():
                self._close(event)
            case neutral.Citation():
                self._cited.append(event)
            case neutral.Started():
                self._started = event
            case neutral.Finished():
                self._end = event
            case neutral.Failed(error):
                self._end = error

    def result(self) -> neutral.Response | WireError:
        if isinstance(self._end, WireError):
            return self._end
        return neutral.Response(
            id=self._started.id,
            model=self._started.model,
            content=tuple(self._content),
            stop_reason=self._end.stop_reason,
            usage=self._end.usage or self._started.usage,
            stop_sequence=self._end.stop_sequence,
            citations=self._citations,
            incomplete=frozenset(self._incomplete),
        )

    def _close(self, end: neutral.BlockEnded) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        if self._cited:
            self._citations[len(self._content)] = tuple(self._cited)
        if isinstance(block, neutral.ToolCall) and not end.complete:
            self._incomplete.add(block.id)
        self._content.append(_filled(block, "".join(self._texts), end))


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

"""Let an answer pass call by call: a call may be withheld, with all that follows, or wait for a decision."""

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.neutral import WireError

Item = TypeVar("Item")


class Begun(msgspec.Struct, frozen=True):
    """A call begins: its name is known, and its arguments as far as they came with it."""

    key: str
    call: neutral.ToolCall


class Grown(msgspec.Struct, frozen=True):
    key: str
    arguments: str


class Ended(msgspec.Struct, frozen=True):
    """The call is whole; `arguments` where all of them are repeated at its end."""

    key: str
    arguments: str | None = None


CallNews = Begun | Grown | Ended


class CallWatch(Protocol):
    """Decides about the calls of one answer."""

    @property
    def reads_arguments(self) -> bool:
        """True if `ends` is to be asked; otherwise only names matter."""
        ...

    @property
    def keeps_calls(self) -> bool:
        """True if no part of a call may pass before it has ended."""
        ...

    def begins(self, call: neutral.ToolCall) -> WireError | None:
        """The error in place of a call that must not reach the client."""
        ...

    def ends(self, call: neutral.ToolCall) -> bool:
        """True if the call must wait for a decision."""
        ...


class CallGate(Generic[Item]):
    """Takes the records or events of an answer in their order, and gives back what may pass.

    `error`: a call was withheld, and nothing more passes. `is_waiting`: nothing passes before `release`.
    """

    def __init__(self, watch: CallWatch) -> None:
        self._watch = watch
        self._open: dict[str, tuple[neutral.ToolCall, list[str]]] = {}
        self._kept: list[Item] = []
        self._later: list[tuple[Item, tuple[CallNews, ...]]] = []
        self.error: WireError | None = None
        self.is_waiting = False

    @property
    def reads_arguments(self) -> bool:
        return self._watch.reads_arguments

    @property
    def is_idle(self) -> bool:
        """True if an item without news passes at once."""
        return not (self._open or self._kept or self.is_waiting or self.error)

    def take(self, item: Item, news: Iterable[CallNews] = ()) -> list[Item]:
        if self.error is not None:
            return []
        if self.is_waiting:
            self._later.append((item, tuple(news)))
            return []
        self._kept.append(item)
        for one in news:
            self._note(one)
            if self.error is not None:
                self._kept.clear()
                return []
        if self.is_waiting or (self._open and self._watch.keeps_calls):
            return []
        passed, self._kept = self._kept, []
        return passed

    def release(self) -> list[Item]:
        """What waited passes; perhaps up to the next call that has to wait."""
        self.is_waiting = False
        passed: list[Item] = []
        if not (self._open and self._watch.keeps_calls):
            passed, self._kept = self._kept, []
        later, self._later = self._later, []
        for item, news in later:
            passed += self.take(item, news)
        return passed

    def _note(self, news: CallNews) -> None:
        match news:
            case Begun(key, call):
                self.error = self._watch.begins(call)
                if self._watch.reads_arguments:
                    self._open[key] = (call, [])
            case Grown(key, arguments):
                if key in self._open:
                    self._open[key][1].append(arguments)
            case Ended(key, arguments):
                if key in self._open:
                    self._end(*self._open.pop(key), arguments)

    def _end(self, call: neutral.ToolCall, pieces: list[str], whole: str | None) -> None:
        arguments = "".join(pieces) or call.arguments if whole is None else whole
        if self._watch.ends(replace(call, arguments=arguments)):
            self.is_waiting = True


class EventNews:
    """The news of calls in the events of a walk: one block is open at a time.

    `is_of_call`: that block is a call.
    """

    def __init__(self) -> None:
        self.is_of_call = False

    def of(self, event: neutral.Event) -> tuple[CallNews, ...]:
        match event:
            case neutral.BlockStarted(neutral.ToolCall() as call):
                self.is_of_call = True
                return (Begun("", call),)
            case neutral.Delta(text) if self.is_of_call:
                return (Grown("", text),)
            case neutral.BlockEnded() | neutral.Finished() | neutral.Failed() if self.is_of_call:
                self.is_of_call = False
                return (Ended(""),)
        return ()


def calls_of(events: Iterable[neutral.Event]) -> Iterator[neutral.ToolCall]:
    """The calls of a whole walk, with their arguments."""
    call, pieces = None, list[str]()
    for event in events:
        match event:
            case neutral.BlockStarted(block):
                call, pieces = block if isinstance(block, neutral.ToolCall) else None, []
            case neutral.Delta(text) if call is not None:
                pieces.append(text)
            case neutral.BlockEnded() if call is not None:
                yield replace(call, arguments="".join(pieces) or call.arguments)
                call = None

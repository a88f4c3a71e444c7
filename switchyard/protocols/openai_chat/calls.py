"""Gather the fragments of tool calls: which call a fragment continues, and its id and name so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from switchyard.protocols.walk import CallDraft


class Call(CallDraft):
    """One tool call; its block is given as soon as its name is known to be whole."""

    __slots__ = ("id", "name")

    def __init__(self, index: int | None, id: str, is_custom: bool) -> None:
        super().__init__(order=index or 0, is_raw=is_custom)
        self.id = id
        self.name = ""

    @property
    def is_nothing(self) -> bool:
        return not (self.id or self.name or self.arguments.text)

    def learn(self, fragment: "Fragment") -> None:
        self.id = self.id or fragment.id
        if fragment.name and not (self.name and self.arguments.size):
            self.name = _joined(self.name, fragment.name)


@dataclass(slots=True)
class Fragment:
    index: int | None
    id: str
    name: str
    arguments: str
    is_custom: bool


class Calls:
    """All calls of one reply in the order in which they came up."""

    __slots__ = ("_by_id", "_by_index", "_last", "all")

    def __init__(self) -> None:
        self.all: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._last: Call | None = None

    def of(self, fragment: Fragment) -> Call:
        """The call that the fragment belongs to, a new one if it continues none."""
        known = self._known(fragment)
        call = known or Call(fragment.index, fragment.id, fragment.is_custom)
        if known is None:
            self.all.append(call)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        if fragment.id:
            self._by_id.setdefault(fragment.id, call)
        self._last = call
        call.learn(fragment)
        return call

    def _known(self, fragment: Fragment) -> Call | None:
        if fragment.index is not None:
            return self._continued(self._by_index.get(fragment.index), fragment)
        if fragment.id:
            return self._by_id.get(fragment.id)
        last = self._last
        if last is not None and fragment.name and last.arguments.is_valid():
            return None
        return last

    def _continued(self, call: Call | None, fragment: Fragment) -> Call | None:
        """Some servers send every call under one index: another id with a name of its own is another call."""
        if call is None or not fragment.id or not call.id or fragment.id == call.id:
            return call
        return self._by_id.get(fragment.id) if fragment.name else call


def fragments_in(tool_calls: object, is_whole: bool) -> Iterator[Fragment]:
    """The fragments of one chunk; a single object instead of a list counts too.

    A whole message lists every call once, without index.
    """
    for position, wire in enumerate(tool_calls if isinstance(tool_calls, list) else (tool_calls,)):
        if isinstance(wire, dict):
            fragment = _fragment(wire)
            if is_whole and fragment.index is None:
                fragment.index = position
            yield fragment


def legacy_fragment(function_call: Mapping[str, Any]) -> Fragment:
    """The deprecated `function_call`: one call, without index and id."""
    return _fragment({"index": 0, "function": function_call})


def _fragment(wire: Mapping[str, Any]) -> Fragment:
    custom = wire.get("custom")
    function = custom if isinstance(custom, dict) else wire.get("function")
    if not isinstance(function, dict):
        function = wire
    arguments = function.get("input") if isinstance(custom, dict) else function.get("arguments")
    return Fragment(
        index=_index(wire.get("index")),
        id=_text(wire.get("id")),
        name=_text(function.get("name")),
        arguments=_argument_text(arguments),
        is_custom=isinstance(custom, dict),
    )


def _argument_text(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def _index(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _joined(name: str, piece: str) -> str:
    """Names come whole, repeated, growing or in pieces."""
    if piece.startswith(name):
        return piece
    return name if name.endswith(piece) else name + piece

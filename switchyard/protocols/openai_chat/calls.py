"""Gather the fragments of tool calls: which call a fragment continues, and its id and name so far."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from switchyard.protocols.openai_chat.wire import Delta
from switchyard.protocols.walk import CallDraft
from switchyard.protocols.wire import Json, fields, json_text, text

OPAQUE_MEMBERS = ("extra_content", "thought_signature", "provider_specific_fields")
"""Members of a call that its issuer wants back with it: Gemini refuses a call of its own without them.

https://ai.google.dev/gemini-api/docs/thought-signatures
"""


class Call(CallDraft):
    """One tool call; its block is given as soon as its name is known to be whole."""

    __slots__ = ("id", "name", "opaque")

    def __init__(self, index: int | None, id: str, is_custom: bool) -> None:
        super().__init__(order=index or 0, is_raw=is_custom)
        self.id = id
        self.name = ""
        self.opaque: Json = {}

    def is_over_before(self, fragment: "Fragment") -> bool:
        """A name after whole arguments begins another call, unless it repeats this one."""
        if not fragment.name or not self.name:
            return False
        if fragment.name != self.name:
            has_empty_object = not self.arguments.size and bool(self.arguments.text)
            return self.arguments.is_complete or self.arguments.is_raw or has_empty_object
        begins = fragment.arguments.lstrip().startswith("{")
        return (
            self.arguments.is_complete
            and begins
            and fragment.arguments.strip() != self.arguments.text.strip()
        )

    def learn(self, fragment: "Fragment") -> None:
        self.id = self.id or fragment.id
        self.opaque |= fragment.opaque
        if fragment.name and not (self.name and self.arguments.size):
            self.name = _joined(self.name, fragment.name)


class Fragment(msgspec.Struct):
    index: int | None
    id: str
    name: str
    arguments: str
    is_custom: bool
    opaque: Json


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
        if known is not None and known.is_over_before(fragment):
            known = None
        call = known or Call(fragment.index, fragment.id, fragment.is_custom)
        if known is None:
            self.all.append(call)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        if fragment.id:
            self._by_id[fragment.id] = call
        self._last = call
        call.learn(fragment)
        return call

    def listed(self, fragments: Iterable["Fragment"]) -> Iterator[tuple[Call, "Fragment"]]:
        """Of a whole message each element is a call, whatever its index; deltas may have brought it before."""
        before = tuple(self.all)
        for position, fragment in enumerate(fragments):
            same_id = (call for call in before if fragment.id and call.id == fragment.id)
            known = next(same_id, before[position] if position < len(before) else None)
            if known is None or known.name not in ("", fragment.name):
                known = Call(position, fragment.id, fragment.is_custom)
                self.all.append(known)
            known.learn(fragment)
            yield known, fragment

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


def fragments_of(delta: Delta) -> Sequence[Fragment]:
    """The fragments of one chunk; a single object instead of a list counts too.

    The deprecated `function_call` is one call, without index and id.
    """
    calls = delta.tool_calls or {"index": 0, "function": fields(delta.function_call)}
    given = calls if isinstance(calls, list) else [calls]
    fragments = [_fragment(wire) for wire in given if isinstance(wire, dict)]
    return [one for one in fragments if one.id or one.name or one.arguments or one.opaque]


def is_custom_call(call: Mapping[str, Any]) -> bool:
    """Some servers send both members, one of them empty: the one with a name counts, otherwise `type` decides."""
    if "custom" not in call:
        return False
    function, custom = fields(call.get("function")), fields(call.get("custom"))
    if bool(function.get("name")) != bool(custom.get("name")):
        return bool(custom.get("name"))
    type = call.get("type")
    if type in ("function", "custom") and isinstance(call.get(type), dict):
        return bool(type == "custom")
    return isinstance(call.get("custom"), dict) and not function.get("arguments")


def _fragment(wire: Mapping[str, Any]) -> Fragment:
    index, is_custom = wire.get("index"), is_custom_call(wire)
    called = wire.get("custom" if is_custom else "function")
    if not isinstance(called, dict):
        called = wire
    return Fragment(
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
        id=text(wire.get("id")),
        name=text(called.get("name")),
        arguments=argument_text(called.get("input" if is_custom else "arguments")),
        is_custom=is_custom,
        opaque={name: wire[name] for name in OPAQUE_MEMBERS if wire.get(name)},
    )


def argument_text(arguments: object) -> str:
    """Some servers send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)


def _joined(name: str, piece: str) -> str:
    """Names come whole, repeated, growing or in pieces."""
    if piece.startswith(name):
        return piece
    return name if name.endswith(piece) else name + piece

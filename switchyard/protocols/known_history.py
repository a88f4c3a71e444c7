"""Decode a body whose history is known for the most part."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.ids import new_id
from switchyard.protocols.message_memory import (
    BLANK,
    START_BYTES,
    Beginning,
    History,
    KnownItem,
    MessageMemory,
)
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import Members, watched_members
from switchyard.protocols.wire import UNREADABLE, Json, decode_body

PLACE = new_id("history_")
"""stands for the history; no client can know it"""
PLACE_BYTES = msgspec.json.encode(PLACE)
NAME_WITHIN = 256 * 1024
"""how far the name of the history is looked for: clients put it first, or behind their instructions"""

DecodeUsual = Callable[[bytes], neutral.Message | None]
"""What an item means wherever it stands, if it is one of the usual ones, which are decoded in fewer steps."""

_decode = msgspec.json.Decoder().decode


def _none_is_usual(_: bytes) -> None:
    return None


class KnownHistory:
    """The items of one history: those that are known or usual, and the others decoded, of which a codec keeps some."""

    def __init__(
        self,
        memory: MessageMemory,
        protocol: ProtocolName,
        start: bytes,
        items: list[KnownItem | bytes],
        usual: DecodeUsual,
    ) -> None:
        self._protocol = protocol
        self._memory = memory
        self._start = start
        self._given = items
        self._usual = usual
        self.items: list[Any] = [
            raw if isinstance(raw, KnownItem) else self._usual_item(raw) or _decode(raw) for raw in items
        ]
        self._known = [item if isinstance(item, KnownItem) else None for item in self.items]

    def _usual_item(self, raw: bytes) -> KnownItem | None:
        message = self._usual(raw)
        if message is None:
            return None
        value = message if message.content else None
        return KnownItem(self._protocol, raw, message.role, value, message.content)

    def keep(self, number: int, role: neutral.Role, value: Any, blocks: tuple[neutral.Block, ...]) -> None:
        """The item means this, wherever it stands."""
        raw = self._given[number]
        if isinstance(raw, bytes):
            self._known[number] = KnownItem(self._protocol, raw, role, value, blocks)

    def close(self) -> None:
        """All items were decoded."""
        self._memory.keep(self._start, self._known)


def decode_known(
    body: bytes,
    protocol: ProtocolName,
    name: str,
    history: History | None,
    usual: DecodeUsual = _none_is_usual,
) -> tuple[Json, KnownHistory | None]:
    """The object of a client's request; in its history the items that are known or usual. Raises BadRequest."""
    recalled = None
    if history is not None and history.is_worth_it:
        recalled = _recalled(body, protocol, name, history, usual)
    return recalled or (decode_body(body), None)


def _recalled(
    body: bytes, protocol: ProtocolName, name: str, history: History, usual: DecodeUsual
) -> tuple[Json, KnownHistory] | None:
    """None where anything is unusual: then the body is decoded as a whole."""
    found = history.beginning
    if found is None or found.body is not body:
        found = _found(body, protocol, history)
    if found is None:
        return None
    try:
        # found elsewhere, it leaves the history where it is, or no JSON
        given = _decode(b"%b%b%b" % (body[: found.start], PLACE_BYTES, body[found.end :]))
        if not isinstance(given, dict) or given.get(name) != PLACE:
            return None
        items = history.memory.split(found)
        beginning = body[found.start : min(found.end, found.start + START_BYTES)]
        known = KnownHistory(history.memory, protocol, beginning, items, usual)
    except UNREADABLE:
        return None
    given[name] = known.items
    return given, known


def _found(body: bytes, protocol: ProtocolName, history: History) -> Beginning | None:
    raw = memoryview(history.raw)
    beginning = bytes(raw[:START_BYTES])
    start = body.find(beginning)
    if start < 0 or not beginning.startswith(b"["):
        return None
    return Beginning(protocol, body, start, start + len(raw), *history.memory.along(protocol, body, start))


def members_along(
    protocol: ProtocolName, body: bytes, memory: MessageMemory
) -> tuple[Members, Beginning] | None:
    """The members of a body whose history begins with known items, which are not parsed; None for any other body."""
    if len(body) < memory.least:
        return None
    name = "input" if protocol == "responses" else "messages"
    key = b'"%b":' % name.encode()
    start = body.find(key, 0, NAME_WITHIN) + len(key)
    start += body[start : start + 1] == BLANK
    items, behind = memory.along(protocol, body, start)
    if not items:
        return None
    head = b"[" + PLACE_BYTES
    try:
        members = watched_members(b"%b%b%b" % (body[:start], head, body[behind:]))
    except UNREADABLE:
        return None
    rest = memoryview(getattr(members, name))
    if rest[: len(head)] != head:
        return None
    end = behind + len(rest) - len(head)
    raw = msgspec.Raw(memoryview(body)[start:end])
    return replace(members, **{name: raw}), Beginning(protocol, body, start, end, items, behind)

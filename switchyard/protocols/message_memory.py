"""Remember messages by their bytes: what they mean, and how they are written for an upstream.

Agents send the whole conversation with every turn, so that nearly all of a request was decoded and encoded before.
Codecs keep only what depends on nothing but the bytes of the item itself. What was written for an upstream belongs to
the very blocks that it was written from.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from sys import getsizeof
from typing import Any
from weakref import ReferenceType, ref

import msgspec
from msgspec.structs import astuple

from switchyard.protocols import neutral
from switchyard.protocols.names import ProtocolName

CAPACITY_BYTES = 32 * 1024 * 1024
LARGEST_ITEM, LARGEST_HISTORY = 8, 3
"""No item may take a larger part of it; the items of a longer history would make way for each other."""
LEAST_BYTES = 32 * 1024
"""A shorter history is decoded and encoded in less time than it takes to look it up."""
ITEM_BYTES, WRITTEN_BYTES, VALUE_BYTES = 900, 400, 64
"""what an item, one of its written forms, and each value in it take in memory beside their texts"""
START_BYTES = 256
MAX_STARTS = 256
MAX_ALIKE = 4
"""histories that begin alike: the conversations in one project"""
MAX_FORMS, MAX_WRITTEN = 256, 16
"""how many forms there are, and in how many one item is kept, with other neighbours each time"""
FORMS_COUNTED = 2
"""its own bytes, and about as many for what it is written as: the first of these has its place from the beginning"""
NO_LOCK = nullcontext()
COMMA, BLANK = b",", b" "

Key = tuple[ProtocolName, bytes]
"""the bytes of an item: each protocol may give them another meaning"""

_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class KnownItem:
    """One item of a history: the role of its message, and what the codec of its protocol has made of it.

    `next` is the item that followed it last time. `size_alone` is its size without what was written beyond the place
    that it has from the beginning. An item that was forgotten has no `raw` bytes.
    """

    __slots__ = (
        "__weakref__",
        "blocks",
        "key",
        "next",
        "protocol",
        "raw",
        "role",
        "size",
        "size_alone",
        "used",
        "value",
        "written",
    )

    def __init__(
        self,
        protocol: ProtocolName,
        raw: bytes,
        role: neutral.Role,
        value: Any,
        blocks: tuple[neutral.Block, ...],
    ) -> None:
        self.protocol = protocol
        self.raw = raw
        self.key: Key = protocol, raw
        self.role = role
        self.value = value
        self.blocks = blocks
        self.next: ReferenceType[KnownItem] | None = None
        self.written: dict[tuple[int, ...], Written] = {}
        self.size = self.size_alone = ITEM_BYTES + len(raw) * FORMS_COUNTED + _size_of(blocks)
        self.used = 0

    def forget(self) -> None:
        self.raw, self.written = b"", {}
        self.key = self.protocol, b""


class Written(msgspec.Struct, frozen=True, gc=False):
    """What a message was written as, and what was lost. It keeps the `content` alive by whose identity it is found."""

    content: tuple[neutral.Block, ...]
    parts: tuple[msgspec.Raw, ...]
    losses: tuple[neutral.Loss, ...]

    @property
    def size(self) -> int:
        values = len(self.content) + len(self.parts)
        return WRITTEN_BYTES + VALUE_BYTES * values + sum(map(len, self.parts))


class Beginning(msgspec.Struct, frozen=True):
    """A list of messages from `start` to `end` of a body, and the known `items` that it begins with, up to `behind`."""

    protocol: ProtocolName
    body: bytes
    start: int
    end: int
    items: Sequence[KnownItem]
    behind: int


class MessageMemory:
    """Bounded in bytes: what was not used for longest makes way, but nothing for the end of its own history.

    Threads may share one that has a `lock`. `least`: histories with fewer bytes are not looked up.
    """

    def __init__(
        self,
        capacity: int = CAPACITY_BYTES,
        least: int = LEAST_BYTES,
        lock: AbstractContextManager[object] = NO_LOCK,
    ) -> None:
        self.capacity = capacity
        self.least = least
        self.size = 0
        self._lock = lock
        self._items: OrderedDict[Key, KnownItem] = OrderedDict()
        self._of_block: dict[int, KnownItem] = {}
        self._starts: dict[Key, list[ReferenceType[KnownItem]]] = {}
        self._forms: dict[tuple[object, ...], int] = {}
        self._form_numbers = count()
        self._requests = self._swept = 0

    def sweep(self) -> int:
        """Forget what was not used since the last call; how many bytes that were."""
        before = self.size
        with self._lock:
            while self._items and next(iter(self._items.values())).used <= self._swept:
                self._forget_oldest()
            self._swept = self._requests
        return before - self.size

    # --- items ---------------------------------------------------------------------

    def along(self, protocol: ProtocolName, body: bytes, start: int) -> tuple[list[KnownItem], int]:
        """The known items that a list at `start` begins with, and where the last of them ends.

        Nothing is parsed: the bytes are only compared. What follows may be no list.
        """
        items: list[KnownItem] = []
        at = behind = start + 1
        item = self._first(protocol, body, start)
        while item is not None and (raw := item.raw) and body.startswith(raw, at):
            items.append(item)
            behind = at + len(raw)
            if body[behind : behind + 1] != COMMA:
                break
            at = behind + (2 if body[behind + 1 : behind + 2] == BLANK else 1)
            item = None if item.next is None else item.next()
        return items, behind

    def split(self, beginning: Beginning) -> list[KnownItem | bytes]:
        """The items of this list, as far as they are known. Raises what msgspec raises."""
        protocol, body, known = beginning.protocol, beginning.body, beginning.items
        if not known:
            raws = _decode_items(memoryview(body)[beginning.start : beginning.end])
        else:
            raws = _decode_items(b'[""%b' % body[beginning.behind : beginning.end])[1:]
        keys = [(protocol, bytes(raw)) for raw in raws]
        with self._lock:
            self._requests += 1
            for item in known:
                if self._items.get(item.key) is item:
                    self._use(item)
            found = [self._items.get(key) for key in keys]
            for one in found:
                if one is not None:
                    self._use(one)
        return [*known, *(one or key[1] for one, key in zip(found, keys, strict=True))]

    def _first(self, protocol: ProtocolName, body: bytes, start: int) -> KnownItem | None:
        for reference in self._starts.get((protocol, body[start : start + START_BYTES]), ()):
            item = reference()
            if item is not None and (raw := item.raw) and body.startswith(raw, start + 1):
                return item
        return None

    def keep(self, start: bytes, items: Sequence[KnownItem | None]) -> None:
        """These items, known or new, followed each other in a history that begins so; None for what is not kept."""
        before: KnownItem | None = None
        with self._lock:
            for item in items:
                known = None if item is None else self._known(item)
                if before is not None:
                    before.next = None if known is None else ref(known)
                elif known is not None and item is items[0]:
                    self._note_start((known.protocol, start), ref(known))
                before = known

    def _known(self, item: KnownItem) -> KnownItem | None:
        """The item as it is known from now on; another thread may have been faster."""
        if not item.raw or item.size > self.capacity // LARGEST_ITEM:
            return None
        known = self._items.get(item.key)
        if known is not None:
            return known
        if not self._has_room(item.size):
            return None
        self._items[item.key] = item
        item.used = self._requests
        for block in item.blocks:
            self._of_block[id(block)] = item
        self.size += item.size
        return item

    def _note_start(self, start: Key, first: ReferenceType[KnownItem]) -> None:
        alike = self._starts.get(start, [])
        if len(self._starts) >= MAX_STARTS and not alike:
            self._starts.clear()
        self._starts[start] = [first, *(one for one in alike if one is not first and one() is not None)][
            :MAX_ALIKE
        ]

    # --- what was written ------------------------------------------------------------

    def form(self, *parts: object) -> int:
        """A number for all that a written message depends on beside its content."""
        with self._lock:
            if len(self._forms) >= MAX_FORMS and parts not in self._forms:
                self._forms.clear()
            if parts not in self._forms:
                self._forms[parts] = next(self._form_numbers)
            return self._forms[parts]

    def written(self, form: int, message: neutral.Message) -> Written | None:
        # an id in there belongs to a block that is alive: it is this one
        content = message.content
        item = self._of_block.get(id(content[0])) if content else None
        return item.written.get((form, *map(id, content))) if item is not None and item.written else None

    def keep_written(self, form: int, all_written: Iterable[Written]) -> None:
        with self._lock:
            for written in all_written:
                if written.content:
                    self._keep_written(form, written)

    def _keep_written(self, form: int, written: Written) -> None:
        """Only what was written from known blocks will be looked for again."""
        content = written.content
        item = self._of_block.get(id(content[0]))
        if item is None:
            return
        self._use(item)  # it does not make way for this
        size, most = written.size, self.capacity // LARGEST_ITEM
        if content is not item.blocks:
            for block in content[1:]:
                if (of := self._of_block.get(id(block))) is None:
                    return
                if of is not item:
                    self._use(of)
                    size += _size_of((block,))
        key = (form, *map(id, content))
        if key in item.written:
            return
        if len(item.written) >= MAX_WRITTEN or item.size - item.size_alone + size > most:
            self._forget_written(item)
        if not item.written:
            size = max(0, size - ITEM_BYTES - len(item.raw))
        if size <= most and self._has_room(size):
            item.written[key] = written
            item.size += size
            self.size += size

    # --- bounds ----------------------------------------------------------------------

    def _use(self, item: KnownItem) -> None:
        if item.used != self._requests:
            self._items.move_to_end(item.key)
            item.used = self._requests

    def _has_room(self, size: int) -> bool:
        """False if there is none without what the last request uses: it would not find it next time."""
        while self.size + size > self.capacity:
            if next(iter(self._items.values())).used == self._requests:
                return False
            self._forget_oldest()
        return True

    def _forget_written(self, item: KnownItem) -> None:
        self.size -= item.size - item.size_alone
        item.size, item.written = item.size_alone, {}

    def _forget_oldest(self) -> None:
        _, item = self._items.popitem(last=False)
        self.size -= item.size
        for block in item.blocks:
            del self._of_block[id(block)]
        item.forget()


class History(msgspec.Struct, frozen=True):
    """The history of a request as it stands in its body, and where its items may be known from earlier turns.

    `beginning`: where it was found along with known items.
    """

    memory: MessageMemory
    raw: msgspec.Raw
    beginning: Beginning | None = None

    @property
    def is_worth_it(self) -> bool:
        size = len(memoryview(self.raw))
        return self.memory.least <= size <= self.memory.capacity // LARGEST_HISTORY


def _size_of(values: Iterable[Any]) -> int:
    """At least what these take in memory."""
    size = 0
    for value in values:
        kind = type(value)
        if kind is neutral.Text:  # with results and calls nearly all
            size += VALUE_BYTES + getsizeof(value.text)
        elif kind is neutral.ToolResult:
            size += VALUE_BYTES * 2 + getsizeof(value.call_id) + _size_of(value.content)
        elif kind is neutral.ToolCall and value.signature is None:
            size += VALUE_BYTES + getsizeof(value.id) + getsizeof(value.name) + getsizeof(value.arguments)
        elif kind is str:
            size += getsizeof(value)
        elif kind is tuple:
            size += VALUE_BYTES + _size_of(value)
        elif isinstance(value, msgspec.Struct):
            size += VALUE_BYTES + _size_of(astuple(value))
    return size

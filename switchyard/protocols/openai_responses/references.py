"""Items that a client names instead of sending them: by their own id, or by the answer that they were part of.

https://platform.openai.com/docs/guides/conversation-state
"""

from collections.abc import Callable, Iterable

import msgspec

from switchyard.protocols import carrier, sse
from switchyard.protocols.wire import UNREADABLE, Json, entries, parsed, text

REFERENCE = "item_reference"
PREVIOUS = "previous_response_id"


class FinalResponse(msgspec.Struct):
    """What a client may refer to later. `output` is the list of items as it stands in the answer."""

    id: str = ""
    output: msgspec.Raw = msgspec.Raw(b"")

    @property
    def can_be_named(self) -> bool:
        return bool(self.id) and b"{" in bytes(self.output)


class _End(msgspec.Struct):
    response: FinalResponse


class _Named(msgspec.Struct):
    id: str | None = None


_decode_whole = msgspec.json.Decoder(FinalResponse).decode
_decode_end = msgspec.json.Decoder(_End).decode
_decode_ids = msgspec.json.Decoder(list[_Named]).decode


def final_response(answer: bytes) -> FinalResponse | None:
    """The response in a whole answer, or in the last records of a stream."""
    try:
        if answer.lstrip()[:1] == b"{":
            return _decode_whole(answer)
        records = sse.SseDecoder().feed(answer)
        return _decode_end(records[-1].data).response if records else None
    except (*UNREADABLE, sse.RecordTooLarge):
        return None


def ids_in(output: bytes) -> list[str]:
    """The ids of the items."""
    try:
        return [item.id for item in _decode_ids(output) if item.id]
    except UNREADABLE:
        return []


def items_in(given: bytes) -> list[Json]:
    """The items of an input or an output: a text is a message of the user."""
    decoded = parsed(given)
    if isinstance(decoded, str):
        return [{"type": "message", "role": "user", "content": decoded}]
    return [item for item in entries(decoded) if isinstance(item, dict)]


def is_reference(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == REFERENCE


def replaced(items: Iterable[Json], find: Callable[[str], Json | None]) -> list[Json]:
    """The items, each reference as what `find` gives for its id; unknown ones stay, repeated ones are left out."""
    kept: list[Json] = []
    ids: set[str] = set()
    for item in items:
        id = text(item.get("id"))
        if is_reference(item):
            if id in ids:
                continue
            item = find(id) or item
        ids.add(id)
        kept.append(item)
    return kept


def for_another_service(items: Iterable[Json]) -> list[Json]:
    """Without ids and reasoning that only the service that issued them can read."""
    return [
        {name: value for name, value in item.items() if name != "id"}
        for item in items
        if item.get("type") != "reasoning" or text(item.get("encrypted_content")).startswith(carrier.PREFIX)
    ]

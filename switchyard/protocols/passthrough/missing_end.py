"""Compose the last event of a Responses stream that its server leaves out, ending with `[DONE]` alone.

Clients take no answer for complete without it.
"""

import msgspec

from switchyard.protocols import sse
from switchyard.protocols.ids import new_id
from switchyard.protocols.wire import UNREADABLE, Json, parsed_object

CREATED = ("response.created", "response.in_progress")
ADDED, DONE, COMPLETED = "response.output_item.added", "response.output_item.done", "response.completed"
SENTINEL = b"[DONE]"
NO_OBJECT = msgspec.Raw(b"{}")


class _Event(msgspec.Struct):
    type: str = ""
    sequence_number: int = 0
    output_index: int = 0
    item: msgspec.Raw = NO_OBJECT
    response: msgspec.Raw = NO_OBJECT


_decode = msgspec.json.Decoder(_Event).decode


class MissingEnd:
    """Give it the records that begin or end the response or an item."""

    def __init__(self) -> None:
        self._response = NO_OBJECT
        self._items: dict[int, msgspec.Raw] = {}
        self._open: set[int] = set()
        self._number = 0

    def note(self, record: sse.Record) -> None:
        try:
            event = _decode(record.data)
        except UNREADABLE:
            return
        type, index = event.type or record.event, event.output_index
        self._number = max(self._number, event.sequence_number)
        if type in CREATED:
            self._response = event.response
        elif type == ADDED:
            self._open.add(index)
        elif type == DONE:
            self._open.discard(index)
            self._items[index] = event.item

    def replaces(self, record: sse.Record) -> bool:
        """True for the sentinel of a stream whose items are all there."""
        return record.data.strip() == SENTINEL and bool(self._items) and not self._open

    def record(self) -> bytes:
        """The event, as the server would have sent it; it reports no usage."""
        started = parsed_object(bytes(self._response))
        response: Json = {"object": "response", **started}
        response |= {"id": started.get("id") or new_id("resp_"), "status": "completed"}
        response["output"] = [self._items[index] for index in sorted(self._items)]
        event = {"type": COMPLETED, "sequence_number": self._number + 1, "response": response}
        return sse.encode(msgspec.json.encode(event), COMPLETED)

"""Recognize the protocol of an answer by its shape: some upstreams answer in another one than they are asked in.

Only its beginning is looked at: the first record of a stream that is no ping, or the members of a whole body.
"""

from collections.abc import Mapping

import msgspec

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.sse import SseDecoder
from switchyard.protocols.wire import UNREADABLE, Json, decode_object, entries, text

USUAL_STARTS: Mapping[ProtocolName, tuple[bytes, ...]] = {
    "messages": (b"event: message_start", b'data: {"type":"message_start"'),
    "chat": (b'data: {"id":"chatcmpl', b'data: {"choices":'),
    "responses": (b"event: response.", b'data: {"type":"response.'),
}
"""Nearly every stream begins so, and needs no closer look."""
LONGEST_OPENING = 64 * 1024
"""Bytes of comments and pings after which a stream is taken for what it was expected to be."""
SILENT = frozenset({"ping", "keepalive"})


class FormFinder:
    """Feed it the beginning of a stream until it gives the protocol: the expected one where nothing shows another."""

    def __init__(self, expected: ProtocolName) -> None:
        self._expected = expected
        self._size = 0
        self._records: SseDecoder | None = None

    def feed(self, chunk: bytes) -> ProtocolName | None:
        """The protocol, None while only comments and pings have come. Raises RecordTooLarge."""
        if self._records is None:
            if chunk.startswith(USUAL_STARTS[self._expected]):
                return self._expected
            self._records = SseDecoder()
        for record in self._records.feed(chunk):
            event = decode_object(record.data) or {}
            type = text(event.get("type")) or record.event
            if type not in SILENT:
                return _form_of(event, type) or self._expected
        self._size += len(chunk)
        return self._expected if self._size > LONGEST_OPENING else None


def _form_of(event: Json, type: str) -> ProtocolName | None:
    """The protocol of a record; None for one of none, such as an error."""
    if type.startswith("response."):
        return "responses"
    if type.startswith(("message_", "content_block_")):
        return "messages"
    if text(event.get("object")).startswith("chat.completion") or entries(event.get("choices")):
        return "chat"
    return None


class _Whole(msgspec.Struct):
    choices: msgspec.Raw = msgspec.Raw(b"")
    content: msgspec.Raw = msgspec.Raw(b"")
    output: msgspec.Raw = msgspec.Raw(b"")


_scan = msgspec.json.Decoder(_Whole).decode
LISTS: tuple[tuple[str, ProtocolName], ...] = (
    ("choices", "chat"),
    ("output", "responses"),
    ("content", "messages"),
)
"""The member with the content of a whole answer."""


def form_of_whole(body: bytes) -> ProtocolName | None:
    """The protocol of this JSON answer; None for one of none, such as an error."""
    try:
        whole = _scan(body)
    except UNREADABLE:
        return None
    return next(
        (form for member, form in LISTS if bytes(getattr(whole, member)).lstrip().startswith(b"[")), None
    )

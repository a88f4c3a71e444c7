"""A codec decodes and encodes one protocol, as values and plain functions.

Decoding a client's request and encoding its answer use the neutral `Request`; encoding the upstream's request gives
a `SentRequest`, which decoding the upstream's answer needs again (renamed tools, emulated stops).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.message_memory import History, MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.runs import Texts
from switchyard.protocols.sse import Record

DEFAULT_CAPABILITIES = Capabilities()


class BadRequest(Exception):
    """The client's request cannot be decoded or expressed for this upstream: one sentence that names the field."""

    def __init__(self, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class Target(msgspec.Struct, frozen=True):
    """The upstream as an encoder sees it. `issuer` marks the opaque data that only this upstream can read."""

    model: str
    issuer: str
    capabilities: Capabilities = DEFAULT_CAPABILITIES


class SentRequest(msgspec.Struct, frozen=True):
    """A request in the upstream's protocol, and what is needed to decode the answer.

    `tools` maps the name on the wire to the client's own tool: a call of that name is given back under the tool's
    kind, namespace and name. `stops` are stop sequences that the upstream does not know: to be scanned for.
    """

    body: bytes
    target: Target
    tools: Mapping[str, neutral.Tool] = msgspec.field(default_factory=dict)
    stops: tuple[str, ...] = ()
    losses: tuple[neutral.Loss, ...] = ()
    input_estimate: int = 0
    compacts: bool = False
    """the answer is a summary, to be given as one `Compaction` block"""
    searches_in_vain: bool = False
    """the client wants a search that this upstream does not run: it gets an error of the search"""


class DecodeRequest(Protocol):
    def __call__(self, body: bytes, history: History | None = None) -> neutral.Request:
        """The client's body as a neutral request. Raises BadRequest."""
        ...


class EncodeRequest(Protocol):
    def __call__(
        self, request: neutral.Request, target: Target, memory: MessageMemory | None = None
    ) -> SentRequest:
        """The body for the upstream. Raises BadRequest when the meaning of the request would be lost."""
        ...


class StreamDecoder(Protocol):
    """Upstream records in, neutral events out. Obeys the walk of `neutral`; ends with one Finished or Failed."""

    def decode(self, record: Record) -> list[neutral.Event]: ...

    def close(self) -> list[neutral.Event]:
        """The upstream's connection ended: whatever is still owed, a truncation included."""
        ...

    def run_texts(self, record: Record, text: str) -> tuple[list[str], ...] | None:
        """Where the text of this record is kept, if that text going on in the open block is all that it means."""
        ...

    @property
    def is_complete(self) -> bool:
        """True if only the end is missing: the stop reason and the usage have been reported."""
        ...


class StreamEncoder(Protocol):
    """Neutral events in, bytes for the client out."""

    def encode(self, event: neutral.Event) -> bytes: ...

    def encode_texts(self, texts: Texts) -> bytes:
        """As many deltas, all at once."""
        ...

    def keep_alive(self) -> bytes:
        """Bytes that keep the client waiting; valid at any moment, also before the first event."""
        ...


class Codec(msgspec.Struct, frozen=True):
    protocol: ProtocolName

    decode_request: DecodeRequest
    encode_request: EncodeRequest

    decode_response: Callable[[bytes, SentRequest], list[neutral.Event]]
    """A whole JSON reply of the upstream as events, the same walk as a stream."""
    encode_response: Callable[[neutral.Response, neutral.Request], bytes]
    """A whole JSON reply for the client."""

    stream_decoder: Callable[[SentRequest], StreamDecoder]
    stream_encoder: Callable[[neutral.Request], StreamEncoder]

    encode_break: Callable[[neutral.WireError, bytes], bytes]
    """What ends a broken stream in the client's protocol; given its first record, empty if none was sent."""
    keep_alive: bytes
    """A record that shows life, valid at any place of a stream."""

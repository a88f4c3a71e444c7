"""What the doors hand to the relay, and what the relay needs of them."""

from typing import Protocol

import msgspec

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import RequestSummary
from switchyard.relay.headers import Headers


class ClientRequest(msgspec.Struct, frozen=True):
    """One request of a client, its body unpacked. `headers` have lower-case names."""

    protocol: ProtocolName
    body: bytes
    summary: RequestSummary
    headers: Headers
    query: str = ""
    client: str = ""
    kind: str = "request"
    received_at: int = 0
    """seconds since the epoch: what answers that are built here name as their time"""
    compacts: bool = False
    """the client wants its conversation compacted"""
    compact_endpoint: bool = False
    """asked through the older endpoint for that, which answers with one body of its own form"""


class Sink(Protocol):
    """Where an answer goes. `write` and `end` only after `start`, `cut` at any time."""

    @property
    def started(self) -> bool: ...

    async def start(self, status: int, headers: Headers) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def end(self, data: bytes = b"") -> None:
        """With the last bytes of the answer."""

    async def cut(self) -> None:
        """Close the client's connection in place of an end, so that no client takes the answer as complete."""

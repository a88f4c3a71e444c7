"""What the endpoints pass to the relay, and what the relay needs of them."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import msgspec

from switchyard.protocols.names import PassedEndpoint, ProtocolName
from switchyard.protocols.request_summary import RequestSummary
from switchyard.relay.headers import Headers


class ClientRequest(msgspec.Struct, frozen=True):
    """One request of a client, its body decompressed. `headers` have lower-case names."""

    protocol: ProtocolName
    body: bytes
    summary: RequestSummary
    headers: Headers
    query: str = ""
    client: str = ""
    kind: str = "request"
    received_at: int = 0
    """seconds since the epoch: the time that answers carry which are made here"""
    compacts: bool = False
    """the client wants its conversation compacted"""
    compact_endpoint: bool = False
    """it uses the older endpoint for that, which answers with one body of its own form"""
    endpoint: PassedEndpoint = ""
    """it is no conversation: only upstreams of `protocol` may answer, and only the model's name is changed"""


class Sink(Protocol):
    """Where an answer goes. `write` and `end` only after `start`, `cut` at any time."""

    @property
    def started(self) -> bool: ...

    def start(self, status: int, headers: Headers) -> Awaitable[None]: ...

    def write(self, data: bytes) -> Awaitable[None]: ...

    def end(self, data: bytes = b"") -> Awaitable[None]:
        """With the last bytes of the answer."""

    def cut(self) -> Awaitable[None]:
        """Close the client's connection in place of an end, so that no client takes the answer as complete."""


def is_departure(cancelled: asyncio.CancelledError) -> bool:
    """True if the client has left: whoever else cancels a request gives a reason."""
    return not cancelled.args

"""Request a tunnel from a proxy (https://www.rfc-editor.org/rfc/rfc9110#name-connect)."""

import asyncio
import re
from typing import cast

from switchyard.http1.errors import ProxyRefused
from switchyard.http1.request import Origin, Proxy, connect_head

MAX_HEAD_BYTES = 64 * 1024
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
REFUSALS = {403: "it forbids this address", 407: "it requires other credentials"}


class Tunnel(asyncio.Protocol):
    """Carries the connection until the proxy has answered; then TLS does."""

    def __init__(self) -> None:
        self._received = b""
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def wire(self) -> asyncio.Transport:
        return self._wire

    async def open(self, origin: Origin, proxy: Proxy) -> None:
        """Returns when the tunnel is open. Raises ProxyRefused."""
        self._wire.write(connect_head(origin, proxy))
        status = await self._status
        if not 200 <= status < 300:
            raise ProxyRefused(REFUSALS.get(status, f"it answered {status}"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)  # uvloop's only behave like one

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, surplus = self._received.partition(b"\r\n\r\n")
        if not end and len(head) <= MAX_HEAD_BYTES:
            return
        found = STATUS_LINE.match(head)
        is_refusal = found is not None and found[1][:1] != b"2"
        if found is None or not end or (surplus and not is_refusal):
            self._fail("it does not speak HTTP")
        elif not self._status.done():
            self._status.set_result(int(found[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("it closed the connection")

    def _fail(self, text: str) -> None:
        if not self._status.done():
            self._status.set_exception(ProxyRefused(text))
            self._status.exception()  # the caller may have been cancelled

"""The parts of ASGI that both endpoints use: reading a body, sending a response, noticing a client that leaves."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[str, str]]
DEPARTURE = "switchyard.departure"
"""the extension of the scope that holds its `Departure`"""
CUT: Event = {"type": "switchyard.response.cut"}
"""sent instead of the rest of a response: the server closes the connection, so that the client sees it broken"""


class BodyTooLarge(Exception):
    """The client sends more than the limit."""


class ClientLeft(Exception):
    """The connection closed before the request was complete."""


def header(scope: Scope, name: bytes) -> str:
    """The first header of this lower-case name, or ""."""
    for found, value in scope["headers"]:
        if found == name:
            return bytes(value).decode("latin-1")
    return ""


def headers_of(scope: Scope) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge (as soon as it is known) or ClientLeft."""
    announced = header(scope, b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientLeft
        piece = event.get("body", b"")
        size += len(piece)
        if size > limit:
            raise BodyTooLarge
        pieces.append(piece)
        if not event.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Departure:
    """Reports at once that the client has closed its connection; the server adds one to each request's scope.

    ASGI itself reports it only to a task that waits for it, and a task for each request is expensive.
    """

    __slots__ = ("_happened", "_listener")

    def __init__(self) -> None:
        self._happened = False
        self._listener: Callable[[], None] | None = None

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call this listener, instead of an earlier one, when the client leaves, or now if it has left."""
        self._listener = listener
        if self._happened and listener is not None:
            listener()

    def happen(self) -> None:
        self._happened = True
        if self._listener is not None:
            self._listener()


def departure_of(scope: Scope) -> Departure:
    departure = scope["extensions"][DEPARTURE]
    assert isinstance(departure, Departure)
    return departure


async def respond(send: Send, status: int, headers: Headers, body: bytes, *, is_head: bool = False) -> None:
    """Send one whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*_encoded(headers), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": b"" if is_head else body})


class AsgiSink:
    """A streamed response: what the relay writes is sent to the client at once."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.ended = False

    def start(self, status: int, headers: Headers) -> Awaitable[None]:
        self.started = True
        return self._send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})

    def write(self, data: bytes) -> Awaitable[None]:
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    def end(self, data: bytes = b"") -> Awaitable[None]:
        return self._end({"type": "http.response.body", "body": data})

    def cut(self) -> Awaitable[None]:
        return self._end(CUT)

    def _end(self, event: Event) -> Awaitable[None]:
        if self.ended:
            return _done()
        self.ended = True
        return self._send(event)


async def _done() -> None:
    """Nothing is left to be sent."""


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]

"""Record the requests of a client on their way to an application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ReceivedRequest(msgspec.Struct, frozen=True):
    """One request of a client."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    """empty if it was not a JSON object"""


class Recorder:
    """An ASGI application that wraps another; `received` grows with each request that has been read."""

    def __init__(self, application: AsgiApp) -> None:
        self._application = application
        self.received: list[ReceivedRequest] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body = bytearray()
        seen = False

        def note() -> None:
            nonlocal seen
            if not seen:
                seen = True
                self.received.append(_received(scope, bytes(body)))

        async def listening() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    note()
            return message

        await self._application(scope, listening, send)
        note()


def _received(scope: Scope, body: bytes) -> ReceivedRequest:
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        decoded = {}
    return ReceivedRequest(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        decoded if isinstance(decoded, dict) else {},
    )

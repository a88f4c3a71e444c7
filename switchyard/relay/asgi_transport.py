"""Call an ASGI application, the embedded demo, as if it were a server.

The answer is passed on as it arrives; the application is cancelled when the caller leaves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from switchyard.http1.errors import ConnectionBroken
from switchyard.relay.headers import Headers

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

QUEUED_CHUNKS = 16


class AsgiTransport:
    """To one application."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, connect_seconds: float
    ) -> "AsgiReply":
        """Raises ConnectionBroken if the application gives up before its answer begins."""
        call = _Call(self._app, _scope(method, url, headers), body)
        try:
            start = await call.next_event()
            if start is None or start["type"] != "http.response.start":
                raise ConnectionBroken("the application gave no answer")
        except BaseException:
            await call.close()
            raise
        return AsgiReply(call, start)


class AsgiReply:
    """An answer of the application, with a body as `relay/upstream.py` reads it."""

    has_ended = False

    def __init__(self, call: "_Call", start: Event) -> None:
        self.status: int = start["status"]
        self.headers: Headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in start.get("headers", ())
        ]
        self._call = call

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises ConnectionBroken."""
        while (event := await self._call.next_event()) is not None:
            if event.get("body"):
                yield event["body"]
            if not event.get("more_body", False):
                return
        raise ConnectionBroken("the application broke its answer off")

    async def close(self) -> None:
        await self._call.close()


class _Call:
    """One run of the application."""

    def __init__(self, app: AsgiApp, scope: Event, body: bytes) -> None:
        self._unread_body: bytes | None = body
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(QUEUED_CHUNKS)
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: AsgiApp, scope: Event) -> None:
        try:
            await app(scope, self._receive, self._events.put)
            await self._events.put(None)
        except Exception as error:  # of any kind: the reader of the answer gets it
            await self._events.put(error)

    async def _receive(self) -> Event:
        body, self._unread_body = self._unread_body, None
        if body is None:
            # the caller sends no more; when it leaves, the application is cancelled
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def next_event(self) -> Event | None:
        """The next thing the application sends; None when it has returned. Raises ConnectionBroken."""
        event = await self._events.get()
        if isinstance(event, Exception):
            raise ConnectionBroken(f"the application failed: {event}") from event
        return event

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def _scope(method: str, url: str, headers: Headers) -> Event:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "server": (parts.hostname, parts.port),
        "client": None,
    }

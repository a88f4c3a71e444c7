"""Call an ASGI application as if it were a server.

The answer is passed on as it arrives; the application is cancelled when the caller leaves; errors are those of httpx.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

QUEUED_CHUNKS = 16


class AsgiTransport(httpx.AsyncBaseTransport):
    """The answer is passed on chunk by chunk, unlike with `httpx.ASGITransport`, which collects it first."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ReadTimeout, or RemoteProtocolError if the application gives up before its answer begins."""
        call = _Call(self._app, request, await request.aread())
        try:
            start = await call.next_event()
            if start is None or start["type"] != "http.response.start":
                raise httpx.RemoteProtocolError("the application gave no answer", request=request)
        except BaseException:
            await call.aclose()
            raise
        return httpx.Response(start["status"], headers=list(start.get("headers", ())), stream=call)


class _Call(httpx.AsyncByteStream):
    """One run of the application, and the body of its answer."""

    def __init__(self, app: AsgiApp, request: httpx.Request, body: bytes) -> None:
        self._request = request
        self._unread_body: bytes | None = body
        self._timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(QUEUED_CHUNKS)
        self._task = asyncio.create_task(self._run(app))

    async def _run(self, app: AsgiApp) -> None:
        try:
            await app(_scope(self._request), self._receive, self._events.put)
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
        """The next thing the application sends; None when it has returned. Raises httpx errors."""
        try:
            async with asyncio.timeout(self._timeout):
                event = await self._events.get()
        except TimeoutError:
            raise httpx.ReadTimeout("the application is silent", request=self._request) from None
        if isinstance(event, Exception):
            message = f"the application failed: {event}"
            raise httpx.RemoteProtocolError(message, request=self._request) from event
        return event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (event := await self.next_event()) is not None:
            if event.get("body"):
                yield event["body"]
            if not event.get("more_body", False):
                return
        raise httpx.RemoteProtocolError("the application broke its answer off", request=self._request)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def _scope(request: httpx.Request) -> Event:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": None,
    }

"""An HTTP client for an ASGI application, over the transport that the relay uses."""

from collections.abc import AsyncIterator

import httpx

from switchyard.relay.asgi_transport import AsgiApp, AsgiReply, AsgiTransport


class AsgiClientTransport(httpx.AsyncBaseTransport):
    """The answer is passed on chunk by chunk, unlike with `httpx.ASGITransport`, which collects it first."""

    def __init__(self, app: AsgiApp) -> None:
        self._inner = AsgiTransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = list(request.headers.multi_items())
        body = await request.aread()
        reply = await self._inner.send(request.method, str(request.url), headers, body, 5)
        return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply))


class _Body(httpx.AsyncByteStream):
    def __init__(self, reply: AsgiReply) -> None:
        self._reply = reply

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._reply.chunks()

    async def aclose(self) -> None:
        await self._reply.close()


def http(app: AsgiApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=AsgiClientTransport(app), base_url="http://demo")

"""Forward requests unchanged with Starlette and httpx: the cost of a minimal proxy made of these parts."""

import contextlib
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

KEPT = ("content-type", "anthropic-version", "x-api-key", "authorization")


def application(upstream: str) -> Starlette:
    client = httpx.AsyncClient(
        base_url=upstream,
        timeout=120,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        trust_env=False,
    )

    async def forward(request: Request) -> StreamingResponse:
        headers = {name: request.headers[name] for name in KEPT if name in request.headers}
        call = client.build_request("POST", request.url.path, headers=headers, content=await request.body())
        reply = await client.send(call, stream=True)
        return StreamingResponse(
            reply.aiter_bytes(),
            reply.status_code,
            {"content-type": reply.headers["content-type"]},
            background=BackgroundTask(reply.aclose),
        )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    return Starlette(routes=[Route("/{path:path}", forward, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[1]), port=int(sys.argv[2]), log_level="error", access_log=False)

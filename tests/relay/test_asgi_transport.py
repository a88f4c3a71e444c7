"""The ASGI transport: streaming, early close, broken answers."""

import asyncio
from typing import Any

import httpx
import pytest

from switchyard.http1.errors import ConnectionBroken
from switchyard.relay.asgi_transport import AsgiApp, Receive, Send
from tests.bed.asgi import http

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def part(text: str, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": more}


def test_the_application_sees_the_request_and_its_answer_comes_back() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.update(scope, body=(await receive())["body"])
        await send(START | {"status": 201})
        await send(part("héllo", more=False))

    async def call() -> httpx.Response:
        async with http(app) as caller:
            return await caller.post("/a%20b?x=1", content=b"question", headers={"X-Key": "k"})

    response = asyncio.run(call())
    assert (response.status_code, response.text, response.headers["content-type"]) == (
        201,
        "héllo",
        "text/plain",
    )
    assert (seen["method"], seen["path"], seen["query_string"], seen["body"]) == (
        "POST",
        "/a b",
        b"x=1",
        b"question",
    )
    assert (b"x-key", b"k") in seen["headers"]


def test_chunks_arrive_before_the_application_has_finished() -> None:
    async def call() -> list[str]:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            await send(part("one"))
            await go_on.wait()
            await send(part("two", more=False))

        chunks = []
        async with http(app) as caller, caller.stream("GET", "/") as response:
            async for chunk in response.aiter_text():
                chunks.append(chunk)
                go_on.set()
        return chunks

    assert asyncio.run(call()) == ["one", "two"]


@pytest.mark.parametrize("queue_is_full", [False, True])
def test_closing_the_answer_early_cancels_the_application(queue_is_full: bool) -> None:
    async def call() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await send(START)
                while queue_is_full:
                    await send(part("more"))
                await receive()
                await receive()
            except asyncio.CancelledError:
                ended.set_result("cancelled")
                raise

        async with http(app) as caller, caller.stream("GET", "/"):
            pass
        return await ended

    assert asyncio.run(call()) == "cancelled"


def test_cancelling_the_caller_before_the_answer_cancels_the_application() -> None:
    async def call() -> str:
        begun = asyncio.Event()
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.set_result("cancelled")
                raise

        async with http(app) as caller:
            request = asyncio.create_task(caller.get("/"))
            await begun.wait()
            request.cancel()
            await asyncio.wait([request])
        return await ended

    assert asyncio.run(call()) == "cancelled"


async def gives_up(scope: Any, receive: Receive, send: Send) -> None:
    return None


async def fails_at_once(scope: Any, receive: Receive, send: Send) -> None:
    raise ValueError("boom")


async def breaks_off(scope: Any, receive: Receive, send: Send) -> None:
    await send(START)
    await send(part("half"))


async def fails_midway(scope: Any, receive: Receive, send: Send) -> None:
    await breaks_off(scope, receive, send)
    raise ValueError("boom")


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (gives_up, "the application gave no answer"),
        (fails_at_once, "the application failed: boom"),
        (breaks_off, "the application broke its answer off"),
        (fails_midway, "the application failed: boom"),
    ],
)
def test_a_broken_answer_is_an_error(app: AsgiApp, message: str) -> None:
    async def call() -> None:
        async with http(app) as caller:
            await caller.get("/")

    with pytest.raises(ConnectionBroken, match=message):
        asyncio.run(call())

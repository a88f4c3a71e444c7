"""Serve the demo model as an ASGI application that speaks the three protocols."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from switchyard.demo.chat import CHAT
from switchyard.demo.dialect import Dialect
from switchyard.demo.messages import MESSAGES
from switchyard.demo.outages import Outages
from switchyard.demo.prompt import NotUnderstood, Prompt
from switchyard.demo.reply import GREETING, Reply, count_tokens, reply_to
from switchyard.demo.responses import RESPONSES
from switchyard.protocols.ids import new_id

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = tuple[tuple[bytes, bytes], ...]

FINAL: RawHeaders = ((b"x-should-retry", b"false"),)
"""stops retries; the official SDKs and Switchyard obey it"""
DASHBOARD = "http://localhost:5101/"
SETTINGS_FILE = "json_data/all_configs.json"
COUNT_TOKENS = "/v1/messages/count_tokens"
DIALECTS = {"/v1/messages": MESSAGES, "/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}


def build_demo(
    dashboard: str = DASHBOARD,
    settings_file: str = SETTINGS_FILE,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    next_id: Callable[[], str] = lambda: new_id(""),
) -> AsgiApp:
    """The demo model; its responses name the dashboard's address and the settings file."""
    greeting = GREETING.format(dashboard=dashboard, file=settings_file)
    model = _Model(greeting, sleep, now, steady, next_id, Outages())

    async def demo_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await model.serve(scope["method"], scope["path"], await _read_body(receive), send)

    return demo_app


class _Model(msgspec.Struct, frozen=True):
    greeting: str
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float]
    steady: Callable[[], float]
    next_id: Callable[[], str]
    outages: Outages

    async def serve(self, method: str, path: str, body: bytes, send: Send) -> None:
        if path == COUNT_TOKENS:
            await _send_json(send, 200, msgspec.json.encode({"input_tokens": count_tokens(len(body))}))
            return
        dialect = DIALECTS.get(path)
        if dialect is None or method != "POST":
            await _send_json(send, 404, CHAT.error(404, f"The demo model does not serve {method} {path}"))
            return
        try:
            prompt = dialect.read(_decode(body))
        except NotUnderstood as problem:
            await _send_json(send, 400, dialect.error(400, str(problem)))
            return
        reply = reply_to(
            prompt,
            body_length=len(body),
            new_id=self.next_id,
            greeting=self.greeting,
            outage=self.outages.ask(prompt.text, self.steady()),
        )
        if (failing := reply.failing) is not None:
            envelope = dialect.error(failing.status, failing.message)
            await _send_json(send, failing.status, envelope, FINAL if not failing.passes else ())
        elif prompt.stream:
            await self._stream(dialect, reply, prompt, send)
        else:
            await self._answer(dialect, reply, prompt, send)

    async def _answer(self, dialect: Dialect, reply: Reply, prompt: Prompt, send: Send) -> None:
        await self._pause(reply)
        whole = dialect.whole(reply, prompt, int(self.now()))
        await _start(send, 200, "application/json", len(whole))
        # an application that returns without its last chunk closes the connection early
        await _send_chunk(send, whole[: len(whole) // 2] if reply.cut else whole, more=reply.cut)

    async def _stream(self, dialect: Dialect, reply: Reply, prompt: Prompt, send: Send) -> None:
        stream = dialect.stream(reply, prompt, int(self.now()))
        await _start(send, 200, "text/event-stream; charset=utf-8")
        for record in stream.opening:
            await _send_chunk(send, record)
        await self._pause(reply)
        content = stream.content[: max(3, len(stream.content) // 2)] if reply.cut else stream.content
        for record in content:
            await _send_chunk(send, record)
        if reply.cut:
            return
        for record in stream.ending:
            await _send_chunk(send, record)
        await _send_chunk(send, b"", more=False)

    async def _pause(self, reply: Reply) -> None:
        if reply.delay_seconds:
            await self.sleep(reply.delay_seconds)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotUnderstood("the body must be JSON") from None
    if not isinstance(decoded, dict):
        raise NotUnderstood("the body must be a JSON object")
    return decoded


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        event = await receive()
        chunks.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(chunks)


async def _send_json(send: Send, status: int, body: bytes, headers: RawHeaders = ()) -> None:
    await _start(send, status, "application/json", len(body), headers)
    await _send_chunk(send, body, more=False)


async def _start(
    send: Send, status: int, content_type: str, length: int | None = None, more: RawHeaders = ()
) -> None:
    headers = [(b"content-type", content_type.encode()), *more]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_chunk(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})

"""The client endpoints: the protocol of each path, the check of client keys, the call of the relay."""

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec.structs import replace

from switchyard.protocols.client_program import program_of
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.facts import Facts
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.names import PASSED_ENDPOINTS, PassedEndpoint, ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.passthrough.prepare import wants_compaction
from switchyard.protocols.read_facts import PROGRAMS
from switchyard.protocols.request_summary import read_request
from switchyard.relay.decompress import DecompressionBomb, UnpackError
from switchyard.relay.failover import Relay
from switchyard.relay.local_keys import local_keys
from switchyard.relay.token_count import TokenCounter
from switchyard.relay.values import ClientRequest
from switchyard.routing.served import served_models, window_of
from switchyard.settings import Settings
from switchyard.web import model_list
from switchyard.web.asgi import (
    AsgiSink,
    BodyTooLarge,
    ClientLeft,
    Departure,
    Headers,
    Receive,
    Scope,
    Send,
    departure_of,
    header,
    headers_of,
    read_body,
    respond,
)
from switchyard.web.bodies import TooManyContainers, take_body

JSON: Headers = [("content-type", "application/json")]
MEGABYTE = 1024 * 1024
REFUSAL_SECONDS = 0.5
"""delay after each wrong key"""

MESSAGES = ("/v1/messages", "/api/v1/messages", "/claude/v1/messages")
CHAT = (
    "/v1/chat/completions",
    "/api/v1/chat/completions",
    "/openai/v1/chat/completions",
    "/openai/chat/completions",
)
RESPONSES = ("/openai/responses", "/openai/v1/responses", "/v1/responses", "/responses")
OF_OPENAI_CLIENTS: tuple[ProtocolName, ...] = ("chat", "responses")
"""what a client may speak that reads OpenAI's list of models"""
MODELS = ("/v1/models", "/api/v1/models", "/openai/v1/models", "/openai/models")
PROBES = ("/api", "/api/")

PROTOCOL_BY_PATH: dict[str, ProtocolName] = {
    **dict.fromkeys(MESSAGES, "messages"),
    **dict.fromkeys(CHAT, "chat"),
    **dict.fromkeys(RESPONSES, "responses"),
}
PASSED: dict[str, PassedEndpoint] = {
    path.replace("chat/completions", endpoint): endpoint for endpoint in PASSED_ENDPOINTS for path in CHAT
}
"""beside the endpoints for conversations: the indexes and completions of editors"""
COUNTERS = frozenset(f"{path}/count_tokens" for path in MESSAGES)
COMPACTORS = frozenset(f"{path}/compact" for path in RESPONSES)
TELEMETRY = re.compile(r"(/api)?/(api/)?event_logging/")
CLIENT_PREFIXES = ("/v1/", "/api/v1/", "/claude/", "/openai/", "/responses/")
ENDPOINTS = ("/messages", "/completions", "/responses", "/embeddings")
"""ends of paths that only clients call, perhaps with a wrong base URL"""
OF_OPENAI = re.compile(r"/(openai|chat|completions|responses|embeddings|images|audio|moderations)(/|\Z)")

Answerer = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gateway:
    """An ASGI application for the clients' paths; `owns` decides which those are."""

    def __init__(
        self,
        relay: Relay,
        counter: TokenCounter,
        settings: Callable[[], Settings],
        messages: MessageMemory,
    ) -> None:
        self._relay = relay
        self._counter = counter
        self._settings = settings
        self._messages = messages

    @staticmethod
    def owns(method: str, path: str) -> bool:
        """True for every path that clients may call, known or not."""
        if path in PROTOCOL_BY_PATH or path in PROBES or (method == "HEAD" and path == "/"):
            return True
        if f"{path}/".startswith(CLIENT_PREFIXES) or path.endswith(ENDPOINTS):
            return True
        return bool(TELEMETRY.match(path))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        method, path = scope["method"], scope["path"]
        protocol = PROTOCOL_BY_PATH.get(path)
        if protocol is not None and method == "POST":
            return self._serve(protocol, scope, receive, send)
        if path in PASSED and method == "POST":
            return self._serve("chat", scope, receive, send, endpoint=PASSED[path])
        return self._serve_neighbour(method, path, scope, receive, send)

    # --- the three protocols ---------------------------------------------------

    async def _serve(
        self,
        protocol: ProtocolName,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        compact: bool = False,
        endpoint: PassedEndpoint = "",
    ) -> None:
        try:
            request = await self._read(protocol, scope, receive)
            if endpoint:
                request = _for_endpoint(request, endpoint)
            if compact:
                summary = replace(request.summary, stream=False)
                request = replace(request, summary=summary, compacts=True, compact_endpoint=True)
        except ClientLeft:
            return
        except REFUSALS as refused:
            await self._refuse(protocol, self._reason(refused), send)
            return
        sink = AsgiSink(send)
        await _until_client_leaves(self._relay.answer(request, sink), sink, departure_of(scope))

    async def _read(self, protocol: ProtocolName, scope: Scope, receive: Receive) -> ClientRequest:
        """The validated request. Raises ClientLeft or one of REFUSALS."""
        keys = self._settings().client_keys
        client = _admitted(scope, keys)
        received = await take_body(scope, receive, self._limit)
        headers, query, body = _without_local_keys(scope, received, keys)
        try:
            body, summary = read_request(protocol, body, dict(headers), self._messages)
        except BadRequest as bad:
            raise _Refused(WireError(ErrorType.INVALID_REQUEST, bad.message, 400, param=bad.param)) from None
        compacts = wants_compaction(protocol, body)
        return ClientRequest(
            protocol, body, summary, headers, query, client, received_at=int(time.time()), compacts=compacts
        )

    @property
    def _limit(self) -> int:
        """The most bytes of a body."""
        return self._settings().max_body_megabytes * MEGABYTE

    def _reason(self, refused: Exception) -> WireError:
        """Why a request cannot be read."""
        match refused:
            case _Refused():
                return refused.error
            case BodyTooLarge():
                limit = self._settings().max_body_megabytes
                message = f"Request too large: the limit is {limit} MB (`max_body_megabytes`)."
                return WireError(ErrorType.TOO_LARGE, message, 413)
            case DecompressionBomb():
                return WireError(ErrorType.TOO_LARGE, f"Request body: {refused}.", 413)
            case UnpackError():
                return WireError(ErrorType.INVALID_REQUEST, f"Request body: {refused}.", 400)
        return WireError(ErrorType.INVALID_REQUEST, "Request body: too many lists and objects.", 400)

    async def _refuse(self, protocol: ProtocolName, error: WireError, send: Send) -> None:
        if error.type is ErrorType.AUTHENTICATION:
            await asyncio.sleep(REFUSAL_SECONDS)
        status, body = encode_error(protocol, error)
        # not "connection: close", even for 413: a client that still sends would get a reset instead of this response;
        # the server discards the rest
        await respond(send, status, [*JSON, ("x-should-retry", "false")], body)

    # --- other paths ------------------------------------------------------

    async def _serve_neighbour(
        self, method: str, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if path in PROTOCOL_BY_PATH and method == "GET" and PROTOCOL_BY_PATH[path] == "responses":
            await self._upgrade(scope, send)
        elif path in COUNTERS and method == "POST":
            await self._count(scope, receive, send)
        elif path in COMPACTORS and method == "POST":
            await self._serve("responses", scope, receive, send, compact=True)
        elif _list_of_models(path) and method in ("GET", "HEAD"):
            await self._models(path, scope, send, is_head=method == "HEAD")
        elif method in ("GET", "HEAD") and (path in PROBES or path == "/"):
            await respond(send, 200, JSON, b'{"status":"ok"}', is_head=method == "HEAD")
        elif TELEMETRY.match(path) and method == "POST":
            await self._swallow(scope, receive, send)
        else:
            await self._not_found(method, path, send)

    async def _upgrade(self, scope: Scope, send: Send) -> None:
        """Codex falls back to POST at once on 426, and only then."""
        error = WireError(ErrorType.INVALID_REQUEST, "WebSocket is not supported; use POST.", 426)
        _, body = encode_error("responses", error)
        await respond(send, 426, [*JSON, ("upgrade", "HTTP/1.1"), ("connection", "close")], body)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            keys = self._settings().client_keys
            client = _admitted(scope, keys)
            received = await take_body(scope, receive, self._limit)
        except ClientLeft:
            return
        except REFUSALS as refused:
            await self._refuse("messages", self._reason(refused), send)
            return
        headers, query, body = _without_local_keys(scope, received, keys)
        await respond(send, 200, JSON, await self._counter.count(body, headers, query, client))

    async def _models(self, path: str, scope: Scope, send: Send, *, is_head: bool) -> None:
        try:
            key = _admitted(scope, self._settings().client_keys)
        except _Refused as refused:
            await self._refuse(
                "messages" if header(scope, b"anthropic-version") else "chat", refused.error, send
            )
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        name = unquote(path.removeprefix(_list_of_models(path)).lstrip("/"))
        is_anthropic = bool(header(scope, b"anthropic-version"))
        client = _facts_of(scope, key, "messages" if is_anthropic else "responses")
        if name:
            await self._one_model(name, client, send, is_anthropic=is_anthropic)
            return
        is_codex = "client_version" in query and not is_anthropic
        clients = ("messages",) if is_anthropic else ("responses",) if is_codex else OF_OPENAI_CLIENTS
        # it takes a second with a thousand names at hundreds of upstreams
        models = await asyncio.to_thread(served_models, self._settings(), *clients, client=client)
        if is_anthropic:
            shape = model_list.anthropic_list(models, query)
        else:
            shape = model_list.codex_list(models) if is_codex else model_list.openai_list(models)
        await respond(send, 200, JSON, msgspec.json.encode(shape), is_head=is_head)

    async def _one_model(self, name: str, client: Facts, send: Send, *, is_anthropic: bool) -> None:
        clients: tuple[ProtocolName, ...] = ("messages",) if is_anthropic else OF_OPENAI_CLIENTS
        window = window_of(self._settings(), name, *clients, client=client)
        if window is None:
            error = WireError(
                ErrorType.MODEL_NOT_FOUND, f'No enabled upstream serves the model "{name}".', 404
            )
            await self._refuse("messages" if is_anthropic else "chat", error, send)
            return
        describe = model_list.anthropic_model if is_anthropic else model_list.openai_model
        shape = describe(name, window)
        await respond(send, 200, JSON, msgspec.json.encode(shape))

    async def _swallow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept telemetry and discard it."""
        with suppress(BodyTooLarge, ClientLeft):
            await read_body(scope, receive, MEGABYTE)
        await respond(send, 200, JSON, b"{}")

    async def _not_found(self, method: str, path: str, send: Send) -> None:
        protocol: ProtocolName = "chat" if OF_OPENAI.search(path) else "messages"
        message = f"{method} {path[:200]} is not served here; {_remedy(path)}."
        await self._refuse(protocol, WireError(ErrorType.NOT_FOUND, message, 404), send)


def _for_endpoint(request: ClientRequest, endpoint: PassedEndpoint) -> ClientRequest:
    """A request that belongs to no conversation; embeddings are never streamed."""
    stream = request.summary.stream and endpoint == "completions"
    return replace(
        request, endpoint=endpoint, summary=replace(request.summary, stream=stream, session="", thread="")
    )


def _list_of_models(path: str) -> str:
    """The path of the model list that this path belongs to, whole or for one model; "" if it is none."""
    return next((base for base in MODELS if path == base or path.startswith(f"{base}/")), "")


def _remedy(path: str) -> str:
    if path in PROTOCOL_BY_PATH or path in PASSED or path in COUNTERS or path in COMPACTORS:
        return "send a POST"
    if TELEMETRY.match(path):
        return "send a POST"
    if _list_of_models(path):
        return "send a GET"
    return (
        "use /v1/messages, /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions or /v1/models"
    )


class _Refused(Exception):
    def __init__(self, error: WireError) -> None:
        super().__init__(error.message)
        self.error = error


REFUSALS = (_Refused, BodyTooLarge, UnpackError, TooManyContainers)


def _facts_of(scope: Scope, client_key: str, protocol: ProtocolName) -> Facts:
    """What rules may name of the program that asks for the models."""
    headers = dict(headers_of(scope))
    agent = headers.get("user-agent", "")
    return Facts(program=PROGRAMS[program_of(protocol, headers)], agent=agent, client_key=client_key)


def _admitted(scope: Scope, keys: Mapping[str, str]) -> str:
    """The name of the client that the key belongs to; "" if none is needed. Raises _Refused."""
    if not keys:
        return ""
    shown = _shown_keys(scope)
    for key, name in keys.items():
        # some clients send UTF-8, which ASGI decodes as Latin-1
        spelled = (key.encode(), key.encode().decode("latin-1").encode())
        if any(hmac.compare_digest(form, one.encode()) for one in shown for form in spelled):
            return name or "client"
    message = "The local client key is missing or wrong; send one of `client_keys` as Bearer or x-api-key."
    raise _Refused(WireError(ErrorType.AUTHENTICATION, message, 401, code="invalid_api_key"))


def _without_local_keys(scope: Scope, body: bytes, keys: Mapping[str, str]) -> tuple[Headers, str, bytes]:
    """Headers, query and body of the request as upstreams may see them."""
    headers, query = headers_of(scope), scope["query_string"].decode("latin-1")
    if not keys:
        return headers, query, body
    local = local_keys(tuple(keys))
    return local.out_of_headers(headers), local.out_of_query(query), local.out_of_body(body)


def _shown_keys(scope: Scope) -> list[str]:
    """All keys that the client sends."""
    shown = [header(scope, b"x-api-key"), header(scope, b"api-key")]
    scheme, _, token = header(scope, b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        shown.append(token.strip())
    return [key.strip() for key in shown if key.strip()]


async def _until_client_leaves(work: Awaitable[Any], sink: AsgiSink, departure: Departure) -> None:
    """Do the work, and cancel it in any phase when the client leaves before its response has ended."""
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    def drop() -> None:
        nonlocal has_left
        if not sink.ended:
            has_left = True
            task.cancel()

    departure.listen(drop)
    try:
        await work
    except asyncio.CancelledError:
        if not has_left or task.uncancel() > 0:
            raise
    finally:
        departure.listen(None)

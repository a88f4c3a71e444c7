"""The assumptions that `connections.py`, `answer_writer.py` and `serve.py` make about uvicorn.

uvicorn guarantees none of them, so pyproject.toml allows one minor version only. Before another one is allowed, these
tests name each assumption that no longer holds.
"""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD = b"POST /a?b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HOOKS = (
    "on_message_begin",
    "on_url",
    "on_header",
    "on_headers_complete",
    "_start_asgi_task",
    "on_body",
    "on_message_complete",
    "on_response_complete",
)


class Transport(asyncio.Transport):
    """Leads nowhere; records the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Watched(HttpToolsProtocol):
    """Records which of its methods were called."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.called: list[str] = []
        self.started: list[tuple[Any, ...]] = []

    def _start_asgi_task(self, *positional: Any) -> None:
        self.started.append(positional)
        super()._start_asgi_task(*positional)


def _noting(name: str) -> Callable[..., Any]:
    original = getattr(Watched, name)

    def noted(self: Watched, *positional: Any) -> Any:
        self.called.append(name)
        return original(self, *positional)

    return noted


for hook in HOOKS:
    setattr(Watched, hook, _noting(hook))


class Seen:
    """Two requests on one connection: the second arrives while the first is being answered."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.is_among_tasks = False
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._answer, http=Watched, ws="none", lifespan="off", interface="asgi3", log_config=None
            )
        )
        self.state = self.server.server_state
        self.transport = Transport()
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        config = self.server.config
        config.load()
        self.ends_before = await self.server.on_tick(0)
        self.common = self.state.default_headers
        assert config.http_protocol_class is Watched
        self.protocol = Watched(
            config=config, server_state=self.state, app_state={}, _loop=asyncio.get_running_loop()
        )
        self.protocol.connection_made(self.transport)
        self.is_known = self.protocol in self.state.connections
        self.protocol.data_received(HEAD)
        self.headers, self.scope = self.protocol.headers, self.protocol.scope
        self.first = self.protocol.cycle
        self.at_the_start = dict(vars(self.first))
        self.protocol.data_received(b"body" + NEXT)
        self.second = self.protocol.cycle
        self.waiting = list(self.protocol.pipeline)
        while self.state.tasks:
            await asyncio.gather(*self.state.tasks)
        await self._pause_and_end()

    async def _pause_and_end(self) -> None:
        self.protocol.pause_writing()
        self.is_write_paused = self.protocol.flow.write_paused
        self.protocol.resume_writing()
        await self.protocol.flow.drain()
        self.protocol.flow.pause_reading()
        self.is_read_paused = self.transport.is_paused
        self.protocol.flow.resume_reading()
        self.server.should_exit = True
        self.ends_after = await self.server.on_tick(0)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.is_among_tasks = asyncio.current_task() in self.state.tasks
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen()


def calls(seen: Seen) -> list[str]:
    """The hooks in the order of their first calls."""
    return list(dict.fromkeys(seen.protocol.called))


ASSUMPTIONS: dict[str, Callable[[Seen], bool]] = {
    "the parser reports to on_message_begin, on_url, on_header, on_headers_complete, on_body, on_message_complete":
        lambda seen: calls(seen) == list(HOOKS),
    "each answer begins with _start_asgi_task(cycle, app), which takes another app":
        lambda seen: [type(cycle) for cycle, _ in seen.protocol.started] == [RequestResponseCycle] * 2
        and seen.protocol.started[0][0] is seen.first
        and all(callable(app) for _, app in seen.protocol.started),
    "the end of each answer is reported to on_response_complete, by the cycle's on_response":
        lambda seen: seen.protocol.called.count("on_response_complete") == 2
        and seen.at_the_start["on_response"] == seen.protocol.on_response_complete,
    "`parser` is a parser of httptools, which can be replaced":
        lambda seen: isinstance(seen.protocol.parser, httptools.HttpRequestParser),
    "`headers` is a new list for each request, with names in small letters, and the scope has the same list":
        lambda seen: seen.scope["headers"] is seen.headers and seen.headers[0] == (b"host", b"x")
        and seen.protocol.headers is not seen.headers,
    "`url` holds the bytes of the request's address":
        lambda seen: seen.protocol.url == b"/next",
    "`scope` reaches the application as the object that on_message_begin has made":
        lambda seen: seen.scopes[0] is seen.scope and seen.scope["method"] == "POST",
    "a cycle knows the scope of its request":
        lambda seen: seen.first.scope is seen.scope,
    "`cycle` is the request that came last":
        lambda seen: seen.protocol.cycle is seen.second and seen.first is not seen.second,
    "a request that comes during an answer waits in `pipeline`, which is falsy when empty":
        lambda seen: len(seen.waiting) == 1 and not seen.protocol.pipeline,
    "`connections` is the server's set of open connections":
        lambda seen: seen.is_known and seen.protocol.connections is seen.state.connections,
    "`server_state.tasks` holds the tasks that answer":
        lambda seen: seen.is_among_tasks and not seen.state.tasks,
    "`server_state.total_requests` counts the answers":
        lambda seen: seen.state.total_requests == 2,
    "a protocol has `transport`, `loop`, `logger`":
        lambda seen: seen.protocol.transport is seen.transport
        and all(hasattr(seen.protocol, name) for name in ("loop", "logger")),
    "on_header may set `expect_100_continue`, from which the cycle takes `waiting_for_100_continue`":
        lambda seen: seen.at_the_start["waiting_for_100_continue"] is True
        and seen.second.waiting_for_100_continue is False,
    "a cycle begins with response_started, response_complete and disconnected all false":
        lambda seen: [seen.at_the_start[name] for name in ("response_started", "response_complete", "disconnected")]
        == [False] * 3,
    "a cycle has `keep_alive`, false after the client's `connection: close`":
        lambda seen: (seen.at_the_start["keep_alive"], seen.second.keep_alive) == (True, False),
    "a cycle has the connection's `transport` and `flow`, and a `message_event`":
        lambda seen: seen.first.transport is seen.transport and seen.first.flow is seen.protocol.flow
        and isinstance(seen.first.message_event, asyncio.Event),
    "a cycle's `default_headers` is the server's list, one object until the date changes":
        lambda seen: seen.first.default_headers is seen.common and seen.second.default_headers is seen.common
        and seen.state.default_headers is not seen.common,
    "tick 0 writes the date, and says whether the server shall end (`should_exit`)":
        lambda seen: seen.common[0][0] == b"date" and (seen.ends_before, seen.ends_after) == (False, True),
    "`flow` says that writing is paused (`write_paused`), and drain() waits for its end":
        lambda seen: seen.is_write_paused and not seen.protocol.flow.write_paused,
    "`flow` stops reading from the transport (pause_reading) and continues (resume_reading)":
        lambda seen: seen.is_read_paused and not seen.transport.is_paused,
    "a server begins with force_exit false":
        lambda seen: seen.server.force_exit is False,
    "STATUS_LINE has the whole first line of an answer, for every status":
        lambda seen: STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n" and STATUS_LINE[599] == b"HTTP/1.1 599 \r\n",
    "send_400_response takes a text":
        lambda seen: list(inspect.signature(seen.protocol.send_400_response).parameters) == ["msg"],
}  # fmt: skip


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
def test_uvicorn_is_still_as_assumed(assumption: str, seen: Seen) -> None:
    assert ASSUMPTIONS[assumption](seen), (
        f"uvicorn {uvicorn.__version__} is not as assumed any more: {assumption}"
    )


def test_a_departure_during_an_answer_marks_the_cycle_and_wakes_it() -> None:
    async def watch() -> tuple[bool, bool]:
        server = uvicorn.Server(
            uvicorn.Config(_never, http=Watched, ws="none", lifespan="off", log_config=None)
        )
        server.config.load()
        protocol = Watched(server.config, server.server_state, {}, asyncio.get_running_loop())
        protocol.connection_made(Transport())
        protocol.data_received(HEAD)
        protocol.connection_lost(None)
        for task in server.server_state.tasks:
            task.cancel()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
        return protocol.cycle.disconnected, protocol.cycle.message_event.is_set()

    assert asyncio.run(watch()) == (True, True)


async def _never(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


def test_a_server_runs_within_capture_signals_until_main_loop_ends() -> None:
    steps: list[str] = []

    class Stepping(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            steps.append("signals")
            yield
            steps.append("end")

        async def main_loop(self) -> None:
            steps.append(f"main loop, started: {self.started}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(_never, http=Watched, ws="none", lifespan="off", log_config=None)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(Stepping(config).serve(sockets=[listener]))

    assert steps == ["signals", "main loop, started: True", "end"]

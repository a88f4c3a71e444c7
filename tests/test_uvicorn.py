"""The assumptions that `connections.py`, `request_cycle.py`, `answer_writer.py` and `serve.py` make about uvicorn.

uvicorn guarantees none of them, so pyproject.toml allows one minor version only. Before another one is allowed, these
tests name each assumption that no longer holds.
"""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD = b"POST /a?b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HOOKS = (
    "on_message_begin",
    "on_url",
    "on_header",
    "on_headers_complete",
    "on_body",
    "on_message_complete",
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
        self.protocol.data_received(b"body" + NEXT)
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
        self._shut_down()
        self.server.should_exit = True
        self.ends_after = await self.server.on_tick(0)

    def _shut_down(self) -> None:
        """Of a connection with a running response, and of an idle one."""
        self.last = SimpleNamespace(response_complete=False, keep_alive=True)
        self.after_shutdown = []
        self.transport.is_closed = False
        for cycle in (self.last, None):
            self.protocol.cycle = cycle  # type: ignore[assignment]
            self.protocol.shutdown()
            self.after_shutdown.append(self.transport.is_closed)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
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
    "`parser` is a parser of httptools, which can be replaced":
        lambda seen: isinstance(seen.protocol.parser, httptools.HttpRequestParser),
    "`connections` is the server's set of open connections":
        lambda seen: seen.is_known and seen.protocol.connections is seen.state.connections,
    "`server_state.tasks` holds the tasks that answer":
        lambda seen: seen.is_among_tasks and not seen.state.tasks,
    "`server_state.total_requests` counts the answers":
        lambda seen: seen.state.total_requests == 2,
    "a protocol has `transport`, `loop`, `logger`, `app`, `server`, `client`, `scheme`":
        lambda seen: seen.protocol.transport is seen.transport
        and all(hasattr(seen.protocol, name) for name in ("loop", "logger", "app", "server", "client", "scheme")),
    "shutdown() reads of `cycle` whether its response is complete, and closes an idle connection":
        lambda seen: seen.after_shutdown == [False, True],
    "shutdown() makes a running response the last one":
        lambda seen: seen.last.keep_alive is False,
    "`server_state.default_headers` is one list until the date changes":
        lambda seen: seen.protocol.server_state is seen.state and seen.state.default_headers is not seen.common,
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

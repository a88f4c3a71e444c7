"""Run a daemon with the demo model, and the demo model alone, on free ports for a while."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import msgspec
import uvicorn

from switchyard.application import Application
from switchyard.connections import Limits, bounded
from switchyard.demo.app import build_demo
from switchyard.selftest.recorder import AsgiApp, Receive, Recorder, Scope, Send
from switchyard.store.settings_file import SettingsFile

START_SECONDS = 10


class Place(msgspec.Struct, frozen=True):
    """An address for clients, and their requests to it."""

    address: str
    recorder: Recorder


class World(msgspec.Struct, frozen=True):
    daemon: Place
    bare: Place


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World]:
    """All files are written to the folder."""
    settings_file = SettingsFile(folder)
    settings_file.load()
    application = Application(settings_file, folder, folder / "static")
    await application.start()
    try:
        async with _served(application.asgi) as daemon, _served(_Unprefixed(build_demo())) as bare:
            yield World(daemon, bare)
            application.leave()
    finally:
        await application.stop()


@contextlib.asynccontextmanager
async def _served(application: AsgiApp) -> AsyncGenerator[Place]:
    recorder = Recorder(application)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            recorder,
            http=bounded(Limits()),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = _QuietServer(config)
        task = asyncio.create_task(server.serve([listening]))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield Place(f"http://127.0.0.1:{listening.getsockname()[1]}", recorder)
        finally:
            server.should_exit = True
            await task


class _QuietServer(uvicorn.Server):
    """Signals belong to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Unprefixed:
    """The demo model under the paths that clients of the daemon use."""

    def __init__(self, application: AsgiApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix("/api").removeprefix("/openai")
        inner = path if path.startswith("/v1") else f"/v1{path}"
        await self._application({**scope, "path": inner}, receive, send)

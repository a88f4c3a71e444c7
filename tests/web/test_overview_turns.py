"""The overview of thousands of upstreams is computed in steps, between which requests have their turn."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from switchyard.application import Application
from switchyard.protocols import presets
from switchyard.relay.clocks import steady_seconds
from switchyard.store.settings_file import SettingsFile
from switchyard.web.epochs import Epochs
from switchyard.web.overview import UPSTREAMS_AT_ONCE, Overview


def application_of(folder: Path, count: int) -> Application:
    entries = [
        {"name": f"u{number}", "base_url": f"https://h{number}.example", "key": "k", "protocol": "chat"}
        for number in range(count)
    ]
    settings_file = SettingsFile(folder)
    settings_file.path.write_bytes(msgspec.json.encode({"upstreams": entries}))
    settings_file.load()
    return Application(settings_file, folder, Path("static"))


@pytest.mark.parametrize("count", [1, 20 * UPSTREAMS_AT_ONCE])
def test_requests_have_their_turn_while_the_overview_is_computed(tmp_path: Path, count: int) -> None:
    overview = Overview(application_of(tmp_path, count), Epochs(steady_seconds).now)

    async def scenario() -> tuple[int, int]:
        computing, turns = asyncio.create_task(overview.state()), 0
        while not computing.done():
            await asyncio.sleep(0)
            turns += 1
        return len(computing.result()["upstreams"]), turns

    found, turns = asyncio.run(scenario())
    assert found == count
    assert turns >= count / UPSTREAMS_AT_ONCE + 3


def test_addresses_are_read_once_for_thousands_of_upstreams(tmp_path: Path) -> None:
    overview = Overview(application_of(tmp_path, 3000), Epochs(steady_seconds).now)
    asyncio.run(overview.state())
    before = presets.server_kind.cache_info().misses
    asyncio.run(overview.state())
    assert presets.server_kind.cache_info().misses == before


def test_requests_have_their_turn_while_many_models_are_listed(tmp_path: Path) -> None:
    application, sent = application_of(tmp_path, 1), list[Any]()
    document = {
        "upstreams": [
            {
                "name": f"u{n}",
                "base_url": f"https://h{n}.example",
                "key": "k",
                "protocol": "chat",
                "models": [f"m{n}-{m}" for m in range(10)],
            }
            for n in range(30)
        ]
    }
    application.settings_file.path.write_bytes(msgspec.json.encode(document))
    application.settings_file.load()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/models",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def scenario() -> int:
        answering, turns = asyncio.ensure_future(application.asgi(scope, receive, send)), 0
        while not answering.done():
            await asyncio.sleep(0)
            turns += 1
        answering.result()
        return turns

    turns = asyncio.run(scenario())
    assert sent[0]["status"] == 200
    assert turns > 20

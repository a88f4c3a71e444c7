"""The overview of thousands of upstreams is computed in steps, between which requests have their turn."""

import asyncio
from pathlib import Path

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

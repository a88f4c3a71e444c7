"""Live events: what a page receives, and what it receives again after a break."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from switchyard.exchange import Exchange
from switchyard.store.recent import RecentExchanges
from switchyard.web.live import MAX_READERS, LiveEvents, TooManyReaders
from switchyard.web.overview import Overview


class Recent(RecentExchanges):
    """Counts its listeners."""

    listeners = 0

    def listen(self, listener: Callable[[Exchange], None]) -> Callable[[], None]:
        stop = super().listen(listener)
        self.listeners += 1

        def end() -> None:
            self.listeners -= 1
            stop()

        return end


class Scene:
    """An overview controlled by the test, and exchanges that it triggers."""

    boot = "b00t"

    def __init__(self) -> None:
        self.reported: dict[str, Any] = {"running": [], "routes": {}, "now": 0, "number": 1}
        self.recent = Recent()
        self.meanwhile: Callable[[], None] = lambda: None

    async def state(self) -> dict[str, Any]:
        self.reported["now"] += 1
        self.meanwhile()
        return dict(self.reported)

    def happen(self, id: str) -> Exchange:
        exchange = Exchange(id=id, at=1.0, client_protocol="chat", requested_model="m")
        self.recent.begun(exchange)
        return exchange


def events_of(scene: Scene) -> LiveEvents:
    return LiveEvents(cast(Overview, scene), scene.recent)


def read(record: bytes) -> tuple[str, str, Any]:
    fields = dict(line.split(": ", 1) for line in record.decode().strip().splitlines())
    return fields.get("id", ""), fields["event"], json.loads(fields["data"])


async def take(stream: AsyncIterator[bytes], count: int) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    while len(found) < count:
        record = await anext(stream)
        if record.startswith((b"id", b"event")):
            found.append(read(record))
    return found


async def closed(stream: AsyncIterator[bytes]) -> None:
    await cast(Any, stream).aclose()


def test_a_new_page_gets_the_state_and_then_what_happens() -> None:
    async def scenario() -> list[tuple[str, str, Any]]:
        scene = Scene()
        stream = events_of(scene).follow("")
        first = await take(stream, 2)
        scene.happen("x1")
        found = first + await take(stream, 1)
        await closed(stream)
        assert scene.recent.listeners == 0
        return found

    kinds = [(kind, reported.get("id")) for _, kind, reported in asyncio.run(scenario())]
    assert kinds == [("state", None), ("state", None), ("request", "x1")]


def test_a_request_that_was_running_before_is_reported_as_it_is_and_whenever_it_changes() -> None:
    """The page may have loaded its list before the request was held, and nothing else says that it is."""

    async def scenario() -> list[tuple[str, str, Any]]:
        scene = Scene()
        exchange = scene.happen("x0")
        stream = events_of(scene).follow("")
        found = await take(stream, 3)
        exchange.requested_model = "other"
        found += await take(stream, 1)
        await closed(stream)
        return found

    requests = [(row["id"], row["model"]) for _, kind, row in asyncio.run(scenario()) if kind == "request"]
    assert requests == [("x0", "m"), ("x0", "other")]


def test_a_request_that_ends_while_the_state_is_read_is_not_reported_as_running_afterwards() -> None:
    async def scenario() -> list[tuple[str, str, Any]]:
        scene = Scene()
        exchange = scene.happen("x0")

        def end() -> None:
            scene.meanwhile = lambda: None
            exchange.duration = 1.0
            scene.recent.ended(exchange)

        stream = events_of(scene).follow("")
        await take(stream, 3)
        scene.meanwhile = end
        found = await take(stream, 1)
        scene.happen("x1")
        found += await take(stream, 1)
        await closed(stream)
        return found

    assert [(row["id"], row["duration"]) for _, _, row in asyncio.run(scenario())] == [
        ("x0", 1.0),
        ("x1", None),
    ]


def test_an_unchanged_state_is_reported_once() -> None:
    async def scenario() -> list[str]:
        scene = Scene()
        stream = events_of(scene).follow("")
        await take(stream, 2)
        await asyncio.sleep(0)
        scene.happen("x1")
        return [kind for _, kind, _ in await take(stream, 1)]

    assert asyncio.run(scenario()) == ["request"]


def test_a_page_that_returns_gets_what_it_missed() -> None:
    async def scenario() -> list[Any]:
        scene = Scene()
        live = events_of(scene)
        watching = live.follow("")
        seen = (await take(watching, 2))[-1][0]
        for number in range(3):
            scene.happen(f"x{number}")
        returned = live.follow(seen)
        return [reported["id"] for _, _, reported in await take(returned, 3)]

    assert asyncio.run(scenario()) == ["x0", "x1", "x2"]


@pytest.mark.parametrize("resume", ["b00t-99", "other-1", "nonsense", "b00t-"])
def test_a_page_whose_position_is_lost_has_to_begin_again(resume: str) -> None:
    async def scenario() -> list[str]:
        stream = events_of(Scene()).follow(resume)
        return [kind for _, kind, _ in await take(stream, 2)]

    assert asyncio.run(scenario()) == ["reset", "state"]


def test_no_reader_is_kept_when_the_daemon_stops() -> None:
    async def scenario() -> list[bytes]:
        live = events_of(Scene())
        stream = live.follow("")
        await take(stream, 2)
        live.close()
        return [record async for record in stream]

    assert asyncio.run(scenario()) == []


def test_there_is_an_end_to_the_number_of_readers() -> None:
    async def scenario() -> None:
        live = events_of(Scene())
        streams = [live.follow("") for _ in range(MAX_READERS)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(TooManyReaders):
            await anext(live.follow(""))

    asyncio.run(scenario())


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "x", ""])
def test_a_page_that_returns_with_nonsense_starts_afresh(number: str) -> None:
    async def scenario() -> list[str]:
        stream = events_of(Scene()).follow(f"{Scene.boot}-{number}")
        kinds = [kind for _, kind, _ in await take(stream, 2)]
        await closed(stream)
        return kinds

    assert asyncio.run(scenario()) == ["reset", "state"]

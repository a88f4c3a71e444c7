"""Prepare the process once, then run one seed after another."""

import asyncio
import contextlib
import gc
import logging
import random
import shutil
import tempfile
import traceback
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import switchyard.http1.connection
import switchyard.http1.raw_reply
import switchyard.http1.transport
import switchyard.relay.hold
import switchyard.relay.slot_queue
import switchyard.serve
import switchyard.store.settings_file
from switchyard.connections import BoundedConnection
from switchyard.exchange import Exchange
from switchyard.relay import asking, credentials, measuring, past_facts, ruling
from switchyard.store.recent import RecentExchanges
from switchyard.store.settings_file import SettingsFile
from tests.simulation.clocks import CLOCKS
from tests.simulation.disk import DISK
from tests.simulation.loop import Stuck
from tests.simulation.world import World

_world: World


async def _polled(folders: object) -> AsyncGenerator[object, None]:
    while True:
        await asyncio.sleep(2.0)
        yield None


def prepare() -> None:
    """Call it once: what would reach out of the simulation is replaced."""
    for holder, name, instead in (
        (switchyard.store.settings_file, "_events", _polled),
        (SettingsFile, "_write_schema", lambda self: ()),
        (switchyard.http1.transport, "has_address", lambda local: not _world.network.is_down),
        (credentials, "look_up", lambda name: name),
        (switchyard.serve, "TICK_SECONDS", 5.0),
        (switchyard.serve, "tune_interpreter", lambda *_: None),
        (switchyard.serve, "return_memory", lambda *_: asyncio.sleep(0)),
    ):
        setattr(holder, name, instead)
    begun = RecentExchanges.begun

    def noted(self: RecentExchanges, exchange: Exchange) -> None:
        _world.exchanges.append(exchange)
        begun(self, exchange)

    ended = RecentExchanges.ended

    def noted_end(self: RecentExchanges, exchange: Exchange) -> None:
        _world.ended[exchange.client_agent] = CLOCKS.awake
        ended(self, exchange)

    RecentExchanges.begun = noted  # type: ignore[method-assign]
    RecentExchanges.ended = noted_end  # type: ignore[method-assign]

    def in_order(one: Any) -> int:
        # sets of connections have the same order in each run of a seed
        return int(one.__dict__.setdefault("simulated_number", len(_world.network.ends)))

    switchyard.http1.connection.Connection.__hash__ = in_order  # type: ignore[method-assign,assignment]
    BoundedConnection.__hash__ = in_order  # type: ignore[method-assign,assignment]
    logging.getLogger().handlers[:] = [_Complaints()]
    logging.getLogger().setLevel(logging.INFO)
    gc.disable()
    gc.freeze()


class _Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            formatted = logging.Formatter().formatException(record.exc_info)
            _world.invariants.violations.append(f"logged: {text}\n{formatted}")
        if record.name != "uvicorn.error":
            _world.note(f"log {record.levelname} {text.replace(str(_world.folder), 'FOLDER')}")


def run_seed(seed: int) -> World:
    """The world after its run; its violations are empty if all is well."""
    global _world
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=_memory()))
    random.seed(seed)
    CLOCKS.reset()
    DISK.reset(folder, random.Random(seed))
    world = _world = World(seed, folder)
    switchyard.relay.hold.MAX_HELD = world.scenario.most_held
    switchyard.http1.raw_reply.BUFFER_BYTES = world.scenario.buffer_bytes
    switchyard.relay.slot_queue.MAX_WAITING = world.scenario.most_waiting
    for module in (asking, measuring, past_facts, ruling):
        module.OFF_LOOP_BYTES = world.scenario.large_bytes  # type: ignore[attr-defined]
    loop = world.loop
    loop.set_exception_handler(lambda _, context: world.invariants.complain(context))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(world.play())
    except Exception:  # whatever it is, it belongs to this seed
        world.invariants.violations.append(f"the run failed: {traceback.format_exc()}")
    finally:
        DISK.state = "fine"
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with contextlib.suppress(Stuck):
            loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
        loop.close()
        asyncio.set_event_loop(None)
        shutil.rmtree(folder, ignore_errors=True)
    return world


def _memory() -> str | None:
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() else None

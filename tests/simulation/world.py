"""One run of the whole daemon in a simulated world: the application with its server, hosts, clients and events."""

import asyncio
import contextlib
import hashlib
import json
import random
import signal
from pathlib import Path
from typing import Any

import switchyard.http1.connection
import switchyard.http1.transport
import switchyard.relay.hold
import switchyard.relay.slot_queue
import switchyard.serve
import switchyard.store.settings_file
from switchyard.application import Application
from switchyard.connections import Limits
from switchyard.exchange import Exchange
from switchyard.routing.uses import Use
from switchyard.store.settings_file import SettingsFile
from tests.simulation.clients import Client, Result
from tests.simulation.clocks import CLOCKS
from tests.simulation.disk import DISK, undisturbed
from tests.simulation.hosts import Books, FakeHost
from tests.simulation.invariants import Invariants
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network, Socket
from tests.simulation.scenario import CLIENT_KEY, Document, Event, Scenario, draw
from tests.simulation.watcher import Watcher

PATIENCE_SECONDS = 3 * 3600.0
"""in simulated time: by then every request has ended"""
QUIET_SECONDS = 6.0
"""after the last client: what drains, is written or is noticed late is over by then"""
LOOK_SECONDS = 0.5


class World:
    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.network = Network(self.random)
        self.loop = self.network.loop = SimulatedLoop(self.random, self.network)
        self.books = Books()
        self.scenario: Scenario = draw(self.random)
        self.network.high_water = self.scenario.buffer_bytes
        self.hosts = [
            FakeHost(f"host{number}.test", self.network, self.books, self.random) for number in range(4)
        ]
        for host in self.hosts:
            host.note = self.note
        self.network.hosts = {host.name: host for host in self.hosts}
        self.clients = [
            Client(f"c{number}", self.network, self.random, CLIENT_KEY)
            for number in range(len(self.scenario.clients))
        ]
        self.watcher = Watcher(self.network, self.random)
        self.exchanges: list[Exchange] = []
        self.ended: dict[str, float] = {}
        """by agent: when its exchange ended"""
        self.stops = 0
        self.trace: list[str] = []
        self.application: Application
        self.settings_file: SettingsFile
        self.document = self.scenario.document
        self.invariants = Invariants(self)

    @property
    def violations(self) -> list[str]:
        return [
            *self.invariants.violations,
            *self.books.violations,
            *self.watcher.violations,
            *(text for client in self.clients for text in client.violations),
        ]

    # --- the run ------------------------------------------------------------------------

    async def play(self) -> None:
        self._write_settings(self.document)
        self.settings_file = SettingsFile(self.folder)
        self.settings_file.load()
        self.application = Application(self.settings_file, self.folder, self.folder)
        options = switchyard.serve.Options("127.0.0.1", 5101, self.folder, self.folder)
        config = switchyard.serve.server_config(self.application, options, Limits())
        server = switchyard.serve._QuietServer(config)
        sockets: list[Any] = [Socket()]
        serving = asyncio.create_task(
            switchyard.serve._serve(self.application, server, sockets, lambda: None), name="serve"
        )
        ended: list[float] = []
        serving.add_done_callback(lambda _: ended.append(CLOCKS.awake))
        while not self.network.is_listening:
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.01)
        self.invariants.begin()
        await self._meanwhile()
        self.invariants.check_answers()
        if not self.stops:
            DISK.state = "fine"
            await asyncio.sleep(QUIET_SECONDS)
            await self._without_activations(QUIET_SECONDS)
            self.invariants.check_quiet()
            self._stop()
        await asyncio.wait_for(serving, PATIENCE_SECONDS)
        self.invariants.check_end(ended[0])

    async def _without_activations(self, seconds: float) -> None:
        """Until none has run for so long: one that fails is tried again after some minutes."""
        quiet = 0.0
        while quiet < seconds:
            await asyncio.sleep(LOOK_SECONDS)
            is_running = any(one.kind == "activation" for one in self.application.recent.running())
            quiet = 0.0 if is_running else quiet + LOOK_SECONDS

    async def _meanwhile(self) -> None:
        events = asyncio.create_task(self._events(), name="events")
        scripts = []
        for client, (requests, pauses) in zip(self.clients, self.scenario.clients, strict=True):
            client.ended = self.invariants.answered
            scripts.append(asyncio.create_task(client.run(requests, pauses), name="client"))
        watching = self.watcher.run(self.scenario.looks, self.scenario.clients[0][1])
        scripts.append(asyncio.create_task(watching, name="client"))
        done, pending = await asyncio.wait(scripts, timeout=PATIENCE_SECONDS)
        events.cancel()
        for script in done:
            script.result()
        for script in pending:
            self.invariants.violations.append("a client has not ended")
            script.cancel()

    async def _events(self) -> None:
        for event in self.scenario.events:
            await asyncio.sleep(max(0.0, event.at - CLOCKS.awake))
            self.note(f"{event.what} {event.value if not isinstance(event.value, dict) else '...'}")
            await self._happen(event)

    async def _happen(self, event: Event) -> None:
        application, value = self.application, event.value
        match event.what:
            case "mood":
                self.hosts[value[0]].mood = value[1]
            case "edit":
                self._write_settings(value)
            case "torn edit":
                self.folder.joinpath("all_configs.json").write_text(json.dumps(value)[:-20])
                await asyncio.sleep(0.3)
                self._write_settings(value)
            case "save":
                with contextlib.suppress(OSError, switchyard.store.settings_file.StaleRevision):
                    await asyncio.to_thread(self.settings_file.save, value, self.settings_file.disk_revision)
            case "disk":
                DISK.state = value
            case "network":
                self.network.is_down = not value
            case "clock":
                CLOCKS.shift += value
            case "sleep":
                CLOCKS.asleep += value
            case "give up":
                application.hold.give_up()
            case "hasten":
                application.hold.hasten()
            case "use":
                names = [one.name for one in application.current().upstreams]
                await application.use(Use(names[0], None), ("messages", "chat", "responses"))
            case "simulate":
                names = [one.name for one in application.current().upstreams]
                application.wire.simulate(names[0], "down" if value < 0.5 else "cut", 5.0)
            case "silence":
                for end in self.network.ends[::2]:
                    if end.get_extra_info("peername")[0] != "client":
                        end._incoming.is_silent = value < 0.5
            case "stop":
                self._stop()

    def _stop(self) -> None:
        self.stops += 1
        handler = self.loop.signal_handlers.get(signal.SIGTERM)
        if handler is not None:
            handler()

    def _write_settings(self, document: Document) -> None:
        new = self.folder / "new.json"
        new.write_text(json.dumps(document))
        undisturbed(lambda: new.replace(self.folder / "all_configs.json"))

    def note(self, text: str) -> None:
        self.trace.append(f"{CLOCKS.awake:10.4f} {text}")

    def digest(self) -> str:
        """The same for the same run, whatever ran before in the process."""
        whole = "\n".join([*self.trace, f"{CLOCKS.awake} {self.random.random()}"])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def results(self) -> list[Result]:
        return [result for client in self.clients for result in client.results]

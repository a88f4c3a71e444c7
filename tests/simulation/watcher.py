"""A dashboard that asks for everything it shows while the world goes on."""

import asyncio
import json
import random

from tests.simulation.clients import Answer
from tests.simulation.network import Network
from tests.simulation.peer import Gone, Peer

PATHS = (
    "/api/state",
    "/api/configs",
    "/api/week",
    "/api/requests",
    "/api/token-stats",
    "/api/journal",
    "/api/conversations",
    "/api/upstream-numbers",
    "/v1/models",
)
EVENTS = "/api/events"


class Watcher:
    def __init__(self, network: Network, random: random.Random) -> None:
        self.violations: list[str] = []
        self._network, self._random = network, random

    async def run(self, count: int, pauses: tuple[float, ...]) -> None:
        for _ in range(count):
            await asyncio.sleep(self._random.choice(pauses))
            peer = Peer()
            if self._network.connect_client(peer) is None:
                return
            path = self._random.choice((*PATHS, EVENTS))
            try:
                peer.write(f"GET {path} HTTP/1.1\r\nhost: localhost:5101\r\n\r\n".encode())
                await (self._listen(peer) if path == EVENTS else self._read(peer, path))
            except Gone:
                pass  # the daemon ends
            peer.end.close()

    async def _listen(self, peer: Peer) -> None:
        """Live events, until the user closes the page."""
        answer = Answer()
        for _ in range(self._random.choice((1, 3, 10))):
            answer.feed(await peer.read())

    async def _read(self, peer: Peer, path: str) -> None:
        answer = Answer()
        while not answer.is_complete:
            answer.feed(await peer.read())
        try:
            assert answer.status == 200, answer.status
            json.loads(answer.body)
        except (AssertionError, ValueError) as error:
            self.violations.append(f"{path}: {error!r} {answer.body[:300]!r}")
        if b"sk-up" in answer.body:
            self.violations.append(f"{path}: a key of an upstream in the answer")

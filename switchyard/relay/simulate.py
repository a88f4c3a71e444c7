"""Simulate for a while that an upstream is down, slow or cuts its answers, so that the user can watch the failover."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Literal

import msgspec

from switchyard.exchange import FailureKind
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.upstream import Call, Destination, Reply, Wire

Mode = Literal["down", "slow", "cut"]

SLOW_SECONDS = 20.0
CHUNKS_BEFORE_CUT = 8
RECORDS = re.compile(rb".+?(?:\n\n|\Z)", re.DOTALL)


class Simulation(msgspec.Struct, frozen=True):
    """`until` in monotonic seconds."""

    mode: Mode
    until: float


class SimulatingWire:
    """Sends requests, and simulates failures where the user has started that."""

    def __init__(self, wire: Wire, now: Callable[[], float]) -> None:
        self._wire = wire
        self._now = now
        self._simulations: dict[str, Simulation] = {}

    def simulate(self, upstream: str, mode: Mode | None, seconds: float) -> None:
        """Start to simulate this, or with mode None end it."""
        self._simulations.pop(upstream, None)
        if mode is not None:
            self._simulations[upstream] = Simulation(mode, self._now() + seconds)

    def simulations(self) -> dict[str, Simulation]:
        """The current simulations, by upstream."""
        now = self._now()
        self._simulations = {name: one for name, one in self._simulations.items() if one.until > now}
        return dict(self._simulations)

    def seconds_left(self, upstream: str) -> float | None:
        """The seconds left of the simulation for this upstream; None if there is none."""
        found = self._simulations.get(upstream)
        left = 0.0 if found is None else found.until - self._now()
        return left if left > 0 else None

    def send(self, call: Call) -> Awaitable[Reply]:
        """As `Wire.send`. Raises AttemptFailed."""
        found = self._simulations.get(call.upstream)
        if found is None or self.seconds_left(call.upstream) is None:
            return self._wire.send(call)
        return self._send_simulated(call, found)

    async def _send_simulated(self, call: Call, found: Simulation) -> Reply:
        if found.mode == "down":
            raise AttemptFailed(network_failure(FailureKind.CONNECT, "cannot connect (simulated)"))
        if found.mode == "slow":
            await asyncio.sleep(SLOW_SECONDS)
            return await self._wire.send(call)
        reply = await self._wire.send(call)
        if reply.status < 400:
            reply.replace_chunks(_cut(reply.chunks()))
        return reply

    def keep_ready(self, destination: Destination, seconds: float) -> None:
        """As `Wire.keep_ready`."""
        self._wire.keep_ready(destination, seconds)

    def keep_only(self, destinations: Collection[Destination]) -> None:
        """As `Wire.keep_only`."""
        self._wire.keep_only(destinations)

    @property
    def ready_count(self) -> int:
        return self._wire.ready_count

    async def close(self) -> None:
        await self._wire.close()


async def _cut(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Some records of the answer, then a broken connection."""
    count = 0
    async for chunk in chunks:
        for record in RECORDS.findall(chunk):
            if count == CHUNKS_BEFORE_CUT:
                raise AttemptFailed(network_failure(FailureKind.READ, "connection cut (simulated)"))
            count += 1
            yield record
    raise AttemptFailed(network_failure(FailureKind.READ, "connection cut (simulated)"))

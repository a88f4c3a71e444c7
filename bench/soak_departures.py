"""Clients that leave, in every phase of a request and with bodies of up to 2 MB; and their upstream."""

import asyncio
import itertools
import json
import os
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from soak_upstream import PROMPT, PlayedUpstream, play

from tests.bed import wire
from tests.bed.asking import PATHS, question
from tests.bed.daemon import upstream
from tests.bed.full_listener import FullListener
from tests.bed.upstream import Received, Script, Send, Wait, chunk, cut_after_content, status, stream
from tests.bed.wire import PROTOCOLS, Protocol

AGENT = "departure"
"""the name of these clients in the journal"""
REACH_SECONDS, NOTICE_SECONDS = 45.0, 15.0
"""on a busy machine; without detection it would take a minute"""
LIMITS = {"connect": 60, "first_byte": 60, "idle": 60}
SIZES = (1, 1_000, 20_000, 100_000, 300_000, 1_000_000, 2_000_000)
TEXT = "The beginning of an answer"
LATE_SECONDS = 0.3
LEAVERS = 6
POLL_SECONDS = 0.02
CHUNK_BYTES = 16 * 1024
UNREACHABLE, FULL = "unreachable", "full"
"""models of upstreams that refuse connections, and that take one request at a time"""


def _late(request: Received) -> Script:
    records = wire.records(request.protocol, wire.Reply(TEXT), "m")
    return stream(records, end=[Wait(LATE_SECONDS), Send(b"0\r\n\r\n")])


SCRIPTS: dict[str, Callable[[Received], Script]] = {
    "silent": lambda request: [Wait()],
    "streaming": cut_after_content([Wait()], TEXT),
    "failing": status(503),
    "late": _late,
}
"""by model"""
STREAMED = ("streaming", "late")


class LeftUpstream(PlayedUpstream):
    """Records by prompt which calls have arrived, and which have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: set[int] = set()
        self.ended: set[int] = set()

    async def _answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        found = PROMPT.search(request.body)
        number = int(found[1]) if found else -1
        self.arrived.add(number)
        try:
            for step in SCRIPTS[request.json["model"]](request):
                if not await play(step, reader, writer):
                    return False
            return True
        finally:
            self.ended.add(number)


class Departures:
    """Clients that leave; `done` counts them by phase, `wrong` lists departures that were not noticed."""

    def __init__(self, port: int, seed: int) -> None:
        self.server = LeftUpstream()
        self.full_listener = FullListener()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0
        """seconds until a departure was noticed"""
        self.lines: Counter[str] = Counter()
        """the outcomes that the journal must contain for these clients"""
        self._port = port
        self._began = time.monotonic()
        self._pick = random.Random(seed)
        self._numbers = itertools.count(200_000_000)
        self._connecting, self._queueing = asyncio.Lock(), asyncio.Lock()

    async def listen(self) -> None:
        await self.server.listen()
        self.full_listener.__enter__()

    async def close(self) -> None:
        await self.server.refuse()
        self.full_listener.__exit__()

    @property
    def ports(self) -> set[int]:
        """The ports that the daemon connects to for these clients."""
        return {self.server.port, self.full_listener.port}

    def entries(self) -> list[dict[str, Any]]:
        """The upstreams that they need in the settings file."""
        urls = {**dict.fromkeys(SCRIPTS, self.server.url), UNREACHABLE: self.full_listener.url}
        found = [
            upstream(
                f"left while {model}", url, self._pick.choice(PROTOCOLS), timeouts=LIMITS, models=[model]
            )
            for model, url in urls.items()
        ]
        limited = upstream("left while full", self.server.url, timeouts=LIMITS, max_concurrency=1)
        return [*found, {**limited, "models": {FULL: "silent"}}]

    async def run(self, admin: httpx.AsyncClient, ends: float) -> None:
        """Run until the time `ends`; then wait for the clients that are leaving."""
        await asyncio.gather(*(self._again(admin, ends) for _ in range(LEAVERS)))

    async def _again(self, admin: httpx.AsyncClient, ends: float) -> None:
        phases: dict[str, Callable[[httpx.AsyncClient], Awaitable[None]]] = {
            "within the body": self._within_the_body,
            "connecting": self._while_connecting,
            "waiting for a slot": self._waiting,
            "held": self._held,
            "before content": self._before_content,
            "streaming": self._streaming,
            "after the answer": self._after_the_answer,
        }
        while time.monotonic() < ends:
            phase = self._pick.choice(list(phases))
            try:
                await phases[phase](admin)
                self.done[phase] += 1
            except Unreached:
                self._note(f"{phase}: not reached within {REACH_SECONDS:g} s")
            except TimeoutError:
                self._note(f"{phase}: not noticed within {NOTICE_SECONDS:g} s")

    def _note(self, wrong: str) -> None:
        """With the moment and the load: on an overloaded machine neither time is long enough."""
        self.wrong.append(
            f"{wrong}, {time.monotonic() - self._began:.0f} s after the start, load {os.getloadavg()[0]:.0f}"
        )

    # --- the phases ----------------------------------------------------------------

    async def _within_the_body(self, _: httpx.AsyncClient) -> None:
        async with self._client("silent") as client:
            await client.send(share=self._pick.random() * 0.99)

    async def _while_connecting(self, admin: httpx.AsyncClient) -> None:
        async with self._connecting:
            async with self._client(UNREACHABLE, "cancelled") as client:
                await client.send()
                await _until(lambda: self.full_listener.callers == 1)
            await self._noticed(admin, client, lambda: self.full_listener.callers == 0)

    async def _waiting(self, admin: httpx.AsyncClient) -> None:
        async with self._queueing, self._client(FULL, "cancelled") as holder:
            await holder.send()
            await _until(lambda: holder.number in self.server.arrived)
            async with self._client(FULL, "cancelled") as client:
                await client.send()
                await _until_reported(admin, "running", client)
            await self._noticed(admin, client, lambda: client.number not in self.server.arrived)
            holder.leave()
            await self._noticed(admin, holder, lambda: holder.number in self.server.ended)

    async def _held(self, admin: httpx.AsyncClient) -> None:
        async with self._client("failing", "cancelled") as client:
            await client.send()
            await _until_reported(admin, "held", client)
        await self._noticed(admin, client, lambda: True)

    async def _before_content(self, admin: httpx.AsyncClient) -> None:
        async with self._client("silent", "cancelled") as client:
            await client.send()
            await _until(lambda: client.number in self.server.arrived)
        await self._noticed(admin, client, lambda: client.number in self.server.ended)

    async def _streaming(self, admin: httpx.AsyncClient) -> None:
        async with self._client("streaming", "cancelled") as client:
            await client.send()
            await client.read_until(b"beg")
        await self._noticed(admin, client, lambda: client.number in self.server.ended)

    async def _after_the_answer(self, admin: httpx.AsyncClient) -> None:
        """The body of the upstream has not ended yet."""
        async with self._client("late", "ok") as client:
            await client.send()
            await client.read_until(b"\r\n0\r\n\r\n")
        await self._noticed(admin, client, lambda: client.number in self.server.ended)

    # --- one client ------------------------------------------------------------------

    @asynccontextmanager
    async def _client(self, model: str, outcome: str = "") -> AsyncIterator["Leaver"]:
        """Leaves at the end in any case; `outcome` is that of its line in the journal."""
        client = Leaver(next(self._numbers), model, self._pick)
        await client.connect(self._port)
        try:
            async with asyncio.timeout(REACH_SECONDS):
                yield client
        except TimeoutError:
            raise Unreached from None
        finally:
            client.leave()
            if outcome:
                self.lines[outcome] += 1

    async def _noticed(self, admin: httpx.AsyncClient, client: "Leaver", ended: Callable[[], bool]) -> None:
        """Both sides know that the client has left: the daemon, and its upstream."""
        began = time.monotonic()
        async with asyncio.timeout(NOTICE_SECONDS):
            await _until(ended)
            while await _is_reported(admin, "running", client):
                await asyncio.sleep(POLL_SECONDS)
        self.slowest = max(self.slowest, time.monotonic() - began)


class Unreached(Exception):
    """The phase in which the client was to leave was not reached."""


class Leaver:
    """One client with a request of random size and form, which leaves with a FIN or an RST."""

    def __init__(self, number: int, model: str, pick: random.Random) -> None:
        self.number = number
        self.agent = f"{AGENT}/{number}"
        self._protocol: Protocol = pick.choice(PROTOCOLS)
        prompt = f"prompt-{number}-" + "x" * pick.choice(SIZES)
        # keep-alives of a stream also reveal a client that has left: half of the requests do without them
        streams = model in STREAMED or pick.random() < 0.5
        named = f"left while {model},{model}"
        self._body = json.dumps(question(self._protocol, named, prompt, streams)).encode()
        self._is_chunked, self._resets = pick.random() < 0.5, pick.random() < 0.5

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def send(self, share: float = 1.0) -> None:
        """Send the request, or the first part of it."""
        body = _chunked(self._body) if self._is_chunked else self._body
        framing = "transfer-encoding: chunked" if self._is_chunked else f"content-length: {len(body)}"
        lines = [
            f"POST {PATHS[self._protocol]} HTTP/1.1",
            "host: localhost",
            f"user-agent: {self.agent}",
            framing,
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        self._writer.write(body[: int(len(body) * share)])
        await self._writer.drain()

    async def read_until(self, sign: bytes) -> None:
        await self._reader.readuntil(sign)

    def leave(self) -> None:
        if self._resets and not self._writer.is_closing():
            opened: socket.socket = self._writer.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _chunked(body: bytes) -> bytes:
    pieces = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(POLL_SECONDS)


async def _until_reported(admin: httpx.AsyncClient, where: str, client: Leaver) -> None:
    while not await _is_reported(admin, where, client):
        await asyncio.sleep(POLL_SECONDS)


async def _is_reported(admin: httpx.AsyncClient, where: str, client: Leaver) -> bool:
    rows = (await admin.get("/api/state")).json()[where]
    return any(row["agent"] == client.agent for row in rows)

"""An upstream that fails at random in every scripted way: the scripts of the tests, on asyncio instead of threads."""

import asyncio
import random
import re
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.bed.upstream import (
    FAULTS,
    FOREVER,
    Answer,
    Close,
    Received,
    Send,
    Step,
    Wait,
    cut_after_content,
    say,
)

PROMPT = re.compile(rb"prompt-(\d+)-")
BREAKS: dict[str, Answer] = {
    "cut after content": cut_after_content(text="word " * 30),
    "reset after content": cut_after_content([Wait(0.02), Close(reset=True)], text="word " * 30),
    "silence after content": cut_after_content([Wait()], text="word " * 30),
}
ALL_FAULTS = {**FAULTS, **BREAKS}
NOTICE_SECONDS = 0.005
LATE_ENDS = 0.2
"""share of the streams"""
HEAD_END = b"\r\n\r\n"


def expected_text(number: int) -> str:
    """The text of a correct response to this prompt."""
    return f"answer {number} " * (1 + number * 7 % 40)


class PlayedUpstream:
    """Reads request after request on each connection; `_answer` responds."""

    def __init__(self) -> None:
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Close the listener and every connection; `listen` opens it again at the same address."""
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()

    def hang_up(self) -> None:
        for writer in list(self._writers):
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._answer(request, reader, writer):
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            with suppress(OSError):
                writer.close()

    async def _answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """False when the connection is closed."""
        raise NotImplementedError


class FaultyUpstream(PlayedUpstream):
    """`mood` is the share of requests that fail; `asked` and `whole` record the result by prompt."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__()
        self.name = name
        self.mood = 0.0
        self.asked: dict[int, list[str]] = {}
        """prompt -> the script played for it, "good" or the name of a failure"""
        self.whole: set[int] = set()
        """prompts whose correct response was sent completely"""
        self.most = 0
        self.played: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._serving: set[asyncio.StreamWriter] = set()

    async def _answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        found = PROMPT.search(request.body)
        number = int(found[1]) if found else -1
        name, script = self._script(request, number)
        self.asked.setdefault(number, []).append(name)
        self.played[name] += 1
        self._serving.add(writer)
        # clients that left just before this one came are gone by now
        await asyncio.sleep(NOTICE_SECONDS)
        self.most = max(self.most, sum(not _has_left(one) for one in self._serving))
        try:
            last = len(script) - 1
            for index, step in enumerate(script):
                if index == last:
                    # the client may read the last bytes and send its next request before this task continues
                    self._serving.discard(writer)
                if not await play(step, reader, writer):
                    return False
            await asyncio.sleep(NOTICE_SECONDS)
            if name == "good" and not _has_left(writer):
                self.whole.add(number)
            return True
        finally:
            self._serving.discard(writer)

    def _script(self, request: Received, number: int) -> tuple[str, list[Step]]:
        if number < 0 or self._random.random() >= self.mood:
            pause = self._random.choice((0.0, 0.0, 0.002))
            good = say(expected_text(number), piece=self._random.choice((5, 40, 400)), seconds_between=pause)
            script = list(good(request))
            if request.wants_stream and self._random.random() < LATE_ENDS:
                # the content is complete, the body is not: the request still counts
                script.insert(-1, Wait(self._random.uniform(0.01, 0.25)))
            return "good", script
        name = self._random.choice(list(ALL_FAULTS))
        return name, list(ALL_FAULTS[name](request))


def _has_left(writer: asyncio.StreamWriter) -> bool:
    """True if either side has closed the connection; read from the system, as a busy event loop notices it late."""
    if writer.is_closing():
        return True
    asked = select.poll()
    asked.register(writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(asked.poll(0))


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [
        (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)
    ]
    fields = {name.lower(): value for name, value in headers}
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    return Received(method, target, headers, body, time.monotonic())


async def play(step: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    match step:
        case Send(octets):
            writer.write(octets)
            await writer.drain()
        case Wait(seconds):
            return await _watch(reader, min(seconds, FOREVER))
        case Close(reset):
            if reset:
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
            return False
    return True


async def _watch(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Stay idle; False if the other side leaves before the time is up."""
    if seconds < 0.1:
        await asyncio.sleep(seconds)
        return True
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) != b""
    except TimeoutError:
        return True


async def change_moods(
    upstreams: Sequence[FaultyUpstream], pick: random.Random, reported: Callable[[str], None]
) -> None:
    """Good times, bad times and outages, at random; now and then all upstreams are down together."""
    while True:
        for upstream in upstreams:
            upstream.mood = pick.choice((0.0, 0.1, 0.3, 0.3, 0.6, 1.0))
        if pick.random() < 0.15:
            for upstream in upstreams:
                upstream.mood = 1.0
        closed = [upstream for upstream in upstreams if pick.random() < 0.12]
        for upstream in closed:
            await upstream.refuse()
        reported(" ".join(f"{one.name}={'shut' if one in closed else one.mood}" for one in upstreams))
        await asyncio.sleep(pick.uniform(0.5, 2.0))
        for upstream in closed:
            await upstream.listen()

"""A relay that stands for a long way: bytes arrive half a round trip later, in both directions."""

import asyncio
from contextlib import suppress
from typing import Self


class FarRelay:
    """Passes connections on to a port of this machine.

    A new connection takes a round trip of its own: what the client sends first arrives that much later.
    """

    def __init__(self, port: int, round_trip_seconds: float) -> None:
        self._target = port
        self._delay = round_trip_seconds / 2
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.connection_count = 0
        self.turns: list[int] = []
        """for each connection, how many times the server has sent after the client had: the round trips"""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # lets the transports close
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected_at = asyncio.get_running_loop().time() + 2 * self._delay
        number, self.connection_count = self.connection_count, self.connection_count + 1
        self.turns.append(0)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        is_servers_turn = [False]
        there = self._pass(reader, far_writer, number, is_servers_turn, connected_at, from_client=True)
        back = self._pass(far_reader, writer, number, is_servers_turn, connected_at, from_client=False)
        for way in (there, back):
            task = asyncio.create_task(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        is_servers_turn: list[bool],
        connected_at: float,
        *,
        from_client: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        last = connected_at

        def arrival() -> float:
            nonlocal last
            last = max(loop.time(), last + 1e-6)  # timers of the same moment have no order
            return last + self._delay

        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                if not from_client and is_servers_turn[0]:
                    self.turns[number] += 1
                is_servers_turn[0] = from_client
                loop.call_at(arrival(), writer.write, piece)
        loop.call_at(arrival(), writer.close)

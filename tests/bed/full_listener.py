"""A server that never accepts: its backlog is full, so that connecting to it never finishes."""

import socket
from pathlib import Path
from typing import Self

SYN_SENT = "02"


class FullListener:
    """Linux only: other systems refuse connections when the backlog is full.

    One connection fills a backlog of 0. Further ones would be dialing and give up after two minutes: a caller that then
    had the port of one of them would not be counted.
    """

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._filler = socket.create_connection(("127.0.0.1", self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._filler.close()
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def callers(self) -> int:
        """How many other sockets are connecting now."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ending = f":{self.port:04X}"
        return sum(1 for _, _, remote, state, *_ in rows if state == SYN_SENT and remote.endswith(ending))

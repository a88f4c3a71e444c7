"""A server that never accepts: its backlog is full, so that connecting to it never finishes."""

import socket
import time
from pathlib import Path
from typing import Self

SYN_SENT = "02"
FILLERS = 4


class FullListener:
    """Linux only: other systems refuse connections when the backlog is full."""

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers = [self._connecting() for _ in range(FILLERS)]
        time.sleep(0.05)
        self._own = self._dialing()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._fillers, self._listener):
            one.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def callers(self) -> int:
        """How many other sockets are connecting now."""
        return len(self._dialing() - self._own)

    def _connecting(self) -> socket.socket:
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", self.port))
        return filler

    def _dialing(self) -> set[str]:
        """The local ends of connections that this server does not accept."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ending = f":{self.port:04X}"
        return {
            local for _, local, remote, state, *_ in rows if state == SYN_SENT and remote.endswith(ending)
        }

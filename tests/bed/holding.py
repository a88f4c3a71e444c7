"""A daemon that holds requests: its only upstream has answered before, and fails until the test lets it recover."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import Answer, ScriptedUpstream, say, status

REASON = "down for maintenance"
OUTAGE: Answer = status(503, REASON, headers={"retry-after": "120"})
AGENT = "claude-cli/2.1.197 (external, cli)"


class Holding:
    def __init__(self, daemon: Daemon, server: ScriptedUpstream, pool: ThreadPoolExecutor) -> None:
        self.daemon = daemon
        self.server = server
        self._pool = pool

    def hold(self, count: int = 1, model: str = "m") -> list[Future[Response]]:
        """This many requests, once they are held and wait for their next try."""
        before = len(self.rows())
        headers = {"user-agent": AGENT}
        asked = [
            self._pool.submit(ask, self.daemon.url, "messages", model, headers=headers) for _ in range(count)
        ]
        wait_until(lambda: self._waiting() == before + count, "the held requests")
        return asked

    def _waiting(self) -> int:
        return sum(row["next_try"] is not None for row in self.rows())

    def rows(self) -> list[Document]:
        rows: list[Document] = self.daemon.get("/api/state").json["held"]
        return rows

    def recover(self) -> None:
        self.server.script(say("back again"))


@contextmanager
def holding(folder: Path, name: str = "a", **entry: Any) -> Iterator[Holding]:
    """Ends the requests that are still held."""
    with ScriptedUpstream(say("fine"), OUTAGE) as server, ThreadPoolExecutor(8) as pool:
        document = settings(upstream(name, server.url, **entry), failover={"hold_seconds": 300})
        with Daemon(folder, document) as daemon:
            assert ask(daemon.url, "messages").status == 200
            try:
                yield Holding(daemon, server, pool)
            finally:
                daemon.post("/api/held/give-up")

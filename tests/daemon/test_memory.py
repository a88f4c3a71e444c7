"""The memory of large bodies goes back to the system."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bed.asking import PATHS, question
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say

MEGABYTE = 1024 * 1024
BODY_BYTES = 4 * MEGABYTE
AT_ONCE = 24


def resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries cannot be tuned")
def test_the_memory_of_large_bodies_is_returned(tmp_path: Path) -> None:
    entries = settings(upstream("a", "", "chat"))
    body = question("messages", "m", stream=False)
    body["messages"] = [{"role": "user", "content": "text " * 200} for _ in range(BODY_BYTES // 1000)]
    with ScriptedUpstream(say("yes")) as server:
        entries["upstreams"][0]["base_url"] = server.url
        with Daemon(tmp_path, entries) as daemon, ThreadPoolExecutor(AT_ONCE) as pool:

            def ask(_: int) -> int:
                return request(daemon.url, "POST", PATHS["messages"], body).status

            assert ask(0) == 200
            at_first = resident_megabytes(daemon.pid)
            assert set(pool.map(ask, range(2 * AT_ONCE))) == {200}
            server.requests.clear()
            wait_until(lambda: resident_megabytes(daemon.pid) < at_first + 40, "little memory again")

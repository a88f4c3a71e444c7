"""Each test of the transport runs on asyncio's own event loop and on uvloop, and may leave nothing behind."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from switchyard.http1.transport import Http1Transport
from tests.bed.patience import PATIENCE_SECONDS

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

Work = Callable[[Http1Transport], Awaitable[Any]]
Run = Callable[..., Any]


async def _until_alone() -> None:
    """What was cancelled just now may take a few turns of the loop to end; it may not stay."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any("RawServer" not in repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}):
            await asyncio.sleep(0)


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs the work with a transport, and sees that no connection and no task outlives it."""

    def with_transport(work: Work, **options: Any) -> Any:
        async def main() -> Any:
            transport = Http1Transport(**options)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await work(transport)
            finally:
                await transport.close()
                assert (transport.open_count, transport.idle_count) == (0, 0)
                await asyncio.sleep(0)  # lets what was cancelled just now end
                others = asyncio.all_tasks() - {asyncio.current_task()}
                assert [task for task in others if not _is_servers(task)] == []

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            result = runner.run(main())
        gc.collect()  # what was not closed would warn now
        return result

    return with_transport


def _is_servers(task: asyncio.Task[Any]) -> bool:
    return any(name in repr(task) for name in ("RawServer", "_accept_connection"))

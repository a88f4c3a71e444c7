"""An event loop whose clock jumps to the next timer: hours of waiting take no time, in a fixed order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Advances the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to happen, and something still waits"
        self.now += max(timeout, 0.0)
        return super().select(0)


class FakeTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, from time 0 on; sockets and threads cannot be used in the scenario."""
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        return runner.run(scenario)


def now() -> float:
    """The time of the running loop, rounded for comparisons."""
    return round(asyncio.get_running_loop().time(), 6)


async def settle() -> None:
    """Run everything that is ready without advancing the time."""
    for _ in range(10):
        await asyncio.sleep(0)

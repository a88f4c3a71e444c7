"""An event loop in simulated time, whose order is drawn from the seed wherever a real one leaves it open.

Callbacks run in the order in which they were scheduled, as asyncio promises. What arrives from outside (bytes,
connections, ends of jobs in threads) and timers become ready in any order, before or after what is ready already.
"""

# mypy: disable-error-code="override"
# the loop has simpler signatures than the generic ones of asyncio

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.simulation.clocks import CLOCKS

MOST_TURNS = 400_000
TURN_TAKES = (0.0001, 0.002)
"""seconds that the callbacks of one turn take, if any"""
SLOW_TURNS = 0.3
DEFERRED = 0.15
"""how often something that has arrived is seen a turn later"""


class Stuck(Exception):
    """Something waits and nothing can happen any more, or the run does not end."""


class SimulatedTask(asyncio.Task[Any]):
    """Sets of tasks have the same order in each run of a seed."""

    _numbers = count()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.number = next(self._numbers)
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """`network` is what connections and names go to; `observe` is called after each turn."""

    _ready: Any
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, random: random.Random, network: Any) -> None:
        super().__init__()
        self._random = random
        self._network = network
        self._outside: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._turns = 0
        self.observe: Callable[[], None] = lambda: None
        self.signal_handlers: dict[int, Callable[[], None]] = {}
        self.set_task_factory(
            lambda loop, coroutine, **options: SimulatedTask(coroutine, loop=loop, **options)
        )

    def time(self) -> float:
        return CLOCKS.awake

    def outside(self, seconds: float, happen: Callable[[], None]) -> None:
        """Something happens outside of the daemon after so many seconds."""
        heapq.heappush(self._outside, (CLOCKS.awake + seconds, next(self._numbers), happen))

    # --- one turn ----------------------------------------------------------------

    def _run_once(self) -> None:
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise Stuck(f"no end after {MOST_TURNS} turns")
        self._drop_cancelled()
        if not self._ready:
            self._advance()
        if self._random.random() < SLOW_TURNS:
            CLOCKS.awake += self._random.choice(TURN_TAKES)
        if min(self._next_moments()) <= CLOCKS.awake:
            self._ready.extend(self._arrived())
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle._cancelled:
                handle._run()
        self.observe()

    def _drop_cancelled(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]

    def _advance(self) -> None:
        moment = min(self._next_moments())
        if moment == math.inf:
            raise Stuck("nothing is left to happen, and something still waits")
        CLOCKS.awake = max(CLOCKS.awake, moment)

    def _next_moments(self) -> tuple[float, float]:
        """Of the next timer and of the next event outside."""
        return (
            self._scheduled[0].when() if self._scheduled else math.inf,
            self._outside[0][0] if self._outside else math.inf,
        )

    def _arrived(self) -> list[asyncio.Handle]:
        """In any order, but no timer before an earlier one."""
        now, later = CLOCKS.awake, []
        found: list[asyncio.Handle] = []
        timers: list[asyncio.Handle] = []
        while self._outside and self._outside[0][0] <= now:
            _, number, happen = heapq.heappop(self._outside)
            if self._random.random() < DEFERRED:
                later.append((now, number, happen))
            else:
                found.append(asyncio.Handle(happen, (), self))
        while self._scheduled and self._scheduled[0].when() <= now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer._cancelled:
                timers.append(timer)
        for one in later:
            heapq.heappush(self._outside, one)
        places = [True] * len(timers) + [False] * len(found)
        self._random.shuffle(places)
        self._random.shuffle(found)
        return [(timers if is_timer else found).pop(0) for is_timer in places]

    # --- what the daemon asks a loop for ---------------------------------------------

    def call_soon_threadsafe(self, callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *arguments, context=context)

    def run_in_executor(self, executor: Any, function: Any, *arguments: Any) -> Any:
        """The job runs at once at some moment, and its end is seen at a later one."""
        found: asyncio.Future[Any] = self.create_future()

        def run() -> None:
            CLOCKS.is_in_thread, CLOCKS.busy = True, 0.0
            try:
                result, error = function(*arguments), None
            except BaseException as raised:
                result, error = None, raised
            taken, CLOCKS.busy, CLOCKS.is_in_thread = CLOCKS.busy, 0.0, False
            self.outside(taken + self._random.choice((0.0, 0.0, 0.001, 0.03)), lambda: end(result, error))

        def end(result: Any, error: BaseException | None) -> None:
            if found.cancelled():
                return
            if error is None:
                found.set_result(result)
            else:
                found.set_exception(error)

        self.outside(self._random.choice((0.0, 0.0, 0.001, 0.05)), run)
        return found

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There are no threads."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return await self._network.resolve(host, port)

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        return await self._network.connect(factory, host, port)

    async def create_server(self, factory: Any, *arguments: Any, **options: Any) -> Any:
        return self._network.listen(factory)

    def add_signal_handler(self, number: int, callback: Any, *arguments: Any) -> None:
        self.signal_handlers[number] = callback

    def _write_to_self(self) -> None:
        """No selector has to be woken up."""

"""Measure targets side by side: in each round they take turns at every step, so that noise affects all of them."""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import processes
from load import Outcome, ask_again, later_turns, stream_again, stream_once
from stage import SWITCHYARD, Stage, Upstream
from traffic import Target

MEGABYTE = 1024 * 1024
DIRECT = "direct"
QUIET_SHARE = 0.1
"""of a core: a program that uses less has finished its work"""
DISTURBED_SHARE = 0.1
"""of the machine: a step is repeated if other programs used more"""
MAX_TRIES = 3
MAX_SECONDS, MIN_SECONDS = 2.0, 0.5
PAUSE_SECONDS = 0.4
"""pause between two steps"""
PACE_MS = 50
PACED_RAMP, PACED_MARGIN = 0.5, 0.3
"""seconds in which the paced streams are started, and for which they run before and after they are measured"""
TURNS, TURNS_SECONDS = 8, 2.0
SLOW_MORE_SECONDS = 2.0
"""before and after the slow streams of a target"""
LEAVERS = 16
LARGE_LEAVERS = 4
LARGE_LEAVERS_SECONDS = 1.5
"""until their bodies have arrived and their streams have begun"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    label: str
    unit: str = ""
    added: bool = False
    """as the difference to the direct connection of the same round"""


ROWS = {
    "small": Row("small request, 1 client, p50", "ms"),
    "rate64": Row("requests/s, 64 clients"),
    "request_cpu": Row("CPU per small request, 64 clients", "µs"),
    "first": Row("added time to first event, p50", "ms", added=True),
    "single": Row("events/s, one event per packet, 1 stream"),
    "glued": Row("events/s, many events per packet, 1 stream"),
    "paced_cpu": Row("CPU per paced event, while 64 streams run", "µs"),
    "body1": Row("1 MB request, added p50", "ms", added=True),
    "body8": Row("8 MB request, added p50", "ms", added=True),
    "turns1": Row("the same, later turns of a conversation of 1 MB", "ms", added=True),
    "turns8": Row("of 8 MB", "ms", added=True),
    "idle_memory": Row("idle memory", "MB"),
    "slow_delivered": Row("slow streams (20 events/s): delivered", "%"),
    "slow_memory": Row("slow streams: peak memory", "MB"),
    "slow_transit": Row("slow streams: p99 transit time", "ms"),
    "left_running": Row("upstream calls still running after 16 clients left, after 50 ms"),
    "large_left_running": Row("the same after 4 clients with 8 MB left"),
}

Figures = dict[tuple[str, str], dict[int, float]]
"""(row, target) -> by round"""
Step = Callable[[Target], Awaitable[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    budget_seconds: float
    """for all rounds together"""
    limit_seconds: float
    """with the steps that are repeated"""
    slow_streams: int
    slow_seconds: float


FULL = Plan(rounds=3, budget_seconds=240, limit_seconds=370, slow_streams=1000, slow_seconds=5)
QUICK = Plan(rounds=1, budget_seconds=26, limit_seconds=140, slow_streams=200, slow_seconds=1.5)


@dataclass
class Rounds:
    """The steps and their figures."""

    stage: Stage
    upstream: Upstream
    targets: Sequence[Target]
    plan: Plan
    figures: Figures = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    """the share of the machine that other programs used during each step"""
    rounds: int = 0
    """complete ones; on a slow machine fewer than planned"""
    _last: list[int] = field(default_factory=list)
    """the processes measured in the previous step"""
    _done: int = 0
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        for target in self.targets:
            await self._take("idle memory", self.idle, target, 0)
        while self.rounds < self.plan.rounds and self._has_time:
            for label, step in self._steps().items():
                for target in _turned(self.targets, self.rounds):
                    await self._take(label, step, target, self.rounds)
            self.rounds += 1
        for target in self.targets:
            await self._take("slow streams", self.slow_streams, target, 0)

    def median(self, row: str, target: str) -> float:
        values = list(self._rounds_of(row, target).values())
        return statistics.median(values) if values else math.nan

    def ratio(self, row: str, target: str, base: str) -> float:
        """The median of the ratios within each round."""
        mine, others = self._rounds_of(row, target), self._rounds_of(row, base)
        ratios = [value / others[number] for number, value in mine.items() if others.get(number, 0) > 0]
        return statistics.median(ratios) if ratios else math.nan

    def _rounds_of(self, row: str, target: str) -> dict[int, float]:
        mine = self.figures.get((row, target), {})
        if not ROWS[row].added:
            return mine
        direct = self.figures.get((row, DIRECT), {})
        return {number: value - direct[number] for number, value in mine.items() if number in direct}

    # --- running ---

    def _steps(self) -> dict[str, Step]:
        return {
            "1 client": self.one_client,
            "64 clients": self.many_clients,
            "first event": self.first_event,
            "single events": self.single_events,
            "glued events": self.glued_events,
            "paced events": self.paced_events,
            "1 MB": self.one_megabyte,
            "8 MB": self.eight_megabytes,
            "later turns": self.turns,
            "clients leave": self.clients_leave,
        }

    @property
    def seconds(self) -> float:
        """for one step of one target"""
        count = len(self._steps()) * len(self.targets) * self.plan.rounds
        return min(MAX_SECONDS, max(MIN_SECONDS, self.plan.budget_seconds / count - PAUSE_SECONDS))

    async def _take(self, label: str, step: Step, target: Target, number: int) -> None:
        if self._elapsed > self.plan.limit_seconds:
            print(f"{label:14} {target.name}: no time left", flush=True)
            return
        others, found = await self._least_disturbed(step, target)
        self.others.append(others)
        for row, value in found.items():
            self.figures.setdefault((row, target.name), {})[number] = value
        self._done += 1
        shown = "  ".join(f"{row} {value:.4g}" for row, value in found.items())
        if others > DISTURBED_SHARE:
            shown += f"  (others used {others:.0%} of the machine)"
        place = f"[{self._done:3}/{self._count}] {self._elapsed:4.0f} s"
        print(f"{place}  {label:14} {target.name:24} {shown}", flush=True)

    async def _least_disturbed(self, step: Step, target: Target) -> tuple[float, dict[str, float]]:
        """The figures of the try during which other programs used the least of the machine."""
        roots = [os.getpid(), *(one.root for one in self.targets if one.root)]
        best: tuple[float, dict[str, float]] | None = None
        for _ in range(MAX_TRIES):
            await self.settle(target)
            before = processes.machine_seconds(roots)
            found = await step(target)
            others = processes.machine_seconds(roots).others_since(before)
            if best is None or others < best[0]:
                best = others, found
            if others <= DISTURBED_SHARE or self._is_late:
                break
        assert best is not None
        return best

    @property
    def _count(self) -> int:
        return len(self.targets) * (2 + self.plan.rounds * len(self._steps()))

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def _is_late(self) -> bool:
        """There is no time left to repeat a step."""
        return self._elapsed > self.plan.limit_seconds * self._done / self._count

    @property
    def _has_time(self) -> bool:
        """One more round, and the slow streams, end before the limit."""
        if not self.rounds:
            return True
        slow = len(self.targets) * (self.plan.slow_seconds + self.plan.slow_streams / 400 + SLOW_MORE_SECONDS)
        return self._elapsed + self._elapsed / self.rounds + slow < self.plan.limit_seconds

    async def settle(self, target: Target) -> None:
        """Wait until this program and the previous one are idle, so that no step pays for another's remaining work."""
        pids = [*_pids(target), *self._last]
        self._last = _pids(target)
        for _ in range(10 if self._is_late else 50):
            before = processes.cpu_seconds(pids)
            await asyncio.sleep(0.1)
            if processes.cpu_seconds(pids) - before < 0.1 * QUIET_SHARE:
                return

    async def with_cpu(self, target: Target, work: Awaitable[Outcome]) -> tuple[Outcome, float]:
        """The outcome, and the microseconds of CPU that the program used during it."""
        pids = _pids(target)
        before = processes.cpu_seconds(pids)
        outcome = await work
        if outcome.errors:
            self.errors[target.name] = self.errors.get(target.name, 0) + outcome.errors
        return outcome, (processes.cpu_seconds(pids) - before) * 1e6

    # --- the steps ---

    async def one_client(self, target: Target) -> dict[str, float]:
        outcome, _ = await self.with_cpu(target, ask_again(target, 1, self.seconds))
        return {"small": outcome.latency()}

    async def many_clients(self, target: Target) -> dict[str, float]:
        outcome, cpu = await self.with_cpu(target, ask_again(target, 64, self.seconds))
        return {
            "rate64": outcome.answers / outcome.seconds,
            "request_cpu": cpu / max(1, outcome.answers),
        }

    async def first_event(self, target: Target) -> dict[str, float]:
        await self.upstream.look(count=3, batch=1)
        outcome, _ = await self.with_cpu(target, stream_again(target, 1, self.seconds))
        return {"first": outcome.latency()}

    async def single_events(self, target: Target) -> dict[str, float]:
        return {"single": await self._event_rate(target, batch=1)}

    async def glued_events(self, target: Target) -> dict[str, float]:
        return {"glued": await self._event_rate(target, batch=0)}

    async def _event_rate(self, target: Target, batch: int) -> float:
        await self.upstream.look(count=20_000, batch=batch)
        outcome, _ = await self.with_cpu(target, stream_again(target, 1, self.seconds))
        return outcome.events / outcome.seconds

    async def paced_events(self, target: Target) -> dict[str, float]:
        """While all streams run: a start and an end cost as much as many events, and other rows measure them."""
        seconds = min(4.0, 2 * self.seconds)
        lasts = PACED_RAMP + PACED_MARGIN + seconds + PACED_MARGIN
        await self.upstream.look(count=int(lasts * 1000 / PACE_MS), delay_ms=PACE_MS)
        run = stream_once(target, 64, lasts + 10, ramp=PACED_RAMP)
        streams = asyncio.create_task(self.with_cpu(target, run))
        await asyncio.sleep(PACED_RAMP + PACED_MARGIN)
        pids = _pids(target)
        events, cpu = await self.upstream.counter("events"), processes.cpu_seconds(pids)
        await asyncio.sleep(seconds)
        cpu = processes.cpu_seconds(pids) - cpu
        events = await self.upstream.counter("events") - events
        await streams
        return {"paced_cpu": cpu * 1e6 / max(1, events)}

    async def one_megabyte(self, target: Target) -> dict[str, float]:
        return {"body1": await self._body_latency(target, MEGABYTE)}

    async def eight_megabytes(self, target: Target) -> dict[str, float]:
        return {"body8": await self._body_latency(target, 8 * MEGABYTE)}

    async def turns(self, target: Target) -> dict[str, float]:
        """Of Switchyard only: the peers treat each turn as a new conversation."""
        if not target.name.startswith((DIRECT, SWITCHYARD)):
            return {}
        found = {}
        for row, size in (("turns1", MEGABYTE), ("turns8", 8 * MEGABYTE)):
            run = later_turns(target, TURNS_SECONDS, limit=TURNS, size=size)
            outcome, _ = await self.with_cpu(target, run)
            found[row] = outcome.latency()
        return found

    async def _body_latency(self, target: Target, size: int) -> float:
        run = ask_again(target, 1, self.seconds, limit=40, size=size)
        outcome, _ = await self.with_cpu(target, run)
        return outcome.latency()

    async def clients_leave(self, target: Target) -> dict[str, float]:
        await self.upstream.look(count=1000, delay_ms=PACE_MS)
        await self.with_cpu(target, stream_again(target, LEAVERS, self.seconds / 2))
        small = await self._left_running()
        run = stream_again(target, LARGE_LEAVERS, LARGE_LEAVERS_SECONDS, size=8 * MEGABYTE)
        await self.with_cpu(target, run)
        return {"left_running": small, "large_left_running": await self._left_running()}

    async def _left_running(self) -> float:
        await asyncio.sleep(0.050)
        left = await self.upstream.counter("live")
        await self.upstream.cut()
        return left

    async def idle(self, target: Target) -> dict[str, float]:
        await self.upstream.look()
        await self.with_cpu(target, ask_again(target, 1, 5, limit=30))
        await self.settle(target)
        pids = _pids(target)
        return {"idle_memory": processes.memory_mb(pids)} if pids else {}

    async def slow_streams(self, target: Target) -> dict[str, float]:
        streams, seconds = self.plan.slow_streams, self.plan.slow_seconds
        ramp = streams / 400
        count = int(seconds * 1000 / PACE_MS)
        await self.upstream.look(count=count, delay_ms=PACE_MS)
        pids = _pids(target)
        run = stream_once(target, streams, seconds + ramp + 10, ramp=ramp)
        job = asyncio.create_task(self.with_cpu(target, run))
        peak = 0.0
        while not job.done():
            await asyncio.wait({job}, timeout=0.5)
            peak = max(peak, processes.memory_mb(pids))
        outcome, _ = job.result()
        found = {
            "slow_delivered": 100 * outcome.events / (streams * count),
            "slow_transit": outcome.transit(0.99),
        }
        return found | {"slow_memory": peak} if pids else found


def _turned(targets: Sequence[Target], number: int) -> list[Target]:
    at = number % len(targets)
    return [*targets[at:], *targets[:at]]


def _pids(target: Target) -> list[int]:
    return processes.tree(target.root) if target.root else []

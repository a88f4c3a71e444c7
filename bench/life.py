"""Measure a daemon over its life: start with a long journal, idle load, memory over many requests."""

import argparse
import asyncio
import statistics
from pathlib import Path
from typing import Any

import books
import processes
from load import ask_again
from results import machine, number, table
from stage import Daemon, Stage, settings
from traffic import Target

UPSTREAMS = 500
LINES = 110_000
"""a year with 300 requests a day"""
STARTS = 5
START_LIMIT_SECONDS = 0.4
IDLE_SECONDS = 20.0
IDLE_LIMIT_PERCENT = 0.2
BATCHES = 10
CLIENTS = 16
REQUESTS = 100_000
GROWTH_LIMIT_MB = 4.0
"""between the second and the last batch: less than a leak of 50 bytes per request would take"""


async def measured(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = machine()
    upstream = await stage.upstream()
    data = await year(stage)
    document = settings(upstream, upstreams=UPSTREAMS)
    start = await start_seconds(stage, document, data, STARTS)
    daemon = await stage.switchyard(document, data)
    idle = await _idle_percent(daemon)
    memory = await _memory(daemon)
    grown = memory[-1] - memory[1]
    rows = [
        [
            f"start to first answer, {UPSTREAMS} upstreams, {LINES:,} lines, s",
            number(start),
            f"<= {START_LIMIT_SECONDS:g}",
            _met(start <= START_LIMIT_SECONDS),
        ],
        [
            "CPU when idle, % of a core",
            number(idle),
            f"<= {IDLE_LIMIT_PERCENT:g}",
            _met(idle <= IDLE_LIMIT_PERCENT),
        ],
        [
            f"growth from request {REQUESTS // BATCHES * 2:,} to {REQUESTS:,}, MB",
            number(grown),
            f"<= {GROWTH_LIMIT_MB:g}",
            _met(grown <= GROWTH_LIMIT_MB),
        ],
    ]
    each = REQUESTS // BATCHES
    curve = [[f"{each * (at + 1):,}", number(value)] for at, value in enumerate(memory)]
    return "\n\n".join(
        [
            f"`python bench/run.py --life`: {taken_on}",
            table(["", "Measured", "Goal", "Met"], rows),
            "Memory, half of the requests converting:",
            table(["Requests", "MB"], curve),
        ]
    )


async def year(stage: Stage) -> Path:
    """A data folder with a year of statistics."""
    data = stage.folder / "year"
    await asyncio.to_thread(books.write_journal, data, LINES, upstreams=UPSTREAMS)
    await asyncio.to_thread(books.add_up, data)
    return data


async def start_seconds(stage: Stage, document: dict[str, Any], data: Path, count: int) -> float:
    """From the start to the first answer, the median."""
    found = []
    for _ in range(count):
        daemon = await stage.switchyard(document, data)
        daemon.stop()
        found.append(daemon.seconds_to_answer)
        print(f"start: {daemon.seconds_to_answer:.3f} s", flush=True)
    return statistics.median(found)


async def _idle_percent(daemon: Daemon) -> float:
    await asyncio.sleep(6)
    before = processes.cpu_seconds(daemon.pids())
    await asyncio.sleep(IDLE_SECONDS)
    idle = (processes.cpu_seconds(daemon.pids()) - before) / IDLE_SECONDS * 100
    print(f"idle: {idle:.3f} %", flush=True)
    return idle


async def _memory(daemon: Daemon) -> list[float]:
    """In MB after each batch."""
    found = []
    for _ in range(BATCHES):
        for target in (daemon.target(), daemon.converting()):
            await _ask(target, REQUESTS // BATCHES // 2)
        found.append(processes.memory_mb(daemon.pids()))
        print(f"memory: {found[-1]:.1f} MB", flush=True)
    return found


async def _ask(target: Target, count: int) -> None:
    outcome = await ask_again(target, CLIENTS, 600, limit=count // CLIENTS)
    if outcome.errors:
        raise SystemExit(f"{outcome.errors} of the requests failed")


def _met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"

"""Measure how cost grows with the size of things."""

import argparse
import asyncio
import math
from collections.abc import Awaitable

import books
import processes
from load import Outcome, ask_again, stream_again, stream_once
from results import machine, number, table
from rounds import DIRECT, MEGABYTE
from stage import Daemon, Stage, Upstream, settings
from traffic import Target

KILOBYTE = 1024
BODIES = (KILOBYTE, 10 * KILOBYTE, 100 * KILOBYTE, MEGABYTE, 8 * MEGABYTE, 32 * MEGABYTE)
STREAMS = (1, 10, 100, 500, 1000, 2000)
UPSTREAMS = (2, 10, 50, 200, 500)
RULES = (1, 30, 200)
JOURNALS = (0, 10_000, 100_000, 500_000, 2_000_000)
LENGTHS = (10, 100, 1000, 10_000, 100_000)
PACE_MS = 200
PACED_SECONDS = 5.0
STEP_SECONDS = 2.0


async def measured(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = machine()
    upstream = await stage.upstream()
    daemon = await stage.switchyard(settings(upstream))
    parts = [
        f"`python bench/run.py --growth`: {taken_on}",
        await _bodies(upstream, daemon),
        await _streams(upstream, daemon),
        await _lengths(upstream, daemon),
    ]
    daemon.stop()
    parts += [
        await _upstreams(stage, upstream),
        await _rules(stage, upstream),
        await _journals(stage, upstream),
    ]
    return "\n\n".join(parts)


async def _bodies(upstream: Upstream, daemon: Daemon) -> str:
    await upstream.look()
    targets = [Target(DIRECT, f"http://127.0.0.1:{upstream.port}"), daemon.target(), daemon.converting()]
    rows = []
    for size in BODIES:
        cells = [_size(size)]
        for target in targets:
            outcome, cpu = await _with_cpu(target, ask_again(target, 1, STEP_SECONDS, limit=200, size=size))
            cells.append(number(outcome.latency()))
            if target.root:
                cells += [number(cpu / 1000), number(cpu / 1000 / (size / MEGABYTE))]
            _tell("body", _size(size), target, outcome.latency())
        rows.append(cells)
    head = ["Body", "direct, p50 ms"]
    for name in ("passthrough", "converting"):
        head += [f"{name}, p50 ms", "CPU ms", "CPU ms/MB"]
    return "### Body size\n\n" + table(head, rows)


async def _streams(upstream: Upstream, daemon: Daemon) -> str:
    count = int(PACED_SECONDS * 1000 / PACE_MS)
    rows = []
    for streams in STREAMS:
        cells = [f"{streams:,}"]
        for target in (daemon.target(), daemon.converting()):
            await upstream.look(count=count, delay_ms=PACE_MS)
            ramp = max(0.2, streams / 500)
            run = _with_cpu(target, stream_once(target, streams, ramp + PACED_SECONDS + 10, ramp=ramp))
            job = asyncio.create_task(run)
            peak = 0.0
            while not job.done():
                await asyncio.wait({job}, timeout=0.25)
                peak = max(peak, processes.memory_mb(daemon.pids()))
            outcome, _ = job.result()
            share = 100 * outcome.events / (streams * count)
            cpu = job.result()[1] * outcome.answers / max(1, outcome.events)
            cells += [number(share), number(cpu), number(outcome.transit(0.99)), number(peak)]
            _tell("streams", f"{streams}", target, cpu)
        rows.append(cells)
    head = ["Concurrent streams"]
    for name in ("passthrough", "converting"):
        head += [f"{name}, delivered %", "CPU µs/event", "p99 transit time, ms", "peak MB"]
    text = f"Each stream has {1000 // PACE_MS} events a second; the CPU time includes its start and end."
    return f"### Concurrent streams\n\n{text}\n\n{table(head, rows)}"


async def _lengths(upstream: Upstream, daemon: Daemon) -> str:
    rows = []
    for length in LENGTHS:
        cells = [f"{length:,}"]
        for target in (daemon.target(), daemon.converting()):
            for batch in (1, 0):
                await upstream.look(count=length, batch=batch)
                limit = max(3, 20_000 // length)
                run = stream_again(target, 1, 15, limit=limit)
                outcome, cpu = await _with_cpu(target, run)
                cells.append(number(cpu * outcome.answers / max(1, outcome.events)))
                _tell("length", f"{length}", target, cpu)
            cells.append(number(processes.memory_mb(daemon.pids())))
        rows.append(cells)
    head = ["Events per stream"]
    for name in ("passthrough", "converting"):
        head += [f"{name}, µs/event, one per packet", "many per packet", "memory after, MB"]
    return f"### Stream length\n\nCPU time.\n\n{table(head, rows)}"


async def _upstreams(stage: Stage, upstream: Upstream) -> str:
    rows = [
        [f"{count}", *await _small_requests(stage, upstream, upstreams=count, rules=30)]
        for count in UPSTREAMS
    ]
    return "### Upstreams\n\n" + table(["Upstreams", *SMALL_HEAD], rows)


async def _rules(stage: Stage, upstream: Upstream) -> str:
    rows = [
        [f"{count}", *await _small_requests(stage, upstream, upstreams=20, rules=count)] for count in RULES
    ]
    return "### Model rules\n\n" + table(["Rules", *SMALL_HEAD], rows)


SMALL_HEAD = ("start to first answer, s", "CPU µs/request", "p50 ms, 1 client", "memory, MB")


async def _small_requests(stage: Stage, upstream: Upstream, *, upstreams: int, rules: int) -> list[str]:
    await upstream.look()
    daemon = await stage.switchyard(settings(upstream, upstreams=upstreams, rules=rules))
    cells = [number(daemon.seconds_to_answer), *await _request_cost(daemon)]
    cells.append(number(processes.memory_mb(daemon.pids())))
    daemon.stop()
    print(f"{upstreams} upstreams, {rules} rules: {cells}", flush=True)
    return cells


async def _request_cost(daemon: Daemon) -> list[str]:
    """CPU of a request in microseconds, and its median time without other load."""
    target = daemon.target()
    await ask_again(target, 16, STEP_SECONDS / 2)
    _, cpu = await _with_cpu(target, ask_again(target, 16, STEP_SECONDS))
    alone = await ask_again(target, 1, STEP_SECONDS / 2)
    return [number(cpu), number(alone.latency())]


async def _journals(stage: Stage, upstream: Upstream) -> str:
    await upstream.look()
    rows = []
    for lines in JOURNALS:
        data = stage.folder / f"books-{lines}"
        await asyncio.to_thread(books.write_journal, data, lines)
        size = sum(file.stat().st_size for file in (data / "usage").iterdir()) / MEGABYTE
        seconds = await asyncio.to_thread(books.add_up, data)
        daemon = await stage.switchyard(settings(upstream), data)
        cells = [f"{lines:,}", number(size), number(daemon.seconds_to_answer), *await _request_cost(daemon)]
        daemon.stop()
        books.forget_totals(data)
        daemon = await stage.switchyard(settings(upstream), data)
        cells += [number(daemon.seconds_to_answer), number(seconds)]
        daemon.stop()
        print(f"journal: {cells}", flush=True)
        rows.append(cells)
    head = [
        "Journal lines",
        "MB",
        "start to first answer, s",
        "CPU µs/request",
        "p50 ms, 1 client",
        "start without totals, s",
        "rebuilding the totals, s",
    ]
    return "### Journal\n\n" + table(head, rows)


async def _with_cpu(target: Target, work: Awaitable[Outcome]) -> tuple[Outcome, float]:
    """The outcome, and the microseconds of CPU per response."""
    pids = processes.tree(target.root) if target.root else []
    before = processes.cpu_seconds(pids)
    outcome = await work
    used = (processes.cpu_seconds(pids) - before) * 1e6
    return outcome, used / outcome.answers if outcome.answers else math.nan


def _size(size: int) -> str:
    return f"{size // MEGABYTE} MB" if size >= MEGABYTE else f"{size // KILOBYTE} KB"


def _tell(what: str, size: str, target: Target, value: float) -> None:
    print(f"{what} {size:8} {target.name:24} {value:.4g}", flush=True)

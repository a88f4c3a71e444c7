"""Measure how large requests and fast streams delay the events of other streams."""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from load import Outcome, stream_once
from results import machine, number, table
from stage import HERE, Stage, Upstream, entry, settings
from traffic import Target

LIMIT_MS = 20.0
ROUNDS = 3
WATCHED = 8
PACE_MS = 20
SECONDS = 4.0
LONG = 100_000
BUSY, BUSY_CONVERTED = "busy-bench", "busy-chat-bench"

Disturbance = tuple[str, str, str]
"""label, kind of load, model"""
DISTURBANCES: tuple[Disturbance, ...] = (
    ("nothing", "", ""),
    ("8 MB bodies", "bodies", BUSY),
    ("8 MB bodies, converting", "bodies", BUSY_CONVERTED),
    (f"a stream of {LONG:,} events", "streams", BUSY),
    (f"a stream of {LONG:,} events, converting", "streams", BUSY_CONVERTED),
)


async def measured(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = machine()
    calm, busy = await stage.upstream(), await stage.upstream()
    await busy.look(count=LONG)
    daemon = await stage.switchyard(_settings(calm, busy))
    seen: dict[tuple[str, str], list[Outcome]] = {}
    nginx = await stage.nginx(calm, busy)
    for turn in range(ROUNDS):
        for disturbance in DISTURBANCES:
            for target in (daemon.target(), daemon.converting(), *([nginx] if nginx else [])):
                if target is nginx and disturbance[2] == BUSY_CONVERTED:
                    continue
                outcome = await _watch(stage, calm, target, disturbance)
                seen.setdefault((disturbance[0], target.name), []).append(outcome)
                print(
                    f"{turn + 1} {disturbance[0]:40} {target.name:24} {outcome.transit(0.99):.2f} ms",
                    flush=True,
                )
    return _reported(taken_on, seen)


async def _watch(stage: Stage, calm: Upstream, target: Target, disturbance: Disturbance) -> Outcome:
    _, kind, model = disturbance
    await calm.look(count=int(SECONDS * 1000 / PACE_MS), delay_ms=PACE_MS)
    process = None
    if kind:
        url = target.url + ("/busy" if target.name == "nginx" else "")
        program = str(HERE / "disturbance.py")
        process = stage.start([sys.executable, program, kind, url, model], on_load_core=True)
        await asyncio.sleep(1.0)
    outcome = await stream_once(target, WATCHED, SECONDS + 10, ramp=0.2)
    if process is not None:
        stage.end(process)
        await asyncio.sleep(0.3)
    return outcome


def _settings(calm: Upstream, busy: Upstream) -> dict[str, Any]:
    document = settings(calm)
    url = f"http://127.0.0.1:{busy.port}"
    document["upstreams"] += [
        entry("busy", url, "messages", [BUSY]),
        entry("busy, converted", url, "chat", [BUSY_CONVERTED]),
    ]
    return document


def _reported(taken_on: str, seen: dict[tuple[str, str], list[Outcome]]) -> str:
    names = list(dict.fromkeys(name for _, name in seen))
    head = ["Background load"]
    for name in names:
        head += [f"{name}: p50 ms", "p99 ms", "p99 added", "longest"]
    rows = []
    added = []
    for label, _, _ in DISTURBANCES:
        cells = [label]
        for name in names:
            outcomes = seen.get((label, name), [])
            before = _median(seen[DISTURBANCES[0][0], name], 0.99)
            late = _median(outcomes, 0.99) - before
            if outcomes and name != "nginx":
                added.append(late)
            shares = (0.5, 0.99, None, 1.0)
            cells += [number(late if share is None else _median(outcomes, share)) for share in shares]
        rows.append(cells)
    verdict = "met" if max(added) <= LIMIT_MS else "**not met**"
    return "\n\n".join(
        [
            f"`python bench/run.py --fairness`: {taken_on}",
            f"{WATCHED} streams have an event every {PACE_MS} ms. The figures are the transit times of these events "
            f"while one other client sends bodies or reads a stream as fast as it can; medians of {ROUNDS} rounds. "
            "The other client runs on the core of the measuring client and the upstreams. "
            f"The figures of {names[-1]} show the effect of that alone.",
            table(head, rows),
            f"Goal: at most {LIMIT_MS:g} ms added at p99: {verdict} (highest: {number(max(added))} ms).",
        ]
    )


def _median(outcomes: Sequence[Outcome], share: float) -> float:
    return statistics.median(one.transit(share) for one in outcomes) if outcomes else float("nan")

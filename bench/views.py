"""Measure what the views of the dashboard cost with a long journal and many upstreams."""

import argparse
import asyncio
import http.client
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import books
import processes
from results import machine, number, table
from stage import Daemon, Stage, Upstream, settings

LINES = 2_000_000
UPSTREAMS = 500
REPEATS = 20
GOAL_MS = 50
SPARE = "no request contains this"


async def measured(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = machine()
    daemon = await started(stage, await stage.upstream(), LINES)
    data = daemon.data
    rows = [_row(name, view) for name, view in (await asyncio.to_thread(costs, daemon)).items()]
    idle = await _idle(daemon)
    daemon.stop()
    size = sum(file.stat().st_size for file in (data / "usage").iterdir()) / 2**20
    text = (
        f"CPU time of the daemon, mean of {REPEATS} answers; {LINES:,} lines of journal ({size:,.0f} MB), "
        f"{UPSTREAMS} upstreams. "
        f"The goal is {GOAL_MS} ms for each. While no page is open: {number(idle)} ms of CPU time per second."
    )
    head = ["View", "CPU, ms", "answer, KB", "requests found", "met"]
    return "\n\n".join([f"`python bench/run.py --views`: {taken_on}", text, table(head, rows)])


@dataclass(frozen=True, slots=True)
class View:
    cpu_ms: float
    kilobytes: float
    found: int | None
    """requests, if it shows some"""


async def started(stage: Stage, upstream: Upstream, lines: int) -> Daemon:
    data = stage.folder / "views"
    await asyncio.to_thread(books.write_journal, data, lines, upstreams=UPSTREAMS - 2)
    await asyncio.to_thread(books.add_up, data)
    return await stage.switchyard(settings(upstream, upstreams=UPSTREAMS), data)


def costs(daemon: Daemon) -> dict[str, View]:
    return {name: _cost(daemon, path) for name, path in _paths(daemon).items()}


def _row(name: str, view: View) -> list[str]:
    found = "" if view.found is None else f"{view.found}"
    is_met = "met" if view.cpu_ms <= GOAL_MS else "**not met**"
    return [name, number(view.cpu_ms), number(view.kilobytes), found, is_met]


def _paths(daemon: Daemon) -> dict[str, str]:
    today = date.today()
    week, month = (f"from={today - timedelta(days=days)}" for days in (6, 29))
    middle = _get(daemon, "/api/journal?until=" + str((today - timedelta(days=180)).strftime("%s")))
    return {
        "newest requests": "/api/journal",
        "requests of half a year ago": f"/api/journal?start={quote(middle['next'])}",
        "time range of half a year ago": f"/api/journal?until={middle['reached']}",
        "one upstream, rare, one step": "/api/journal?upstream=upstream%201",
        "one outcome, everywhere": "/api/journal?outcome=ok",
        "search without a hit, one step": f"/api/journal?text={quote(SPARE)}",
        "one of the middle": f"/api/requests/none?place={quote(middle['next'])}",
        "conversations, 7 days": f"/api/conversations?{week}",
        "conversations, 30 days": f"/api/conversations?{month}",
        "numbers of all upstreams": "/api/upstream-numbers",
        "report on the upstreams": "/api/upstream-report",
        "overview": "/api/state",
        "week": "/api/week",
    }


def _cost(daemon: Daemon, path: str) -> View:
    _get(daemon, path)
    before = processes.cpu_seconds(daemon.pids())
    for _ in range(REPEATS):
        found = _get(daemon, path)
    cost = (processes.cpu_seconds(daemon.pids()) - before) * 1000 / REPEATS
    print(f"view {path[:60]:60} {cost:.3g} ms", flush=True)
    requests = len(found["requests"]) if "requests" in found else None
    return View(cost, len(json.dumps(found)) / 1024, requests)


def _get(daemon: Daemon, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    connection.request("GET", path)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


async def _idle(daemon: Daemon) -> float:
    await asyncio.sleep(1)
    before = processes.cpu_seconds(daemon.pids())
    await asyncio.sleep(10)
    return (processes.cpu_seconds(daemon.pids()) - before) * 100

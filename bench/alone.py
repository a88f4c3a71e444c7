"""Measure what no peer has: pauses, the start, large settings, the views, memory after abuse."""

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass

import large_settings
import life
import pause
import processes
import views
from goals import ALONE, reaches, verdict
from results import machine, number, table
from stage import HERE, Stage, Upstream, settings


@dataclass(frozen=True, slots=True)
class Plan:
    pause_seconds: float
    host_idle_seconds: float
    """after which half of the hosts close a connection"""
    starts: int
    journal_lines: int
    abuse_seconds: float
    rest_seconds: float
    """after the abuse, until memory is measured"""


FULL = Plan(
    pause.PAUSE_SECONDS,
    pause.HOST_IDLE_SECONDS,
    starts=5,
    journal_lines=500_000,
    abuse_seconds=60,
    rest_seconds=40,
)
QUICK = Plan(24, 18, starts=2, journal_lines=20_000, abuse_seconds=8, rest_seconds=2)


async def measured(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = machine()
    plan = QUICK if options.quick else FULL
    before = processes.machine_seconds_of_children()
    async with pause.conversations(stage, plan.host_idle_seconds) as paused:
        # nothing of this concerns the connections, so the pause costs no time of its own
        found = await _during_the_pause(stage, await stage.upstream(), plan)
        await paused.over(plan.pause_seconds)
        figures = await paused.figures()
    others = processes.machine_seconds_of_children().others_since(before)
    found["pause_open"] = figures.later_ms
    found["pause_new"] = figures.sooner_round_trips
    found["connections"] = figures.connections_per_hour
    text = (
        f"The pause is {plan.pause_seconds:g} s, at {pause.ROUND_TRIP_SECONDS * 1000:g} ms of round trip and with TLS; "
        f"medians of {pause.HOSTS} conversations. Half of the hosts close connections after "
        f"{plan.host_idle_seconds:g} s without a request. The views are those of a journal of "
        f"{plan.journal_lines:,} lines and {views.UPSTREAMS} upstreams. The abuse is that of `bench/soak.py`, "
        f"for {plan.abuse_seconds:g} s. Other programs used {others:.0%} of the machine."
    )
    given = " --quick" if options.quick else ""
    rows = [_row(name, found[name], others) for name in ALONE]
    return "\n\n".join(
        [
            f"`python bench/run.py{given}`: {taken_on}",
            text,
            table(["Row", "Switchyard", "Goal", "Met"], rows),
            pause.shown(figures),
        ]
    )


async def _during_the_pause(stage: Stage, upstream: Upstream, plan: Plan) -> dict[str, float]:
    abuse = asyncio.create_task(_abuse(stage, plan))
    # CPU times, which the abuse does not change
    costs = await large_settings.costs()
    daemon = await views.started(stage, upstream, plan.journal_lines)
    shown = await asyncio.to_thread(views.costs, daemon)
    daemon.stop()
    data = await life.year(stage)
    most, rest = await abuse
    document = settings(upstream, upstreams=life.UPSTREAMS)
    return {
        "overview_step": costs.overview_step_ms,
        "patterns": costs.patterns_ms,
        "view": max(view.cpu_ms for view in shown.values()),
        "abuse_most": most,
        "abuse_rest": rest,
        "start": await life.start_seconds(stage, document, data, plan.starts),
    }


async def _abuse(stage: Stage, plan: Plan) -> tuple[float, float]:
    """The highest memory, and that afterwards, in MB."""
    memory = stage.folder / "memory.json"
    command = [sys.executable, str(HERE / "soak.py"), "--abuse", "--seconds", f"{plan.abuse_seconds:g}"]
    command += ["--rest", f"{plan.rest_seconds:g}", "--memory", str(memory), "--seed", "1"]
    process = stage.start(command, on_load_core=True)
    print(f"abuse: {plan.abuse_seconds:g} s", flush=True)
    while process.poll() is None:
        await asyncio.sleep(0.2)
    if not memory.exists():
        raise SystemExit(f"the soak failed:\n{stage.output()}")
    found = json.loads(memory.read_text())
    return float(found["most"]), float(found["rest"])


def _row(name: str, value: float, others: float) -> list[str]:
    goal = ALONE[name]
    is_met = reaches(goal.sign, value, goal.limit)
    met = verdict(is_met=is_met, needs_quiet=goal.needs_quiet, others_share=others)
    return [f"{goal.label}, {goal.unit}", number(value), f"{goal.sign} {goal.limit:g}", met]

"""Write the figures to RESULTS.md: a run replaces the sections that it has measured."""

import math
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import peers
from goals import GOALS, NGINX, Judgement, judge, verdict
from rounds import ROWS, Rounds
from stage import ROOT, nginx_program

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
TITLE = "# Results"
RUN = ", run "
SIDE_BY_SIDE, ALONE = "Side by side", "Switchyard alone"
SECTIONS = (SIDE_BY_SIDE, ALONE, "Growth", "Fairness", "Views", "Life")
PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "httpx", "msgspec")


def save(section: str, text: str, run: int = 1) -> None:
    """Replace one section of the file and keep the others; the first run also replaces those that followed it."""
    found = _sections(RESULTS.read_text() if RESULTS.exists() else "")
    if run == 1:
        found = {name: kept for name, kept in found.items() if name.partition(RUN)[0] != section}
    found[section if run == 1 else f"{section}{RUN}{run}"] = text.strip()
    named = [name for known in SECTIONS for name in sorted(found) if name.partition(RUN)[0] == known]
    parts = [TITLE, *(f"## {name}\n\n{found[name]}" for name in named)]
    RESULTS.write_text("\n\n".join(parts) + "\n")


def _sections(text: str) -> dict[str, str]:
    parts = text.split("\n## ")[1:]
    return {name: body.strip() for name, _, body in (part.partition("\n") for part in parts)}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = "|".join(["---"] + ["---:"] * (len(head) - 1))
    lines = [" | ".join(cells) for cells in (head, *rows)]
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def number(value: float) -> str:
    """Three digits, rounded for reading."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 1000:
        return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.0f}"
    return f"{value:.3g}"


def machine() -> str:
    """The machine and the versions, without the host name."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    facts = [
        f"{_cpu()}, {os.cpu_count()} cores, {_memory()} GB",
        f"{platform.system()} {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
        *versions,
        *(_nginx() if name == "nginx" else name for name in peers.installed()),
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}, commit {_commit()}, load before {load}. {', '.join(fact for fact in facts if fact)}."


def side_by_side(rounds: Rounds, taken_on: str, options: str) -> str:
    names = [target.name for target in rounds.targets]
    judged = [judge(goal, rounds, names) for goal in GOALS]
    base = NGINX if NGINX in names else ""
    head = ["Row", *names, "Goal", "Met"]
    rows = [_row(row, rounds, names, base, judged) for row in ROWS]
    met = sum(one.is_met for one in judged)
    notes = [
        f"`python bench/run.py{options}`: {taken_on}",
        f"The medians of all rounds ({rounds.rounds}), {rounds.seconds:.1f} s per step; the slow streams are "
        f"{rounds.plan.slow_streams:,}, measured once."
        + (" In parentheses: the ratio to nginx." if base else ""),
        _cores(rounds),
        table(head, rows),
        f"{met} of {len(judged)} goals met." + _errors(rounds),
        f"Other programs used {statistics.mean(rounds.others):.0%} of the machine during the steps that count. "
        "A step with much other load is repeated while there is time.",
    ]
    return "\n\n".join(notes)


def _cores(rounds: Rounds) -> str:
    place = (
        "Each program runs on the first core, the load and the upstream on the last core."
        if rounds.stage.is_pinned
        else "No program is pinned to a core."
    )
    return (
        f"{place} Switchyard runs with 20 upstreams, 30 rules (one of them renames the model of the passthrough "
        "route), prices, sessions, statistics and journal; the converting route has a Chat upstream and a "
        "Messages client."
    )


def _row(row: str, rounds: Rounds, names: Sequence[str], base: str, judged: Sequence[Judgement]) -> list[str]:
    unit = ROWS[row].unit
    cells = [_cell(row, rounds, name, base) for name in names]
    mine = [one for one in judged if one.goal.row == row]
    goals = "<br>".join(str(one) + _which(one) for one in mine)
    met = "<br>".join(_verdict(one, rounds) for one in mine)
    return [f"{ROWS[row].label}{', ' + unit if unit else ''}", *cells, goals, met]


def _verdict(judgement: Judgement, rounds: Rounds) -> str:
    word = verdict(
        is_met=judgement.is_met,
        needs_quiet=judgement.goal.needs_quiet,
        others_share=statistics.mean(rounds.others),
    )
    return ", ".join([word, *(f"{number(ratio)}x" for ratio in judgement.ratios)])


def _which(judgement: Judgement) -> str:
    return " (converting)" if "converting" in judgement.goal.target else ""


def _cell(row: str, rounds: Rounds, name: str, base: str) -> str:
    value = rounds.median(row, name)
    ratio = rounds.ratio(row, name, base) if base and name != base else math.nan
    shown = number(value)
    return shown if math.isnan(ratio) or shown == "-" else f"{shown} ({number(ratio)}x)"


def _errors(rounds: Rounds) -> str:
    return "".join(f" Errors of {name}: {count}." for name, count in rounds.errors.items())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3)


def _commit() -> str:
    return _output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) or "unknown"


def _nginx() -> str:
    program = nginx_program()
    shown = _output([str(program), "-v"]) if program else ""
    return shown.removeprefix("nginx version: ").replace("/", " ")


def _output(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return (ran.stdout or ran.stderr).strip() if ran.returncode == 0 else ""

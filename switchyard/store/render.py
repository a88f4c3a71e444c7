"""Render the statistics as text: a table for the terminal, CSV, JSON, Prometheus metrics, a status line."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from switchyard.plural import plural
from switchyard.store.cell import NANOS, Cell, Day, most_first
from switchyard.store.counts import COUNTS
from switchyard.store.stats import Statistics
from switchyard.store.token_stats import token_stats

BAR_WIDTH = 28
FULL, EIGHTHS = "█", " ▏▎▍▌▋▊▉"
NAME_WIDTH = 34
MAX_ROWS = 20

COLUMNS: tuple[tuple[str, Callable[[Cell], str]], ...] = (
    ("requests", lambda cell: count(cell.requests)),
    ("errors", lambda cell: count(cell.errors)),
    ("fresh in", lambda cell: count(cell.input)),
    ("cache read", lambda cell: count(cell.cache_read)),
    ("cache write", lambda cell: count(cell.cache_write)),
    ("output", lambda cell: count(cell.output)),
    ("total", lambda cell: count(cell.total)),
    ("cost", lambda cell: cost(cell)),
)


def table(statistics: Statistics, days: int = 30, by: str = "") -> str:
    """The output of `stats`: today, 7 and `days` days; a bar for each day; by model, upstream and client, or
    one other complete grouping."""
    today = statistics.today()
    spans = [("today", 1), ("7 days", 7), (f"{days} days", days)]
    seen: dict[str, Day] = {name: statistics.span(_first(today, length), today) for name, length in spans}
    longest = seen[spans[-1][0]]
    groups = {"model": longest.models, "upstream": longest.upstreams, "client": longest.clients}
    parts = [
        _rows("", [(name, day.all) for name, day in seen.items()]),
        _bars(statistics, today, days),
        *(_rows(name, most_first(cells)[:MAX_ROWS], len(cells)) for name, cells in groups.items() if not by),
        _rows(by, list(statistics.cells(by, _first(today, days), today).items())) if by else "",
    ]
    return "\n\n".join(part for part in parts if part) + _footnotes(longest.all) + "\n"


def csv_text(statistics: Statistics, start: str = "", end: str = "", by: str = "day") -> str:
    """The rows of one grouping. Raises ValueError like `token_stats`."""
    return csv_of(token_stats(statistics, start, end, by))


def csv_of(answer: dict[str, Any]) -> str:
    """The rows of an answer of `token_stats`."""
    rows = answer["rows"]
    output = io.StringIO()
    names = ["key", *(name for name in (rows[0] if rows else {}) if name not in ("key", "by_model"))]
    writer = csv.DictWriter(output, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "key": harmless(row["key"])} for row in rows)
    return output.getvalue()


def json_text(statistics: Statistics, start: str = "", end: str = "", by: str = "") -> str:
    """The response of the API. Raises ValueError like `token_stats`."""
    return msgspec.json.format(msgspec.json.encode(token_stats(statistics, start, end, by))).decode() + "\n"


def statusline(statistics: Statistics, state: str) -> str:
    """One line for a status bar: the upstream that answers or the held requests, today's tokens and cost."""
    today = statistics.day(statistics.today()).all
    return f"{_printable(state) or 'no upstream'} | {count(today.total)} tokens | {cost(today)}"


def held_gauge(count: int) -> str:
    """The requests held now, in the Prometheus text format."""
    name = "switchyard_held_requests"
    return (
        f"# HELP {name} Requests held now because every upstream is failing.\n"
        f"# TYPE {name} gauge\n{name} {count}\n"
    )


def prometheus(statistics: Statistics) -> str:
    """The sums since the last reset, as counters in the Prometheus text format."""
    ever = statistics.ever()
    lines: list[str] = []
    for name, help_text, samples in METRICS:
        lines += (f"# HELP switchyard_{name} {help_text}", f"# TYPE switchyard_{name} counter")
        for dimension, cells in (("upstream", ever.upstreams), ("model", ever.models)):
            if dimension == "model" and name in OF_UPSTREAMS:
                continue
            for key, cell in sorted(cells.items()):
                for labels, value in samples(cell):
                    label = f'by="{dimension}",name="{_escaped(key)}"{labels}'
                    lines.append(f"switchyard_{name}{{{label}}} {value}")
    return "\n".join(lines) + "\n"


Samples = Callable[[Cell], Iterator[tuple[str, str]]]


def _tokens(cell: Cell) -> Iterator[tuple[str, str]]:
    kinds = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
    return ((f',kind="{kind}"', str(getattr(cell, kind))) for kind in kinds)


def _one(field: str, divisor: int = 1) -> Samples:
    def samples(cell: Cell) -> Iterator[tuple[str, str]]:
        value = getattr(cell, field)
        yield "", str(value if divisor == 1 else value / divisor)

    return samples


METRICS: tuple[tuple[str, str, Samples], ...] = (
    *((f"{one.name}_total", one.meaning, _one(one.name)) for one in COUNTS),
    ("failed_attempts_total", "Attempts at an upstream that failed, of requests.", _one("failed_attempts")),
    ("tokens_total", "Tokens in disjoint kinds; reasoning is part of output.", _tokens),
    ("cost_dollars_total", "Cost, as far as prices are known.", _one("cost", NANOS)),
    ("first_byte_seconds_total", "Seconds until the first content, added up.", _one("first_byte_ms", 1000)),
    ("duration_seconds_total", "Seconds of requests, added up.", _one("duration_ms", 1000)),
    ("held_seconds_total", "Seconds for which requests were held, added up.", _one("held_ms", 1000)),
)


OF_UPSTREAMS = frozenset({"failed_attempts_total"})
"""sums that are not counted by model"""


# --- numbers ------------------------------------------------------------------


def count(number: int) -> str:
    """A number in four or five characters."""
    if number < 10_000:
        return str(number)
    for size, sign in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        # 999,950 would otherwise be shown as 1000.0k
        if number >= size * 0.99995:
            return f"{number / size:.1f}{sign}"
    return str(number)


def cost(cell: Cell) -> str:
    """The cost of a cell; unpriced requests are marked, not counted as free."""
    dollars = cell.dollars
    if dollars is None:
        return "unpriced" if cell.unpriced else "-"
    shown = f"${dollars:.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.4f}"
    return shown + ("*" if cell.unpriced else "")


# --- tables -------------------------------------------------------------------


def _rows(title: str, named: Sequence[tuple[str, Cell]], of: int = 0) -> str:
    if not named:
        return ""
    heads = [title, *(name for name, _ in COLUMNS)]
    rows = [[short_name(name), *(show(cell) for _, show in COLUMNS)] for name, cell in named]
    widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
    lines = [
        "  ".join(
            text.rjust(width) if index else text.ljust(width) for index, (text, width) in enumerate(pairs)
        )
        for pairs in (list(zip(row, widths, strict=True)) for row in [heads, *rows])
    ]
    left = of - len(named)
    return "\n".join(line.rstrip() for line in lines) + (f"\n... and {left} more" if left > 0 else "")


def _bars(statistics: Statistics, today: str, days: int) -> str:
    totals = [(day, statistics.day(day).all) for day in _span_of_days(today, days)]
    largest = max(cell.total for _, cell in totals)
    if not largest:
        return ""
    lines = [
        f"{day} {_weekday(day)}  {count(cell.total):>7}  {_bar(cell.total / largest)}".rstrip()
        for day, cell in totals
    ]
    first = next(index for index, (_, cell) in enumerate(totals) if cell.total)
    return "tokens by day\n" + "\n".join(lines[first:])


def _bar(share: float) -> str:
    eighths = round(share * BAR_WIDTH * 8)
    if share and not eighths:
        eighths = 1
    return (FULL * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _footnotes(cell: Cell) -> str:
    notes = []
    ends = [f"{number} {word}" for word in OF_THE_REQUESTS if (number := getattr(cell, word))]
    if ends:
        notes.append(f"Of the requests: {', '.join(ends)}.")
    if cell.dollars is not None and cell.unpriced:
        notes.append(f"* Not in the sum: {plural(cell.unpriced, 'request')} without a known price.")
    if cell.estimated:
        notes.append(
            f"Estimated tokens in {plural(cell.estimated, 'request')}: the upstream did not report all of them."
        )
    apart = [_side_jobs(cell, name, noun) for name, noun in SIDE_JOBS if getattr(cell, name)]
    if apart:
        notes.append("Not counted as requests, but in tokens and cost: " + ", ".join(apart) + ".")
    return "\n\n" + "\n".join(notes) if notes else ""


OF_THE_REQUESTS = ("cancelled", "truncated", "held", "local")
SIDE_JOBS = (("activations", "activation"), ("tests", "connection test"), ("replays", "replay"))


def _side_jobs(cell: Cell, name: str, noun: str) -> str:
    failed = getattr(cell, f"failed_{name}")
    return plural(getattr(cell, name), noun) + (f" ({failed} failed)" if failed else "")


def _first(today: str, days: int) -> str:
    return (date.fromisoformat(today) - timedelta(days=days - 1)).isoformat()


def _span_of_days(today: str, days: int) -> list[str]:
    last = date.fromisoformat(today)
    return [(last - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]


def _weekday(day: str) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[date.fromisoformat(day).weekday()]


def short_name(name: str) -> str:
    name = _printable(name)
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 3] + "..."


def _printable(text: str) -> str:
    # control characters in a client's model name must not reach a terminal, nor break a line
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def harmless(key: str) -> str:
    """A spreadsheet takes a cell with such a start for a formula; clients choose model names."""
    return f"'{key}" if key.startswith(("=", "+", "-", "@", "\t", "\r")) else key


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

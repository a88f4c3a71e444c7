"""Write the requests that filters find as CSV or as lines of JSON, newest first."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line, LineUsage
from switchyard.store.journal_pages import Filters, Found, Place, read_page
from switchyard.store.render import harmless

PAGE_LINES = 1000

COLUMNS = (
    *("time", "id", "kind", "client", "agent", "client_protocol", "session", "thread", "project", "rule"),
    *("model", "sent", "upstream", "key", "outcome", "status", "attempts", "first_byte", "duration", "held"),
    *("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "estimated", "cost"),
    *("local", "error"),
)


def export(journal: Journal, filters: Filters, kind: str) -> Iterator[bytes]:
    """`kind` is "csv" or "jsonl". Each step takes as much of the processor as a page, and may yield b""."""
    if kind == "csv":
        yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))])
    place: Place | None = None
    while True:
        page = read_page(journal, filters, place, PAGE_LINES)
        yield _csv([_row(one.line) for one in page.found]) if kind == "csv" else _json_lines(page.found)
        place = page.next
        if place is None:
            return


def _json_lines(found: list[Found]) -> bytes:
    return b"".join(one.raw + b"\n" for one in found)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    output = io.StringIO()
    csv.DictWriter(output, COLUMNS, lineterminator="\n").writerows(rows)
    return output.getvalue().encode("utf-8", "replace")


def _row(line: Line) -> dict[str, Any]:
    usage = line.usage or LineUsage()
    known = {name: getattr(line, name) for name in COLUMNS if name in Line.__struct_fields__}
    tokens = {name: getattr(usage, name) for name in COLUMNS if name in LineUsage.__struct_fields__}
    row = (
        known
        | tokens
        | {
            "time": datetime.fromtimestamp(line.at).astimezone().isoformat(timespec="milliseconds"),
            "attempts": len(line.attempts),
            "error": line.error.message if line.error is not None else "",
        }
    )
    return {name: harmless(value) if isinstance(value, str) else value for name, value in row.items()}

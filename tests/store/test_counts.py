import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.store.cell import Cell
from switchyard.store.cell_view import counts
from switchyard.store.counts import COUNTS, counts_of
from switchyard.store.journal_line import Line, LineAttempt, LineUsage

ROOT = Path(__file__).resolve().parents[2]
SPENT = LineUsage(input=10, output=5)


def a_line(**fields: Any) -> Line:
    usual: dict[str, Any] = {"v": 1, "at": 0.0, "day": "2026-11-21", "outcome": "ok"}
    return Line(**(usual | fields))


LINES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"requests"}),
    ({"outcome": "failed"}, {"requests", "errors"}),
    ({"outcome": "cancelled"}, {"requests", "cancelled"}),
    ({"outcome": "truncated", "usage": SPENT}, {"requests", "truncated", "unpriced"}),
    ({"outcome": "failed", "held": 2.5}, {"requests", "errors", "held"}),
    ({"held": 0.5, "usage": SPENT, "cost": 0.1}, {"requests", "held", "priced"}),
    ({"usage": SPENT, "cost": 0.0}, {"requests", "priced"}),
    ({"usage": LineUsage(input=1, estimated=True)}, {"requests", "estimated", "unpriced"}),
    ({"usage": LineUsage()}, {"requests"}),
    ({"usage": SPENT, "local": True}, {"requests", "local"}),
    ({"usage": SPENT, "local": True, "cost": 0.2}, {"requests", "priced"}),
    ({"kind": "test"}, {"tests"}),
    ({"kind": "test", "outcome": "failed"}, {"tests", "failed_tests"}),
    ({"kind": "test", "outcome": "truncated"}, {"tests", "failed_tests"}),
    ({"kind": "test", "outcome": "cancelled", "usage": SPENT, "held": 1.0}, {"tests"}),
    ({"kind": "test", "usage": LineUsage(input=1, estimated=True)}, {"tests"}),
    ({"kind": "activation", "usage": SPENT}, {"activations"}),
    ({"kind": "activation", "outcome": "failed"}, {"activations", "failed_activations"}),
    ({"kind": "replay", "usage": SPENT, "cost": 0.1}, {"replays"}),
    ({"kind": "replay", "outcome": "failed"}, {"replays", "failed_replays"}),
    ({"kind": "of a later version"}, {"requests"}),
]


@pytest.mark.parametrize(("fields", "expected"), LINES)
def test_each_line_is_in_the_counts_whose_definition_it_meets(
    fields: dict[str, Any], expected: set[str]
) -> None:
    assert set(counts_of(a_line(**fields))) == expected


@pytest.mark.parametrize("kind", ["test", "activation", "replay"])
def test_what_switchyard_sends_itself_adds_tokens_and_cost_but_nothing_to_the_numbers_of_requests(
    kind: str,
) -> None:
    cell = Cell()
    attempts = [LineAttempt("a", failed="status")]
    cell.add(
        a_line(kind=kind, outcome="failed", duration=9.0, first_byte=8.0, held=7.0, usage=SPENT, cost=0.25)
    )
    cell.add(a_line(kind=kind, outcome="ok", usage=SPENT, attempts=attempts))
    expected: dict[str, Any] = {f"{kind}s": 2, f"failed_{kind}s": 1, "input": 20, "output": 10}
    assert cell == Cell(**expected, cost=250_000_000)
    assert cell.dollars == 0.25


def test_only_requests_are_counted_as_unpriced() -> None:
    cell = Cell()
    for kind in ("test", "activation", "replay", "request"):
        cell.add(a_line(kind=kind, usage=SPENT))
    assert (cell.unpriced, cell.priced, cell.dollars) == (1, 0, None)


def test_the_dashboard_has_the_same_definitions() -> None:
    english, chinese = (
        json.loads((ROOT / "static" / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
        for language in ("en", "zh")
    )
    assert {key: text for key, text in english.items() if key.startswith("count.")} == {
        f"count.{count.name}": count.meaning for count in COUNTS
    }
    assert all(chinese[f"count.{count.name}"] for count in COUNTS)


def test_the_page_on_statistics_has_the_same_definitions() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| `{count.name}` | {count.meaning} |" for count in COUNTS)
    assert rows in page


def test_all_counts_are_in_the_answers_of_the_api() -> None:
    assert list(counts(Cell())) == [count.name for count in COUNTS]

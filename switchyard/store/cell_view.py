"""Show cells with the keys of the API and of the legacy format."""

from collections.abc import Callable
from typing import Any

from switchyard.store.cell import Cell, Cells, most_first, percentile
from switchyard.store.counts import COUNTS


def shown(cell: Cell) -> dict[str, Any]:
    """A cell in the form of the API: first the keys of the legacy format, then the others."""
    counted = sum(cell.first_byte.values())
    return {
        **brief(cell),
        "fresh_input_tokens": cell.input,
        "cache_creation_5m_tokens": cell.cache_write_5m,
        "cache_creation_1h_tokens": cell.cache_write_1h,
        "reasoning_tokens": cell.reasoning,
        **counts(cell),
        "failed_attempts": cell.failed_attempts,
        "first_byte_ms": round(cell.first_byte_ms / counted) if counted else None,
        "first_byte_p50_ms": percentile(cell.first_byte, 0.5),
        "first_byte_p95_ms": percentile(cell.first_byte, 0.95),
        "duration_ms": round(cell.duration_ms / cell.timed) if cell.timed else None,
        "held_ms": round(cell.held_ms / cell.held) if cell.held else None,
        "tokens_per_second": round(cell.stream_tokens * 1000 / cell.stream_ms, 1) if cell.stream_ms else None,
        "cost": cell.dollars,
    }


def counts(cell: Cell) -> dict[str, int]:
    return {count.name: getattr(cell, count.name) for count in COUNTS}


def brief(cell: Cell) -> dict[str, int]:
    """A cell with the keys of the legacy format. `input_tokens` excludes cached ones, as Anthropic counts."""
    return {
        "input_tokens": cell.input,
        "output_tokens": cell.output,
        "cache_creation_tokens": cell.cache_write,
        "cache_read_tokens": cell.cache_read,
        "requests": cell.requests,
        "total_tokens": cell.total,
    }


def summary(cell: Cell) -> dict[str, Any]:
    """All sums with the keys of the legacy format, followed by the others."""
    return {
        "total_input_tokens": cell.input,
        "total_output_tokens": cell.output,
        "total_cache_creation_tokens": cell.cache_write,
        "total_cache_read_tokens": cell.cache_read,
        "total_tokens": cell.total,
        "total_requests": cell.requests,
        **{name: value for name, value in shown(cell).items() if name not in brief(cell)},
    }


def shown_by(cells: Cells, show: Callable[[Cell], dict[str, Any]]) -> dict[str, Any]:
    """Most tokens first."""
    return {key: show(cell) for key, cell in most_first(cells)}


def shown_cost(cell: Cell) -> dict[str, Any]:
    return {"total": cell.dollars, "priced": cell.priced, "unpriced": cell.unpriced}

"""The queries about the past: requests of the journal, conversations and projects, numbers of the upstreams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from switchyard.settings import Budget
from switchyard.store.cell import NANOS, Cell, Cells, Talk, percentile
from switchyard.store.conversations import Conversations, conversations
from switchyard.store.journal_export import export
from switchyard.store.journal_pages import Filters, Found, Page, Place, place_from, read_page
from switchyard.store.local_time import is_day
from switchyard.store.upstream_numbers import upstream_numbers
from switchyard.web.answers import Handler, Json, Problem, answer
from switchyard.web.overview import Daemon, Overview
from switchyard.web.request_view import line_row

MAX_LINES = 500
LINES = 100
TEXTS = ("text", "upstream", "protocol", "client", "model", "outcome", "session", "project")
EXPORTS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


class HistoryApi:
    """The handlers of these GET paths."""

    def __init__(self, daemon: Daemon, overview: Overview) -> None:
        self._daemon = daemon
        self._overview = overview

    def table(self) -> dict[str, Handler]:
        return {
            "/api/journal": self.journal,
            "/api/journal.csv": self.csv,
            "/api/journal.jsonl": self.jsonl,
            "/api/conversations": self.conversations,
            "/api/upstream-numbers": self.upstream_numbers,
        }

    async def journal(self, request: Request) -> Response:
        query = request.query_params
        filters, start = _filters(query), _place(query.get("start", ""))
        limit = int(_number(query, "limit", LINES, MAX_LINES))
        page = await asyncio.to_thread(read_page, self._daemon.ledger.journal, filters, start, limit)
        return answer(_page_view(page))

    async def csv(self, request: Request) -> Response:
        return self._export(request, "csv")

    async def jsonl(self, request: Request) -> Response:
        return self._export(request, "jsonl")

    def _export(self, request: Request, kind: str) -> Response:
        filters = _filters(request.query_params)
        headers = {
            "content-disposition": f'attachment; filename="requests.{kind}"',
            "cache-control": "no-store",
        }
        if request.method == "HEAD":
            return Response(media_type=EXPORTS[kind], headers=headers)
        parts = export(self._daemon.ledger.journal, filters, kind)

        async def in_steps() -> AsyncIterator[bytes]:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                if part:
                    yield part

        return StreamingResponse(in_steps(), media_type=EXPORTS[kind], headers=headers)

    async def conversations(self, request: Request) -> Response:
        query = request.query_params
        start, end = (_day(query, name) for name in ("from", "to"))
        found = conversations(self._daemon.ledger.statistics, start, end, query.get("project", ""))
        return answer(_conversations_view(found))

    async def upstream_numbers(self, request: Request) -> Response:
        statistics, settings = self._daemon.ledger.statistics, self._daemon.current()
        today = statistics.today()
        numbers = upstream_numbers(statistics, today, self._overview.now().wall.hour)
        spent_today, spent_month = statistics.spent(today), statistics.spent(today[:7])
        none = Cell()
        return answer(
            {
                "budget": _budget(settings.budget, sum(spent_today.values()), sum(spent_month.values())),
                "upstreams": [
                    {
                        "name": one.name,
                        "hours": numbers_view(numbers.hours.get(one.name, none)),
                        "days": numbers_view(numbers.days.get(one.name, none)),
                        "cost_by_day": _costs(numbers.daily.get(one.name, {})),
                        "budget": one.budget
                        and _budget(one.budget, spent_today.get(one.name, 0), spent_month.get(one.name, 0)),
                    }
                    for one in settings.upstreams
                ],
            }
        )


def _filters(query: QueryParams) -> Filters:
    since, until = (_number(query, name) if query.get(name) else None for name in ("since", "until"))
    return Filters(since, until, **{name: query.get(name, "") for name in TEXTS})


def _number(query: QueryParams, name: str, default: float = 0, most: float = 1e11) -> float:
    """Raises Problem."""
    try:
        number = float(query.get(name, default))
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise Problem(400, f"`{name}` must be a number from 0 to {most:.0f}.", name)
    return number


def _place(text: str) -> Place | None:
    """Raises Problem."""
    try:
        return place_from(text) if text else None
    except ValueError as error:
        raise Problem(400, f"{error}.", "start") from None


def _day(query: QueryParams, name: str) -> str:
    """Raises Problem."""
    day = query.get(name, "")
    if day and not is_day(day):
        raise Problem(400, f"`{name}` must be a date such as 2026-11-21.", name)
    return day


def _page_view(page: Page) -> Json:
    return {
        "requests": [_found_view(one) for one in page.found],
        "next": page.next and str(page.next),
        "reached": page.reached,
    }


def _found_view(found: Found) -> Json:
    return {**line_row(found.line), "place": str(found.place)}


def _conversations_view(found: Conversations) -> Json:
    return {
        "conversations": [
            {"session": one.session, **_talk_view(one.talk), **numbers_view(one.cell)}
            for one in found.conversations
        ],
        "projects": [
            {
                "project": one.project,
                "conversations": one.conversations,
                **_talk_view(one.talk),
                **numbers_view(one.cell),
            }
            for one in found.projects
        ],
        "count": found.count,
        "project_count": found.project_count,
    }


def _talk_view(talk: Talk) -> Json:
    return {
        "began": talk.began,
        "ended": talk.ended,
        "project": talk.project,
        "agent": talk.agent,
        "model": talk.model,
        "by_upstream": dict(sorted(talk.upstreams.items(), key=lambda entry: (-entry[1], entry[0]))),
    }


def numbers_view(cell: Cell) -> Json:
    """`ok` are complete answers; `success` is their share of these and the failed attempts."""
    ok = cell.requests - cell.errors - cell.cancelled - cell.truncated
    read = cell.input + cell.cache_read + cell.cache_write
    return {
        "requests": cell.requests,
        "errors": cell.errors,
        "ok": ok,
        "failed_attempts": cell.failed_attempts,
        "success": _share(ok, ok + cell.failed_attempts),
        "first_token_p50_ms": percentile(cell.first_token, 0.5),
        "first_token_p95_ms": percentile(cell.first_token, 0.95),
        "tokens_per_second": round(cell.stream_tokens * 1000 / cell.stream_ms, 1) if cell.stream_ms else None,
        "input": cell.input,
        "cache_read": cell.cache_read,
        "cache_write": cell.cache_write,
        "output": cell.output,
        "cache_share": _share(cell.cache_read, read),
        "seconds": cell.duration_ms / 1000,
        "cost": cell.dollars,
        "unpriced": cell.unpriced,
        "local": cell.local,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _costs(cells: Cells) -> dict[str, float]:
    return {day: cell.cost / NANOS for day, cell in cells.items()}


def _budget(budget: Budget, today: int, month: int) -> dict[str, Any] | None:
    """None if it limits nothing."""
    periods = {
        "day": {"spent": today / NANOS, "soft": budget.day_soft, "hard": budget.day_hard},
        "month": {"spent": month / NANOS, "soft": budget.month_soft, "hard": budget.month_hard},
    }
    limited = {name: one for name, one in periods.items() if one["soft"] or one["hard"]}
    return limited or None

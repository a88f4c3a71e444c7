"""The query API: everything that the dashboard reads."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.facts import stated_facts
from switchyard.protocols.presets import VENDORS, is_local_server
from switchyard.relay import keychain
from switchyard.relay.proxies import proxy_text
from switchyard.relay.redaction import MASK
from switchyard.routing.moments import moment_at
from switchyard.routing.route import Ask
from switchyard.routing.verdict import RETURNED
from switchyard.routing.week import plan
from switchyard.settings import (
    ERROR_KINDS,
    WEEKDAYS,
    Budget,
    Failover,
    Notify,
    ServerKind,
    Settings,
    Upstream,
)
from switchyard.store.journal_line import Line
from switchyard.store.journal_pages import Filters, line_at, place_from, read_page
from switchyard.store.render import csv_of
from switchyard.store.token_stats import later_token_stats
from switchyard.timeouts import SEARCH_SECONDS, Timeouts
from switchyard.unknown_fields import without_unknown
from switchyard.web.answers import Handler, Problem, answer, client_of, endpoint_of
from switchyard.web.captured_view import capture_state
from switchyard.web.live import LiveEvents, TooManyReaders
from switchyard.web.overview import Daemon, Overview
from switchyard.web.request_view import exchange_detail, exchange_row, line_detail
from switchyard.web.settings_view import entry_view, key_id, notify_view, vendor_view

WEEK_DAYS = 7
SETTINGS = (
    "model_rules",
    "routes",
    "failover",
    "timeouts",
    "prices",
    "budget",
    "allowed_hosts",
    "allowed_origins",
    "max_body_megabytes",
    "warm_connections",
)
DEFAULTS: dict[str, Any] = {
    "upstream": msgspec.to_builtins(Upstream(name="", base_url="")),
    "failover": {
        **msgspec.to_builtins(Failover()),
        "total_seconds": SEARCH_SECONDS,
        "on_status": {**{str(status): "return" for status in sorted(RETURNED)}, "default": "switch"},
        "on_error": dict.fromkeys(ERROR_KINDS, "switch"),
    },
    "timeouts": msgspec.to_builtins(Timeouts()),
    "budget": msgspec.to_builtins(Budget()),
    "notify": msgspec.to_builtins(Notify()),
}
"""the effect of a field that is not set"""


def examined_hosts(settings: Settings) -> dict[str, str]:
    """The upstreams that someone else runs, each with its address: entries of one address vouch for nothing."""
    return {
        one.name: urlsplit(one.base_url).netloc.rpartition("@")[2]
        for one in settings.upstreams
        if not one.is_demo and not is_local_server(one.server, one.base_url)
    }


class QueryApi:
    """The handlers of GET paths."""

    def __init__(self, daemon: Daemon, overview: Overview, live: LiveEvents) -> None:
        self._daemon = daemon
        self._overview = overview
        self._live = live

    async def state(self, request: Request) -> Response:
        return answer(await self._overview.state())

    async def configs(self, request: Request) -> Response:
        settings_file = self._daemon.settings_file
        document, settings = settings_file.document, settings_file.settings
        shown = without_unknown(Settings, document, lambda _: MASK)
        entries = zip(document.get("upstreams", []), settings.upstreams, strict=True)
        return answer(
            {
                "revision": settings_file.revision,
                "legacy": settings_file.is_legacy,
                "upstreams": [entry_view(entry, upstream) for entry, upstream in entries],
                "client_keys": [
                    {"id": key_id(key), "label": label} for key, label in settings.client_keys.items()
                ],
                **{name: shown[name] for name in SETTINGS if name in shown},
                "notify": notify_view(settings.notify),
                "keyring": await asyncio.to_thread(keychain.is_usable),
                "defaults": DEFAULTS,
                "servers": get_args(ServerKind),
                "vendors": [vendor_view(vendor) for vendor in VENDORS],
                "efforts": EFFORTS,
            }
        )

    async def week(self, request: Request) -> Response:
        client, model, now = client_of(request), request.query_params.get("model", ""), self._overview.now()
        model = model or self._overview.last_requested(client)
        spans = plan(self._daemon.current(), Ask(client, model), now, WEEK_DAYS)
        today = now.wall.weekday()
        return answer(
            {
                "start": now.wall.date().isoformat(),
                "days": [WEEKDAYS[(today + day) % 7] for day in range(WEEK_DAYS)],
                "now": now.wall.hour * 60 + now.wall.minute,
                "client": client,
                "model": model,
                "rows": [
                    {
                        "upstream": upstream.name,
                        "role": upstream.role,
                        "spans": [
                            {"from": span.start, "to": span.end, "place": span.place}
                            for span in spans.get(upstream.name, ())
                        ],
                    }
                    for upstream in self._daemon.current().upstreams
                    if upstream.name in spans
                ],
            }
        )

    async def explain(self, request: Request) -> Response:
        query = request.query_params
        at = query.get("at", "").strip()
        try:
            moment = moment_at(at, self._overview.now()) if at else None
        except ValueError as error:
            raise Problem(400, f"{error}", "at") from None
        try:
            facts = stated_facts(query)
        except msgspec.ValidationError as error:
            raise Problem(400, f"{error}") from None
        model, session = query.get("model", ""), query.get("session", "")
        endpoint = endpoint_of(request)
        client = "chat" if endpoint else client_of(request)
        route = self._overview.route(client, model, session, moment, facts, endpoint)
        for one in route["candidates"]:
            upstream = self._daemon.current().upstream(one["upstream"])
            one["proxy"] = "" if upstream is None else proxy_text(upstream)
        return answer(route)

    async def requests(self, request: Request) -> Response:
        return answer(
            {
                "requests": [exchange_row(one) for one in self._daemon.recent.last()],
                "capture": capture_state(self._daemon.relay),
            }
        )

    async def one_request(self, request: Request) -> Response:
        id, place = request.path_params["id"], request.query_params.get("place", "")
        exchange = self._daemon.recent.find(id)
        if exchange is None:
            return answer(line_detail(await self._line_of(id, place)))
        tape = self._daemon.relay.find(exchange.id)
        captured = None if tape is None else {"request": tape.has_body, "sent": len(tape.requests)}
        return answer({**exchange_detail(exchange), "captured": captured})

    async def _line_of(self, id: str, place: str) -> Line:
        """The request in the journal: at its place, else among the newest ones. Raises Problem."""
        journal = self._daemon.ledger.journal
        try:
            line = await asyncio.to_thread(line_at, journal, place_from(place)) if place else None
        except ValueError as error:
            raise Problem(400, f"{error}.", "place") from None
        if line is None or line.id != id:
            newest = await asyncio.to_thread(read_page, journal, Filters(id=id), None, 1)
            line = newest.found[0].line if newest.found else None
        if line is None:
            raise Problem(
                404, "This request is not among the newest ones. Search for its id on the page Requests."
            )
        return line

    async def upstream_report(self, request: Request) -> Response:
        hosts = examined_hosts(self._daemon.current())
        return answer({"reports": await self._daemon.ledger.evidence.report(hosts)})

    def table(self) -> dict[str, Handler]:
        return {
            "/api/state": self.state,
            "/api/configs": self.configs,
            "/api/week": self.week,
            "/api/explain": self.explain,
            "/api/requests": self.requests,
            "/api/requests/{id}": self.one_request,
            "/api/upstream-report": self.upstream_report,
            "/api/events": self.events,
            "/api/token-stats": self.token_stats,
            "/api/token-stats.csv": self.token_stats_csv,
        }

    async def events(self, request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        events = self._live.follow(request.headers.get("last-event-id", ""))
        try:
            first = await anext(events)
        except TooManyReaders:
            raise Problem(429, "Too many pages of the dashboard are open.") from None

        async def all_of_them() -> AsyncIterator[bytes]:
            yield first
            async for event in events:
                yield event

        return StreamingResponse(all_of_them(), media_type="text/event-stream", headers=headers)

    async def token_stats(self, request: Request) -> Response:
        query = request.query_params
        statistics = self._daemon.ledger.statistics
        try:
            later = later_token_stats(
                statistics, query.get("from", ""), query.get("to", ""), query.get("by", "")
            )
        except ValueError as error:
            raise Problem(400, f"{error}") from None
        return answer(await asyncio.to_thread(later))

    async def token_stats_csv(self, request: Request) -> Response:
        query = request.query_params
        start, end, by = query.get("from", ""), query.get("to", ""), query.get("by") or "day"
        try:
            later = later_token_stats(self._daemon.ledger.statistics, start, end, by)
        except ValueError as error:
            raise Problem(400, f"{error}") from None
        text = await asyncio.to_thread(lambda: csv_of(later()))
        name = "-".join(part for part in ("tokens", by, start, end) if part) + ".csv"
        return Response(
            text, media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
        )

"""The dashboard's pages and JSON API: the handler of each path. docs/api.md describes them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from switchyard.relay.clocks import steady_seconds
from switchyard.web.actions_api import ActionsApi
from switchyard.web.answers import answer, answering
from switchyard.web.asgi import Receive, Scope, Send
from switchyard.web.captures import Captures
from switchyard.web.client_setup import ClientSetup
from switchyard.web.epochs import Epochs
from switchyard.web.history_api import HistoryApi
from switchyard.web.live import LiveEvents
from switchyard.web.outdated import answer_outdated
from switchyard.web.overview import Daemon, Overview
from switchyard.web.plain import Plain
from switchyard.web.query_api import QueryApi
from switchyard.web.rule_matches import RuleMatches
from switchyard.web.settings_api import SettingsApi

STATUS_WORDS = {
    404: "There is nothing at this address; the dashboard is at /.",
    405: "This address needs another method.",
}


class Admin:
    """The ASGI application for all requests except those of clients."""

    def __init__(self, daemon: Daemon, static: Path, pages_have_changed: Callable[[], bool]) -> None:
        overview = Overview(daemon, Epochs(steady_seconds).now)
        self._live = LiveEvents(overview, daemon.recent)
        queries = QueryApi(daemon, overview, self._live)
        writing = SettingsApi(daemon.settings_file)
        captures = Captures(daemon)
        clients = ClientSetup(daemon.client_files, daemon.current, daemon.settings_file)
        get_handlers = (
            Plain(daemon, overview).table()
            | queries.table()
            | HistoryApi(daemon, overview).table()
            | writing.reading_table()
            | clients.reading_table()
            | captures.reading_table()
        )
        post_handlers = (
            writing.table()
            | ActionsApi(daemon).table()
            | RuleMatches(daemon).table()
            | clients.table()
            | captures.table()
        )
        self.routes: list[BaseRoute] = [
            *(Route(path, answering(handler), methods=["GET"]) for path, handler in get_handlers.items()),
            *(Route(path, answering(handler), methods=["POST"]) for path, handler in post_handlers.items()),
            Mount("/", _Pages(static, pages_have_changed)),
        ]
        self._app = Starlette(routes=self.routes, exception_handlers={HTTPException: _http_error})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def close(self) -> None:
        """End the live events, which would otherwise delay the daemon's end."""
        self._live.close()


class _Pages(StaticFiles):
    """The files of the pages, as long as they are those of the start."""

    def __init__(self, folder: Path, have_changed: Callable[[], bool]) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self._have_changed = have_changed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await asyncio.to_thread(self._have_changed):
            await answer_outdated(scope, send)
        else:
            await super().__call__(scope, receive, send)

    def file_response(self, *given: Any, **named: Any) -> Response:
        """Browsers ask each time whether it is still the same: after an update, a kept one would not fit."""
        response = super().file_response(*given, **named)
        response.headers["cache-control"] = "no-cache"
        return response


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # the static files accept any path, and check the method before the file exists
    is_file = isinstance(request.scope.get("endpoint"), StaticFiles)
    status = 404 if is_file and error.status_code == 405 else error.status_code
    return answer({"error": {"message": STATUS_WORDS.get(status, error.detail)}}, status)

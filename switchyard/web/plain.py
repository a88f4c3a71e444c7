"""Tell numbers as plain text: to Prometheus, and to the status lines of Claude Code and tmux."""

from starlette.requests import Request
from starlette.responses import Response

from switchyard.protocols.names import PROTOCOLS
from switchyard.store.render import prometheus, statusline
from switchyard.web.answers import Handler, Problem
from switchyard.web.overview import Daemon, Overview

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Plain:
    """The handlers of GET paths that answer text."""

    def __init__(self, daemon: Daemon, overview: Overview) -> None:
        self._daemon = daemon
        self._overview = overview

    def table(self) -> dict[str, Handler]:
        return {"/metrics": self.metrics, "/statusline": self.statusline}

    async def metrics(self, request: Request) -> Response:
        return Response(prometheus(self._daemon.ledger.statistics), media_type=PROMETHEUS)

    async def statusline(self, request: Request) -> Response:
        """Who would answer the client now, of Claude Code unless `?client=` says another; tokens and cost."""
        client = request.query_params.get("client", "messages")
        if client not in PROTOCOLS:
            raise Problem(400, "`client` must be one of " + ", ".join(PROTOCOLS) + ".", "client")
        candidates = self._overview.route(client)["candidates"]
        active = candidates[0]["upstream"] if candidates else ""
        return Response(statusline(self._daemon.ledger.statistics, active) + "\n", media_type="text/plain")

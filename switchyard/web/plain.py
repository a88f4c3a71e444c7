"""Numbers as plain text: for Prometheus, and for the status lines of Claude Code and tmux."""

from starlette.requests import Request
from starlette.responses import Response

from switchyard.protocols.names import ProtocolName, account_name
from switchyard.store.render import held_gauge, prometheus, short_name, statusline
from switchyard.web.answers import Handler, client_of
from switchyard.web.overview import Daemon, Overview

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Plain:
    """The handlers of GET paths that return text."""

    def __init__(self, daemon: Daemon, overview: Overview) -> None:
        self._daemon = daemon
        self._overview = overview

    def table(self) -> dict[str, Handler]:
        return {"/metrics": self.metrics, "/statusline": self.statusline}

    async def metrics(self, request: Request) -> Response:
        text = held_gauge(self._overview.held.count()) + prometheus(self._daemon.ledger.statistics)
        return Response(text, media_type=PROMETHEUS)

    async def statusline(self, request: Request) -> Response:
        """The upstream that would answer the client (default: Claude Code), or what is held; tokens and cost."""
        client = client_of(request)
        state = self._overview.held.phrase(client) or self._answering(client)
        return Response(statusline(self._daemon.ledger.statistics, state) + "\n", media_type="text/plain")

    def _answering(self, client: ProtocolName) -> str:
        route = self._overview.route(client)
        if route["candidates"]:
            first = route["candidates"][0]
            used = ", used now" if first["used"] else ""
            account = account_name(first["upstream"], first["key"]) if first["key"] else first["upstream"]
            return short_name(first["upstream"]) + used + self._quota(account)
        return f"{short_name(route['held_for'][0]['upstream'])}, cooling down" if route["held_for"] else ""

    def _quota(self, account: str) -> str:
        """The window of this account that is used most, and when it may be used up."""
        now = self._overview.now()
        quotas = self._daemon.dependencies.quotas.of(account, now.monotonic)
        if not quotas:
            return ""
        fullest = quotas[0]
        ends = "" if fullest.full_at is None else f", full at {now.clock_at(fullest.full_at)}"
        return f", {fullest.window} {fullest.used:.0%}{ends}"

"""The actions API: everything that the dashboard can do besides changing the settings file."""

import asyncio
import time
from typing import Any, get_args

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from switchyard.protocols.names import CLIENTS, PROTOCOLS
from switchyard.relay.capture import NowhereSink
from switchyard.relay.connection_test import Report, check_connection
from switchyard.relay.hold import Hold
from switchyard.relay.local_keys import without_local_keys
from switchyard.relay.model_names import NoList, fetch_model_names
from switchyard.relay.redaction import masked_url
from switchyard.relay.simulate import Mode
from switchyard.relay.values import ClientRequest
from switchyard.routing.suggestions import suggest_mapping
from switchyard.routing.uses import Use
from switchyard.settings import Upstream, accounts_of
from switchyard.web.answers import Handler, Json, Problem, answer, optional_text_of, read_object, text_of
from switchyard.web.drafts import draft_of
from switchyard.web.overview import Daemon
from switchyard.web.routing_view import uses_view

MODES: tuple[str, ...] = get_args(Mode)
MAX_SIMULATION_MINUTES = 24 * 60
MAX_USE_SECONDS = 366 * 86400
ROUNDING = 0.05
"""seconds; a timer may fire slightly before its time"""


class ActionsApi:
    """The handlers of POST paths that act at once."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._replays: set[asyncio.Task[Any]] = set()

    def table(self) -> dict[str, Handler]:
        return {
            "/api/upstreams/test": self.test,
            "/api/upstreams/models": self.models,
            "/api/upstreams/activate": self.activate,
            "/api/upstreams/clear": self.clear,
            "/api/use": self.use,
            "/api/held/try": self.try_held,
            "/api/held/give-up": self.give_up_held,
            "/api/calls/decide": self.decide_call,
            "/api/notify/test": self.test_notification,
            "/api/simulate": self.simulate,
            "/api/requests/replay": self.replay,
            "/api/token-stats/reset": self.reset_statistics,
        }

    async def test(self, request: Request) -> Response:
        body = await read_object(request)
        any_protocol = body.get("any_protocol", False)
        if not isinstance(any_protocol, bool):
            raise Problem(400, "`any_protocol` must be true or false.", "any_protocol")
        report = await check_connection(
            self._daemon.dependencies,
            self._meant(body),
            text_of(body, "model", ""),
            any_protocol=any_protocol,
        )
        return answer(_report_view(report))

    async def models(self, request: Request) -> Response:
        upstream = self._meant(await read_object(request))
        try:
            names = await fetch_model_names(self._daemon.dependencies, upstream)
        except NoList as refused:
            raise Problem(502, f"Switchyard got no list of models: {refused}.") from None
        return answer({"models": names, "suggested": suggest_mapping(names)})

    def _meant(self, body: Json) -> Upstream:
        """The entry that was sent, or the saved one that was named. Raises Problem, SettingsError."""
        if body.get("entry") is None:
            return self._named(text_of(body, "name"))
        draft = draft_of(self._daemon.settings_file.document, body)
        return draft.upstream(any_name=self._daemon.has_admin_token)

    async def activate(self, request: Request) -> Response:
        upstream = self._named(text_of(await read_object(request), "name"))
        exchange = await self._daemon.activate(upstream.name)
        if exchange.failure is not None:
            raise Problem(502, f'"{upstream.name}" did not answer: {exchange.failure.message}')
        return answer({"ok": True, "detail": f"{exchange.status or 200}, {exchange.duration or 0:.1f} s"})

    async def clear(self, request: Request) -> Response:
        name = optional_text_of(await read_object(request), "name")
        accounts = None if name is None else self._accounts(name)
        self._daemon.health.clear(accounts)
        self._daemon.missing.forget(accounts)
        self._hold.hasten(accounts)
        return answer({"ok": True})

    async def use(self, request: Request) -> Response:
        body = await read_object(request)
        client, name = optional_text_of(body, "client"), optional_text_of(body, "upstream")
        if client is not None and client not in CLIENTS:
            raise Problem(400, "`client` must be one of " + ", ".join(CLIENTS) + ", or null.", "client")
        clients = PROTOCOLS if client is None else (CLIENTS[client],)
        if name is None:
            await self._daemon.use(None, clients)
        else:
            upstream = self._usable(name, client and CLIENTS[client])
            use = Use(upstream.name, _until(body.get("seconds")))
            await self._daemon.use(use, [one for one in clients if one in upstream.clients])
        return answer({"uses": uses_view(self._daemon.uses())})

    def _usable(self, name: str, client: str | None) -> Upstream:
        """The upstream, if it may answer these clients."""
        upstream = self._named(name)
        if not upstream.enabled:
            raise Problem(409, f'"{name}" is disabled; enable it first.', "upstream")
        if client is not None and client not in upstream.clients:
            raise Problem(409, f'"{name}" does not serve {client} clients.', "client")
        return upstream

    async def try_held(self, request: Request) -> Response:
        name = optional_text_of(await read_object(request), "upstream")
        self._hold.hasten(None if name is None else self._accounts(self._named(name).name))
        return answer({"ok": True})

    async def give_up_held(self, request: Request) -> Response:
        id = optional_text_of(await read_object(request), "id")
        count = self._hold.give_up(id)
        if id is not None and not count:
            raise Problem(404, "This request is not held any more.", "id")
        return answer({"given_up": count})

    async def decide_call(self, request: Request) -> Response:
        body = await read_object(request)
        release = body.get("release")
        if not isinstance(release, bool):
            raise Problem(400, "`release` must be true or false.", "release")
        if not self._daemon.dependencies.decisions.decide(text_of(body, "id"), release=release):
            raise Problem(404, "This call does not wait any more.", "id")
        return answer({"ok": True})

    async def test_notification(self, request: Request) -> Response:
        await read_object(request)
        fault = await self._daemon.test_notification()
        return answer({"ok": not fault, "detail": fault})

    async def simulate(self, request: Request) -> Response:
        body = await read_object(request)
        names, mode, minutes = self._simulated(body), body.get("mode"), body.get("minutes", 5)
        if mode is not None and mode not in MODES:
            raise Problem(400, "`mode` must be one of " + ", ".join(MODES) + ", or null.", "mode")
        if not isinstance(minutes, int | float) or not 0 <= minutes <= MAX_SIMULATION_MINUTES:
            raise Problem(400, f"`minutes` must be a number from 0 to {MAX_SIMULATION_MINUTES}.", "minutes")
        for name in names:
            self._daemon.wire.simulate(name, mode, minutes * 60)
            self._daemon.health.forget_simulated(self._accounts(name))
        if mode is None:
            self._hold.hasten([account for name in names for account in self._accounts(name)])
        else:
            asyncio.get_running_loop().call_later(minutes * 60 + ROUNDING, self._forget_simulated, names)
        return answer({"ok": True})

    def _simulated(self, body: Json) -> tuple[str, ...]:
        """The upstreams to simulate: one, or all with null."""
        match body.get("upstream", ""):
            case None:
                return tuple(upstream.name for upstream in self._daemon.current().upstreams)
            case str(name) if name:
                return (self._named(name).name,)
        raise Problem(400, "`upstream` must be a string, or null for all upstreams.", "upstream")

    def _forget_simulated(self, names: tuple[str, ...]) -> None:
        """Drop the effects of a simulation that has ended by itself."""
        for name in names:
            if self._daemon.wire.seconds_left(name) is None:
                self._daemon.health.forget_simulated(self._accounts(name))

    def _accounts(self, name: str) -> tuple[str, ...]:
        """The accounts of an upstream; a single one may be named itself."""
        return accounts_of(self._daemon.current(), name) or (name,)

    async def replay(self, request: Request) -> Response:
        body = await read_object(request)
        upstream = self._named(text_of(body, "upstream"))
        tape = self._daemon.relay.find(text_of(body, "id"))
        if tape is None or not tape.has_body:
            raise Problem(404, "The body of this request was not captured.")
        if not upstream.enabled:
            raise Problem(409, f'"{upstream.name}" is disabled; enable it first.', "upstream")
        return answer({"id": await self._send_again(tape.request, upstream)})

    async def _send_again(self, request: ClientRequest, upstream: Upstream) -> str:
        """Send the request to this upstream; returns its id as soon as it has one."""
        model = request.summary.model.rpartition(",")[2]  # without a prefix that selects an upstream
        summary = replace(request.summary, model=f"{upstream.name},{model}", session="")
        request = without_local_keys(request, self._daemon.current().client_keys)
        again = replace(request, summary=summary, kind="replay")
        known: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        unlisten = self._daemon.recent.listen(
            lambda exchange: (
                known.set_result(exchange.id) if exchange.kind == "replay" and not known.done() else None
            )
        )
        task = asyncio.create_task(self._daemon.relay.answer(again, NowhereSink()))
        self._replays.add(task)
        task.add_done_callback(self._replays.discard)
        try:
            return await known
        finally:
            unlisten()

    async def reset_statistics(self, request: Request) -> Response:
        await read_object(request)
        copy = await self._daemon.ledger.roll_up.reset()
        if copy is None:
            raise Problem(507, self._daemon.ledger.fault)
        return answer({"copy": copy.name})

    @property
    def _hold(self) -> Hold:
        return self._daemon.dependencies.hold

    def _named(self, name: str) -> Upstream:
        upstream = self._daemon.current().upstream(name)
        if upstream is None:
            raise Problem(404, f'There is no upstream "{name}" any more.')
        return upstream


def _until(seconds: object) -> float | None:
    """The end of a use that lasts so long from now on."""
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds <= MAX_USE_SECONDS
    ):
        raise Problem(400, f"`seconds` must be a number up to {MAX_USE_SECONDS}, or null.", "seconds")
    return time.time() + seconds


def _report_view(report: Report) -> Json:
    return {
        "ok": report.ok,
        "url": masked_url(report.url),
        "working_url": masked_url(report.working_url) or None,
        "working_protocol": report.working_protocol,
        "answer_form": report.answer_form,
        "model": report.model,
        "answer": report.answer,
        "latency_ms": round(report.seconds * 1000),
        "steps": [
            {"step": step.name, "ok": step.ok, "ms": round(step.seconds * 1000), "detail": step.detail}
            for step in report.steps
        ],
    }

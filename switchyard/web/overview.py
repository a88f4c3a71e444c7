"""What the dashboard gets of the daemon, and the overview: upstreams that answer now, running requests."""

import asyncio
import math
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from switchyard import VERSION
from switchyard.exchange import Exchange
from switchyard.protocols.facts import USUAL_CLIENTS, Facts
from switchyard.protocols.names import PROTOCOLS, PassedEndpoint, ProtocolName
from switchyard.relay.account_balances import AccountBalance
from switchyard.relay.activation import ActivationState
from switchyard.relay.capture import CapturingRelay
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.simulate import SimulatingWire, Simulation
from switchyard.routing.health import Health
from switchyard.routing.hold import Probed, held_for
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Moment
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.rules import find_rule
from switchyard.routing.sessions import conversation_of
from switchyard.routing.uses import Use, Uses
from switchyard.settings import CLAUDE_SONNET, Settings, Upstream
from switchyard.store.cell import Cell
from switchyard.store.cell_view import counts
from switchyard.store.ledger import Ledger
from switchyard.store.recent import RecentExchanges
from switchyard.store.settings_file import SettingsFile
from switchyard.web.answers import Json, fault_view
from switchyard.web.captured_view import capture_state
from switchyard.web.client_setup import ClientFiles
from switchyard.web.epochs import Epochs, epoch
from switchyard.web.held import HeldRequests
from switchyard.web.paths import shown_path
from switchyard.web.request_view import exchange_row
from switchyard.web.routing_view import probed_view, route_view, upstream_state, uses_view
from switchyard.web.waiting_calls import WaitingCalls

DEFAULT_MODEL: dict[ProtocolName, str] = {
    "messages": CLAUDE_SONNET,
    "chat": "gpt-5.5",
    "responses": "gpt-5.5",
}
"""the model shown before any request"""
UPSTREAMS_AT_ONCE = 100
CLIENT_PATHS: dict[ProtocolName, str] = {"messages": "api", "chat": "v1", "responses": "openai"}


class Daemon(Protocol):
    """The parts of the daemon that the dashboard reads and controls."""

    folder: Path
    dashboard: str
    has_admin_token: bool
    """every user of the dashboard has sent it"""
    started_at: float
    settings_file: SettingsFile
    ledger: Ledger
    recent: RecentExchanges
    health: Health
    limits: Limits
    missing: MissingModels
    wire: SimulatingWire
    dependencies: Dependencies
    relay: CapturingRelay

    @property
    def client_files(self) -> ClientFiles: ...

    def current(self) -> Settings: ...

    def state(self) -> State: ...

    def uses(self) -> Uses: ...

    async def use(self, use: Use | None, clients: Collection[ProtocolName]) -> None: ...

    def problems(self) -> tuple[str, ...]: ...

    def uptime_seconds(self) -> float: ...

    def notices(self) -> tuple[str, ...]: ...

    async def test_notification(self) -> str: ...

    def balances(self) -> Mapping[str, AccountBalance]: ...

    def activations(self) -> Mapping[str, ActivationState]: ...

    async def activate(self, name: str) -> Exchange: ...


class Overview:
    """Computes the overview on each call."""

    def __init__(self, daemon: Daemon, now: Callable[[], Moment]) -> None:
        self._daemon = daemon
        self.now = now
        self.held = HeldRequests(daemon.dependencies.hold, Epochs(daemon.dependencies.awake))
        decisions = daemon.dependencies.decisions
        self.waiting_calls = WaitingCalls(decisions, Epochs(daemon.dependencies.awake))
        self.boot = secrets.token_hex(4)
        """differs for each run of the daemon"""

    async def state(self) -> Json:
        """Others have their turn in between: with thousands of upstreams it takes long."""
        daemon = self._daemon
        now, routes = self.now(), {}
        for client in PROTOCOLS:
            routes[client] = self.route(client)
            await asyncio.sleep(0)
        upstreams = await self._upstreams(now)
        settings_file = daemon.settings_file
        return {
            "version": VERSION,
            "boot": self.boot,
            "started_at": daemon.started_at,
            "now": now.wall.timestamp(),
            "revision": settings_file.revision,
            "urls": {name: f"{daemon.dashboard}{path}" for name, path in CLIENT_PATHS.items()},
            "file": {
                "path": shown_path(settings_file.path),
                "legacy": settings_file.is_legacy,
                "faults": [fault_view(fault) for fault in settings_file.faults],
                "warnings": list(settings_file.warnings),
            },
            "problems": list(daemon.problems()),
            "notices": list(daemon.notices()),
            "routes": routes,
            "uses": uses_view(daemon.uses()),
            "capture": capture_state(daemon.relay),
            "upstreams": upstreams,
            "held": self.held.rows(),
            "waiting_calls": self.waiting_calls.rows(),
            "running": [exchange_row(exchange) for exchange in daemon.recent.running()],
            "today": self._numbers_of_today(),
        }

    async def _upstreams(self, now: Moment) -> list[Json]:
        daemon = self._daemon
        simulations, activations = daemon.wire.simulations(), daemon.activations()
        balances = daemon.balances()
        found: list[Json] = []
        upstreams = daemon.current().upstreams
        for first in range(0, len(upstreams), UPSTREAMS_AT_ONCE):
            await asyncio.sleep(0)
            found += [
                {
                    **upstream_state(upstream, daemon.health, daemon.limits, daemon.dependencies.quotas, now),
                    "missing": daemon.missing.models_of(upstream.siblings, now.monotonic),
                    "balances": _balances(upstream, balances),
                    "simulation": _simulation(simulations.get(upstream.name), now),
                    "activation": _activation(_telling(upstream, activations)),
                }
                for upstream in upstreams[first : first + UPSTREAMS_AT_ONCE]
            ]
        return found

    def route(
        self,
        client: ProtocolName,
        model: str = "",
        session: str = "",
        now: Moment | None = None,
        facts: Facts | None = None,
        endpoint: PassedEndpoint = "",
    ) -> Json:
        """Which upstreams would answer this model (by default the last one), or what a request would be held for.

        Without given facts it is a plain request of the program after which these clients are named.

        Without a given time it is the current route, with the held requests.
        """
        requested, moment = model or self.last_requested(client), now or self.now()
        settings, home = self._daemon.current(), self._daemon.dependencies.home
        stated = USUAL_CLIENTS[client] if facts is None else facts
        ruled = find_rule(settings.routes, client, requested, stated, moment.wall, home)
        ask = Ask(client, requested, session, may_resort=False, ruled=ruled, endpoint=endpoint)
        route, waits = self._choose(ask, moment)
        targets = [(one.name, one.model) for one in route.candidates + route.rescues]
        targets += [(one.candidate.name, one.candidate.model) for one in route.cooling]
        return {
            **route_view(route, client, requested, settings, moment),
            "rule": "" if ruled is None else ruled.text,
            "held_for": [probed_view(one, moment) for one in waits],
            "held": [] if now else self.held.of_targets(targets),
        }

    def _choose(self, ask: Ask, moment: Moment) -> tuple[Route, tuple[Probed, ...]]:
        """The route of a new request, and what it is held for if all upstreams are cooling down."""
        settings, sessions = self._daemon.current(), self._daemon.dependencies.sessions
        keep_seconds = settings.failover.session_seconds
        conversation = conversation_of(ask.session, ask.model, "", ask.ruled)
        affinity = sessions.affinity_of(conversation, moment.monotonic, keep_seconds)
        route = choose_route(settings, self._daemon.state(), ask, moment, affinity)
        waits = held_for(route, moment.monotonic, settings.failover.hold_seconds)
        if not route.candidates and not waits:
            route = choose_route(
                settings, self._daemon.state(), replace(ask, may_resort=True), moment, affinity
            )
        return route, waits

    def last_requested(self, client: ProtocolName) -> str:
        """The last model that clients of this protocol requested."""
        for exchange in self._daemon.recent.last():
            if exchange.client_protocol == client and exchange.kind == "request" and exchange.requested_model:
                return exchange.requested_model.rpartition(",")[2]
        return DEFAULT_MODEL[client]

    def _numbers_of_today(self) -> Json:
        statistics = self._daemon.ledger.statistics
        day = statistics.today()
        return _today_view(day, statistics.day(day).all)


def _today_view(day: str, cell: Cell) -> Json:
    return {
        "day": day,
        **counts(cell),
        "input": cell.input,
        "cache_read": cell.cache_read,
        "cache_write": cell.cache_write,
        "output": cell.output,
        "reasoning": cell.reasoning,
        "cost": cell.dollars,
    }


def _balances(upstream: Upstream, found: Mapping[str, AccountBalance]) -> list[Json]:
    """The remaining credit of each account that was asked for."""
    return [
        {
            "key": one.key_label,
            "amount": known.balance and round(known.balance.amount, 4),
            "currency": known.balance and known.balance.currency,
            "at": round(known.at),
            "fault": known.fault,
        }
        for one in upstream.accounts
        if (known := found.get(one.account)) is not None
    ]


def _simulation(simulation: Simulation | None, now: Moment) -> Json | None:
    until = epoch(simulation.until, now) if simulation else None
    return {"mode": simulation.mode, "until": round(until)} if simulation and until else None


def _telling(upstream: Upstream, states: Mapping[str, ActivationState]) -> ActivationState | None:
    """Of several keys the one whose activation has failed, else the one that is next."""
    found = [states[name] for name in upstream.siblings if name in states]
    return min(found, key=lambda one: (one.ok is not False, one.next or math.inf), default=None)


def _activation(state: ActivationState | None) -> Json | None:
    if state is None:
        return None
    return {
        "at": state.at,
        "next": state.next,
        "last": state.last,
        "ok": state.ok,
        "detail": state.detail,
    }

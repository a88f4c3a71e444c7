"""Build the parts and connect them: the only module that knows all of them."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from switchyard.exchange import Exchange
from switchyard.installation import PACKAGE, InstalledFiles
from switchyard.logs import log_exchange
from switchyard.notifications.events import Snapshot
from switchyard.notifications.notifier import Notifier
from switchyard.plural import plural
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import ProtocolName
from switchyard.relay.account_balances import AccountBalance, AccountBalances
from switchyard.relay.activation import Activations, ActivationState
from switchyard.relay.capture import CapturingRelay
from switchyard.relay.clocks import local_moment, steady_seconds
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.hold import Hold
from switchyard.relay.local_zone import LOCAL
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.token_count import TokenCounter
from switchyard.relay.upstream import Wire, import_for
from switchyard.relay.urls import request_url
from switchyard.relay.warm import destinations_of
from switchyard.routing.balance import Balance
from switchyard.routing.health import Health, renamed, renamed_entries, same_accounts
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Lineups
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.route import State
from switchyard.routing.sessions import Sessions
from switchyard.routing.uses import Use, Uses
from switchyard.settings import Settings, accounts_of
from switchyard.store.activations import ActivationMemory
from switchyard.store.ledger import Ledger
from switchyard.store.local_time import notice_zone_change
from switchyard.store.recent import RecentExchanges
from switchyard.store.settings_file import SettingsFile
from switchyard.use_now import UseNow
from switchyard.web import health
from switchyard.web.asgi import AsgiApp, Receive, Scope, Send
from switchyard.web.gateway import Gateway
from switchyard.web.guard import Guard
from switchyard.web.outdated import answer_outdated
from switchyard.web.paths import shown_path

if TYPE_CHECKING:
    from switchyard.client_plans import ClientFiles
    from switchyard.web.admin import Admin

log = logging.getLogger("switchyard")

SAVE_AGAIN_SECONDS = 5.0


class Application:
    """The daemon without its socket. `start`, serve `asgi`, `stop`."""

    def __init__(
        self,
        settings_file: SettingsFile,
        folder: Path,
        static: Path,
        *,
        dashboard: str = "http://localhost:5101/",
        own_names: frozenset[str] = frozenset(),
        admin_token: str = "",
        listening: Collection[tuple[str, int]] = (),
    ) -> None:
        self.folder = folder
        self.dashboard = dashboard
        self.has_admin_token = bool(admin_token)
        self.started_at = time.time()
        self.settings_file = settings_file
        self.current: Callable[[], Settings] = partial(attrgetter("settings"), settings_file)
        self.ledger = Ledger(folder, self.current, time.time)
        self.recent = RecentExchanges()
        self.health = Health()
        self.limits = Limits()
        self.lineups = Lineups()
        self.missing = MissingModels()
        self.sessions = Sessions()
        self.balance = Balance(self.sessions)
        self.codecs = CODECS
        self.slots = SlotQueue(self.limits, steady_seconds)
        self.wire = SimulatingWire(
            Wire(lambda scope, receive, send: self._demo(scope, receive, send), listening), steady_seconds
        )
        self.hold = Hold(time.perf_counter)
        self.dependencies = Dependencies(
            settings=self.current,
            state=self.state,
            sessions=self.sessions,
            slots=self.slots,
            codecs=CODECS,
            wire=self.wire,
            opened=self.recent.begun,
            record=self.record,
            now=local_moment,
            hold=self.hold,
            home=str(Path.home()),
        )
        self._state = State(
            self.health,
            self.limits,
            lineups=self.lineups,
            missing=self.missing,
            learned=self.dependencies.learned,
            balance=self.balance,
            quotas=self.dependencies.quotas,
        )
        self.relay = CapturingRelay(self.dependencies)
        self.activation_memory = ActivationMemory(folder, time.time)
        self._use_now = UseNow(folder, time.time)
        self._notifier = Notifier(self.current, self._snapshot, self.wire, steady_seconds, time.time)
        self._balances = AccountBalances(self.dependencies, time.time)
        self._activations = Activations(self.dependencies, self.activation_memory, _local_now)
        self.gateway = Gateway(
            self.relay, TokenCounter(self.dependencies), self.current, self.dependencies.messages
        )
        self._static = static
        self._code, self._pages = InstalledFiles(PACKAGE), InstalledFiles(static)
        self.asgi: AsgiApp = Guard(
            _Endpoints(self.gateway, self._serve_admin),
            self.current,
            self.gateway.owns,
            own_names,
            admin_token,
        )
        self._known = self.current()
        self._listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def import_rest(self) -> None:
        """What requests may need and the start leaves out: an update may replace the files while the daemon runs."""
        import_module("switchyard.demo.app")
        for upstream in self.current().upstreams:
            if upstream.enabled and not upstream.is_demo:
                import_for(request_url(upstream, upstream.model or "model"), upstream.proxy)

    @cached_property
    def _demo(self) -> AsgiApp:
        from switchyard.demo.app import build_demo  # `import_rest` says why here

        return build_demo(self.dashboard, shown_path(self.settings_file.path))

    @cached_property
    def admin(self) -> "Admin":
        from switchyard.web.admin import Admin  # `_serve_admin` says why here

        return Admin(self, self._static, self._pages.have_changed)

    @cached_property
    def client_files(self) -> "ClientFiles":
        from switchyard.client_plans import ClientFiles  # which only the dashboard needs

        return ClientFiles(self.current, self.dashboard.rstrip("/"), os.environ, Path.home())

    async def _serve_admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The dashboard and its framework take a fifth of the start and 4 MB, and are needed when a page is opened.
        They are imported in a thread, so that running answers go on."""
        if scope.get("path") == health.PATH and scope["method"] in health.METHODS:
            await health.answer_health(self.settings_file, self.uptime_seconds(), scope, send)
        elif "admin" in vars(self) or await asyncio.to_thread(self._import_admin):
            await self.admin(scope, receive, send)
        else:
            await answer_outdated(scope, send)

    def _import_admin(self) -> bool:
        """False if an update has replaced the files before or meanwhile."""
        if self._code.have_changed():
            return False
        try:
            import_module("switchyard.web.admin")
            import_module("switchyard.client_plans")
        except Exception:  # of any kind: a file may be read while it is written
            if not self._code.have_changed():
                raise
        return not self._code.have_changed()

    def uptime_seconds(self) -> float:
        return time.time() - self.started_at

    def state(self) -> State:
        spent, uses = self.ledger.budget_state().taken_out, self._use_now.current()
        if spent is not self._state.spent or uses is not self._state.uses:
            self._state = replace(self._state, spent=spent, uses=uses)
        return self._state

    def uses(self) -> Uses:
        """Which upstream the user wants to answer first now."""
        return self._use_now.current()

    async def use(self, use: Use | None, clients: Collection[ProtocolName]) -> None:
        """This upstream answers these clients first from now on, held requests included; None: none in particular."""
        self._use_now.put(use, clients)
        if use is not None:
            accounts = accounts_of(self.current(), use.upstream)
            self.missing.forget(accounts)
            self.hold.use(accounts)
        log.info("use now: %s, clients: %s", f'"{use.upstream}"' if use else "automatic", ", ".join(clients))
        await self._use_now.save()

    async def record(self, exchange: Exchange) -> None:
        """Record the end of an exchange: journal and statistics first, then the listeners."""
        try:
            await self.ledger.record(exchange)
        finally:
            # if a client leaves while a slow disk takes the line, the line is still written
            self.recent.ended(exchange)
            log_exchange(exchange)
            self._notifier.ended(exchange)

    async def activate(self, name: str) -> Exchange:
        """Send one activation request to this upstream now. Raises KeyError for an unknown name."""
        return await self._activations.activate(name)

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files of the data folder, beside the settings."""
        faults = (self.ledger.fault, self.activation_memory.fault, self._use_now.fault)
        return tuple(fault for fault in faults if fault)

    def activations(self) -> dict[str, ActivationState]:
        """By upstream: the next activation and the result of the last one."""
        return self._activations.states()

    def balances(self) -> Mapping[str, AccountBalance]:
        """By account: the remaining credit that the service has reported."""
        return self._balances.states()

    def notices(self) -> tuple[str, ...]:
        """What the user should know: budgets, and notifications that do not arrive."""
        return (*self.ledger.notices(), *self._notifier.notices())

    async def test_notification(self) -> str:
        """Send a test; returns why it did not arrive, or ""."""
        return await self._notifier.test()

    def _snapshot(self) -> Snapshot:
        settings, now = self.current(), steady_seconds()
        return Snapshot(
            accounts={one.account for one in settings.accounts},
            cooling={key: found.reason for key, found in self.health.conditions().items() if found.cooldowns},
            held=len(self.hold.held()),
            budgets=self.ledger.budget_state().reached,
            quotas=self.dependencies.quotas.nearly_full(settings.accounts, now),
        )

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever the settings or their errors have changed."""
        self._listeners.append(listener)

    async def start(self) -> None:
        self.ledger.start()
        self.activation_memory.load()
        self._use_now.load(_enabled(self.current()))
        self.dependencies.answered.update(self._answered_before())
        self._tasks = [
            asyncio.create_task(self._activations.run()),
            asyncio.create_task(self._balances.run()),
            asyncio.create_task(self._notifier.run()),
            asyncio.create_task(self.ledger.run()),
            asyncio.create_task(self.settings_file.watch(self._settings_changed)),
            asyncio.create_task(self._save_again()),
        ]

    async def _save_again(self) -> None:
        """What a full disk has refused is written when there is space, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_AGAIN_SECONDS)
            await self.activation_memory.save_again()
            await self._use_now.save_again()

    def _answered_before(self) -> set[str]:
        """The upstreams that have answered before this start, according to the statistics."""
        cells, settings = self.ledger.statistics.ever().upstreams, self.current()
        demo = {upstream.name for upstream in settings.upstreams if upstream.is_demo}
        known = {name for name, cell in cells.items() if cell.requests > cell.errors + cell.cancelled}
        return demo | {account for name in known for account in accounts_of(settings, name)}

    def _settings_changed(self) -> None:
        for fault in self.settings_file.faults:
            log.error("error in the settings file, the last valid settings stay in use: %s", fault)
        if not self.settings_file.faults:
            log.info("settings loaded: %s", plural(len(self.current().upstreams), "upstream"))
            self._follow_accounts()
            self.hold.edited()
            self.slots.edited()
            if self.wire.ready_count:
                self.wire.keep_only(destinations_of(self.current()))
        self._activations.replan()
        self._balances.replan()
        self._notifier.replan()
        for listener in self._listeners:
            listener()

    def _follow_accounts(self) -> None:
        """The state of an account stays with it when its entry is renamed, and is dropped when it is removed."""
        before, self._known = self._known, self.current()
        names, entries = renamed(before, self._known), renamed_entries(before, self._known)
        self.limits.follow(before, self._known)
        if names:
            # a name that another account has now was that of a removed one
            kept = {one.account for one in before.accounts} - (set(names.values()) - set(names))
            self.health.keep_only(kept)
            self._keep_only(kept)
            self.health.rename(names)
            self.sessions.rename(names)
            self.dependencies.quotas.rename(names)
            for memory in (self.dependencies.learned, self.dependencies.unhelpful):
                _rename(memory, names)
            self.activation_memory.rename(names)
            self._tasks.append(asyncio.create_task(self.activation_memory.save()))
        if self._use_now.follow(entries, _enabled(self._known)):
            self._tasks.append(asyncio.create_task(self._use_now.save()))
        unchanged = (one for one in self._known.upstreams if one == before.upstream(one.name))
        self.missing.keep_only({account.account for one in unchanged for account in one.accounts})
        answered = self.dependencies.answered
        answered |= {new for old, new in names.items() if old in answered}
        kept = {*same_accounts(before, self._known), *names.values()}
        self._keep_only(kept)
        if self.hold.held():
            changed = {one.account for one in self._known.accounts} - kept
            self.health.end_cooldowns(changed, steady_seconds())
            kept |= changed
        self.health.keep_only(kept)

    def _keep_only(self, accounts: set[str]) -> None:
        """The others are removed, or have another key."""
        dependencies = self.dependencies
        self.balance.keep_only(accounts)
        self.hold.keep_only(accounts)
        dependencies.quotas.keep_only(accounts)
        dependencies.answered.intersection_update(accounts)
        for memory in (dependencies.learned, dependencies.unhelpful):
            _keep_only(memory, accounts)

    def leave(self) -> None:
        """Shutdown begins: only running responses are waited for, not the held requests."""
        self.hold.cut_all()
        self.dependencies.decisions.cut_all()
        if "admin" in vars(self):
            self.admin.close()

    async def stop(self) -> None:
        """Everything that must be on disk is written when this returns."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.dependencies.draining.stop()
        await self.activation_memory.save_again()
        await self._use_now.save_again()
        await self.ledger.stop()
        await self.wire.close()


def _enabled(settings: Settings) -> set[str]:
    return {upstream.name for upstream in settings.upstreams if upstream.enabled}


def _local_now() -> datetime:
    notice_zone_change()
    return datetime.fromtimestamp(time.time(), LOCAL)


class _Endpoints:
    """Routes clients to the gateway, everything else to the dashboard and its API."""

    def __init__(self, gateway: Gateway, admin: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._gateway = gateway
        self._admin = admin

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and self._gateway.owns(scope["method"], scope["path"]):
            return self._gateway(scope, receive, send)
        return self._admin(scope, receive, send)


def _rename(memory: dict[tuple[str, str], Any], names: Mapping[str, str]) -> None:
    """What is known of the models of upstreams stays with them."""
    known = {(names.get(name, name), model): found for (name, model), found in memory.items()}
    memory.clear()
    memory.update(known)


def _keep_only(memory: dict[tuple[str, str], Any], kept: Collection[str]) -> None:
    for name, model in tuple(memory):
        if name not in kept:
            del memory[name, model]

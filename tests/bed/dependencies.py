"""The relay's dependencies without a daemon, and the recorded exchanges."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from switchyard.demo.app import build_demo
from switchyard.exchange import Exchange
from switchyard.protocols.codecs import CODECS
from switchyard.relay.clocks import local_moment, steady_seconds
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Wire
from switchyard.routing.balance import Balance
from switchyard.routing.health import Health
from switchyard.routing.limits import Limits
from switchyard.routing.route import State
from switchyard.routing.sessions import Sessions
from switchyard.routing.uses import Uses
from switchyard.settings import Settings, Upstream


@dataclass
class Bed:
    """`settings` and `uses` may be replaced at any time."""

    settings: Settings
    health: Health = field(default_factory=Health)
    limits: Limits = field(default_factory=Limits)
    uses: Uses = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    opened: list[Exchange] = field(default_factory=list)
    recorded: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.balance = Balance(self.sessions)
        self._known = State(self.health, self.limits, balance=self.balance)
        self.dependencies = Dependencies(
            settings=lambda: self.settings,
            state=self._state,
            sessions=self.sessions,
            slots=SlotQueue(self.limits, steady_seconds),
            codecs=CODECS,
            wire=SimulatingWire(Wire(build_demo()), steady_seconds),
            opened=self.opened.append,
            record=self._record,
            now=local_moment,
        )

    def _state(self) -> State:
        return replace(self._known, uses=self.uses)

    def under_way(self, account: str) -> int:
        """The slots that are taken there."""
        return sum(
            self.limits.under_way(one.account_id) for one in self.settings.accounts if one.account == account
        )

    async def _record(self, exchange: Exchange) -> None:
        self.recorded.append(exchange)

    async def close(self) -> None:
        await self.dependencies.wire.close()


def bed_of(*upstreams: Upstream) -> Bed:
    return Bed(Settings(upstreams=upstreams))

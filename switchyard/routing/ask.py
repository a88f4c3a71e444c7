"""What the choice of an upstream is given: the request, and the state of the upstreams beside the settings."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from switchyard.protocols.names import PassedEndpoint, ProtocolName
from switchyard.routing.balance import Balance
from switchyard.routing.fit import NO_NEEDS, Needs
from switchyard.routing.health import Health
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Lineup, Lineups
from switchyard.routing.missing_models import MissingModels
from switchyard.routing.quotas import Quotas
from switchyard.routing.rules import Ruled
from switchyard.routing.uses import NO_USES, Uses, use_of
from switchyard.settings import Settings


class Ask(msgspec.Struct, frozen=True):
    """What routing needs to know of a request. `exchange` distinguishes requests without a session.

    `holds` is the id of the account where the request already has a slot: its limits do not count. Upstreams in
    `tried` are left out. `may_resort` is false after the last resort has been tried, or if the request is held instead.
    The upstream in `probing` may be cooling down. The prompt did not fit into a window of `exceeded` tokens. The
    accounts with an id in `free_soon` count as free: the request waits for their slot. `needs` is measured only as far
    as it matters. `ruled` is the rule that applies. What is for an `endpoint` of its own is not converted.
    """

    protocol: ProtocolName
    model: str
    session: str = ""
    exchange: str = ""
    holds: str = ""
    tried: frozenset[str] = frozenset()
    may_resort: bool = True
    probing: str = ""
    exceeded: int = 0
    free_soon: frozenset[str] = frozenset()
    needs: Needs = NO_NEEDS
    ruled: Ruled | None = None
    endpoint: PassedEndpoint = ""


class State(msgspec.Struct, frozen=True):
    """The state of the upstreams, beside the settings."""

    health: Health = msgspec.field(default_factory=Health)
    limits: Limits = msgspec.field(default_factory=Limits)
    spent: Mapping[str, str] = msgspec.field(default_factory=dict)
    """upstream -> why its budget excludes it"""
    lineups: Lineups = msgspec.field(default_factory=Lineups)
    missing: MissingModels = msgspec.field(default_factory=MissingModels)
    learned: Mapping[tuple[str, str], Mapping[str, Any]] = msgspec.field(default_factory=dict)
    """(upstream, model) -> capabilities that refusals have taught"""
    uses: Uses = NO_USES
    balance: Balance = msgspec.field(default_factory=Balance)
    quotas: Quotas = msgspec.field(default_factory=Quotas)

    def lineup(
        self,
        settings: Settings,
        protocol: ProtocolName,
        model: str,
        wall: datetime,
        ruled: Ruled | None = None,
    ) -> Lineup:
        """Which upstreams may answer, before their health is considered."""
        use = use_of(self.uses, protocol, wall) if self.uses else None
        return self.lineups.get(settings, protocol, model, wall, self.spent, use, ruled)

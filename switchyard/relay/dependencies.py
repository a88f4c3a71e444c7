"""What the relay is built with: settings, memories, the transports, and where an end is recorded."""

import time
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock
from typing import Any

import msgspec

from switchyard.exchange import Exchange
from switchyard.protocols.codec import Codec
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.relay.answer_memory import AnswerMemory
from switchyard.relay.clocks import steady_seconds
from switchyard.relay.decisions import Decisions
from switchyard.relay.draining import Draining
from switchyard.relay.hold import Hold
from switchyard.relay.prefix_memory import PrefixMemory
from switchyard.relay.signatures import CallLedger, SignatureLedger
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.tape import Tape
from switchyard.relay.values import ClientRequest
from switchyard.relay.warm import Renewals
from switchyard.routing.final_errors import FinalErrors
from switchyard.routing.lineup import Moment
from switchyard.routing.projects import Projects
from switchyard.routing.quotas import Quotas
from switchyard.routing.route import State
from switchyard.routing.sessions import Sessions
from switchyard.routing.turns import HoldBudgets
from switchyard.settings import Settings

Learned = dict[tuple[str, str], dict[str, Any]]
"""(upstream, model) -> capabilities learned from refusals: one model may lack what another has"""


Unhelpful = dict[tuple[str, str], dict[tuple[str, str], None]]
"""(upstream, model) -> pairs of a refusal and a change that did not help against it"""


class Dependencies(msgspec.Struct, frozen=True):
    """`settings` and `state` are called for each request: they may change at any time."""

    settings: Callable[[], Settings]
    state: Callable[[], State]
    sessions: Sessions
    slots: SlotQueue
    codecs: Mapping[ProtocolName, Codec]
    wire: SimulatingWire
    opened: Callable[[Exchange], None]
    record: Callable[[Exchange], Awaitable[None]]
    now: Callable[[], Moment]
    monotonic: Callable[[], float] = steady_seconds
    awake: Callable[[], float] = time.perf_counter
    """seconds that do not count while the machine sleeps: a closed lid uses up no time budget"""
    hold: Hold = msgspec.field(default_factory=lambda: Hold(time.perf_counter))
    decisions: Decisions = msgspec.field(default_factory=lambda: Decisions(time.perf_counter))
    budgets: HoldBudgets = msgspec.field(default_factory=HoldBudgets)
    answered: set[str] = msgspec.field(default_factory=set)
    """the upstreams that have answered since their entries were last edited"""
    learned: Learned = msgspec.field(default_factory=dict)
    unhelpful: Unhelpful = msgspec.field(default_factory=dict)
    signatures: SignatureLedger = msgspec.field(default_factory=SignatureLedger)
    answers: AnswerMemory = msgspec.field(default_factory=AnswerMemory)
    calls: CallLedger = msgspec.field(default_factory=CallLedger)
    messages: MessageMemory = msgspec.field(default_factory=lambda: MessageMemory(lock=Lock()))
    final_errors: FinalErrors = msgspec.field(default_factory=FinalErrors)
    prefixes: PrefixMemory = msgspec.field(default_factory=PrefixMemory)
    draining: Draining = msgspec.field(default_factory=Draining)
    projects: Projects = msgspec.field(default_factory=Projects)
    quotas: Quotas = msgspec.field(default_factory=Quotas)
    renewals: Renewals = msgspec.field(default_factory=Renewals)
    tape: Tape | None = None
    """what is captured of this request"""
    home: str = ""
    """what ~ is in the projects of rules"""

    def recalled(self, request: ClientRequest, issuer: str) -> ClientRequest:
        """The request with what it only names, but for what the upstream of this issuer knows itself."""
        return self.answers.recalled(request, issuer, self.monotonic())

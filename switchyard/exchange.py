"""The record of one client request: its attempts and its end."""

from enum import StrEnum
from typing import Literal

import msgspec

from switchyard.protocols.facts import Facts
from switchyard.protocols.names import ProtocolName, account_name
from switchyard.protocols.neutral import Loss, Usage, WireError
from switchyard.suspicion.reasons import Reason


class FailureKind(StrEnum):
    """Where an attempt failed; the first six are keys of `failover.on_error`."""

    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    READ = "read"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    PROTOCOL = "protocol"
    STATUS = "status"
    """The upstream returned an error status, or an error inside a 200."""
    REFUSED_REQUEST = "refused_request"
    """The request is not expressible in this upstream's protocol."""
    NO_KEY = "no_key"
    """The key that the settings name is not available: nothing was sent."""


SUMMARY_CHARS = 200

FailureCause = Literal["", "unknown_host", "tls", "address", "redirect", "final", "withheld", "client_key"]
"""The cause of a failure beyond its kind; all except an unknown host are permanent."""


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed. `error` is what a client may see."""

    kind: FailureKind
    error: WireError
    body: bytes = b""
    content_type: str = ""
    cause: FailureCause = ""
    headers: tuple[tuple[str, str], ...] = ()
    """those of the upstream's answer that a client may see"""

    @property
    def status(self) -> int:
        return self.error.status

    @property
    def message(self) -> str:
        return self.error.message

    @property
    def retry_after(self) -> float | None:
        return self.error.retry_after

    @property
    def summary(self) -> str:
        """One line: the status, if the upstream returned one, and the message."""
        status = f"{self.status} " if self.kind is FailureKind.STATUS else ""
        return f"{status}{self.message}".replace("\n", " ")[:SUMMARY_CHARS]


class Attempt(msgspec.Struct):
    """One attempt at one upstream. Times in seconds since the exchange began."""

    upstream: str
    model: str
    protocol: ProtocolName
    url: str
    why: str
    started: float
    status: int | None = None
    first_byte: float | None = None
    ended: float | None = None
    failure: Failure | None = None
    verdict: str = ""
    body: str = ""
    """what its entry sets and removes in the body"""
    unlikely: str = ""
    """why the upstream probably does not serve the model: then its error says little"""
    answer_protocol: ProtocolName | None = None
    """of its answer, where that is another one"""
    server: str = ""
    """the software that its answer names"""
    key: str = ""
    """which of the keys of its entry was sent, such as "key 2"; "" if it has only one"""

    @property
    def account(self) -> str:
        """What has limits and cooldowns of its own."""
        return account_name(self.upstream, self.key)


class Outcome(StrEnum):
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    TRUNCATED = "truncated"
    """The response broke off after content had reached the client."""
    CANCELLED = "cancelled"
    """The client left."""


class PriceUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The price per million tokens of an exchange, before `multiplier`; `source` names where it comes from.

    `tier` is the service tier that the answer reported, `fees` the money for its calls of hosted tools.
    """

    input: float
    output: float
    cache_read: float
    cache_write_5m: float
    cache_write_1h: float
    multiplier: float = 1.0
    source: str = ""
    tier: str = ""
    fees: float = 0


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the answering upstream stated and delivered, with Switchyard's own numbers beside it.

    `input_reported` are all tokens of the prompt, those from the cache included; None if it reported none.
    `input_before` are those of the conversation's previous request to this upstream, and `cache_expected` the part of
    them that it should have read from its cache: as far as this request begins in the same way, if that was less than
    five minutes ago. The first difference is in the member `changed_in`, in the 2,048 bytes from byte `changed_at` on.
    `added_estimated` is the own estimate of what was added at the end, in four parts: words, numbers, signs, and what
    is not ASCII.
    """

    model: str = ""
    fingerprint: str = ""
    input_reported: int | None = None
    input_estimated: int = 0
    cache_share: float | None = None
    """of the prompt's tokens"""
    input_before: int | None = None
    cache_expected: int | None = None
    changed_in: str = ""
    changed_at: int | None = None
    added_estimated: tuple[int, int, int, int] | None = None
    first_token: float | None = None
    """seconds from the attempt to the first content of a stream"""
    tokens_per_second: float | None = None
    """of the output, from the first content on; of a whole answer from the attempt on"""


CallAction = Literal["passed", "withheld", "waiting", "released", "refused", "expired", "dropped"]
"""What has become of a marked call; the last four after it was waiting for the user."""


class MarkedCall(msgspec.Struct, frozen=True):
    """A tool call that is unknown to the request, or looks like an attack. It has no arguments: they are content."""

    tool: str
    upstream: str
    action: CallAction
    is_unknown: bool = False
    reasons: tuple[Reason, ...] = ()


class Exchange(msgspec.Struct):
    """The record of one request, filled in during its lifecycle. `at` is wall-clock time, seconds since the epoch."""

    id: str
    at: float
    client_protocol: ProtocolName
    requested_model: str
    client: str = ""
    client_agent: str = ""
    session: str = ""
    thread: str = ""
    """the sub-agent that sent it; "" for the conversation itself"""
    project: str = ""
    """the client's working directory, or that of its session"""
    rule: str = ""
    """the name or the number of the rule that decided"""
    facts: Facts | None = None
    """all that rules may name, from its end on: to try rules on past requests"""
    stream: bool = False
    kind: str = "request"
    """request, activation or test"""
    skipped: tuple[tuple[str, str], ...] = ()
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    outcome: Outcome = Outcome.RUNNING
    status: int = 0
    first_byte: float | None = None
    """seconds until the first content byte reached the client"""
    duration: float | None = None
    usage: Usage | None = None
    losses: tuple[Loss, ...] = ()
    marked_calls: list[MarkedCall] = msgspec.field(default_factory=list)
    failure: WireError | None = None
    held: float = 0.0
    """how long it was held because every upstream was failing"""
    is_held: bool = False
    """it is held now"""
    cost: float | None = None
    """None: unpriced"""
    price: PriceUsed | None = None
    local: bool = False
    """answered by a local server or the demo model, which have no price"""
    answered: Answered | None = None

    @property
    def answered_by(self) -> Attempt | None:
        """The attempt whose response the client received."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.failure is None else None


class ActivationResult(msgspec.Struct, frozen=True):
    """The result of one activation; `at` in seconds since the epoch, `status` 0 if nothing was returned."""

    at: float
    ok: bool
    status: int = 0
    detail: str = ""


class Activated(msgspec.Struct, frozen=True):
    """The stored state of the activations of one upstream.

    Days are local days of the plan, such as "2026-11-21"; times are seconds since the epoch.
    """

    day: str = ""
    """the last day with a successful activation"""
    succeeded_at: float = 0.0
    tried_day: str = ""
    tries: int = 0
    """on `tried_day`"""
    tried_at: float = 0.0
    at: str = ""
    """the configured time from which `minutes` was advanced"""
    minutes: int | None = None
    """the advanced time of day, in minutes since midnight"""
    last: ActivationResult | None = None

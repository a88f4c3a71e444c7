"""The settings file as frozen values.

`FIELDS` in settings_descriptions.py describes each field for users.
"""

from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from switchyard.protocols.names import PROTOCOLS, ProtocolName, account_name, matches, specificity
from switchyard.protocols.neutral import Effort
from switchyard.protocols.presets import is_local_server

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Role = Literal["primary", "backup", "rescue"]
Action = Literal["switch", "retry", "rescue", "return"]
Trust = Literal["normal", "low"]
OnSuspicion = Literal["mark", "hold"]
EventKind = Literal["switch", "cooldown", "held", "recovered", "budget", "quota"]
EVENT_KINDS: tuple[EventKind, ...] = ("switch", "cooldown", "held", "recovered", "budget", "quota")
Auth = Literal["auto", "bearer", "x-api-key", "api-key"]
ServerKind = Literal[
    "auto",
    "anthropic",
    "openai",
    "azure",
    "vllm",
    "llama.cpp",
    "ollama",
    "lmstudio",
    "sglang",
    "tgi",
    "fastchat",
    "deepseek",
]
ERROR_KINDS = (
    "connect",
    "connect_timeout",
    "read",
    "first_byte_timeout",
    "idle_timeout",
    "protocol",
    "default",
)
StatusKey = Annotated[
    str,
    Meta(pattern=r"^([1-5](\d\d|xx)|default)$", title='a status such as "429" or "5xx", or "default"'),
]
ErrorKey = Annotated[
    str,
    Meta(
        pattern=f"^({'|'.join(ERROR_KINDS)})$",
        title="one of " + ", ".join(f'"{k}"' for k in ERROR_KINDS),
    ),
]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=86400)]
"""0 turns it off"""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Pattern = Annotated[str, Meta(min_length=1, title="a text in which * matches anything")]
"""not by `pattern`: in a union with a list, msgspec 0.22 crashes on it"""
Patterns = Pattern | tuple[Pattern, ...]
DollarsPerMillion = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Factor = Annotated[float, Meta(ge=0, le=1000)]
Fee = Annotated[float, Meta(ge=0, le=1000)]
HostedTool = Literal["web_search"]

DEMO_URL = "demo:"
CLAUDE_SONNET = "claude-sonnet-4-5-20250929"
SECRET_FIELDS = frozenset({"key", "keys", "headers", "base_url", "proxy", "client_keys", "url", "command"})
DIRECT = "direct"
"""the `proxy` of an entry that uses none, whatever the environment names"""


class TimeoutOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """The timeouts that the file sets, for all upstreams or for one."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """One tiny request at a local time, to start a quota window."""

    at: str
    advance_minutes: Annotated[int, Meta(ge=0, le=1439)] = 0


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Money limits in the currency of the price table; 0 means none."""

    day_soft: Annotated[float, Meta(ge=0)] = 0
    day_hard: Annotated[float, Meta(ge=0)] = 0
    month_soft: Annotated[float, Meta(ge=0)] = 0
    month_hard: Annotated[float, Meta(ge=0)] = 0


class BodyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Members of the request body that are set or removed at the end, whatever the client sends."""

    members: dict[str, Any] = msgspec.field(name="set", default={})
    remove: tuple[Annotated[str, Meta(min_length=1)], ...] = ()

    @property
    def text(self) -> str:
        """The names, without values; "" if nothing is changed."""
        if not (self.members or self.remove):
            return ""
        parts = {"sets": ", ".join(self.members), "removes": ", ".join(self.remove)}
        return "; ".join(f"{verb} {names}" for verb, names in parts.items() if names)


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """PEM files for the connection to an upstream: what is trusted beside the usual, and what is presented."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class Upstream(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One entry of the file: where to send requests, with which key, and when."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    base_url: str
    key: str = ""
    keys: tuple[str, ...] = ()
    protocol: ProtocolName = "messages"
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    role: Role = "primary"
    enabled: bool = True
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    hours: str = ""
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    priority: Annotated[int, Meta(ge=1, le=100)] | None = None
    models: dict[str, str] | list[str] = {}
    model: str = ""
    auth: Auth = "auto"
    api_version: str = ""
    headers: dict[str, str] = {}
    user_agent: str = ""
    proxy: str = ""
    tls: Tls = Tls()
    timeouts: TimeoutOverrides = TimeoutOverrides()
    max_concurrency: Annotated[int, Meta(ge=0, le=100_000)] = 0
    requests_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    activation: Activation | None = None
    context_window: Count = 0
    server: ServerKind = "auto"
    local: bool | Literal["auto"] = "auto"
    capabilities: dict[str, Any] = {}
    body: BodyChanges = BodyChanges()
    price_multiplier: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    budget: Budget | None = None
    leave_at_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    balance: bool = False
    trust: Trust = "normal"
    on_suspicion: OnSuspicion = "mark"
    note: str = ""

    @cached_property
    def accounts(self) -> tuple["Upstream", ...]:
        """The entry once for each of its keys, with limits, cooldowns and conversations of its own each."""
        if self.key or not self.keys:
            return (self,)
        return tuple(msgspec.structs.replace(self, key=key) for key in self.keys)

    @cached_property
    def account(self) -> str:
        """What identifies an account: the name, with its key if the entry has several."""
        return account_name(self.name, self.key_label) if self.keys else self.name

    @cached_property
    def account_id(self) -> str:
        """Entry and key: what the load of an account is counted by, as `account` depends on the key's position."""
        return f"{self.name}\n{self.key}" if self.key else self.name

    @cached_property
    def siblings(self) -> tuple[str, ...]:
        """The names of all accounts of its entry."""
        return (
            tuple(one.account for one in msgspec.structs.replace(self, key="").accounts)
            if self.keys
            else (self.name,)
        )

    @cached_property
    def key_label(self) -> str:
        """Which of the keys of its entry an account has; "" if the entry has only one, and for the entry itself."""
        return f"key {self.keys.index(self.key) + 1}" if self.key in self.keys else ""

    @cached_property
    def is_demo(self) -> bool:
        return self.base_url == DEMO_URL

    @cached_property
    def is_local(self) -> bool:
        """A model server of one's own: without a price, and slow with long prompts."""
        return is_local_server(self.server, self.base_url) if self.local == "auto" else self.local

    def model_for(self, model: str) -> str | None:
        """The upstream's name for the model; None if it does not serve it."""
        return _served_as(self.models, self.model, model)


class ModelRule(msgspec.Struct, frozen=True, kw_only=True):
    """Renames a model before an upstream is chosen; applies to all clients unless some are named."""

    source: str = msgspec.field(name="from")
    to: Annotated[str, Meta(min_length=1)]
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    protocols: tuple[ProtocolName, ...] = PROTOCOLS


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What a request must be like for a rule; what is not set does not matter."""

    client: Patterns = ()
    protocol: ProtocolName | tuple[ProtocolName, ...] = ()
    model: Patterns = ()
    subagent: bool | None = None
    background: bool | None = None
    compaction: bool | None = None
    thinking: bool | None = None
    effort: Effort | tuple[Effort, ...] = ()
    web_search: bool | None = None
    images: bool | None = None
    tokens_over: Count | None = None
    tokens_under: Count | None = None
    project: Patterns = ()
    client_key: Patterns = ()
    weekdays: tuple[Weekday, ...] = ()
    hours: str = ""


class RouteRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which upstreams the requests that match go to first, and what is changed for them."""

    name: Annotated[str, Meta(max_length=100)] = ""
    when: Condition = Condition()
    upstreams: tuple[str, ...] = ()
    only: bool = False
    model: Annotated[str, Meta(max_length=300)] = ""
    effort: Effort | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """The action for an error whose message contains a text; case does not matter."""

    match: Annotated[str, Meta(min_length=1)]
    action: Action


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    error_threshold: Annotated[int, Meta(ge=1, le=1000)] = 3
    cooldown_start_seconds: SecondsOrNone = 15
    cooldown_seconds: SecondsOrNone = 600
    max_cooldown_seconds: Seconds = 1800
    on_status: dict[StatusKey, Action] = {}
    on_error: dict[ErrorKey, Action] = {}
    on_text: tuple[TextRule, ...] = ()
    total_seconds: Seconds | None = None
    hold_seconds: SecondsOrNone = 300
    keep_alive_seconds: Seconds = 15
    queue_seconds: Annotated[float, Meta(ge=0, le=3600)] = 30
    session_hours: Annotated[float, Meta(ge=0, le=168)] = 5
    return_to_primary_minutes: Annotated[float, Meta(ge=0, le=10080)] = 30

    @property
    def session_seconds(self) -> float:
        """How long the upstream of an idle conversation is remembered."""
        return self.session_hours * 3600


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money per million tokens. Cache prices default to multiples of the input price, as published.

    `tiers` multiplies them by the service tier of the answer; `fees` is money per call of a hosted tool.
    """

    input: DollarsPerMillion
    output: DollarsPerMillion
    cache_read: DollarsPerMillion | None = None
    cache_write_5m: DollarsPerMillion | None = None
    cache_write_1h: DollarsPerMillion | None = None
    long_context_over: Count = 0
    long_input: DollarsPerMillion | None = None
    long_output: DollarsPerMillion | None = None
    long_cache_read: DollarsPerMillion | None = None
    tiers: dict[str, Factor] = {}
    fees: dict[HostedTool, Fee] = {}


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Where events are reported: by POST to an address, or to a command, which no shell interprets."""

    url: str = ""
    command: tuple[str, ...] = ()
    on: tuple[EventKind, ...] = EVENT_KINDS


class Settings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    upstreams: tuple[Upstream, ...] = ()
    model_rules: tuple[ModelRule, ...] = ()
    routes: tuple[RouteRule, ...] = ()
    failover: Failover = Failover()
    timeouts: TimeoutOverrides = TimeoutOverrides()
    client_keys: dict[str, str] = {}
    prices: dict[str, Price] = {}
    budget: Budget = Budget()
    notify: Notify = Notify()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_body_megabytes: Annotated[int, Meta(ge=1, le=1024)] = 64
    warm_connections: bool = True

    def upstream(self, name: str) -> Upstream | None:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Upstream]:
        return {upstream.name: upstream for upstream in reversed(self.upstreams)}

    @cached_property
    def accounts(self) -> tuple[Upstream, ...]:
        """All accounts, in the order of the file."""
        return tuple(account for upstream in self.upstreams for account in upstream.accounts)

    def account(self, name: str) -> Upstream | None:
        """The account of this name."""
        return self.upstream(name) or self._by_account.get(name)

    @cached_property
    def _by_account(self) -> dict[str, Upstream]:
        return {one.account: one for one in reversed(self.accounts)}


def accounts_of(settings: Settings, name: str) -> tuple[str, ...]:
    """The names of the accounts of an entry."""
    entry = settings.upstream(name)
    return () if entry is None else entry.siblings


def _served_as(models: dict[str, str] | list[str], deployment: str, model: str) -> str | None:
    if not models:
        return deployment or model
    fitting = [pattern for pattern in models if matches(pattern, model)]
    if not fitting:
        return None
    if isinstance(models, list):
        return deployment or model
    sent = models[max(fitting, key=specificity)]
    return model if sent == "*" else sent or deployment or model
